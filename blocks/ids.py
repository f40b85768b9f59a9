"""Ids of the records as types of their own: the type checker refuses one where another is meant."""

from __future__ import annotations

from typing import NewType
from uuid import UUID

DossierId = NewType("DossierId", UUID)  # tables.Dossier.id
DocumentId = NewType("DocumentId", UUID)  # tables.Document.id
FlowRunId = NewType("FlowRunId", UUID)  # Prefect's flow run
