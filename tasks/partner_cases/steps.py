"""Steps of partners' cases for Prefect: each is the function of the same name, with this installation's services."""

from __future__ import annotations

from blocks.catalog import Catalog
from blocks.orchestrator import Orchestrator
from blocks.records import RecordsDatabase
from tasks.partner_cases import callbacks
from tasks.prefect_task import step


@step("Báo tin cho hệ thống của đối tác", rule="P03")
def tell_partners() -> callbacks.Told:
    """Note what changed, send what is due, start what couldn't be started."""
    return callbacks.tell_partners(RecordsDatabase.get(), Catalog.get(), Orchestrator())
