"""The signatures of one PDF, and what the file has besides: revisions, proofs, what it lacks."""

from __future__ import annotations

import errno
import hashlib
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import IO, Any

from asn1crypto import cms, crl, ocsp, x509
from pyhanko.pdf_utils.misc import PdfReadError
from pyhanko.pdf_utils.reader import HistoricalResolver, PdfFileReader
from pyhanko.sign.ades.report import AdESPassed
from pyhanko.sign.diff_analysis import ModificationLevel
from pyhanko.sign.fields import enumerate_sig_fields
from pyhanko.sign.validation.dss import DocumentSecurityStore
from pyhanko.sign.validation.errors import NoDSSFoundError
from pyhanko.sign.validation.generic_cms import extract_tst_data_iter
from pyhanko.sign.validation.pdf_embedded import EmbeddedPdfSignature
from pyhanko.sign.validation.status import PdfSignatureStatus, SignatureCoverageLevel

from blocks.errors import SohoaError
from blocks.signatories import AGENCY, OFFICER, kind_of, organisation_of
from blocks.trust import Believed, clock, revocation_answers
from tasks.signing import ltv, verify_changes
from tasks.signing.pdf import AGENCY_FIELD, ISSUER_FIELD, OFFICER_FIELD, SIGNER_FIELD
from tasks.signing.verify_model import SignatureVerdict, Verdict
from tasks.signing.verify_reader import (
    Broken,
    TolerantReader,
    collected,
    encrypted,
    field_name,
    loose_ranges,
    signed_end,
)
from tasks.signing.verify_words import sentence, summary, verdict_of

_AGENCY_FIELDS = {AGENCY_FIELD, ISSUER_FIELD}


@dataclass(frozen=True)
class _Asked:
    """By what the signatures are judged."""

    trust: Believed
    at: datetime | None
    stamped: bool


async def verify_stream(
    stream: IO[bytes], trust: Believed, at: datetime | None = None, *, stamped: bool = True
) -> Verdict:
    """`tasks.signing.verify.verify_pdf` on the signing loop."""
    digest = hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]
    size = stream.seek(0, io.SEEK_END)
    asked = _Asked(trust, at, stamped)
    for tolerant in (False, True):
        try:
            with revocation_answers():
                return await _judged(stream, asked, digest, size, tolerant=tolerant)
        except Exception as error:  # whatever a hostile file makes a parser raise is a verdict about the file
            if ours(error):
                raise
    text = "Không đọc được tệp PDF hoặc chữ ký trong tệp; vui lòng không sử dụng tệp này và đề nghị nộp tệp khác."
    return verdict_of("PDF", "PDF_DAMAGED", text, digest, size, [])


def ours(error: Exception) -> bool:
    """Not the file's fault."""
    return isinstance(error, SohoaError | MemoryError) or (
        isinstance(error, OSError) and error.errno in {errno.EIO, errno.ENOSPC, errno.EMFILE}
    )


async def _judged(stream: IO[bytes], asked: _Asked, digest: str, size: int, *, tolerant: bool) -> Verdict:
    """By the strict reader, or by the tolerant one where that one refused. Raises what the parsers raise."""
    reader = TolerantReader(stream) if tolerant else PdfFileReader(stream)
    if encrypted(reader):
        text = "Tệp đặt mật khẩu hoặc bị khóa quyền nên không kiểm tra được chữ ký; "
        text += "vui lòng đề nghị bên gửi bỏ mật khẩu, bỏ khóa quyền rồi ký lại."
        return verdict_of("PDF", "PDF_ENCRYPTED", text, digest, size, [])
    found, broken = collected(reader)
    if not tolerant and (broken or reader.xrefs.hybrid_xrefs_present):
        raise PdfReadError("the tolerant reader may know better")
    proofs = _proofs(found)
    signatures = [
        await _one(item, reader, stream, proofs, asked) for item in found if item.sig_object_type != "/DocTimeStamp"
    ]
    signatures += [_unopened(item) for item in broken]
    if not signatures:
        return _unsigned(reader, stream, digest, size, stamped=bool(found))
    told = summary("PDF", digest, size, signatures, _missing(reader, stream, signatures))
    return told.model_copy(update={"revisions": _revisions(reader, stream), "renew_before": _renew_before(found)})


def _unsigned(reader: PdfFileReader, stream: IO[bytes], digest: str, size: int, *, stamped: bool) -> Verdict:
    """Of a file without a signature. stamped: it has a document time-stamp."""
    if loose_ranges(reader, stream):
        removed = (
            "Tệp có dấu vết của chữ ký số đã bị gỡ bỏ khỏi ô ký; "
            "vui lòng không sử dụng tệp này và đề nghị bên gửi cung cấp tệp đúng như khi ký."
        )
        return verdict_of("PDF", "SIGNATURE_REMOVED", removed, digest, size, [])
    if stamped:
        only = "Tệp chỉ có dấu thời gian, chưa có ai ký số."
        return verdict_of("PDF", "ONLY_TIMESTAMP", only, digest, size, [])
    text = "Tệp chưa có chữ ký số."
    return verdict_of("PDF", "NOT_SIGNED", text, digest, size, [])


def _unopened(item: Broken) -> SignatureVerdict:
    """Of a signature that can't be opened, nothing is known."""
    verdict = SignatureVerdict(
        field=item.field,
        role="OTHER",
        valid=False,
        code=item.code,
        sentence="",
        intact=False,
        trusted=False,
        **who(None, None, (), None),
        level="B-B",
    )
    verdict.sentence = sentence(verdict)
    return verdict


async def _one(
    item: EmbeddedPdfSignature,
    reader: PdfFileReader,
    stream: IO[bytes],
    proofs: list[tuple[int, ltv.Proof]],
    asked: _Asked,
) -> SignatureVerdict:
    compared, unreadable = _compared(item, reader, stream, asked.trust)
    found = await ltv.validate(
        compared.signed_data,
        compared.compute_digest(),
        [proof for revision, proof in proofs if revision > item.signed_revision],
        _material(reader),
        asked.trust,
        asked.at,
        stamped=asked.stamped,
        status_cls=PdfSignatureStatus,
        status_kwargs=compared.summarise_integrity_info(),
    )
    status, change = found.status, verify_changes.level(compared)
    code = "UNREADABLE_AFTER" if unreadable else _after(code_of(found.indication), compared, change)
    verdict = SignatureVerdict(
        field=field_name(item.field_name),
        role=role_of(item.signer_cert, asked.trust, found.stamped_at or asked.at, item.field_name),
        valid=code == "OK",
        code=code,
        sentence="",
        intact=bool(status and status.intact),
        trusted=bool(status and status.trusted),
        **who(item.signer_cert, status, item.other_embedded_certs, asked.trust),
        level=found.level,
        signed_at=found.stamped_at,
        claimed_at=_claimed(item),
        stamp=found.stamp,
        certification=item.docmdp_level is not None,
        revision=item.signed_revision + 1,
        revisions=reader.xrefs.total_revisions,
        revision_sha256=prefix_sha256(stream, signed_end(item)),
        modification=change.name,
        changes=verify_changes.told(item) if change.value > ModificationLevel.LTA_UPDATES.value else [],
    )
    verdict.sentence = sentence(verdict)
    return verdict


def _compared(
    item: EmbeddedPdfSignature, reader: PdfFileReader, stream: IO[bytes], trust: Believed
) -> tuple[EmbeddedPdfSignature, bool]:
    """(the signature with what came after it compared, whether that couldn't be read strictly)."""
    policy = trust.specification().diff_policy
    if not isinstance(reader, TolerantReader):
        verify_changes.compare(item, policy)
        return item, False
    try:
        own = TolerantReader(stream, signed_end(item))
        (again,) = (one for one in collected(own)[0] if one.field_name == item.field_name)
        verify_changes.compare(again, policy)
    except Exception as error:
        if ours(error):
            raise
        item.compute_integrity_info(skip_diff=True)  # type: ignore[no-untyped-call]
        return item, True
    return again, False


def _after(code: str, item: EmbeddedPdfSignature, change: ModificationLevel) -> str:
    """The code of a signature that is valid by itself, given what came after it."""
    if code != "OK":
        return code
    if item.coverage is None or item.coverage.value < SignatureCoverageLevel.ENTIRE_REVISION.value:
        return "UNCOVERED"
    allowed = item.summarise_integrity_info()["docmdp_ok"]
    return "CHANGED" if allowed is False or change.value > ModificationLevel.FORM_FILLING.value else "OK"


def _claimed(item: EmbeddedPdfSignature) -> datetime | None:
    """What the signer's computer said. Not proven."""
    try:
        said = item.self_reported_timestamp
    except (PdfReadError, ValueError, TypeError):
        return None
    return said if said is not None and said.tzinfo is not None else None


def role_of(certificate: x509.Certificate, trust: Believed, at: datetime | None, field: str = "") -> str:
    """Whose certificate it is decides, never the name of the field. at: time of the signature (None: now)."""
    kind = kind_of(certificate, trust.signatories, at or clock())
    if kind == OFFICER:
        return "SIGNER" if field == SIGNER_FIELD else "OFFICER"
    return kind or "OTHER"


def code_of(indication: Any) -> str:
    return "OK" if indication is AdESPassed.OK else str(getattr(indication, "name", indication))


def who(
    certificate: x509.Certificate | None,
    status: Any,  # pyHanko's, or None
    others: Iterable[x509.Certificate],
    trust: Believed | None,
) -> dict[str, Any]:
    if certificate is None or trust is None:
        return {"signer": "", "serial": "", "issuer": "", "test": True}
    path = status.validation_path.iter_certs(include_root=True) if status and status.validation_path else ()
    return {
        "signer": str(certificate.subject.native.get("common_name", "")),
        "serial": f"{certificate.serial_number:x}",
        "organisation": organisation_of(certificate),
        "issuer": str(certificate.issuer.native.get("common_name", "")),
        "test": trust.is_test(certificate, [*others, *path]),
    }


def _material(reader: PdfFileReader | HistoricalResolver) -> ltv.Material:
    """What the file itself holds for validation (DSS); nothing where it holds none."""
    try:
        store = DocumentSecurityStore.read_dss(reader)
    except NoDSSFoundError:
        return ltv.Material()
    return ltv.Material(
        [crl.CertificateList.load(reference.get_object().data) for reference in store.crls],
        [ocsp.OCSPResponse.load(reference.get_object().data) for reference in store.ocsps],
        list(store.load_certs()),
    )


def _proofs(items: list[EmbeddedPdfSignature]) -> list[tuple[int, ltv.Proof]]:
    """(revision, what it proves) of each document time-stamp that covers its whole revision."""
    found: list[tuple[int, ltv.Proof]] = []
    signatures: set[bytes] = set()
    for item in items:
        if item.sig_object_type == "/DocTimeStamp":
            item.compute_integrity_info(skip_diff=True)  # type: ignore[no-untyped-call]
            if item.coverage is not None and item.coverage.value >= SignatureCoverageLevel.ENTIRE_REVISION.value:
                material = _material(HistoricalResolver(item.reader, revision=item.signed_revision))
                held = [*material.crls, *material.answers, *material.certificates]
                imprint = partial(_imprint, item.compute_digest(), item.external_md_algorithm)
                proof = ltv.Proof(item.signed_data, ltv.stamp_time(item.signed_data), imprint)
                proof.covered = {entry.dump() for entry in held} | signatures
                found.append((item.signed_revision, proof))
        signatures |= _contents(item.signed_data)
        for token in extract_tst_data_iter(item.signer_info, signed=False):
            signatures |= _contents(token)
    return found


def _imprint(digest: bytes, made_with: str, algorithm: str) -> bytes:
    if algorithm != made_with:
        raise ValueError("the time-stamp was made with another hash than the file says")
    return digest


def _contents(signed: cms.SignedData) -> set[bytes]:
    """Signature value and certificates of a signature."""
    certificates = {item.chosen.dump() for item in signed["certificates"]}
    return certificates | {signer["signature"].native for signer in signed["signer_infos"]}


def _renew_before(items: list[EmbeddedPdfSignature]) -> datetime | None:
    """End of the certificate of the newest document time-stamp."""
    stamps = [item for item in items if item.sig_object_type == "/DocTimeStamp"]
    return stamps[-1].signer_cert.not_valid_after if stamps else None


def _revisions(reader: PdfFileReader, stream: IO[bytes]) -> list[str]:
    """SHA-256 of the file up to the end of each revision, in their order, in one reading."""
    xrefs = reader.xrefs
    starts = [xrefs.get_startxref_for_revision(number) for number in range(xrefs.total_revisions)]
    ends = sorted({_end(stream, start) for start in starts})
    running, done, found = hashlib.sha256(), 0, []
    stream.seek(0)
    for end in ends:
        while done < end and (piece := stream.read(min(end - done, 1 << 20))):
            running.update(piece)
            done += len(piece)
        found.append(running.hexdigest())
    return found


def _end(stream: IO[bytes], start: int) -> int:
    """Offset after the end-of-file mark (and its line end) of the revision whose cross-references begin at `start`."""
    mark = re.compile(rb"startxref\s{1,4}%d\s{1,4}%%%%EOF(\r\n|\n|\r)?" % start)
    stream.seek(start)
    seen = b""
    while piece := stream.read(1 << 16):
        seen += piece
        if (found := mark.search(seen)) and (found.end() < len(seen) or not (more := stream.read(2))):
            return start + found.end()
        if found:
            seen += more
    return start + (found.end() if (found := mark.search(seen)) else len(seen))


def _missing(reader: PdfFileReader, stream: IO[bytes], signatures: list[SignatureVerdict]) -> list[str]:
    """What a file lacks: its end, where something else stands; of our finished copies, signature and time-stamp."""
    stream.seek(_end(stream, reader.xrefs.get_startxref_for_revision(reader.xrefs.total_revisions - 1)))
    if stream.read(1 << 16).strip(b"\r\n\t \0"):
        return ["END"]
    if any(item.field in _AGENCY_FIELDS and item.role != AGENCY for item in signatures):
        return ["NOT_AGENCY"]
    fields = {item.field for item in signatures}
    empty = {name for name, value, _ in enumerate_sig_fields(reader) if value is None}
    if (OFFICER_FIELD in fields and AGENCY_FIELD in empty) or (SIGNER_FIELD in fields and ISSUER_FIELD in empty):
        return ["AGENCY"]
    agency = next((item for item in signatures if item.role == AGENCY), None)
    return ["ARCHIVE_STAMP"] if agency and agency.valid and agency.level != "B-LTA" else []


def prefix_sha256(stream: IO[bytes], length: int) -> str:
    """Of the first `length` bytes."""
    running = hashlib.sha256()
    stream.seek(0)
    while length > 0 and (piece := stream.read(min(length, 1 << 20))):
        running.update(piece)
        length -= len(piece)
    return running.hexdigest()
