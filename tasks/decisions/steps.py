"""Steps of decisions for Prefect: each is the function of the same name, with this installation's services."""

from __future__ import annotations

from blocks.catalog import Catalog
from blocks.ids import DossierId
from blocks.records import RecordsDatabase
from tasks.decisions import upheld
from tasks.prefect_task import step


@step("Đối chiếu nội dung ký với nội dung đã duyệt", rule="EX17")
def still_allowed(dossier_id: DossierId, signoff: int, seal: int) -> bool:
    """Whether leader and clerk saw what would be signed now. signoff, seal: numbers of their pauses."""
    return upheld.still_allowed(RecordsDatabase.get(), Catalog.get(), dossier_id, signoff)
