"""What officers see of a result before and after it is issued (WH04, P14)."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel
from sqlmodel import col, select

from blocks.catalog import Catalog
from blocks.catalog.staff import Grants
from blocks.ids import DossierId
from blocks.objects import ObjectStore, StoredObject
from blocks.records import RecordsDatabase
from blocks.records.audit import audit
from blocks.records.queries import file_of, find_dossier, get_dossier
from blocks.records.tables import Document, ResultNumber
from tasks.results.document import ResultContent, result_pdf
from tasks.results.issue import content_of
from tasks.scope.decide import case_date
from tasks.verification.review import require_in_unit


class Draft(BaseModel):
    """A result that has no number yet: its name, its articles as they will stand, the document."""

    name: str
    articles: tuple[str, ...]
    pdf: bytes


def drafts(
    records: RecordsDatabase,
    catalog: Catalog,
    dossier_id: DossierId,
    *,
    typed: Sequence[str] | None = None,
    signer: str | None = None,
) -> list[Draft]:
    """The results of a dossier that are not issued yet, for an officer who was let in to it just now (`look`).

    typed: articles that the resolving officer is writing, None: those that were decided; signer: whose name stands
    under it, when it is known. Raises ResultNotDrawable.
    """
    with records.session() as session:
        dossier = get_dossier(session, dossier_id)
        numbered = set(session.exec(select(ResultNumber.result_code).where(ResultNumber.dossier_id == dossier_id)))
        contents = [
            (result.name, content_of(session, dossier, form, None, signer, typed))
            for result, form in catalog.issued_results(dossier.procedure_code, case_date(dossier))
            if result.code not in numbered
        ]
    return [Draft(name=name, articles=content.articles, pdf=result_pdf(content)[0]) for name, content in contents]


def read_results(
    records: RecordsDatabase, objects: ObjectStore, catalog: Catalog, code: str, officer: str, *, grants: Grants | None
) -> list[bytes]:
    """The results of a dossier for an officer: issued as they are stored, else drafts without number and signature.

    Each look is in the audit trail. grants: see `require_in_unit`. [] where the procedure's result is no document of
    this system. Raises DossierUnknown, NotAssignedToUnit (an incident).
    """
    with records.session() as session:
        dossier_id = find_dossier(session, code).id
    require_in_unit(records, dossier_id, officer, grants=grants)
    found: list[ResultContent | StoredObject] = []
    with records.session() as session:
        dossier = get_dossier(session, dossier_id)
        for result, form in catalog.issued_results(dossier.procedure_code, case_date(dossier)):
            query = select(Document).join(ResultNumber, col(ResultNumber.document_id) == Document.id)
            document = session.exec(
                query.where(ResultNumber.dossier_id == dossier_id, ResultNumber.result_code == result.code)
            ).first()
            if document is not None and (stored := file_of(document)):
                found.append(stored)
            else:
                found.append(content_of(session, dossier, form, None, None))
        audit(session, actor=officer, action="view", dossier_id=dossier_id, rule="P14", details={"results": len(found)})
    return [
        result_pdf(item)[0]
        if isinstance(item, ResultContent)
        else objects.read(item.bucket, item.key, version=item.version, sha256=item.sha256)
        for item in found
    ]
