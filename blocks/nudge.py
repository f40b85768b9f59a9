"""Whoever starts or resumes a run tells the worker, which looks for work at once instead of at its next round.

The word goes over PostgreSQL (NOTIFY), which gateway and worker reach anyway. One that is lost costs seconds.
"""

from __future__ import annotations

from contextlib import suppress

from sqlalchemy import text

from blocks.errors import SohoaError
from blocks.records import RecordsDatabase
from blocks.settings import RUNS_CHANNEL


def nudge() -> None:
    """There is a run to start now. Nothing where this process doesn't reach the records, or they are away."""
    with suppress(SohoaError), RecordsDatabase.get().session() as session:
        session.execute(text("SELECT pg_notify(:channel, '')"), {"channel": RUNS_CHANNEL})
