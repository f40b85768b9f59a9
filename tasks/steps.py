"""Steps of progress for Prefect: each is the function of the same name, with this installation's services."""

from __future__ import annotations

from blocks.ids import DocumentId, DossierId
from blocks.records import RecordsDatabase
from blocks.records.states import DossierState
from tasks import progress
from tasks.prefect_task import step


@step("Chuyển bước", rule="ST01")
def advance(
    dossier_id: DossierId,
    target: DossierState,
    rule: str,
    actor: str = "system",
    after: DossierState | None = None,
    times: int = 0,
) -> bool:
    """Điều 7, 13: the dossier goes on. Two moves to the same state are told apart by the state that they come `after`,
    and by the number of the verification that has asked for them (`times`). One that lies behind it isn't made again.
    """
    records = RecordsDatabase.get()
    moved = not progress.has_moved(records, dossier_id, target, after, times) and progress.advance(
        records, dossier_id, target, rule, actor
    )
    if target is not DossierState.DA_CHUYEN:  # which the dossier leaves at once
        progress.announce(dossier_id)
    return moved


@step("Chuyển viên chức giải quyết sửa lại", rule="B4b")
def reopen(dossier_id: DossierId, stage: str) -> bool:
    """Điều 13.4b: what leader or clerk can't sign goes back to the resolving officer."""
    reopened = progress.reopen(RecordsDatabase.get(), dossier_id, stage)
    progress.announce(dossier_id)
    return reopened


@step("Trả về bước sao chụp", rule="CA05")
def send_back(dossier_id: DossierId, stage: str) -> list[DocumentId]:
    """Điều 8.2: what the resolving officer can't use is captured again."""
    return progress.send_back(RecordsDatabase.get(), dossier_id, stage)


@step("Ghi tên lượt xử lý")
def announce(dossier_id: DossierId) -> None:
    """What operations staff see of a dossier that has no code yet: the run's name and tags."""
    progress.announce(dossier_id)
