"""Khai thác dữ liệu đã có (QĐ 1333, Điều 13.3b; B3b, B3f, B3g; SC10): what exists as data is not asked for again.

Asked once a paper, through the portal: the agency's own systems, bilateral links and the national portal answer there.
Nobody answering is no obstacle. Where the shared data contradict what was declared, the paper is taken and both values
are kept side by side; neither is changed here (13.3b, last paragraph).
"""

from __future__ import annotations

import re
import unicodedata

from pydantic import BaseModel
from sqlmodel import Session, select

from blocks.ids import DocumentId, DossierId
from blocks.portal import Portal, SharedItem, SharedStatus
from blocks.records import RecordsDatabase
from blocks.records.audit import audit
from blocks.records.queries import declared_owner, documents, fields, get_dossier, locked
from blocks.records.states import DocumentState, DossierState, FieldSource
from blocks.records.tables import AuditEntry, Document, FieldValue
from tasks.intake.reception import owner_query

UNDECIDED = [DocumentState.KHAI_BAO, DocumentState.PHAN_LOAI]
SHARED = "shared."  # prefix of a value that another system gave, beside the paper's own
FIELD_NAME = re.compile(r"[a-z_]{1,40}(\.[a-z_]{1,40})?")


class ReuseReport(BaseModel):
    """Which components exist as data; ids, counts and names of fields only."""

    dossier_id: DossierId
    reused: list[DocumentId] = []
    unavailable: int = 0  # papers for which nobody answered
    differing: dict[DocumentId, list[str]] = {}  # the paper is taken: these fields contradict the declaration (B3g)


def find_shared_data(records: RecordsDatabase, portal: Portal, dossier_id: DossierId, actor: str) -> ReuseReport:
    """Ask for each paper that nothing was decided about, and mark those that are shared as data. Idempotent.

    Only data with legal value count (5.1). The source is kept in `shared_as_data` and, with its time, in the audit.
    """
    report = ReuseReport(dossier_id=dossier_id)
    with records.session() as session:
        dossier = get_dossier(session, dossier_id)
        query = owner_query(dossier)
        candidates = [
            (document.id, document.type_code)
            for document in documents(session, dossier_id, UNDECIDED)
            if not (document.secret or document.show_only or document.shared_as_data)
        ]
    for document_id, type_code in candidates:
        answer = portal.shared_data(query, type_code)  # outside any transaction: it may take seconds
        if answer.status is SharedStatus.UNAVAILABLE:
            report.unavailable += 1
            continue
        item = max((i for i in answer.items if i.legal_value), key=lambda i: i.as_of, default=None)
        if item is not None:
            with records.session() as session:
                _keep(session, document_id, item, actor, report)
    return report


def _keep(session: Session, document_id: DocumentId, item: SharedItem, actor: str, report: ReuseReport) -> None:
    document = locked(session, Document, document_id, key_share=True)
    dossier = get_dossier(session, document.dossier_id)
    known = {row.name for row in fields(session, document_id)}
    for name, value in item.fields.items():
        if FIELD_NAME.fullmatch(name) and SHARED + name not in known:
            session.add(_shared_value(document, name, value))
    differing = [
        name for name, declared in declared_owner(dossier).items() if values_differ(item.fields.get(name), declared)
    ]
    source = safe_source(item.source)
    details = {"source": source, "as_of": item.as_of.isoformat(), "fields": len(item.fields)}
    if differing:
        report.differing[document_id] = differing
        details["differing"] = differing
    else:
        report.reused.append(document_id)
        document.shared_as_data = source
        session.add(document)
    told = select(AuditEntry.seq).where(AuditEntry.document_id == document_id, AuditEntry.action == "differ")
    if differing and session.exec(told).first() is not None:
        return
    audit(
        session,
        actor=actor,
        action="differ" if differing else "reuse",
        dossier_id=dossier.id,
        document_id=document_id,
        rule="B3g" if differing else "B3f",
        details=details,
    )


def _shared_value(document: Document, name: str, value: str) -> FieldValue:
    text = unicodedata.normalize("NFC", value)
    return FieldValue(
        document_id=document.id,
        name=SHARED + name,
        printed=None,  # it stands on no paper
        value=text,
        confidence=1.0,
        rule="B3b",
        source=FieldSource.LOOKUP,
    )


def compare_shared(records: RecordsDatabase, document_id: DocumentId, actor: str) -> list[str]:
    """B3g after extraction: names of fields whose value on the paper differs from the shared one. Both are kept."""
    with records.session() as session:
        values = {row.name: row.value for row in fields(session, document_id)}
        differing = sorted(
            name.removeprefix(SHARED)
            for name, value in values.items()
            if name.startswith(SHARED) and values_differ(value, values.get(name.removeprefix(SHARED)))
        )
        if differing:
            document = session.get_one(Document, document_id)
            audit(
                session,
                actor=actor,
                action="differ",
                dossier_id=document.dossier_id,
                document_id=document_id,
                rule="B3g",
                details={"differing": differing},
            )
        return differing


def safe_source(source: str) -> str:
    """The name of a system as it may be logged: no run of digits that could be somebody's number (WH04)."""
    return re.sub(r"\d{6,}", "…", unicodedata.normalize("NFC", source)).strip()[:120]


def values_differ(left: str | None, right: str | None) -> bool:
    """Both are known and are not the same text, regardless of case and runs of blanks."""

    def plain(text: str) -> str:
        return " ".join(unicodedata.normalize("NFC", text).casefold().split())

    return bool(left and right) and plain(left or "") != plain(right or "")


def scope_is_open(records: RecordsDatabase, dossier_id: DossierId) -> bool:
    """Whether it isn't decided yet which papers are digitised."""
    with records.session() as session:
        return get_dossier(session, dossier_id).state is DossierState.DA_TIEP_NHAN
