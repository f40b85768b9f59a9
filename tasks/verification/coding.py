"""Cấp mã kết quả số hóa (QĐ 1333, Điều 10; CO01–CO06).

Two forms, both joined by full stops, which also stand inside the parts: a code is built from its parts and never taken
apart again; the parts are kept in columns of their own.

- result of a BHXH procedure (10.1–2): ``<owner id>.<result code>.<number and symbol>``
- any other paper (10.3):              ``<owner id>.<procedure code>.<document type code>.<number and symbol>``

Without an owner id the first part is empty, so that the code begins with a full stop, and the paper must be described
by the substitutes of Điều 9.2b (CO03). A paper that carries no number and symbol, as its type says or the officer has
attested, gets an empty LAST part, so that the code ends with a full stop [R]: the decision gives no substitute for a
number, an invented one would break "verbatim", and leaving the part out would make a code of another form. Such codes
are not unique (two sick-leave forms without number of one person); nothing relies on that, the document's id
identifies it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection

from pydantic import BaseModel, ConfigDict
from sqlmodel import Session

from blocks.catalog import Catalog, DocumentType
from blocks.catalog.models import PaperOwner
from blocks.errors import Remedy, SohoaError
from blocks.ids import DocumentId
from blocks.records import RecordsDatabase
from blocks.records.audit import audit
from blocks.records.machine import move_document
from blocks.records.queries import declared_owner, fields, get_dossier, locked
from blocks.records.states import DocumentState, FieldSource
from blocks.records.tables import Document, Dossier, FieldValue
from tasks.extraction.fields import LABELS, SUBSTITUTES, substitutes
from tasks.scope.decide import case_date


class CodeBlocked(SohoaError):
    """A code may not be given yet: a part of it, or the substitute for one, is missing (CO03)."""

    code, rule = "CODE_BLOCKED", "CO03"
    message = "Chưa thể cấp mã cho thành phần {component}: còn thiếu {missing}; vui lòng bổ sung dữ liệu đặc tả."
    remedy = Remedy.OFFICER


class FieldsUnconfirmed(SohoaError):
    """Data that no officer has confirmed never become part of a code (WH03, ST01)."""

    code, rule = "FIELDS_UNCONFIRMED", "WH03"
    message = "Dữ liệu của thành phần {component} chưa được viên chức giải quyết xác nhận; vui lòng xác nhận trước."
    remedy = Remedy.OFFICER


class Code(BaseModel):
    """The parts of a code as they stand in its columns; `whole` is the code itself."""

    model_config = ConfigDict(frozen=True)

    owner: str = ""  # "" : none known (CO03)
    procedure: str | None = None  # None: result of a procedure, three parts
    kind: str  # document type code, or result code
    number: str = ""  # "" : the paper carries none, attested

    @property
    def whole(self) -> str:
        parts = [self.owner, self.kind, self.number]
        if self.procedure is not None:
            parts.insert(1, self.procedure)
        return ".".join(parts)


def clean_number(printed: str) -> str:
    """Số, ký hiệu as it goes into a code: verbatim, NFC, no spaces round ``/`` and at the ends (CO06)."""
    text = unicodedata.normalize("NFC", printed)
    return re.sub(r"\s*/\s*", "/", text).strip()


def build_code(
    *, owner: str | None, procedure: str, type_code: str, result_code: str | None, number: str | None
) -> Code:
    """The code of a paper. result_code: the paper is a result of a BHXH procedure; then it takes its place (10.2)."""
    return Code(
        owner=(owner or "").strip(),
        procedure=None if result_code else procedure,
        kind=result_code or type_code,
        number=clean_number(number or ""),
    )


class CodeReport(BaseModel):
    """What was given: the code itself stays in the records database, it may hold a personal id (WH04)."""

    document_id: DocumentId
    state: DocumentState
    has_owner: bool
    has_number: bool
    owner_id_source: str | None = None


def assign_code(records: RecordsDatabase, catalog: Catalog, document_id: DocumentId, actor: str) -> CodeReport:
    """DA_BOC_TACH → DA_CAP_MA → CHO_KET_QUA with the code and its parts in columns. Idempotent.

    Raises FieldsUnconfirmed, CodeBlocked (naming the fields, never their values), TypeUnknown.
    """
    with records.session() as session:
        document = locked(session, Document, document_id, key_share=True)
        dossier = get_dossier(session, document.dossier_id)
        if document.code is None or document.state is DocumentState.DA_BOC_TACH:
            kind = catalog.document_type(document.type_code, case_date(dossier))
            code, source = _code_of(session, dossier, document, kind)
            if _given(document) != (code, source):  # else it had this code already, and was sent back
                _keep(session, document, code, source, actor)
            move_document(session, document, DocumentState.DA_CAP_MA, actor=actor, rule="CO01-CO06")
        if document.state is DocumentState.DA_CAP_MA:
            move_document(session, document, DocumentState.CHO_KET_QUA, actor=actor, rule="ST01")
        return _report(document)


def _report(document: Document) -> CodeReport:
    return CodeReport(
        document_id=document.id,
        state=document.state,
        has_owner=bool(document.code_owner),
        has_number=bool(document.code_number),
        owner_id_source=document.owner_id_source,
    )


def _given(document: Document) -> tuple[Code, str | None] | None:
    """The code that the document has."""
    if document.code is None:
        return None
    owner, number = document.code_owner or "", document.code_number or ""
    kind, procedure = document.code_type or "", document.code_procedure
    return Code(owner=owner, procedure=procedure, kind=kind, number=number), document.owner_id_source


def _keep(session: Session, document: Document, code: Code, source: str | None, actor: str) -> None:
    document.code, document.code_owner, document.code_procedure = code.whole, code.owner, code.procedure
    document.code_type, document.code_number, document.owner_id_source = code.kind, code.number, source
    session.add(document)
    audit(
        session,
        actor=actor,
        action="assign_code",
        dossier_id=document.dossier_id,
        document_id=document.id,
        rule="CO01-CO06",
        details={"has_owner": bool(code.owner), "has_number": bool(code.number), "owner_id_source": source},
    )


def _code_of(session: Session, dossier: Dossier, document: Document, kind: DocumentType) -> tuple[Code, str | None]:
    rows = {row.name: row for row in fields(session, document.id)}
    read = [row for row in rows.values() if row.source is not FieldSource.SYSTEM and (row.value or row.attested_absent)]
    if not read or any(row.confirmed_by is None for row in read):
        raise FieldsUnconfirmed(component=document.ordinal)
    values = {name: row.value for name, row in rows.items() if row.value}
    owner, source = _owner_of(dossier, kind, rows, values)
    absent = kind.absent | {name for name, row in rows.items() if row.attested_absent}
    missing = [] if owner else _missing_substitutes(dossier, kind, values, absent)
    number = values.get("number_symbol")
    if (number is None and "number_symbol" not in absent) or (
        number is not None and clean_number(number).startswith("/")
    ):
        missing.append("number_symbol")  # a blank "Số: /KH-BHXH" is no number
    if missing:
        names = ", ".join(LABELS[name][1].lower() for name in missing)
        raise CodeBlocked(component=document.ordinal, missing=names)
    result = kind.result_code if (document.is_prior_result or kind.prior_result) else None
    code = build_code(
        owner=owner,
        procedure=dossier.procedure_code,
        type_code=document.type_code,
        result_code=result,
        number=number,
    )
    return code, source


def _owner_of(
    dossier: Dossier, kind: DocumentType, rows: dict[str, FieldValue], values: dict[str, str]
) -> tuple[str | None, str | None]:
    """The id that the paper shows; else the dossier's owner's, linked as LOOKUP (EXb), never passed off as extracted.

    Linked are papers of the owner's own kind only [R]: a list that an employer made carries other people's data and
    must not appear in the repository of the one worker whose case it is part of (WH04).
    """
    if values.get("owner_id"):
        source = rows["owner_id"].source
        return values["owner_id"], source.value if source is not FieldSource.SYSTEM else FieldSource.LOOKUP.value
    if dossier.owner_id and kind.owner in {PaperOwner.EITHER, PaperOwner(dossier.owner_kind.value)}:
        return dossier.owner_id, FieldSource.LOOKUP.value
    return None, None


def _missing_substitutes(
    dossier: Dossier, kind: DocumentType, values: dict[str, str], absent: Collection[str]
) -> list[str]:
    """The substitutes of Điều 9.2b that nobody gave; [] when either pair is complete.

    absent: what the officer attested not to stand on the paper, or no paper of the type carries. It may come from the
    declaration at the counter (9.2b asks for data that describe the owner); the field itself stays empty, so that
    nothing is passed off as extracted.
    """
    if any(all(values.get(name) for name in pair) for pair in SUBSTITUTES.values()):
        return []
    asked = [name for name in substitutes(kind.owner, dossier.owner_kind) if not values.get(name)]
    declared = declared_owner(dossier)
    if left := [name for name in asked if name not in absent]:
        return left
    return [name for name in SUBSTITUTES[dossier.owner_kind] if not values.get(name) and not declared.get(name)]
