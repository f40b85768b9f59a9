"""Tables of the records database. Personal data live here and nowhere else.

Migrations are Alembic's (`blocks/records/migrations`); rows that must not change are guarded by triggers there.
All times are timezone-aware UTC; the Viet Nam day (UTC+7) is computed where the law asks for it.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import JSON, BigInteger, CheckConstraint, Column, DateTime, Enum, Index, String, UniqueConstraint, Uuid
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from blocks.ids import DocumentId, DossierId, FlowRunId
from blocks.records.states import (
    DocumentState,
    DossierState,
    FieldSource,
    Form,
    OwnerKind,
    SignatureRole,
)

ISSUED = "KQ01"  # Document.scope_rule of an issued result
Json = JSON().with_variant(JSONB(), "postgresql")


def now() -> datetime:
    return datetime.now(UTC)


def _enum(kind: type[StrEnum]) -> Any:
    """VARCHAR holding the value: a new state needs no ALTER TYPE, and unknown values are refused on both ways."""
    return Enum(kind, native_enum=False, length=32, values_callable=lambda k: [item.value for item in k])


def _written(table: str) -> Index:
    """Of the column `written_at`: rows come in its order, so a few bytes for each thousand do."""
    return Index(f"ix_{table}_written_at", "written_at", postgresql_using="brin")


def _time(**kw: Any) -> Any:
    return Field(sa_column=Column(DateTime(timezone=True), **kw))


class Dossier(SQLModel, table=True):
    """Hồ sơ TTHC."""

    id: DossierId = Field(default_factory=lambda: DossierId(uuid4()), sa_type=Uuid, primary_key=True)
    submission: str = Field(unique=True, max_length=64)  # id of what was handed in: one submission, one dossier
    code: str | None = Field(default=None, unique=True, max_length=64)  # P01, issued at reception
    unit_id: str = Field(index=True, max_length=35)
    revision: int = 1  # of the declaration: +1 with each supplement before acceptance (B3a)
    procedure_code: str = Field(max_length=32)
    procedure_valid_from: date | None = None  # which dated entry of the catalogue applied (P10/11)
    state: DossierState = Field(default=DossierState.NHAP, index=True, sa_type=_enum(DossierState))
    owner_kind: OwnerKind = Field(default=OwnerKind.PERSON, sa_type=_enum(OwnerKind))
    owner_id: str | None = None  # số định danh cá nhân / mã định danh điện tử của tổ chức
    owner_name: str = ""
    owner_birth_date: date | None = None
    owner_founding_year: int | None = None
    digital_account: str = "UNCHECKED"  # EXISTS | NONE | UNCHECKED (B2)
    originals_declared: int = 0  # CA04
    captured_by: str = ""  # officer id of the TNHS officer
    transitional: bool = False  # Điều 15
    flow_run_id: FlowRunId | None = Field(default=None, sa_type=Uuid)
    return_reason: str | None = None  # written reasons (B4c)
    public_department: str = "Bộ phận Tiếp nhận và Trả kết quả"
    received_at: datetime | None = _time(nullable=True)
    due_date: date | None = None
    result_at: datetime | None = _time(nullable=True)
    copies_dropped_at: datetime | None = _time(nullable=True)  # tasks/archive/copies.py
    created_at: datetime = Field(default_factory=now, sa_column=Column(DateTime(timezone=True), nullable=False))


class Source(SQLModel, table=True):
    """Nguồn nộp: who handed in a submission or a part of it, by which way, and the hash of each file."""

    __table_args__ = (UniqueConstraint("submission", "part"),)
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    submission: str = Field(max_length=64)
    part: str = Field(max_length=64)  # r1, r2 …, rescan/<component>/<attempt>/<time>
    kind: str = Field(max_length=16)  # SESSION | INBOX | PARTNER | COMMAND
    source: str = Field(max_length=128)  # session's officer, inbox folder, partner, OS user
    officer: str = Field(max_length=64)  # who must sign the scans; empty: as declared
    files: dict[str, str] = Field(default_factory=dict, sa_column=Column(Json, nullable=False))  # INBOX name → SHA-256
    proof: str = ""  # the gateway's attestation of a SESSION
    at: datetime = Field(default_factory=now, sa_column=Column(DateTime(timezone=True), nullable=False))


class SealedPin(SQLModel, table=True):
    """A PIN that its owner has typed at one pause, encrypted to the signing step; used once, minutes only."""

    __table_args__ = (UniqueConstraint("dossier_id", "stage"),)
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    dossier_id: DossierId = Field(sa_type=Uuid, foreign_key="dossier.id")
    stage: str = Field(max_length=64)  # sign-1, issue-1 …
    officer: str = Field(max_length=64)
    box: str  # base64
    expires_at: datetime = _time(nullable=False, index=True)


class Document(SQLModel, table=True):
    """Thành phần hồ sơ, giấy tờ: one component, one file (CA10)."""

    __table_args__ = (UniqueConstraint("dossier_id", "ordinal"),)
    id: DocumentId = Field(default_factory=lambda: DocumentId(uuid4()), sa_type=Uuid, primary_key=True)
    dossier_id: DossierId = Field(sa_type=Uuid, foreign_key="dossier.id", index=True)
    ordinal: int  # 1-based position in the dossier
    type_code: str = Field(max_length=64)  # EXa
    form: Form = Field(default=Form.ORIGINAL, sa_type=_enum(Form))
    state: DocumentState = Field(default=DocumentState.KHAI_BAO, index=True, sa_type=_enum(DocumentState))
    declared_pages: int
    note_pages: list[int] = Field(default_factory=list, sa_column=Column(Json, nullable=False))  # 1-based (CA07)
    scan_dpi: int = 300  # resolution of the scanner profile: gives the true page size (CA09)
    is_prior_result: bool = False  # SC01
    requested_by_owner: bool = False  # SC04, request recorded
    show_only: bool = False  # SC12
    secret: bool = False  # SC13
    fragile: bool = False  # B3d
    important: bool = False  # B3e
    shared_as_data: str | None = None  # SC10: source of the shared data
    scope_rule: str | None = None  # which rule decided (SC01 …)
    in_scope: bool | None = None
    attempt: int = 1  # capture attempt, +1 with each rescan
    declared_at: datetime | None = _time(nullable=True)  # time of capture as the declaration gives it
    captured_at: datetime | None = _time(nullable=True)  # of the current attempt (CA02)
    captured_at_source: str = Field(default="", max_length=16)  # FILE | DECLARED | RECEIVED
    page_count: int | None = None
    file_key: str | None = None  # current PDF: built, then officer-signed, then agency-signed
    file_sha256: str | None = None
    file_version: str = ""  # of the object; reads name key, version and hash
    record_key: str | None = None  # locked object
    record_version: str | None = None
    record_sha256: str | None = None  # after a renewal another one than the copy's that was signed
    manifest_key: str | None = None
    manifest_sha256: str | None = None
    manifest_version: str = ""
    retain_until: datetime | None = _time(nullable=True)
    retention_class: str | None = None
    code: str | None = Field(default=None, index=True)  # CO01–CO06, the whole code
    code_owner: str | None = None  # its parts; codes are never split
    code_procedure: str | None = None
    code_type: str | None = None
    code_number: str | None = None
    owner_id_source: str | None = None  # OCR | LOOKUP (EXb)
    legally_valid: bool = False  # LU03
    electronic_original: str | None = Field(default=None, max_length=16)  # SC05: VALID | INVALID | UNSIGNED

    @property
    def is_issued(self) -> bool:
        """A result document that this system has issued (KQ01), no paper that was handed in."""
        return self.scope_rule == ISSUED


class Scan(SQLModel, table=True):
    """One file as it came from the scanner; kept for ever, whatever was wrong with it."""

    __table_args__ = (UniqueConstraint("document_id", "attempt", "ordinal"),)
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    document_id: DocumentId = Field(sa_type=Uuid, foreign_key="document.id", index=True)
    attempt: int = 1
    ordinal: int  # 1-based, order of input
    sequence: int = 0  # the scanner's own number, from the file name (CA06); 0 = it gave none
    object_key: str
    version: str = ""
    sha256: str = Field(max_length=64)
    size: int = Field(sa_type=BigInteger)  # bytes
    media_type: str = ""
    refused_code: str | None = None  # code of the SohoaError
    place: int | None = None  # 1-based image of the component that this file replaces; None: one of the files in order
    added: bool = False  # put in at `place` instead, the images from there move on
    # Page of the file → degrees clockwise by which a person wants it turned: the file stays as it came, its copy's page
    # is shown so.
    turned: dict[str, int] = Field(default_factory=dict, sa_column=Column(Json, nullable=False))
    # Page of the file → the part of its image (x0, y0, x1, y1: shares, as stored) that is this paper's, where another
    # paper lies beside it: the image stays whole, only what is read is limited.
    parts: dict[str, list[float]] = Field(default_factory=dict, sa_column=Column(Json, nullable=False))


class Page(SQLModel, table=True):
    """One page of the built PDF. With a sticky note: the with-note image comes first, then the clean one (CA07)."""

    __table_args__ = (UniqueConstraint("document_id", "attempt", "number"),)
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    document_id: DocumentId = Field(sa_type=Uuid, foreign_key="document.id", index=True)
    scan_id: UUID = Field(foreign_key="scan.id")
    attempt: int = 1
    number: int  # 1-based in the PDF
    paper_page: int  # 1-based page of the paper
    with_note: bool = False
    width: int  # pixels
    height: int
    dpi: int
    image_sha256: str = Field(max_length=64)
    quality: dict[str, Any] = Field(default_factory=dict, sa_column=Column(Json, nullable=False))
    text_key: str | None = None  # object with the PageText
    text_version: str = ""
    text_sha256: str = ""
    readable: bool | None = None
    engine: str | None = None


class FieldValue(SQLModel, table=True):
    """Trường dữ liệu đặc tả (Điều 9.2)."""

    __table_args__ = (UniqueConstraint("document_id", "name"),)
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    document_id: DocumentId = Field(sa_type=Uuid, foreign_key="document.id", index=True)
    name: str = Field(max_length=64)  # see tasks/extraction/fields.py
    printed: str | None = None  # as printed
    value: str | None = None  # normalised
    confidence: float = 0.0
    page: int | None = None  # 1-based in the PDF
    box: list[float] | None = Field(default=None, sa_column=Column(Json))
    rule: str = ""  # which rule found it
    source: FieldSource = Field(default=FieldSource.OCR, sa_type=_enum(FieldSource))
    engine: str = ""
    extracted_value: str | None = None  # what extraction had found, kept when an officer corrects
    correction_reason: str | None = None
    attested_absent: bool = False  # không có trên giấy tờ
    confirmed_by: str | None = None
    confirmed_at: datetime | None = _time(nullable=True)
    extracted_at: datetime = Field(
        default_factory=now, sa_column=Column(DateTime(timezone=True), nullable=False)
    )  # EXl


class Decision(SQLModel, table=True):
    """What a person decided at a pause. Asked once: a retry of the flow finds it here."""

    __table_args__ = (UniqueConstraint("dossier_id", "stage"),)
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    dossier_id: DossierId = Field(sa_type=Uuid, foreign_key="dossier.id", index=True)
    stage: str = Field(max_length=64)  # verification-1, signoff-1, rescan-1 …
    decision: str = Field(max_length=32)
    reason: str | None = None
    officer: str = ""
    role: str = ""
    payload: dict[str, Any] = Field(default_factory=dict, sa_column=Column(Json, nullable=False))
    shown: list[list[Any]] | None = Field(default=None, sa_column=Column(Json))  # what the officer saw, by hashes
    decided_at: datetime = Field(default_factory=now, sa_column=Column(DateTime(timezone=True), nullable=False))


class Signature(SQLModel, table=True):
    """One digital signature that stands in a stored file; at most one of a role on a document."""

    __table_args__ = (UniqueConstraint("document_id", "role", "attempt"),)
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    document_id: DocumentId = Field(sa_type=Uuid, foreign_key="document.id", index=True)
    role: SignatureRole = Field(sa_type=_enum(SignatureRole))
    attempt: int = 1
    level: str = ""  # PAdES-B-T …
    signer: str = ""  # subject of the certificate
    serial: str = ""
    test: bool = True  # made with test keys: never claimed legal
    signed_at: datetime = _time(nullable=False)
    object_key: str
    version: str = ""
    sha256: str = Field(max_length=64)  # of the file after this signature
    valid: bool = False
    verdict: dict[str, Any] = Field(default_factory=dict, sa_column=Column(Json, nullable=False))


class SigningRequest(SQLModel, table=True):
    """A signature that a person confirms elsewhere, perhaps days later: what was prepared, so that it can be finished.

    One request for a digest, however often it is asked for.
    """

    __table_args__ = (UniqueConstraint("document_id", "role", "attempt"),)
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    document_id: DocumentId = Field(sa_type=Uuid, foreign_key="document.id", index=True)
    role: SignatureRole = Field(sa_type=_enum(SignatureRole))
    attempt: int = 1
    digest: str = Field(max_length=64, unique=True)  # SHA-256 of the signed attributes: what the service signs
    prepared_key: str  # the file with the room for the signature
    prepared_sha256: str = Field(max_length=64)
    prepared_version: str = ""
    state: dict[str, Any] = Field(default_factory=dict, sa_column=Column(Json, nullable=False))
    asked_at: datetime = Field(default_factory=now, sa_column=Column(DateTime(timezone=True), nullable=False))
    signature: str | None = None  # base64, once the service gave it
    signed_at: datetime | None = _time(nullable=True)


class ArchivedObject(SQLModel, table=True):
    """One object of a record under lock: what it must be, when it was looked at, when its proof must be renewed."""

    __table_args__ = (UniqueConstraint("document_id", "attempt", "kind", "number"),)
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    document_id: DocumentId = Field(sa_type=Uuid, foreign_key="document.id", index=True)
    attempt: int = 1
    kind: str = Field(max_length=32)  # record.pdf | manifest.json | manifest.p7s | verification.json | etsi.xml
    number: int = 0  # 0: as it was stored; n: after the n-th renewal
    object_key: str
    version: str
    sha256: str = Field(max_length=64)
    size: int = Field(sa_type=BigInteger)  # bytes
    stored_at: datetime = Field(default_factory=now, sa_column=Column(DateTime(timezone=True), nullable=False))
    locked_until: datetime = _time(nullable=False)
    renew_before: datetime | None = _time(nullable=True, index=True)  # None: nothing that expires, or renewed already
    checked_at: datetime = Field(
        default_factory=now, sa_column=Column(DateTime(timezone=True), nullable=False, index=True)
    )
    intact: bool = True  # at the last look


class ResultNumber(SQLModel, table=True):
    """Sổ đăng ký văn bản đi: the number of an issued result document, one series a unit, year and symbol (NĐ 30)."""

    __table_args__ = (
        UniqueConstraint("unit_id", "year", "symbol", "number"),
        UniqueConstraint("dossier_id", "result_code"),
    )
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    unit_id: str = Field(max_length=35)
    year: int
    symbol: str = Field(max_length=32)  # e.g. QĐ-BHXH
    number: int
    dossier_id: DossierId = Field(sa_type=Uuid, foreign_key="dossier.id")
    result_code: str = Field(max_length=64)
    # the result document that bears it
    document_id: DocumentId | None = Field(sa_type=Uuid, default=None, foreign_key="document.id")
    issued_at: datetime = Field(default_factory=now, sa_column=Column(DateTime(timezone=True), nullable=False))

    @property
    def number_symbol(self) -> str:
        """Số, ký hiệu: below 10 with a leading zero (NĐ 30/2020, phụ lục I)."""
        return f"{self.number:02d}/{self.symbol}"


class ResultSequence(SQLModel, table=True):
    """Counter of the register, one row a unit, Viet Nam year and symbol (NĐ 30/2020, Điều 15)."""

    unit_id: str = Field(primary_key=True, max_length=35)
    year: int = Field(primary_key=True)
    symbol: str = Field(primary_key=True, max_length=32)
    last: int = 0


class WorkClaim(SQLModel, table=True):
    """Which officer has taken a waiting dossier to work on: tells the colleagues, binds nobody for long."""

    dossier_id: DossierId = Field(sa_type=Uuid, foreign_key="dossier.id", primary_key=True)
    officer: str = Field(max_length=64)
    at: datetime = Field(default_factory=now, sa_column=Column(DateTime(timezone=True), nullable=False))


class Waiting(SQLModel, table=True):
    """A dossier that waits for an officer, or for a service that is away (blocks/records/waiting.py)."""

    __table_args__ = (
        Index("ix_waiting_order", "due", "since", "dossier_id"),
        Index("ix_waiting_kind_since", "kind", "since"),
    )
    dossier_id: DossierId = Field(sa_type=Uuid, foreign_key="dossier.id", primary_key=True)
    flow_run_id: FlowRunId = Field(sa_type=Uuid, index=True)
    stage: str = Field(max_length=64)  # verification-1 …; of an outage the error's code
    kind: str = Field(max_length=32)  # the same without its number, or "outage"
    unit_id: str = Field(max_length=35)
    captured_by: str  # WH03
    due: date  # the day of result; the last day of all when none was promised yet
    since: datetime = _time(nullable=False)
    escalated_at: datetime | None = _time(nullable=True)
    tries: int = 1  # of who waits for a service


class Custody(SQLModel, table=True):
    """Sổ giao nhận: where the paper is (LU04)."""

    __table_args__ = (_written("custody"),)
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    dossier_id: DossierId = Field(sa_type=Uuid, foreign_key="dossier.id", index=True)
    place: str  # COUNTER | BUSINESS_UNIT | ARCHIVE
    handed_by: str = ""
    received_by: str = ""
    at: datetime = Field(default_factory=now, sa_column=Column(DateTime(timezone=True), nullable=False))
    # When the row came into the table, by the database's own clock; None: before entries of the trail named their rows
    written_at: datetime | None = _time(nullable=True)


class RepositoryEntry(SQLModel, table=True):
    """Kho quản lý dữ liệu điện tử của tổ chức, cá nhân (LU02)."""

    __table_args__ = (UniqueConstraint("document_id"), _written("repositoryentry"))
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    owner_id: str = Field(index=True)
    document_id: DocumentId = Field(sa_type=Uuid, foreign_key="document.id")
    shown_at: datetime = Field(default_factory=now, sa_column=Column(DateTime(timezone=True), nullable=False))
    written_at: datetime | None = _time(nullable=True)  # as of Custody


class Outbox(SQLModel, table=True):
    """Messages for others (national portal, owner's account); written with the effect, delivered later."""

    __table_args__ = (UniqueConstraint("topic", "dedup_key"), _written("outbox"))
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    topic: str
    dedup_key: str
    payload: dict[str, Any] = Field(default_factory=dict, sa_column=Column(Json, nullable=False))
    created_at: datetime = Field(default_factory=now, sa_column=Column(DateTime(timezone=True), nullable=False))
    delivered_at: datetime | None = _time(nullable=True)
    tries: int = 0
    written_at: datetime | None = _time(nullable=True)  # as of Custody


class Incident(SQLModel, table=True):
    """Sự cố: integrity, secrecy, refused access."""

    __table_args__ = (_written("incident"),)
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    dossier_id: DossierId | None = Field(sa_type=Uuid, default=None, foreign_key="dossier.id", index=True)
    document_id: DocumentId | None = Field(sa_type=Uuid, default=None, foreign_key="document.id")
    code: str
    rule: str = ""
    details: dict[str, Any] = Field(default_factory=dict, sa_column=Column(Json, nullable=False))
    at: datetime = Field(default_factory=now, sa_column=Column(DateTime(timezone=True), nullable=False))
    closed_at: datetime | None = _time(nullable=True)
    closed_by: str = ""  # officer id, or "system"
    reason: str = ""  # written by who closed it
    written_at: datetime | None = _time(nullable=True)  # as of Custody; with each closing anew


class AuditEntry(SQLModel, table=True):
    """Nhật ký: append-only, chained by hash; one row a step, in the same transaction as its effect (P14)."""

    __table_args__ = (Index("ix_auditentry_dossier_seq", "dossier_id", "seq"),)
    seq: int | None = Field(
        default=None, primary_key=True, sa_type=BigInteger
    )  # set at commit (blocks/records/audit.py)
    dossier_id: DossierId | None = Field(sa_type=Uuid, default=None)
    document_id: DocumentId | None = Field(sa_type=Uuid, default=None)
    actor: str  # officer id, or "system"
    action: str  # e.g. transition, capture, sign, decide, refuse, view
    rule: str = ""  # article or rule id
    source_state: str | None = None
    target_state: str | None = None
    details: dict[str, Any] = Field(default_factory=dict, sa_column=Column(Json, nullable=False))  # no personal data
    at: datetime = Field(default_factory=now, sa_column=Column(DateTime(timezone=True), nullable=False))
    previous_hash: str = ""
    hash: str = ""
    seal: str = Field(default="", sa_column=Column(String, nullable=False, server_default=""))  # blocks/seals.py


class Disposal(SQLModel, table=True):
    """Tiêu hủy: who proposed and who confirmed that a record goes, and what is known of it afterwards (LU06)."""

    __table_args__ = (
        CheckConstraint("confirmed_by <> proposed_by", name="disposal_two_persons"),
        CheckConstraint("destroyed_at IS NULL OR confirmed_at IS NOT NULL", name="disposal_confirmed_first"),
    )
    document_id: DocumentId = Field(sa_type=Uuid, foreign_key="document.id", primary_key=True)
    dossier_id: DossierId = Field(sa_type=Uuid, foreign_key="dossier.id", index=True)
    unit_id: str = Field(index=True, max_length=35)
    retention_class: str
    retain_until: datetime = _time(nullable=False)
    proposed_by: str = Field(max_length=64)
    proposed_at: datetime = _time(nullable=False)
    reason: str  # as written; may name persons, so it stands in no certificate
    confirmed_by: str = Field(default="", max_length=64)
    confirmed_at: datetime | None = _time(nullable=True)
    confirmation: str = ""
    destroyed_at: datetime | None = _time(nullable=True)
    destroyed_by: str = Field(default="", max_length=64)  # set before the first version goes
    objects: list[dict[str, Any]] = Field(default_factory=list, sa_column=Column(Json, nullable=False))
    certificate_key: str = ""


class DroppedHandIn(SQLModel, table=True):
    """A hand-in that nobody started and whose files are gone (tasks/archive/copies.py)."""

    submission: str = Field(primary_key=True, max_length=64)
    at: datetime = Field(default_factory=now, sa_column=Column(DateTime(timezone=True), nullable=False))


class DoneStep(SQLModel, table=True):
    """A finished step of a run that may have to go on (tasks/journal.py); dropped after 100 days."""

    flow_run_id: FlowRunId = Field(sa_type=Uuid, primary_key=True)
    step: str = Field(primary_key=True)  # name and digest of its inputs
    result: Any = Field(default=None, sa_column=Column(Json, nullable=False))
    at: datetime = Field(default_factory=now, sa_column=Column(DateTime(timezone=True), nullable=False))
    seal: str = Field(max_length=128)  # of the worker: nobody else can say that a step was done


class DossierSequence(SQLModel, table=True):
    """Counter of dossier codes, one row a unit and Viet Nam day (P01)."""

    unit_id: str = Field(primary_key=True)
    day: date = Field(primary_key=True)
    last: int = 0


class CatalogueEntry(SQLModel, table=True):
    """The dated catalogue as it was loaded (P10/11): what applied at a date can be looked up for ever."""

    __table_args__ = (UniqueConstraint("kind", "code", "valid_from"),)
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    kind: str  # procedure | document_type | result | retention
    code: str
    valid_from: date
    valid_to: date | None = None
    source: str = ""
    body: dict[str, Any] = Field(default_factory=dict, sa_column=Column(Json, nullable=False))


class OfficerIdentity(SQLModel, table=True):
    """Which account at the identity provider is which officer: (issuer, sub) never changes its owner, names may."""

    __table_args__ = (UniqueConstraint("issuer", "officer"),)
    issuer: str = Field(primary_key=True)
    sub: str = Field(primary_key=True)
    officer: str
    bound_by: str  # officer id at the first sign-in, else who bound it
    bound_at: datetime = Field(default_factory=now, sa_column=Column(DateTime(timezone=True), nullable=False))


class SignedIn(SQLModel, table=True):
    """Phiên làm việc at the gateway. No key to it: the cookie is in the gateway's memory only, as a hash."""

    id: UUID = Field(primary_key=True)
    officer: str = Field(index=True)
    began_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    seen_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    ended_at: datetime | None = _time(nullable=True)
    ended_by: str = ""  # officer id, "system", or the OS user of the command line
    reason: str = ""  # SIGNED_OUT, IDLE, …


class UsedToken(SQLModel, table=True):
    """Tokens that work once (logout tokens of the provider)."""

    issuer: str = Field(primary_key=True)
    jti: str = Field(primary_key=True)
    until: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
