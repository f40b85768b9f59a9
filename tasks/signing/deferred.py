"""A person's signature that is confirmed elsewhere, perhaps days later (remote signing without a PIN).

The officer's on captures, the leader's on issued results.

The file is prepared once, with room for the signature; the request (table SigningRequest) keeps what is signed. The
papers of a dossier are asked for together: one authorisation, one confirmation. Each call asks the service for those
same digests, so a process that dies anywhere goes on with the same requests: the service may answer twice, the file
holds the one signature that was stored first. Time-stamp and revocation answers are fetched when the signature is
there, not when it was asked for.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from asn1crypto import cms
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.signers.pdf_byterange import PreparedByteRangeDigest
from pyhanko.sign.signers.pdf_cms import ExternalSigner
from pyhanko.sign.signers.pdf_signer import PdfTBSDocument
from pyhanko.sign.validation.dss import async_add_validation_info
from sqlmodel import Session, select

from blocks.errors import SohoaError
from blocks.ids import DocumentId, DossierId
from blocks.objects import Bucket, ObjectStore, file_key
from blocks.records import RecordsDatabase
from blocks.records.audit import audit
from blocks.records.queries import locked, open_requests
from blocks.records.states import SignatureRole
from blocks.records.tables import Document, SigningRequest, now
from blocks.signer import SignatureDeclined, Signer
from blocks.signer.base import require_fits, store
from blocks.trust import Trust, run
from tasks.signing.pdf import Fill, Signed, opened, signing_errors, signing_tool

_PLACEHOLDER = 1024  # bytes of room for the raw signature: RSA up to 8192 bits
PDF_TYPE = "application/pdf"


@dataclass(frozen=True)
class SignatureWanted:
    """Which signature of which paper a person is asked for, by which rule. fill: says where and how it stands there."""

    document: Document
    signer: Signer
    trust: Trust
    role: SignatureRole
    rule: str
    fill: Fill


def sign_deferred(records: RecordsDatabase, objects: ObjectStore, path: Path, wanted: SignatureWanted) -> Signed:
    """Sign the file in place like `sign_as_officer`, or raise SignaturePending: then call it again later.

    Raises the errors of `prepare` and of the signer; IntegrityError when the prepared file was changed since.
    """
    prepare(records, objects, path, wanted)
    request = _stored(records, wanted)
    if request.signature is None:
        document = wanted.document
        if why := collect(records, document.dossier_id, wanted.signer, wanted.role).get(document.id):
            raise why
        request = _stored(records, wanted)
    assert request.signature is not None
    objects.download(
        Bucket.WORKING, request.prepared_key, path, version=request.prepared_version, sha256=request.prepared_sha256
    )
    run(_complete(path, request.state, base64.b64decode(request.signature), wanted))
    state = request.state
    return Signed(state["visible"], tuple(state["moved"]), tuple(state["overlapping"]))


def prepare(records: RecordsDatabase, objects: ObjectStore, path: Path, wanted: SignatureWanted) -> None:
    """Note what the person must confirm, unless it was noted; nobody is asked yet. Changes the file in place.

    Raises the errors of sign_as_officer: nobody is asked to confirm with a certificate that must not sign.
    """
    run(wanted.trust.check(wanted.signer.certificate))
    if not _noted(records, wanted):
        _ask(records, objects, path, run(_prepare(path, wanted)), wanted)


def collect(
    records: RecordsDatabase, dossier_id: DossierId, signer: Signer, role: SignatureRole
) -> dict[DocumentId, SohoaError]:
    """Ask the service for all that is open in a dossier and store what it gives; the first one stored counts.

    Returns why a document has no signature yet (SignaturePending, SignatureDeclined, the signer's errors).
    """
    missing: dict[DocumentId, SohoaError] = {}
    try:
        groups = _groups(records, dossier_id, signer, role)
    except SohoaError as error:  # the service doesn't say how many it signs at once
        with records.session() as session:
            return {request.document_id: error for request in open_requests(session, dossier_id, role)}
    for group in groups:
        try:
            signatures = run(signer.sign_digests([bytes.fromhex(request.digest) for request in group]))
        except SohoaError as error:
            missing |= dict.fromkeys((request.document_id for request in group), error)
            _note_declined(records, group, isinstance(error, SignatureDeclined))
            continue
        for request, signature in zip(group, signatures, strict=True):
            try:
                require_fits(signer.certificate, base64.b64decode(request.state["attributes"]), signature)
                _store(records, request, signature)
            except SohoaError as error:
                missing[request.document_id] = error
    return missing


# -- the requests -------------------------------------------------------------------------------------------------
def _groups(
    records: RecordsDatabase, dossier_id: DossierId, signer: Signer, role: SignatureRole
) -> list[list[SigningRequest]]:
    """Open requests by authorisation. Once asked for together they stay together: the service knows them so."""
    with records.session() as session:
        if not _mine(session, dossier_id, signer, role):
            return []
    most = run(signer.max_batch_size())
    with records.session() as session:
        session.exec(select(Document).where(Document.dossier_id == dossier_id).with_for_update()).all()
        mine = _mine(session, dossier_id, signer, role)
        fresh = [request for request in mine if "group" not in request.state]
        for start in range(0, len(fresh), most):
            name = uuid4().hex
            for request in fresh[start : start + most]:
                request.state = {**request.state, "group": name}
                session.add(request)
        groups: dict[str, list[SigningRequest]] = {}
        for request in mine:
            groups.setdefault(request.state["group"], []).append(request)
        return list(groups.values())


def _mine(session: Session, dossier_id: DossierId, signer: Signer, role: SignatureRole) -> list[SigningRequest]:
    certificate = signer.certificate.sha256.hex()
    found = open_requests(session, dossier_id, role)
    return [request for request in found if request.state["certificate"] == certificate]


def _note_declined(records: RecordsDatabase, group: list[SigningRequest], declined: bool) -> None:
    """Whoever declined is asked again when an officer says so, not by the clock."""
    with records.session() as session:
        for request in group:
            row = session.exec(select(SigningRequest).where(SigningRequest.id == request.id).with_for_update()).first()
            if row is not None and bool(row.state.get("declined")) != declined:
                row.state = {**row.state, "declined": declined}
                session.add(row)


def _row(session: Session, wanted: SignatureWanted) -> SigningRequest | None:
    query = select(SigningRequest).where(
        SigningRequest.document_id == wanted.document.id,
        SigningRequest.role == wanted.role,
        SigningRequest.attempt == wanted.document.attempt,
    )
    return session.exec(query).first()


def _stored(records: RecordsDatabase, wanted: SignatureWanted) -> SigningRequest:
    with records.session() as session:
        row = _row(session, wanted)
    assert row is not None
    return row


def _noted(records: RecordsDatabase, wanted: SignatureWanted) -> bool:
    """Is there a request? One for a certificate that the person no longer has is dropped."""
    with records.session() as session:
        row = _row(session, wanted)
        if row is not None and row.state["certificate"] != wanted.signer.certificate.sha256.hex():
            session.delete(row)
            _note(session, "sign-dropped", row.digest, wanted)
            return False
        return row is not None


def _ask(
    records: RecordsDatabase, objects: ObjectStore, path: Path, state: dict[str, Any], wanted: SignatureWanted
) -> None:
    """Store the prepared file, then the request; when another run was faster, its request is the one."""
    digest = hashlib.sha256(base64.b64decode(state["attributes"])).hexdigest()
    document = wanted.document
    key = file_key(document, f"prepared-{digest[:16]}.pdf")
    stored = objects.put_once(Bucket.WORKING, key, path, content_type=PDF_TYPE)
    with records.session() as session:
        locked(session, Document, document.id)
        if _row(session, wanted) is not None:
            return
        row = SigningRequest(
            document_id=document.id, role=wanted.role, attempt=document.attempt, digest=digest,
            prepared_key=key, prepared_version=stored.version, prepared_sha256=stored.sha256, state=state,
        )  # fmt: skip
        session.add(row)
        _note(session, "sign-asked", digest, wanted)


def _store(records: RecordsDatabase, request: SigningRequest, signature: bytes) -> None:
    with records.session() as session:
        row = locked(session, SigningRequest, request.id)
        if row.signature is None:
            row.signature, row.signed_at = base64.b64encode(signature).decode(), now()
            session.add(row)


def _note(session: Session, action: str, digest: str, wanted: SignatureWanted) -> None:
    document = wanted.document
    audit(session, actor="system", action=action, dossier_id=document.dossier_id, document_id=document.id,
          rule=wanted.rule, details={"attempt": document.attempt, "digest": digest})  # fmt: skip


# -- the file -----------------------------------------------------------------------------------------------------
def _external(wanted: SignatureWanted, signature: bytes) -> ExternalSigner:
    return ExternalSigner(wanted.signer.certificate, store(wanted.trust.intermediates), signature)


async def _prepare(path: Path, wanted: SignatureWanted) -> dict[str, Any]:
    """Everything of the signed revision but the signature, in place. Returns JSON: where it goes, what is signed."""
    with opened(path) as writer:
        filled = wanted.fill(path, writer)
        external = _external(wanted, bytes(_PLACEHOLDER))
        tool = signing_tool(filled, external, wanted.trust)
        prepared, _, _ = await tool.async_digest_doc_for_signing(writer, in_place=True)
        attributes = await external.signed_attrs(prepared.document_digest, "sha256", use_pades=True)
    return {
        "document": prepared.document_digest.hex(),
        "start": prepared.reserved_region_start,
        "end": prepared.reserved_region_end,
        "attributes": base64.b64encode(attributes.dump()).decode(),  # DER
        "certificate": wanted.signer.certificate.sha256.hex(),
        "visible": filled.signed.visible,
        "moved": list(filled.signed.moved),
        "overlapping": list(filled.signed.overlapping),
    }


async def _complete(path: Path, state: dict[str, Any], signature: bytes, wanted: SignatureWanted) -> None:
    """Put the signature with a time-stamp into its room, then what validates both (B-LT). In place."""
    attributes = cms.CMSAttributes.load(base64.b64decode(state["attributes"]))
    prepared = PreparedByteRangeDigest(bytes.fromhex(state["document"]), state["start"], state["end"])
    with path.open("r+b") as stream, signing_errors():
        content = await _external(wanted, signature).async_sign_prescribed_attributes(
            "sha256", attributes, timestamper=wanted.trust.timestamper()
        )
        await PdfTBSDocument.async_finish_signing(stream, prepared, content)
        [embedded] = PdfFileReader(stream).embedded_regular_signatures
        await async_add_validation_info(embedded, wanted.trust.context(), in_place=True)
