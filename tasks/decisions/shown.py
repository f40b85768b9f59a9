"""What an officer sees of a dossier when deciding, as one canonical list (QĐ 1333, Điều 9.3, 9.4).

The desk makes it when it draws the page, the gateway attests its hash with the decision, the flow makes it again before
it takes the decision, and signs only what still is that. One function for all of them: pages and files by their hashes,
field values, drafts of results. Values stand in it as hashes: the list is kept beside the decision.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from sqlmodel import Session, col, select

from blocks.catalog import Catalog, ProcedureUnknown
from blocks.errors import Remedy, SohoaError
from blocks.ids import DossierId
from blocks.records.queries import documents, fields, get_dossier
from blocks.records.states import DocumentState, ElectronicOriginal, SignatureRole
from blocks.records.tables import Document, Dossier, FieldValue, Page, Scan, Signature
from blocks.settings import settings
from tasks.decisions.proofs import drafted
from tasks.scope.decide import case_date

CHANGED = "Hồ sơ vừa thay đổi; vui lòng mở lại trang, xem lại rồi quyết định."
Shown = list[list[Any]]  # [kind, …]: "dossier", "paper", "page", "scan", "field", "suspected", "code", "draft"
# Not in sight of who decides on the dossier: an isolated paper has no pages and no fields.
ISOLATED = frozenset({DocumentState.CACH_LY_MAT})


class ShownChanged(SohoaError):
    """What would be signed isn't what leader and clerk saw when they allowed it (Điều 9.4)."""

    code, rule = "SHOWN_CHANGED", "EX17"
    message = "Nội dung hồ sơ đã đổi sau khi được duyệt nên không ký; vui lòng báo lãnh đạo và quản trị viên kiểm tra."
    remedy = Remedy.ADMINISTRATOR


def shown(session: Session, catalog: Catalog, dossier_id: DossierId) -> Shown:
    """All that stands on the dossier's page, in one order. Raises DossierUnknown.

    What the agency's signature or the issue of a result adds is left out: the list stays the same while it is signed.
    """
    return papers_shown(session, dossier_id) + _drafts(session, catalog, get_dossier(session, dossier_id))


def papers_shown(session: Session, dossier_id: DossierId) -> Shown:
    """The same without the drafts of results."""
    made: Shown = [_dossier(get_dossier(session, dossier_id))]
    for document in documents(session, dossier_id):
        if document.is_issued:
            continue
        made += [_paper(session, document), ["code", str(document.id), document.code or ""]]
        if document.state is DocumentState.NGHI_MAT:  # what a leader decides about it fits this paper only
            made.append(["suspected", str(document.id), document.attempt])
        if document.state not in ISOLATED:
            made += _pages(session, document)
            made += [shown_field(row) for row in fields(session, document.id)]
    return made


def digest_of(*values: Any) -> str:
    """SHA-256 (hex) over values as JSON."""
    text = json.dumps(values, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _dossier(dossier: Dossier) -> list[Any]:
    """Whose it is, and what was asked for: it stands in the result and in the signed data."""
    owner = (
        dossier.owner_kind.value,
        dossier.owner_id,
        dossier.owner_name,
        dossier.owner_birth_date,
        dossier.owner_founding_year,
    )
    asked = (dossier.code, dossier.unit_id, dossier.procedure_code, dossier.captured_by, dossier.received_at)
    return ["dossier", str(dossier.id), dossier.revision, digest_of(dossier.id, owner, asked)]


def _paper(session: Session, document: Document) -> list[Any]:
    return [
        "paper",
        str(document.id),
        document.ordinal,
        document.type_code,
        document.attempt,
        document.page_count or 0,
        document.electronic_original or "",
        approved_file(session, document) or "",
    ]


def approved_file(session: Session, document: Document) -> str | None:
    """SHA-256 of the file that stands on the page: as the officer signed it, also once the agency has signed it.

    The hash alone: a store that was restored gives the same bytes another version.
    """
    query = select(Signature.sha256).where(
        Signature.document_id == document.id,
        Signature.attempt == document.attempt,
        Signature.role == SignatureRole.OFFICER,
    )
    return session.exec(query).first() or document.file_sha256


def _pages(session: Session, document: Document) -> Shown:
    """Page images of this attempt; the files of a paper that is scanned again, and of an electronic original."""
    query = select(Page).where(Page.document_id == document.id, Page.attempt == document.attempt)
    made: Shown = [
        ["page", str(document.id), row.attempt, row.number, row.image_sha256, digest_of(row.with_note, row.readable)]
        for row in session.exec(query.order_by(col(Page.number)))
    ]
    if document.state is DocumentState.CHUP_LAI or document.electronic_original == ElectronicOriginal.VALID:
        scans = select(Scan).where(Scan.document_id == document.id, Scan.attempt == document.attempt)
        made += [
            ["scan", str(document.id), row.attempt, row.ordinal, row.sha256, row.refused_code or ""]
            for row in session.exec(scans.order_by(col(Scan.ordinal)))
        ]
    return made


def shown_field(row: FieldValue) -> list[Any]:
    """A field as one entry: its value as a hash, with what marks it as doubtful."""
    return ["field", str(row.document_id), row.name, value_digest(row), digest_of(row.source.value, row.confidence)]


def value_digest(row: FieldValue) -> str:
    """What the field says."""
    return digest_of(row.document_id, row.name, row.value, row.printed, row.attested_absent, row.page)


def _drafts(session: Session, catalog: Catalog, dossier: Dossier) -> Shown:
    """What makes up the wording of each result: the agency's form, the agency, what the resolving officer wrote."""
    try:
        issued = catalog.issued_results(dossier.procedure_code, case_date(dossier))
    except ProcedureUnknown:  # before reception anything may be declared; it is refused there
        return []
    if not issued:
        return []
    ours, articles = settings(), drafted(session, dossier)
    agency = (ours.agency_parent, ours.agency_name, ours.agency_symbol, ours.agency_place, ours.agency_head)
    return [
        ["draft", result.code, digest_of(form.model_dump(mode="json"), agency, articles)] for result, form in issued
    ]
