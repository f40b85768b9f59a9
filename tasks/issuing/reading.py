"""What officers see of a result before and after it is issued (WH04, P14)."""

from __future__ import annotations

from sqlmodel import col, select

from blocks.catalog import Catalog
from blocks.objects import Bucket, ObjectStore
from blocks.records import RecordsDatabase
from blocks.records.audit import audit
from blocks.records.queries import find_dossier, get_dossier
from blocks.records.tables import Document, ResultNumber
from tasks.issuing.document import ResultContent, result_pdf
from tasks.issuing.steps import content_of
from tasks.review import insist_assigned
from tasks.scope import case_date


def read_results(
    records: RecordsDatabase, objects: ObjectStore, catalog: Catalog, code: str, officer: str
) -> list[bytes]:
    """The results of a dossier for an officer: issued as they are stored, else drafts without number and signature.

    Each look is in the audit trail. [] where the procedure's result is no document of this system.
    Raises DossierUnknown, NotYours (an incident).
    """
    with records.session() as session:
        dossier_id = find_dossier(session, code).id
    insist_assigned(records, dossier_id, officer)
    found: list[ResultContent | tuple[Bucket, str]] = []
    with records.session() as session:
        dossier = get_dossier(session, dossier_id)
        for result, form in catalog.issued_results(dossier.procedure_code, case_date(dossier)):
            query = select(Document).join(ResultNumber, col(ResultNumber.document_id) == Document.id)
            document = session.exec(
                query.where(ResultNumber.dossier_id == dossier_id, ResultNumber.result_code == result.code)
            ).first()
            if document is not None and document.record_key:
                found.append((Bucket.RECORDS, document.record_key))
            elif document is not None and document.file_key:
                found.append((Bucket.WORKING, document.file_key))
            else:
                found.append(content_of(session, dossier, form, None, None))
        audit(session, actor=officer, action="view", dossier_id=dossier_id, rule="P14", details={"results": len(found)})
    return [result_pdf(item)[0] if isinstance(item, ResultContent) else objects.get(*item) for item in found]
