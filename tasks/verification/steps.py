"""Steps of verification for Prefect: each is the function of the same name, with this installation's services."""

from __future__ import annotations

from blocks.catalog import Catalog
from blocks.ids import DocumentId, DossierId
from blocks.objects import ObjectStore
from blocks.records import RecordsDatabase
from tasks.prefect_task import step
from tasks.verification import coding, confirm, split


@step("Ghi nhận dữ liệu đã xác nhận", rule="WH03")
def confirm_fields(dossier_id: DossierId, stage: str) -> int:
    """Điều 9.3: what the resolving officer confirmed becomes the data of the paper."""
    return confirm.confirm_fields(RecordsDatabase.get(), dossier_id, stage)


@step("Tách hai giấy tờ trên một ảnh", rule="CA06")
def part_images(dossier_id: DossierId, stage: str) -> split.Split:
    """Điều 8.2, 9.3: an image that shows two papers is two components, each with the whole image."""
    return split.part_images(RecordsDatabase.get(), ObjectStore.get(), dossier_id, stage)


@step("Cấp mã kết quả số hóa", rule="CO01-CO06")
def assign_code(document_id: DocumentId, times: int, actor: str = "system") -> coding.CodeReport:
    """Điều 10: the digitised paper gets its code. times: number of the verification that has confirmed its data."""
    return coding.assign_code(RecordsDatabase.get(), Catalog.get(), document_id, actor)
