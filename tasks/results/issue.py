"""Phát hành kết quả giải quyết TTHC bản điện tử (QĐ 1333, Điều 12, 13.4b; NĐ 30/2020): number, document, data, code.

An issued result is a document of the dossier like the papers, only that it begins with the agency's signatures: it is
signed by who may sign it and by the agency, its data are signed, and it is stored, shown and preserved by the same
steps (KQ01–KQ03). Number and day come from the register in the transaction that makes the document, once a dossier and
result.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from sqlmodel import Session, col, func, select

from blocks.catalog import Catalog
from blocks.catalog.models import IssuedForm, Result
from blocks.catalog.staff import load_staff
from blocks.clock import vietnam_day
from blocks.errors import ObjectConflict
from blocks.ids import DocumentId, DossierId
from blocks.objects import Bucket, ObjectStore, document_key
from blocks.records import RecordsDatabase
from blocks.records.audit import audit
from blocks.records.numbers import issue_result_number
from blocks.records.queries import declared_owner, documents, get_document, get_dossier, locked
from blocks.records.states import DocumentState, DossierState, FieldSource, OwnerKind
from blocks.records.tables import ISSUED, Document, Dossier, FieldValue, ResultNumber
from blocks.settings import settings
from blocks.signer import picture, signer_for
from tasks.decisions.proofs import drafted
from tasks.results.document import ResultContent, result_pdf, same_but_for_times
from tasks.scope.decide import case_date
from tasks.signing.errors import ForeignFile
from tasks.signing.pdf import add_issuing_fields
from tasks.signing.sign import require_succeeded
from tasks.verification.coding import build_code

PDF = "result.pdf"  # unsigned, in WORKING
ANNOUNCED = {DossierState.CO_KET_QUA, DossierState.DA_TRA, DossierState.LUU_TRU}  # what is to be issued is issued


def issue_results(
    records: RecordsDatabase, objects: ObjectStore, catalog: Catalog, dossier_id: DossierId, signer: str, clerk: str
) -> list[DocumentId]:
    """Make the result documents of a case that has succeeded; [] where its result is no such document. Idempotent.

    signer: the leader, who signs them; clerk: who takes number and day from the register (NĐ 30/2020, Điều 15). Each is
    built as PDF/A-2b and waits in CHO_KET_QUA for its signatures.
    Raises AgencyNotAllowed, SignerUnknown, ResultNotDrawable, ResultBuildFailed, the errors of the stores.
    """
    issued = []
    with records.session() as session:
        dossier = get_dossier(session, dossier_id)
        if dossier.state in ANNOUNCED:
            return [document.id for document in documents(session, dossier_id) if document.is_issued]
        require_succeeded(dossier)
        for result, form in catalog.issued_results(dossier.procedure_code, case_date(dossier)):
            symbol = f"{form.abbreviation}-{settings().agency_symbol}"
            number = issue_result_number(session, dossier, result.code, symbol, actor=clerk)
            if number.document_id is None:
                number.document_id = _register(session, dossier, result, form, number, signer, clerk).id
                session.add(number)
            issued.append(number.document_id)
    for document_id in issued:
        _build(records, objects, catalog, document_id, signer)
    return issued


def _register(
    session: Session,
    dossier: Dossier,
    result: Result,
    form: IssuedForm,
    number: ResultNumber,
    signer: str,
    clerk: str,
) -> Document:
    """The document with its data (Điều 9.2, 12.2) and its code (Điều 10.2), in the transaction of its number."""
    last = session.exec(select(func.max(Document.ordinal)).where(Document.dossier_id == dossier.id)).one()
    code = build_code(
        owner=dossier.owner_id, procedure=dossier.procedure_code, type_code=form.type_code, result_code=result.code,
        number=number.number_symbol,
    )  # fmt: skip
    document = Document(
        dossier_id=dossier.id,
        ordinal=(last or 0) + 1,
        type_code=form.type_code,
        state=DocumentState.CHO_KET_QUA,
        declared_pages=1,
        scope_rule=ISSUED,
        in_scope=False,
        code=code.whole,
        code_owner=code.owner,
        code_procedure=code.procedure,
        code_type=code.kind,
        code_number=code.number,
        owner_id_source=FieldSource.SYSTEM.value if code.owner else None,
    )
    session.add(document)
    session.flush()
    for name, value in _data(dossier, form, number).items():
        session.add(
            FieldValue(
                document_id=document.id, name=name, value=value, printed=value, confidence=1.0, rule=ISSUED,
                source=FieldSource.SYSTEM, confirmed_by=signer, confirmed_at=number.issued_at,
            )
        )  # fmt: skip
    audit(
        session,
        actor=clerk,
        action="issue",
        dossier_id=dossier.id,
        document_id=document.id,
        rule=ISSUED,
        details={"number_symbol": number.number_symbol, "result": result.code, "has_owner": bool(code.owner)},
        target_state=DocumentState.CHO_KET_QUA,
    )
    return document


def _data(dossier: Dossier, form: IssuedForm, number: ResultNumber) -> dict[str, str]:
    """Fields a–g of the document; l is the time of their rows."""
    data = {
        "type_code": form.type_code,
        "title": form.title,
        "number_symbol": number.number_symbol,
        "issue_date": vietnam_day(number.issued_at).isoformat(),
        "issuer": settings().agency_name,
        "abstract": form.abstract,
    }
    if dossier.owner_id:
        data["owner_id"] = dossier.owner_id
    return data | declared_owner(dossier)


def _build(
    records: RecordsDatabase, objects: ObjectStore, catalog: Catalog, document_id: DocumentId, officer: str
) -> None:
    """The PDF in WORKING with the empty fields of its signatures; one that an earlier run stored stays."""
    with records.session() as session:
        document = get_document(session, document_id)
        if document.file_key is not None:
            return
        dossier = get_dossier(session, document.dossier_id)
        number = session.exec(select(ResultNumber).where(col(ResultNumber.document_id) == document_id)).one()
        result = catalog.result(number.result_code, case_date(dossier))
        assert result.issued is not None
        content = content_of(session, dossier, result.issued, number, officer)
        key = document_key(dossier.id, document_id, document.attempt, PDF)
    data, pages = _unsigned(content)
    try:
        kept = objects.put_once(Bucket.WORKING, key, data, content_type="application/pdf")
    except ObjectConflict:  # an earlier run's, made at another moment; or somebody else's
        there, kept = objects.unproven(Bucket.WORKING, key)
        if not same_but_for_times(there, data):
            raise ForeignFile() from None
    with records.session() as session:
        row = locked(session, Document, document_id, key_share=True)
        if row.file_key is None:
            row.file_key, row.file_version, row.file_sha256 = key, kept.version, kept.sha256
            row.page_count = row.declared_pages = pages
            session.add(row)


def _unsigned(content: ResultContent) -> tuple[bytes, int]:
    """The document with the empty fields of its signatures, and how many pages it has."""
    data, places = result_pdf(content)
    return add_issuing_fields(data, places.page, places.signer, places.agency), places.page + 1


def require_as_decided(
    records: RecordsDatabase, objects: ObjectStore, catalog: Catalog, document_id: DocumentId, officer: str
) -> None:
    """The unsigned file of a result says what was decided, and nothing else. Raises ForeignFile.

    The file is drawn anew from the decisions and compared: what lies in the store is not believed.
    """
    with records.session() as session:
        document = get_document(session, document_id)
        dossier = get_dossier(session, document.dossier_id)
        number = session.exec(select(ResultNumber).where(col(ResultNumber.document_id) == document_id)).one()
        form = catalog.result(number.result_code, case_date(dossier)).issued
        assert form is not None
        content = content_of(session, dossier, form, number, officer)
        key = document_key(dossier.id, document_id, document.attempt, PDF)
        sha256, version = document.file_sha256, document.file_version
        unsigned = document.file_key == key
    if unsigned:
        stored = objects.read(Bucket.WORKING, key, version=version, sha256=sha256 or "")
    else:  # signed meanwhile, under another key: the comparison proves what was signed
        stored = objects.unproven(Bucket.WORKING, key)[0]
    if not same_but_for_times(stored, _unsigned(content)[0]):
        raise ForeignFile()


def content_of(
    session: Session,
    dossier: Dossier,
    form: IssuedForm,
    number: ResultNumber | None,
    officer: str | None,
    typed: Sequence[str] | None = None,
) -> ResultContent:
    """What the document says. number, officer: None in a draft; typed: articles that are not decided yet."""
    ours = settings()
    received = vietnam_day(dossier.received_at or dossier.created_at)
    values = {"owner": _owner(dossier), "dossier": dossier.code or "", "received": f"{received:%d/%m/%Y}"}
    articles = [article.format(**values) for article in form.articles]
    articles[-1:-1] = drafted(session, dossier) if typed is None else typed
    symbol = number.symbol if number else f"{form.abbreviation}-{ours.agency_symbol}"
    day = vietnam_day(number.issued_at) if number else None
    return ResultContent(
        parent=ours.agency_parent,
        agency=ours.agency_name,
        number=number.number_symbol if number else None,
        symbol=symbol,
        place=ours.agency_place,
        day=day,
        title=form.title,
        abstract=form.abstract,
        authority=f"{ours.agency_head} {ours.agency_name}",
        bases=form.bases,
        articles=tuple(articles),
        recipients=tuple(recipient.format(last=len(articles)) for recipient in form.recipients),
        office=_office(officer, dossier, day or case_date(dossier)),
        signer=signer_for(officer).name if officer else "",
        qr=_qr(ours.agency_name, number, day, dossier),
        pictures=bool(officer and picture(officer) and picture("agency")),
    )


def _owner(dossier: Dossier) -> str:
    who = f"ông (bà) {dossier.owner_name}" if dossier.owner_kind is OwnerKind.PERSON else dossier.owner_name
    if dossier.owner_id:
        kind = "số định danh cá nhân" if dossier.owner_kind is OwnerKind.PERSON else "mã định danh điện tử"
        return f"{who}, {kind} {dossier.owner_id}"
    if dossier.owner_birth_date:
        return f"{who}, sinh ngày {dossier.owner_birth_date:%d/%m/%Y}"
    return f"{who}, thành lập năm {dossier.owner_founding_year}" if dossier.owner_founding_year else who


def _office(officer: str | None, dossier: Dossier, on: date) -> tuple[str, ...]:
    """Chức vụ; a deputy signs for the head (KT.)."""
    head = settings().agency_head
    held = load_staff().office(officer, dossier.unit_id, on) if officer else head
    return (head,) if held in {"", head} else (f"KT. {head}", held)


def _qr(agency: str, number: ResultNumber | None, day: date | None, dossier: Dossier) -> str:
    """What names the document and no person: agency, number, day, code of the dossier (P03)."""
    if number is None or day is None:
        return f"DỰ THẢO\n{agency}\nMã hồ sơ: {dossier.code}"
    return f"{agency}\nSố: {number.number_symbol}\nNgày: {day:%d/%m/%Y}\nMã hồ sơ: {dossier.code}"
