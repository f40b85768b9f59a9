"""Steps of scope for Prefect: each is the function of the same name, with this installation's services."""

from __future__ import annotations

from blocks.catalog import Catalog
from blocks.ids import DocumentId, DossierId
from blocks.objects import ObjectStore
from blocks.records import RecordsDatabase
from blocks.records.states import DocumentState
from tasks.prefect_task import step
from tasks.scope import decide, fragile, quarantine


@step("Xác định phạm vi số hóa", rule="SC01-SC13")
def decide_scope(dossier_id: DossierId, actor: str = "system") -> decide.ScopeReport:
    """Điều 4, 5: which components are digitised."""
    return decide.decide_scope(RecordsDatabase.get(), ObjectStore.get(), Catalog.get(), dossier_id, actor)


@step("Xử lý giấy tờ quan trọng, dễ hỏng", rule="B3e")
def settle_leader_opinion(document_id: DocumentId, digitise: bool, actor: str) -> DocumentState:
    """Điều 13.3b: the leader's decision is carried out."""
    return fragile.settle_leader_opinion(RecordsDatabase.get(), document_id, digitise=digitise, actor=actor)


@step("Sao y giấy tờ dễ hỏng", rule="B3d")
def certify_copy(document_id: DocumentId, actor: str, original_captured: bool = False) -> DocumentState:
    """Điều 13.3b: after the certified paper copy the paper is captured."""
    records = RecordsDatabase.get()
    return fragile.certify_copy(records, document_id, actor=actor, original_captured=original_captured)


@step("Viên chức quyết định phạm vi số hóa", rule="SC03")
def settle_unlisted(document_id: DocumentId, digitise: bool, actor: str) -> DocumentState:
    """Điều 4: where no list is in force the officer decides."""
    return fragile.settle_unlisted(RecordsDatabase.get(), document_id, digitise=digitise, actor=actor)


@step("Cách ly giấy tờ mật", rule="SC13")
def isolate(document_id: DocumentId, level: str, attempt: int, stage: str) -> quarantine.QuarantineReport:
    """Điều 5.4: the leader has confirmed at `stage` that the paper is secret: its images are deleted."""
    services = RecordsDatabase.get(), ObjectStore.get()
    return quarantine.isolate_as_decided(*services, document_id, level, attempt, stage)


@step("Đưa giấy tờ không mật trở lại quy trình", rule="SC13")
def take_back(document_id: DocumentId, attempt: int, stage: str) -> None:
    """Điều 5.4: the leader has decided at `stage` that the paper isn't secret: it goes on where it was."""
    quarantine.take_back(RecordsDatabase.get(), document_id, attempt, stage)
