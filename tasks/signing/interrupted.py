"""The officer's signature where the person confirms elsewhere, perhaps days later (remote signing without a PIN).

The file is prepared once, with room for the signature; the request (table SigningRequest) keeps what is signed. Each
call asks the service for that same digest, so a process that dies anywhere goes on with the same request: the service
may answer twice, the file holds the one signature that was stored first. Time-stamp and revocation answers are fetched
when the signature is there, not when it was asked for.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime
from pathlib import Path
from typing import Any

from asn1crypto import cms
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.signers.pdf_byterange import PreparedByteRangeDigest
from pyhanko.sign.signers.pdf_cms import ExternalSigner
from pyhanko.sign.signers.pdf_signer import PdfTBSDocument
from pyhanko.sign.validation.dss import async_add_validation_info
from sqlmodel import Session, select

from blocks.objects import Bucket, ObjectStore, document_key
from blocks.records import RecordsDatabase
from blocks.records.audit import audit
from blocks.records.states import SignatureRole
from blocks.records.tables import Document, SigningRequest, now
from blocks.signer import Signer
from blocks.signer.base import insist_fits, store
from blocks.trust import Trust, run
from tasks.signing.pdf import Signed, officer_fields, opened, signing_errors, signing_tool

_PLACEHOLDER = 1024  # bytes of room for the raw signature: RSA up to 8192 bits
PDF_TYPE = "application/pdf"


def sign_interrupted(
    records: RecordsDatabase,
    objects: ObjectStore,
    document: Document,
    path: Path,
    signer: Signer,
    agency: Signer,
    captured_at: datetime,
    trust: Trust,
) -> Signed:
    """Sign the file in place like `sign_as_officer`, or raise SignaturePending: then call it again later.

    Raises the errors of sign_as_officer and of the signer; IntegrityError when the prepared file was changed since.
    """
    run(trust.check(signer.certificate))  # nobody is asked to confirm with a certificate that must not sign
    request = _open_request(records, document, signer)
    if request is None:
        made = run(_prepare(path, signer, agency, captured_at, trust))
        request = _ask(records, objects, document, path, made)
    signature = base64.b64decode(request.signature) if request.signature else _answer(records, request, signer)
    objects.download(Bucket.WORKING, request.prepared_key, path, sha256=request.prepared_sha256)
    run(_complete(path, request.state, signature, signer, trust))
    state = request.state
    return Signed(state["visible"], tuple(state["moved"]), tuple(state["overlapping"]))


# -- the request --------------------------------------------------------------------------------------------------
def _row(session: Session, document: Document) -> SigningRequest | None:
    query = select(SigningRequest).where(
        SigningRequest.document_id == document.id,
        SigningRequest.role == SignatureRole.OFFICER,
        SigningRequest.attempt == document.attempt,
    )
    return session.exec(query).first()


def _open_request(records: RecordsDatabase, document: Document, signer: Signer) -> SigningRequest | None:
    """What was asked for; a request for a certificate that the officer no longer has is dropped."""
    with records.session() as session:
        row = _row(session, document)
        if row is not None and row.state["certificate"] != signer.certificate.sha256.hex():
            session.delete(row)
            _note(session, document, "sign-dropped", row.digest)
            return None
        return row


def _ask(
    records: RecordsDatabase, objects: ObjectStore, document: Document, path: Path, state: dict[str, Any]
) -> SigningRequest:
    """Store the prepared file, then the request; when another run was faster, its request is the one."""
    digest = hashlib.sha256(base64.b64decode(state["attributes"])).hexdigest()
    key = document_key(document.dossier_id, document.id, document.attempt, f"prepared-{digest[:16]}.pdf")
    stored = objects.put_once(Bucket.WORKING, key, path, content_type=PDF_TYPE)
    with records.session() as session:
        session.exec(select(Document).where(Document.id == document.id).with_for_update()).one()
        if row := _row(session, document):
            return row
        row = SigningRequest(
            document_id=document.id, role=SignatureRole.OFFICER, attempt=document.attempt, digest=digest,
            prepared_key=key, prepared_sha256=stored.sha256, state=state,
        )  # fmt: skip
        session.add(row)
        _note(session, document, "sign-asked", digest)
        return row


def _answer(records: RecordsDatabase, request: SigningRequest, signer: Signer) -> bytes:
    """The service's signature, stored; the one that was stored first counts. Raises SignaturePending."""
    [signature] = run(signer.sign_digests([bytes.fromhex(request.digest)]))
    insist_fits(signer.certificate, base64.b64decode(request.state["attributes"]), signature)
    with records.session() as session:
        row = session.exec(select(SigningRequest).where(SigningRequest.id == request.id).with_for_update()).one()
        if row.signature is None:
            row.signature, row.signed_at = base64.b64encode(signature).decode(), now()
            session.add(row)
        return base64.b64decode(row.signature)


def _note(session: Session, document: Document, action: str, digest: str) -> None:
    audit(session, actor="system", action=action, dossier_id=document.dossier_id, document_id=document.id,
          rule="CA01", details={"attempt": document.attempt, "digest": digest})  # fmt: skip


# -- the file -----------------------------------------------------------------------------------------------------
def _external(signer: Signer, trust: Trust, signature: bytes) -> ExternalSigner:
    return ExternalSigner(signer.certificate, store(trust.intermediates), signature)


async def _prepare(path: Path, signer: Signer, agency: Signer, captured_at: datetime, trust: Trust) -> dict[str, Any]:
    """Everything of the signed revision but the signature, in place. Returns JSON: where it goes, what is signed."""
    with opened(path) as writer:
        metadata, placement = officer_fields(path, writer, signer, agency, captured_at, trust)
        external = _external(signer, trust, bytes(_PLACEHOLDER))
        tool = signing_tool(metadata, external, trust, placement.officer_lines, placement.page.rotation, border=0.5)
        prepared, _, _ = await tool.async_digest_doc_for_signing(writer, in_place=True)
        attributes = await external.signed_attrs(prepared.document_digest, "sha256", use_pades=True)
    return {
        "document": prepared.document_digest.hex(),
        "start": prepared.reserved_region_start,
        "end": prepared.reserved_region_end,
        "attributes": base64.b64encode(attributes.dump()).decode(),  # DER
        "certificate": signer.certificate.sha256.hex(),
        "visible": placement.officer is not None,
        "moved": list(placement.moved),
        "overlapping": list(placement.overlapping),
    }


async def _complete(path: Path, state: dict[str, Any], signature: bytes, signer: Signer, trust: Trust) -> None:
    """Put the signature with a time-stamp into its room, then what validates both (B-LT). In place."""
    attributes = cms.CMSAttributes.load(base64.b64decode(state["attributes"]))
    prepared = PreparedByteRangeDigest(bytes.fromhex(state["document"]), state["start"], state["end"])
    with path.open("r+b") as stream, signing_errors():
        content = await _external(signer, trust, signature).async_sign_prescribed_attributes(
            "sha256", attributes, timestamper=trust.timestamper()
        )
        await PdfTBSDocument.async_finish_signing(stream, prepared, content)
        [embedded] = PdfFileReader(stream).embedded_regular_signatures
        await async_add_validation_info(embedded, trust.context(), in_place=True)
