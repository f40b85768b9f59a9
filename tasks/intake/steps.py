"""Steps of intake for Prefect: each is the function of the same name, with this installation's services."""

from __future__ import annotations

from collections.abc import Sequence

from blocks.catalog import Catalog
from blocks.ids import DossierId
from blocks.objects import ObjectStore
from blocks.orchestrator import Orchestrator
from blocks.portal import AccountStatus, Portal
from blocks.records import RecordsDatabase
from blocks.settings import settings
from blocks.trust import Trust
from tasks.intake import electronic_originals, inbox, reception, reuse
from tasks.intake import submission as submissions
from tasks.prefect_task import step
from tasks.this_run import this_run


@step("Đăng ký hồ sơ", rule="B1")
def register(submission: str, revision: int = 1) -> submissions.Registered:
    """Điều 13.1: what was handed in becomes a dossier."""
    return submissions.register_for(RecordsDatabase.get(), ObjectStore.get(), submission, revision, this_run())


@step("Quét hộp nhận hồ sơ", rule="B1")
def take_ready_folders() -> int:
    """Every ready folder of the inbox becomes a flow run. Returns how many were handed in."""
    services = RecordsDatabase.get(), ObjectStore.get(), Orchestrator()
    return inbox.take_ready_folders(*services, settings().inbox_dir)


@step("Kiểm tra chữ ký số của bản điện tử", rule="SC05-SC10")
def examine_originals(dossier_id: DossierId, revision: int) -> Sequence[electronic_originals.OriginalReport]:
    """Điều 4.1: signed PDFs that were handed in are validated. `revision` separates the runs after a supplement."""
    services = RecordsDatabase.get(), ObjectStore.get(), Catalog.get()
    return electronic_originals.examine_originals(*services, dossier_id)


@step("Lưu nguyên trạng bản điện tử", rule="SC05-LU06")
def store_originals(dossier_id: DossierId, actor: str = "system") -> electronic_originals.OriginalsStored:
    """Điều 11: electronic originals go under lock as they came, with what was found about their signatures."""
    services = RecordsDatabase.get(), ObjectStore.get(), Catalog.get()
    return electronic_originals.store_originals(*services, dossier_id, Trust.get(), actor)


@step("Tiếp nhận hồ sơ", rule="B1-B3a")
def receive(dossier_id: DossierId, actor: str, revision: int = 1) -> reception.ReceptionReport:
    """Điều 13.1, 13.3a: checked against the procedure and received. revision: of what was declared."""
    records = RecordsDatabase.get()
    before = reception.checked_before(records, dossier_id, revision)
    return before or reception.receive(records, Catalog.get(), dossier_id, actor)


@step("Từ chối tiếp nhận hồ sơ", rule="B3a")
def refuse(dossier_id: DossierId, actor: str, stage: str) -> reception.ReceptionReport:
    """The refusal that an officer decided at `stage`; its written reason is read from the decision."""
    return reception.refuse_as_decided(RecordsDatabase.get(), dossier_id, stage)


@step("Kiểm tra tài khoản số", rule="B2")
def check_account(dossier_id: DossierId, actor: str = "system") -> AccountStatus:
    """Điều 13.2: the owner's digital account. Asked for once a dossier, also where nobody answered."""
    records = RecordsDatabase.get()
    before = reception.account_asked(records, dossier_id)
    return before or reception.check_account(records, Portal.get(), dossier_id, actor)


@step("Khai thác dữ liệu đã có", rule="B3b-B3g")
def find_shared_data(dossier_id: DossierId, actor: str = "system") -> reuse.ReuseReport:
    """Điều 13.3b: papers that exist as data are reused. Not asked for once the scope was decided."""
    records = RecordsDatabase.get()
    if not reuse.scope_is_open(records, dossier_id):
        return reuse.ReuseReport(dossier_id=dossier_id)
    return reuse.find_shared_data(records, Portal.get(), dossier_id, actor)
