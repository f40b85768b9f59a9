"""What an officer sees of a dossier: each field beside what the paper says, doubtful ones first (Điều 9.1, 9.3).

Whoever looks is assigned in the dossier's unit, and every look is in the audit trail (WH04, P14).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime

from pydantic import BaseModel
from sqlmodel import Session, col, select

from blocks.catalog import Catalog
from blocks.catalog.staff import SEES_PAPERS, Grants, OfficerNotAssigned, Role, Staff, load_staff
from blocks.clock import vietnam_day, vietnam_time
from blocks.errors import Remedy, SohoaError
from blocks.ids import DocumentId, DossierId
from blocks.records import RecordsDatabase
from blocks.records.audit import audit
from blocks.records.queries import documents, get_dossier
from blocks.records.queries import fields as field_rows
from blocks.records.state_names import STATES
from blocks.records.states import DocumentState, ElectronicOriginal, FieldSource
from blocks.records.tables import Document, Dossier, FieldValue, Signature
from tasks.capture.document import outcome
from tasks.capture.pages import layout
from tasks.capture.scan_time import LABELS, TimeSource
from tasks.desk_views.history import Event, history
from tasks.extraction.compose import COMPOSED
from tasks.extraction.fields import PROPOSAL
from tasks.extraction.notes import notes_of
from tasks.extraction.profiles import ROWS, field_label
from tasks.intake.reception import require_assigned
from tasks.intake.reuse import SHARED, values_differ
from tasks.pauses.form import OFFICER_ID
from tasks.pauses.verification import CorrectionReason, needed_fields, unsure
from tasks.scope.decide import case_date
from tasks.signing.report import ROLES
from tasks.verification.doubts import doubts

REASONS = {
    CorrectionReason.NHAN_DANG_SAI: "nhận dạng sai",
    CorrectionReason.CHU_MO: "chữ mờ",
    CorrectionReason.CHU_VIET_TAY: "chữ viết tay",
    CorrectionReason.BO_SOT: "bỏ sót",
    CorrectionReason.KHAC: "lý do khác",
}


class NotAssignedToUnit(SohoaError):
    """Somebody without a role in the dossier's unit wants to see it (WH04)."""

    code, rule = "NOT_YOURS", "WH04"
    message = "{why} nên không được xem hồ sơ này; việc này đã được ghi lại."
    remedy = Remedy.OFFICER


class FieldView(BaseModel):
    """One field. page: 1-based in the PDF; box: pixels of that page's image; shared: what other systems hold (B3g)."""

    name: str
    label: str
    printed: str | None = None
    value: str | None = None
    confidence: float = 0.0
    page: int | None = None
    box: list[float] | None = None
    source: FieldSource = FieldSource.MANUAL
    shared: str | None = None
    differs: bool = False
    extracted: str | None = None  # what extraction had found, when an officer corrected it
    corrected_because: str = ""
    absent: bool = False  # không có trên giấy tờ
    missing: bool = False  # needed, and neither found nor attested absent
    doubtful: bool = False
    composed: bool = False  # the paper prints none: put together by a rule of its type [R]
    choices: dict[str, str] = {}  # where one of a list is chosen: code → name
    by_hand: bool = False  # a hand wrote it, or two readers differ: only a proposal
    confirmed_by: str | None = None

    @property
    def in_list(self) -> bool:
        """A cell of a list on the paper."""
        return self.name.startswith(ROWS)

    @property
    def pressing(self) -> bool:
        return self.missing or self.doubtful or self.differs

    @property
    def to_compare(self) -> bool:
        """Whether its place on the image stands beside its input: nobody has confirmed it, and it may be read wrong."""
        placed = self.page is not None and self.box is not None and len(self.box) == 4
        return placed and self.confirmed_by is None and (self.by_hand or self.doubtful or not self.value)


class SignatureView(BaseModel):
    label: str
    signed_at: datetime
    valid: bool
    test: bool  # made with test keys: no legal value
    level: str


class ComponentView(BaseModel):
    """One paper. images: page images that exist; expected: as many as were declared, notes twice (CA06, CA07)."""

    id: DocumentId
    ordinal: int
    kind: str
    state: DocumentState
    images: int
    expected: int
    fields: list[FieldView]
    signatures: list[SignatureView]
    notices: list[str] = []  # what is odd about its scans, though nothing is wrong with them
    captured: str = ""  # when it was scanned, and how that is known (CA02)
    issued: bool = False  # a result document of this system (KQ01), no paper
    hidden: bool = False  # it may be secret: only the unit's leader sees it (Điều 5.4)
    electronic: bool = False  # handed in as a signed PDF and kept as it is
    doubts: list[str] = []  # about the whole paper: they stand first
    several: list[int] = []  # its pages that seem to show two papers
    extracted: str = ""  # when its data were extracted (Điều 9.2l)
    result: str = ""  # result code of a paper that is a result of BHXH (Điều 10.2)
    code: str = ""  # its code (Điều 10); "" : not given yet
    examined: bool = False  # a signed PDF, valid or not: it is known who signed

    @property
    def state_label(self) -> str:
        return STATES[self.state]


class Review(BaseModel):
    """A dossier as an officer sees it. originals: papers counted at the counter (CA04); due: day of result."""

    id: DossierId
    code: str
    state: str
    procedure: str
    received: bool  # has a code and a slip
    due: date | None
    originals: int
    components: list[ComponentView]
    history: list[Event]

    @property
    def doubts(self) -> bool:
        """Whether something about a whole paper stands first."""
        return any(component.doubts for component in self.components)

    @property
    def captured(self) -> int:
        """Papers of which there are page images."""
        return sum(c.images > 0 and not c.issued and not c.electronic for c in self.components)


def look(
    records: RecordsDatabase,
    catalog: Catalog,
    dossier_id: DossierId,
    officer: str,
    staff: Staff | None = None,
    *,
    grants: Grants | None,
) -> Review:
    """The dossier for this officer, noted in the audit trail. Raises NotAssignedToUnit, which is an incident (WH01).

    staff: the office's list, where the caller has read it already. grants: see `require_in_unit`.
    """
    require_in_unit(records, dossier_id, officer, staff, grants=grants)
    with records.session() as session:
        dossier = get_dossier(session, dossier_id)
        leads = (staff or load_staff()).may(officer, dossier.unit_id, Role.LEAD, vietnam_day()) and (
            grants is None or (dossier.unit_id, Role.LEAD.value) in grants
        )
        names = {one.code: one.name for one in catalog.procedures(vietnam_day(dossier.created_at))}
        review = Review(
            id=dossier.id,
            code=dossier.code or dossier.submission,
            state=STATES[dossier.state],
            received=dossier.received_at is not None,
            procedure=names.get(dossier.procedure_code, dossier.procedure_code),
            due=dossier.due_date,
            originals=dossier.originals_declared,
            components=[_component(session, catalog, dossier, d, leads) for d in documents(session, dossier_id)],
            history=history(session, dossier_id),
        )
        audit(
            session,
            actor=officer,
            action="view",
            dossier_id=dossier_id,
            rule="P14",
            details={"components": len(review.components)},
        )
    return review


def require_in_unit(
    records: RecordsDatabase, dossier_id: DossierId, officer: str, staff: Staff | None = None, *, grants: Grants | None
) -> None:
    """Only who has a role in the dossier's unit may look; anyone else is an incident. Raises NotAssignedToUnit.

    grants: (unit, role) pairs of the session, which the provider's groups gave; None only for the command line of this
    machine, where no provider speaks.
    """
    staff = staff or load_staff()
    known = re.fullmatch(OFFICER_ID, officer) is not None  # anything else might be a name: it isn't written down
    try:
        if not known:
            raise OfficerNotAssigned()
        require_assigned(records, dossier_id, officer, *SEES_PAPERS, staff=staff, grants=grants)
    except OfficerNotAssigned as error:
        why = "Viên chức chưa được phân công tại đơn vị của hồ sơ"
        with records.session() as session:
            unit = get_dossier(session, dossier_id).unit_id
            if known and any(staff.may(officer, unit, role, vietnam_day()) for role in SEES_PAPERS):
                why = "Nhóm của tài khoản không cho xem hồ sơ của đơn vị này"
            elif known:
                why = staff.out_of_time(officer, unit, SEES_PAPERS, vietnam_day()) or why
            # The incident of an earlier try may be open still: each try has an entry of its own.
            audit(
                session,
                actor=officer if known else "unknown",
                action="refuse",
                dossier_id=dossier_id,
                rule=NotAssignedToUnit.rule,
                details={"code": NotAssignedToUnit.code},
            )
        raise NotAssignedToUnit(why=why) from error


def _component(session: Session, catalog: Catalog, dossier: Dossier, document: Document, leads: bool) -> ComponentView:
    kinds = {kind.code: kind.name for kind in catalog.document_types(vietnam_day(dossier.created_at))}
    kind = kinds.get(document.type_code, document.type_code)
    if document.state is DocumentState.NGHI_MAT and not leads:
        place = {"id": document.id, "ordinal": document.ordinal, "kind": kind, "state": document.state}
        return ComponentView(**place, images=0, expected=0, fields=[], signatures=[], hidden=True)
    rows = {row.name: row for row in field_rows(session, document.id)}
    names = {name for name in rows if not name.startswith(SHARED)}
    needed: set[str] = set()
    told: list[str] = []
    of_type = next((one for one in catalog.document_types(case_date(dossier)) if one.code == document.type_code), None)
    if document.state is DocumentState.CHO_XAC_NHAN and of_type:
        needed = set(needed_fields(of_type, dossier.owner_kind, {name for name in names if rows[name].value}))
        told = doubts(dossier, of_type, rows, kinds)
    views = [_field(name, rows.get(name), rows.get(SHARED + name), name in needed) for name in names | needed]
    for view in views:
        view.choices = kinds if view.name == "type_code" else {}
    views += [
        FieldView(name=name, label=field_label(name), source=FieldSource.LOOKUP, shared=row.value)
        for name, row in ((n.removeprefix(SHARED), r) for n, r in rows.items() if n.startswith(SHARED))
        if name not in names | needed
    ]
    return ComponentView(
        id=document.id,
        ordinal=document.ordinal,
        kind=kind,
        state=document.state,
        images=document.page_count or 0,
        expected=len(layout(document.declared_pages, document.note_pages)),
        fields=sorted(views, key=lambda view: (not view.pressing, view.confidence, view.name)),
        signatures=_signatures(session, document),
        notices=_notices(session, document),
        captured=_captured(document),
        issued=document.is_issued,
        electronic=document.electronic_original == ElectronicOriginal.VALID,
        doubts=told,
        several=list(notes_of(row.rule).several) if told and (row := rows.get("type_code")) else [],
        extracted=vietnam_time(rows["type_code"].extracted_at) if "type_code" in rows else "",
        result=of_type.result_code or "" if of_type and (document.is_prior_result or of_type.prior_result) else "",
        code=document.code or "",
        examined=document.electronic_original in {ElectronicOriginal.VALID, ElectronicOriginal.INVALID},
    )


def _notices(session: Session, document: Document) -> list[str]:
    report = outcome(session, document.id, document.attempt)
    return [notice.text for notice in report.notices] if report else []


def _captured(document: Document) -> str:
    if document.captured_at is None or not document.captured_at_source:
        return ""
    return f"{vietnam_time(document.captured_at)} ({LABELS[TimeSource(document.captured_at_source)]})"


def _field(name: str, row: FieldValue | None, shared: FieldValue | None, needed: bool) -> FieldView:
    other = shared.value if shared else None
    if row is None:
        return FieldView(name=name, label=field_label(name), shared=other, missing=True)
    reason = row.correction_reason
    return FieldView(
        name=name,
        label=field_label(name),
        printed=row.printed,
        value=row.value,
        confidence=row.confidence,
        page=row.page,
        box=row.box,
        source=row.source,
        shared=other,
        differs=values_differ(row.value, other),
        extracted=row.extracted_value,
        corrected_because=REASONS[CorrectionReason(reason)] if reason else "",
        absent=row.attested_absent,
        missing=needed and not row.value and not row.attested_absent,
        doubtful=bool(row.value) and unsure(row),
        composed=row.rule == COMPOSED and row.source is FieldSource.OCR,
        by_hand=bool(row.value) and row.confirmed_by is None and PROPOSAL in row.rule.split(";"),
        confirmed_by=row.confirmed_by,
    )


def _signatures(session: Session, document: Document) -> list[SignatureView]:
    query = select(Signature).where(Signature.document_id == document.id, Signature.attempt == document.attempt)
    found: Sequence[Signature] = session.exec(query.order_by(col(Signature.signed_at))).all()
    return [
        SignatureView(label=ROLES[s.role.value], signed_at=s.signed_at, valid=s.valid, test=s.test, level=s.level)
        for s in found
    ]
