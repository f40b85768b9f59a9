"""Dossiers for tests of the law's verbs, made through the same tables and state machine as the product."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID, uuid4

from blocks.objects import Bucket, ObjectStore, document_key
from blocks.records import RecordsDatabase
from blocks.records.machine import move_document, move_dossier
from blocks.records.states import DocumentState, DossierState, FieldSource, SignatureRole
from blocks.records.tables import Document, Dossier, FieldValue, Scan, Signature, Waiting, now
from blocks.records.waiting import wait_at

D, H = DocumentState, DossierState
TO_SIGNED = [
    D.PHAN_LOAI,
    D.CHO_SAO_CHUP,
    D.DA_SAO_CHUP,
    D.DAT_KIEM_TRA,
    D.DA_KY_CA_NHAN,
    D.OCR,
    D.CHO_XAC_NHAN,
    D.DA_BOC_TACH,
    D.DA_CAP_MA,
    D.CHO_KET_QUA,
    D.DA_KY_CO_QUAN,
]
TO_SIGN_OFF = [
    H.KIEM_TRA,
    H.DA_TIEP_NHAN,
    H.SO_HOA,
    H.DA_CHUYEN,
    H.THAM_DINH,
    H.TRINH_KY,
    H.KY_CO_QUAN,
]
NAME, OWNER_ID = "Nguyễn Thị Thử Nghiệm", "001199012345"
RECEIVED = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)


def make_dossier(
    records: RecordsDatabase, types: Sequence[str | dict[str, Any]], **values: Any
) -> tuple[UUID, list[UUID]]:
    """A declared dossier (NHAP) and its documents; a type may be a dict of columns with type_code."""
    row: dict[str, Any] = {
        "submission": uuid4().hex,
        "unit_id": "BHXH-TEST",
        "procedure_code": "1.001667",
        "owner_id": OWNER_ID,
        "owner_name": NAME,
        "owner_birth_date": date(1999, 1, 2),
        "originals_declared": len(types),
        "captured_by": "tnhs.01",
    }
    with records.session() as session:
        dossier = Dossier(**(row | values))
        session.add(dossier)
        session.flush()
        ids = []
        for ordinal, kind in enumerate(types, 1):
            columns = {"type_code": kind} if isinstance(kind, str) else kind
            document = Document(dossier_id=dossier.id, ordinal=ordinal, **({"declared_pages": 1} | columns))
            session.add(document)
            ids.append(document.id)
        return dossier.id, ids


def make_waiting(
    records: RecordsDatabase, stage: str, since: datetime = RECEIVED, **values: Any
) -> tuple[UUID, Waiting]:
    """A dossier of one paper that waits for an officer at this stage, and its row."""
    dossier_id, _ = make_dossier(records, ["LOCAL:GIAY-RA-VIEN"], **({"flow_run_id": uuid4()} | values))
    return dossier_id, now_at(records, dossier_id, stage, since)


def now_at(records: RecordsDatabase, dossier_id: UUID, stage: str, since: datetime = RECEIVED) -> Waiting:
    """The row of a dossier that goes on to wait at this stage."""
    with records.session() as session:
        dossier = session.get_one(Dossier, dossier_id)
        assert dossier.flow_run_id is not None
        wait_at(session, dossier, dossier.flow_run_id, stage, since=since)
        return session.get_one(Waiting, dossier_id, populate_existing=True)


def walk_document(records: RecordsDatabase, document_id: UUID, target: DocumentState) -> None:
    """Along the usual way to a state."""
    with records.session() as session:
        document = session.get_one(Document, document_id)
        for state in TO_SIGNED[: TO_SIGNED.index(target) + 1]:
            move_document(session, document, state, actor="test")


def walk_dossier(records: RecordsDatabase, dossier_id: UUID, target: DossierState) -> None:
    with records.session() as session:
        dossier = session.get_one(Dossier, dossier_id)
        way = TO_SIGN_OFF[: TO_SIGN_OFF.index(target) + 1]
        for state in way[way.index(dossier.state) + 1 if dossier.state in way else 0 :]:
            move_dossier(session, dossier, state, actor="test")


def set_fields(records: RecordsDatabase, document_id: UUID, confirmed: bool = True, **values: str | None) -> None:
    """Confirmed field values; None: attested not to stand on the paper."""
    with records.session() as session:
        for name, value in values.items():
            session.add(
                FieldValue(
                    document_id=document_id,
                    name=name,
                    value=value,
                    printed=value,
                    attested_absent=value is None,
                    source=FieldSource.OCR if value else FieldSource.MANUAL,
                    confirmed_by="gq.01" if confirmed else None,
                    confirmed_at=now() if confirmed else None,
                )
            )


def get(records: RecordsDatabase, document_id: UUID) -> Document:
    with records.session() as session:
        return session.get_one(Document, document_id)


def get_case(records: RecordsDatabase, dossier_id: UUID) -> Dossier:
    with records.session() as session:
        return session.get_one(Dossier, dossier_id)


def scan_of(records: RecordsDatabase, objects: ObjectStore, document_id: UUID, *, names: Sequence[str] = ()) -> None:
    """An image in INBOX, INTAKE and WORKING, as the chain leaves them."""
    document = get(records, document_id)
    submission = get_case(records, document.dossier_id).submission
    data = b"image of " + document_id.bytes
    key = document_key(document.dossier_id, document_id, 1, "0001-abc.jpg")
    kept = objects.put_once(Bucket.INTAKE, key, data, content_type="image/jpeg")
    place = f"{submission}/r1/c{document.ordinal}/0001-1.jpg"
    objects.put_once(Bucket.INBOX, place, data, content_type="image/jpeg")
    again = f"{submission}/rescan/{document.ordinal}/2/0001-1.jpg"
    objects.put_once(Bucket.INBOX, again, data, content_type="image/jpeg")
    for name in names or ("built.pdf", "page-0001.json"):
        working = document_key(document.dossier_id, document_id, 1, name)
        objects.put_once(Bucket.WORKING, working, data, content_type="application/pdf")
    with records.session() as session:
        sha256 = hashlib.sha256(data).hexdigest()
        session.add(
            Scan(
                document_id=document_id,
                ordinal=1,
                object_key=key,
                version=kept.version,
                sha256=sha256,
                size=len(data),
            )
        )


def put_signed(
    records: RecordsDatabase,
    objects: ObjectStore,
    document_id: UUID,
    *,
    owner: str = OWNER_ID,
    valid: bool = True,
    test: bool = True,
) -> dict[str, bytes]:
    """What the signing steps leave: agency.pdf, manifest.json, manifest.p7s in WORKING, rows, state DA_KY_CO_QUAN.

    The bytes are no real signatures: storage looks at rows and hashes only (tasks/signing has tests of its own).
    """
    document = get(records, document_id)
    files = {
        "agency.pdf": b"%PDF-1.7 agency " + document_id.bytes,
        "manifest.json": b'{"pdf":"' + document_id.hex.encode() + b'"}',
        "manifest.p7s": b"0\x82 cms " + document_id.bytes,
    }
    keys = {name: document_key(document.dossier_id, document_id, document.attempt, name) for name in files}
    for name, data in files.items():
        objects.put_once(Bucket.WORKING, keys[name], data, content_type="application/octet-stream")
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    walk_document(records, document_id, D.DA_KY_CO_QUAN)
    with records.session() as session:
        document = session.get_one(Document, document_id)
        document.file_key, document.file_sha256 = keys["agency.pdf"], digests["agency.pdf"]
        document.manifest_key, document.manifest_sha256 = keys["manifest.json"], digests["manifest.json"]
        document.code_owner = owner
        session.add(document)
        for role, name in ((SignatureRole.AGENCY, "agency.pdf"), (SignatureRole.MANIFEST, "manifest.p7s")):
            session.add(
                Signature(
                    document_id=document_id,
                    role=role,
                    test=test,
                    signed_at=now(),
                    object_key=keys[name],
                    sha256=digests[name],
                    valid=valid,
                )
            )
    return files
