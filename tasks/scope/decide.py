"""Phạm vi số hóa (QĐ 1333, Điều 4 và 5): which papers are digitised, in the order of docs/formats.md, "Scope".

Checked in the order 5.4, 5.3, 5.1, electronic originals, 4.1c, 4.2, 5.2, 4.1a, 4.1b, 4.1d [R]: what may not be captured
comes first, then what need not be (shared data; a valid electronic original is no paper to copy, SC05), then the
agency's own list, which 5.2 excepts. Điều 4.2 (answers of other agencies) stands before 5.2 because 5.2 speaks of
components that the person handed in only [R].
"""

from __future__ import annotations

from datetime import date

from pydantic import BaseModel, ConfigDict
from sqlmodel import Session, col, select

from blocks.catalog import Catalog, DocumentType, TypeUnknown
from blocks.clock import vietnam_day
from blocks.errors import Problem, Remedy, SohoaError
from blocks.ids import DocumentId, DossierId
from blocks.objects import ObjectStore
from blocks.records import RecordsDatabase
from blocks.records.machine import move_document
from blocks.records.queries import get_dossier
from blocks.records.regions import split_off
from blocks.records.states import DocumentState, ElectronicOriginal, Form
from blocks.records.tables import AuditEntry, Document, Dossier, Scan
from tasks.scope.quarantine import SecrecyLevel, isolate, refuse_images

PAPER_COPIES = {Form.PHOTOCOPY, Form.CERTIFIED_COPY}  # Điều 5.2
UNDECIDED = {DocumentState.KHAI_BAO, DocumentState.PHAN_LOAI}
BY_VERDICT = "in_scope"  # stands in the entry of a move that the rules have made, not a person


class ShowOnlyUploaded(SohoaError):
    """A paper that is only shown was captured (SC12, Điều 5.3)."""

    code, rule = "SHOW_ONLY", "SC12"
    message = "Thành phần {component} chỉ yêu cầu xuất trình, không được sao chụp; vui lòng bỏ tệp quét khỏi hồ sơ."
    remedy = Remedy.OFFICER


class DocumentFacts(BaseModel):
    """What was declared about a paper at the counter."""

    model_config = ConfigDict(frozen=True)

    form: Form = Form.ORIGINAL
    secret: bool = False
    show_only: bool = False
    shared_source: str | None = None  # where it is shared as data with legal value
    electronic: bool = False  # a signed PDF whose signatures were found valid (tasks/intake/electronic_originals.py)
    prior_result: bool = False
    requested: bool = False
    fragile: bool = False
    important: bool = False


class ScopeVerdict(BaseModel):
    """The rule that decided; in_scope None: nobody may guess, the officer decides."""

    model_config = ConfigDict(frozen=True)

    rule: str
    in_scope: bool | None
    target: DocumentState
    text: str
    refused_by: str | None = None  # SC05: the paper is no valid component in this form (and so not digitised either)


def decide(facts: DocumentFacts, kind: DocumentType, listed: bool | None) -> ScopeVerdict:
    """Whether a paper is digitised. Pure: same facts, same verdict.

    kind: the catalogue's entry of its type; listed: whether it stands in the list of papers to digitise at the date
    of the case, None when no list is in force (then it is not guessed).
    """
    out = DocumentState.NGOAI_PHAM_VI
    prior, by_law = facts.prior_result or kind.prior_result, kind.digitise_by_law
    if facts.secret:
        return _verdict(
            "SC13", False, DocumentState.CACH_LY_MAT, "Giấy tờ mật không được số hóa; giấy tờ được cách ly."
        )
    if facts.show_only or kind.show_only:
        return _verdict("SC12", False, out, "Giấy tờ chỉ yêu cầu xuất trình, không sao chụp.")
    if facts.shared_source:
        text = "Giấy tờ đã được chia sẻ dưới dạng dữ liệu có giá trị pháp lý; sử dụng lại dữ liệu, không số hóa."
        return _verdict("SC10", False, DocumentState.TAI_SU_DUNG, text)
    if facts.electronic:
        text = "Bản điện tử có chữ ký số hợp lệ; giữ nguyên tệp, không sao chụp và ký lại."
        return _verdict("SC05", False, DocumentState.TAI_SU_DUNG, text)
    if listed:
        return _captured("SC03", "Giấy tờ thuộc danh mục cần số hóa theo yêu cầu quản lý.", facts)
    if kind.consultation:
        return _captured("SC06", "Kết quả thẩm tra, xác minh, trả lời ý kiến bản giấy phải số hóa.", facts)
    if listed is None and facts.form in PAPER_COPIES:
        return _unlisted()  # 5.2 excepts the papers of the list, and there is no list to look at
    if facts.form in PAPER_COPIES:
        text = "Bản sao chụp, bản sao có chứng thực dạng giấy ngoài danh mục, không số hóa."
        return _verdict("SC11", False, out, text, refused_by="SC05" if prior or by_law else None)
    if prior:
        return _captured("SC01", "Giấy tờ là kết quả giải quyết của thủ tục hành chính trước đó.", facts)
    if by_law:
        return _captured("SC02", "Giấy tờ phải số hóa theo quy định của pháp luật.", facts)
    if facts.requested:
        return _captured("SC04", "Số hóa theo nhu cầu của tổ chức, cá nhân; yêu cầu đã được ghi nhận.", facts)
    if listed is None:
        return _unlisted()
    return _verdict("SC04", False, out, "Ngoài danh mục và không có yêu cầu của tổ chức, cá nhân; không số hóa.")


def _verdict(
    rule: str, in_scope: bool | None, target: DocumentState, text: str, *, refused_by: str | None = None
) -> ScopeVerdict:
    return ScopeVerdict(rule=rule, in_scope=in_scope, target=target, text=text, refused_by=refused_by)


def _unlisted() -> ScopeVerdict:
    text = "Không có danh mục giấy tờ cần số hóa đang áp dụng; vui lòng quyết định số hóa hay không."
    return _verdict("SC03", None, DocumentState.PHAN_LOAI, text)


def _captured(rule: str, text: str, facts: DocumentFacts) -> ScopeVerdict:
    """In scope; a fragile paper first goes another way (Điều 13.3b: B3d, B3e)."""
    if facts.fragile and facts.important:
        ask = " Giấy tờ quan trọng, dễ hỏng: xin ý kiến lãnh đạo về việc không số hóa."
        return _verdict(rule, True, DocumentState.XIN_Y_KIEN, text + ask)
    if facts.fragile:
        copy = " Giấy tờ dễ hỏng: sao y bản giấy trước, quét bản sao y và bản chính nếu được."
        return _verdict(rule, True, DocumentState.DE_HONG, text + copy)
    return _verdict(rule, True, DocumentState.CHO_SAO_CHUP, text)


def facts_of(document: Document) -> DocumentFacts:
    return DocumentFacts(
        form=document.form,
        secret=document.secret,
        show_only=document.show_only,
        shared_source=document.shared_as_data,
        electronic=document.electronic_original == ElectronicOriginal.VALID,
        prior_result=document.is_prior_result,
        requested=document.requested_by_owner,
        fragile=document.fragile,
        important=document.important,
    )


def verdict_of(catalog: Catalog, document: Document, on: date) -> ScopeVerdict:
    """The verdict on a declared document at a date. Raises TypeUnknown."""
    kind = catalog.document_type(document.type_code, on)
    return decide(facts_of(document), kind, catalog.listed(document.type_code, on))


class DocumentScope(BaseModel):
    document_id: DocumentId
    ordinal: int
    verdict: ScopeVerdict
    state: DocumentState


class ScopeReport(BaseModel):
    """What was decided for each component of a dossier; problems the officer has to settle."""

    dossier_id: DossierId
    documents: list[DocumentScope] = []
    problems: list[Problem] = []

    def _in(self, state: DocumentState) -> list[DocumentId]:
        return [item.document_id for item in self.documents if item.state is state]

    @property
    def to_capture(self) -> list[DocumentId]:
        return self._in(DocumentState.CHO_SAO_CHUP)

    @property
    def to_ask(self) -> list[DocumentId]:
        """Documents on which the leader decides (B3e)."""
        return self._in(DocumentState.XIN_Y_KIEN)

    @property
    def fragile(self) -> list[DocumentId]:
        """Documents that need a certified paper copy first (B3d)."""
        return self._in(DocumentState.DE_HONG)

    @property
    def undecided(self) -> list[DocumentId]:
        """Documents on which the counter officer decides (SC03 without a list in force)."""
        return self._in(DocumentState.PHAN_LOAI)

    def ordinals(self, document_ids: list[DocumentId]) -> list[int]:
        """Places in the dossier, 1-based, ascending."""
        return sorted(item.ordinal for item in self.documents if item.document_id in document_ids)


def decide_scope(
    records: RecordsDatabase, objects: ObjectStore, catalog: Catalog, dossier_id: DossierId, actor: str
) -> ScopeReport:
    """Decide and record the scope of every declared document (KHAI_BAO → PHAN_LOAI → …). Idempotent.

    A secret paper is quarantined at once; a show-only paper with uploaded files is a problem for the officer and the
    files are deleted (SC12); an undecided one stays PHAN_LOAI.
    """
    report = ScopeReport(dossier_id=dossier_id)
    secret: list[DocumentId] = []
    shown: list[DocumentId] = []
    with records.session() as session:
        dossier = get_dossier(session, dossier_id)
        on = case_date(dossier)
        query = select(Document).where(col(Document.dossier_id) == dossier_id).order_by(col(Document.ordinal))
        later = split_off(session, dossier_id)
        for document in session.exec(query.with_for_update(key_share=True)).all():
            if document.is_issued or document.id in later:  # none of the papers that were declared
                continue
            try:
                verdict = verdict_of(catalog, document, on)
            except TypeUnknown as error:
                report.problems.append(error.problem(component=document.ordinal))
                continue
            _record(session, document, verdict, actor)
            if _note_problems(session, report, document, verdict):
                shown.append(document.id)
            if document.state is DocumentState.PHAN_LOAI and verdict.rule == "SC13":
                secret.append(document.id)
            state = _decided_state(session, document)
            report.documents.append(
                DocumentScope(document_id=document.id, ordinal=document.ordinal, verdict=verdict, state=state)
            )
    for document_id in secret:
        isolate(records, objects, document_id, SecrecyLevel.DECLARED, actor)
    for document_id in shown:
        refuse_images(records, objects, document_id, actor, code=ShowOnlyUploaded.code, rule="SC12")
    for item in report.documents:
        if item.document_id in secret:
            item.state = DocumentState.CACH_LY_MAT
    return report


def _decided_state(session: Session, document: Document) -> DocumentState:
    """Where the verdict sent a document, wherever it is by now: what the flow does next follows from that."""
    if document.state in UNDECIDED:
        return document.state
    query = select(AuditEntry).where(
        AuditEntry.document_id == document.id,
        AuditEntry.action == "transition",
        AuditEntry.source_state == DocumentState.PHAN_LOAI.value,
    )
    entry = session.exec(query.order_by(col(AuditEntry.seq))).first()
    if entry is None:
        return document.state  # moved just now
    target = DocumentState(entry.target_state or "")
    by_rule = BY_VERDICT in entry.details or target is DocumentState.CACH_LY_MAT
    return target if by_rule else DocumentState.PHAN_LOAI  # a person has decided, or the case was returned before


def _record(session: Session, document: Document, verdict: ScopeVerdict, actor: str) -> None:
    """Move an undecided document to where the verdict sends it; quarantine is done by its own task."""
    if document.state not in UNDECIDED:
        return
    move_document(session, document, DocumentState.PHAN_LOAI, actor=actor, rule=verdict.rule)
    document.scope_rule, document.in_scope = verdict.rule, verdict.in_scope
    if verdict.target not in {DocumentState.PHAN_LOAI, DocumentState.CACH_LY_MAT}:
        details = {BY_VERDICT: verdict.in_scope}
        move_document(session, document, verdict.target, actor=actor, rule=verdict.rule, details=details)
    session.add(document)


def _note_problems(session: Session, report: ScopeReport, document: Document, verdict: ScopeVerdict) -> bool:
    """What the officer has to settle; returns whether images of a show-only paper were handed in (SC12)."""
    if verdict.in_scope is None and document.state is DocumentState.PHAN_LOAI:
        report.problems.append(
            Problem(code="SCOPE_UNDECIDED", rule=verdict.rule, text=verdict.text, component=document.ordinal)
        )
    if verdict.refused_by:
        text = (
            f"Thành phần {document.ordinal} không được nộp bằng bản sao chụp hoặc bản sao giấy; "
            "vui lòng đề nghị nộp bản chính hoặc bản sao điện tử hợp lệ."
        )
        report.problems.append(
            Problem(code="FORM_NOT_ALLOWED", rule=verdict.refused_by, text=text, component=document.ordinal)
        )
    uploaded = verdict.rule == "SC12" and has_scans(session, document.id)
    if uploaded:
        report.problems.append(ShowOnlyUploaded(component=document.ordinal).problem(component=document.ordinal))
    return uploaded


def has_scans(session: Session, document_id: DocumentId) -> bool:
    """Whether images of the document were handed in."""
    query = select(Scan).where(col(Scan.document_id) == document_id, col(Scan.object_key) != "").limit(1)
    return session.exec(query).first() is not None


def case_date(dossier: Dossier) -> date:
    """The Viet Nam day whose catalogue applies to the case: of reception, before that of registration."""
    return vietnam_day(dossier.received_at or dossier.created_at)
