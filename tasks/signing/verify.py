"""Is a signature valid? A verdict for machines, and one Vietnamese sentence for each signature.

Validation follows ETSI EN 319 102-1 (pyHanko's `ades`): the material inside the file counts, revocation is hard-fail.
"""

from __future__ import annotations

import errno
import hashlib
import io
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import IO, Any, BinaryIO

from asn1crypto import cms, crl, ocsp, x509
from cachetools import TTLCache
from pydantic import BaseModel
from pyhanko.pdf_utils.reader import HistoricalResolver, PdfFileReader
from pyhanko.sign.ades.report import AdESFailure, AdESIndeterminate, AdESPassed
from pyhanko.sign.diff_analysis import ModificationLevel
from pyhanko.sign.fields import enumerate_sig_fields
from pyhanko.sign.validation.dss import DocumentSecurityStore
from pyhanko.sign.validation.errors import NoDSSFoundError
from pyhanko.sign.validation.generic_cms import extract_tst_data_iter
from pyhanko.sign.validation.pdf_embedded import EmbeddedPdfSignature
from pyhanko.sign.validation.status import PdfSignatureStatus, SignatureCoverageLevel

from blocks.clock import vietnam_time
from blocks.errors import SohoaError
from blocks.signatories import AGENCY, OFFICER, kind_of, organisation_of
from blocks.trust import Believed, Trust, clock, revocation_answers, run
from tasks.signing import cades, ltv
from tasks.signing.manifest import MANIFEST_SIGNATURE, named_pdf
from tasks.signing.pdf import AGENCY_FIELD, ISSUER_FIELD, OFFICER_FIELD, SIGNER_FIELD

Source = Path | bytes | BinaryIO  # a file, its content, or an open stream of it
_AGENCY_FIELDS = {AGENCY_FIELD, ISSUER_FIELD}
_TITLES = {
    "OFFICER": "Chữ ký số cá nhân",
    "SIGNER": "Chữ ký số của người có thẩm quyền",
    "AGENCY": "Chữ ký số cơ quan",
    "MANIFEST": "Chữ ký số trên dữ liệu đặc tả",
    "OTHER": "Chữ ký số",
}
_REASONS = {
    "CHANGED": "nội dung đã bị thay đổi sau khi ký",
    "UNCOVERED": "chữ ký không bao trùm toàn bộ nội dung đã ký",
    "SIGNATURE_REMOVED": "chữ ký số trong tệp đã bị gỡ bỏ",
    "PDF_DIFFERS": "dữ liệu đặc tả này không mô tả tệp PDF kèm theo (của hồ sơ khác, hoặc đã cũ)",
    AdESFailure.HASH_FAILURE.name: "nội dung đã bị thay đổi sau khi ký",
    AdESFailure.SIG_CRYPTO_FAILURE.name: "chữ ký không khớp với chứng thư số",
    AdESFailure.REVOKED.name: "chứng thư số đã bị thu hồi",
    AdESIndeterminate.REVOKED_NO_POE.name: "chứng thư số đã bị thu hồi",
    AdESIndeterminate.EXPIRED.name: "chứng thư số đã hết hạn khi ký",
    AdESIndeterminate.OUT_OF_BOUNDS_NO_POE.name: "chứng thư số không có hiệu lực khi ký",
    AdESIndeterminate.NO_CERTIFICATE_CHAIN_FOUND.name: "chứng thư số không do tổ chức được tin cậy cấp",
    AdESIndeterminate.SIG_CONSTRAINTS_FAILURE.name: "chữ ký không có dấu thời gian",
    AdESIndeterminate.TRY_LATER.name: "chưa kiểm tra được tình trạng thu hồi của chứng thư số",
}


_MISSING = {
    "AGENCY": "tệp CHƯA CÓ chữ ký số cơ quan, hoặc phần đó đã bị cắt bỏ",
    "NOT_AGENCY": "chữ ký đặt tại vị trí chữ ký số cơ quan KHÔNG phải của cơ quan",
    "END": "phần cuối tệp bị cắt cụt hoặc bị ghi thêm dữ liệu ngoài phần đã ký",
    "ARCHIVE_STAMP": "tệp THIẾU dấu thời gian lưu trữ hợp lệ của chữ ký số cơ quan, hoặc phần đó đã bị cắt bỏ",
}


class SignatureVerdict(BaseModel):
    """One signature. revision: 1-based revision of the file that it signed; modification: what came after it."""

    field: str
    role: str  # by the certificate: OFFICER | SIGNER | AGENCY | MANIFEST | OTHER (none of ours)
    valid: bool
    code: str  # OK, or why not (ETSI sub-indication, CHANGED, UNCOVERED, PDF_DIFFERS)
    sentence: str
    intact: bool  # the signed bytes are as they were
    trusted: bool
    signer: str  # common name
    serial: str  # of the certificate, hexadecimal
    issuer: str
    organisation: str = ""  # identifier of the organisation that the certificate was issued to; "" for a person's
    test: bool  # made by a test authority: no legal value
    level: str  # B-B, B-T, B-LT, B-LTA
    signed_at: datetime | None = None  # proven by the time-stamp
    certification: bool = False
    revision: int | None = None
    revisions: int | None = None
    revision_sha256: str | None = None
    modification: str = "NONE"  # NONE, LTA_UPDATES, FORM_FILLING, ANNOTATIONS, OTHER


class Verdict(BaseModel):
    """valid: there is at least one signature, and every one is valid.

    code: OK, INCOMPLETE (valid, yet something is missing), INVALID, NOT_SIGNED, SIGNATURE_REMOVED, PDF_DAMAGED …
    """

    kind: str  # PDF | MANIFEST
    valid: bool
    code: str
    sentence: str
    sha256: str
    size: int
    signatures: list[SignatureVerdict] = []
    missing: list[str] = []  # AGENCY, NOT_AGENCY, ARCHIVE_STAMP, END: what a finished copy has besides what is there
    revisions: list[str] = []  # SHA-256 of the file up to the end of each revision
    renew_before: datetime | None = None  # when the certificate of the newest archive time-stamp ends

    @property
    def whole(self) -> bool:
        """Valid, and nothing is missing: a finished copy."""
        return self.valid and not self.missing

    def of(self, role: str) -> SignatureVerdict | None:
        """The signature of a role, or None."""
        return next((item for item in self.signatures if item.role == role), None)


def verify_pdf(source: Source, trust: Believed, *, at: datetime | None = None, stamped: bool = True) -> Verdict:
    """Every signature of a PDF (document time-stamps count for the level). A damaged file gives a verdict, no error.

    at: as if it were then (None: now). stamped: a signature without time-stamp is not valid; False: it is while its
    certificate is. For files from outside use `tasks.signing.sandbox.verify_untrusted`.
    """
    with _stream(source) as stream:
        return run(verify_stream(stream, trust, at, stamped=stamped))


def verify_again(source: Path | bytes, trust: Trust) -> Verdict:
    """`verify_pdf`; but bytes that this process has found valid in the last minutes are not looked at again."""
    with _stream(source) as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]
    return _found_lately("PDF", (sha256,), trust, lambda: verify_pdf(source, trust))


def verify_manifest_again(manifest: bytes, signature: bytes, trust: Trust, *, pdf_sha256: str | None) -> Verdict:
    """`verify_manifest` in the same way."""
    sha256 = *(hashlib.sha256(item).hexdigest() for item in (manifest, signature)), str(pdf_sha256)
    return _found_lately(
        "MANIFEST", sha256, trust, lambda: verify_manifest(manifest, signature, trust, pdf_sha256=pdf_sha256)
    )


_lately: TTLCache[tuple[str, ...], Verdict] = TTLCache(256, 300)  # what was found valid; seconds
_lately_lock = threading.Lock()


def _found_lately(kind: str, sha256: tuple[str, ...], trust: Trust, look: Callable[[], Verdict]) -> Verdict:
    key = (kind, *sha256, str(trust.folder), str(trust.tsa_url))
    with _lately_lock:
        verdict = _lately.get(key)
    if verdict is None:
        verdict = look()
        if not verdict.valid:  # a service that was away may have answered since
            return verdict
        with _lately_lock:
            _lately[key] = verdict
    return verdict.model_copy(deep=True)


async def verify_stream(
    stream: IO[bytes], trust: Believed, at: datetime | None = None, *, stamped: bool = True
) -> Verdict:
    """The same on the signing loop."""
    digest = hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]
    size = stream.seek(0, io.SEEK_END)
    try:
        reader = PdfFileReader(stream)
        with revocation_answers():
            proofs = _proofs(reader)
            signatures = [
                await _one(item, reader, stream, proofs, trust, at, stamped)
                for item in reader.embedded_regular_signatures
            ]
        revisions, renew_before = _revisions(reader, stream), _renew_before(reader)
        missing = _missing(reader, stream, signatures)
    except Exception as error:  # whatever a hostile file makes a parser raise is a verdict about the file
        if _ours(error):
            raise
        text = "Không đọc được tệp PDF hoặc chữ ký trong tệp; vui lòng không sử dụng tệp này và đề nghị nộp tệp khác."
        return _verdict("PDF", "PDF_DAMAGED", text, digest, size, [])
    if not signatures and _holds_range(stream):
        text = "Tệp có dấu vết của chữ ký số đã bị gỡ bỏ; vui lòng không sử dụng tệp này và báo quản trị viên."
        return _verdict("PDF", "SIGNATURE_REMOVED", text, digest, size, [])
    if not signatures:
        return _verdict("PDF", "NOT_SIGNED", "Tệp chưa có chữ ký số.", digest, size, [])
    found = _summary("PDF", digest, size, signatures, missing)
    return found.model_copy(update={"revisions": revisions, "renew_before": renew_before})


def _ours(error: Exception) -> bool:
    """Not the file's fault."""
    return isinstance(error, SohoaError | MemoryError) or (
        isinstance(error, OSError) and error.errno in {errno.EIO, errno.ENOSPC, errno.EMFILE}
    )


def verify_manifest(
    manifest: Path | bytes,
    signature: Path | bytes,
    trust: Believed,
    *,
    pdf_sha256: str | None = None,
    at: datetime | None = None,
) -> Verdict:
    """A detached CAdES signature over the exact bytes of a manifest; `pdf_sha256`: the PDF that it must name."""
    data, token = (item.read_bytes() if isinstance(item, Path) else item for item in (manifest, signature))
    digest, size = hashlib.sha256(data).hexdigest(), len(data)
    try:
        content = cms.ContentInfo.load(token, strict=True)["content"]
        with revocation_answers():
            verdict, renew_before = run(_detached(data, content, trust, at))
    except Exception as error:
        if _ours(error):
            raise
        text = "Không đọc được chữ ký trên dữ liệu đặc tả; vui lòng không sử dụng dữ liệu này."
        return _verdict("MANIFEST", "CMS_DAMAGED", text, digest, size, [])
    if verdict.valid and pdf_sha256 is not None and named_pdf(data) != pdf_sha256:
        verdict.valid, verdict.code = False, "PDF_DIFFERS"
        verdict.sentence = _sentence(verdict)
    missing = [] if verdict.role == "MANIFEST" else ["NOT_AGENCY"]
    return _summary("MANIFEST", digest, size, [verdict], missing).model_copy(update={"renew_before": renew_before})


def verify_record(
    manifest: Path | bytes, signature: Path | bytes, pdf: Source, trust: Believed, *, at: datetime | None = None
) -> Verdict:
    """A manifest, its signature and the copy that it must describe (Điều 9.4): all signatures, and that they fit.

    The copy may have got archive time-stamps since: then the manifest names one of its revisions.
    """
    return _fitting(
        manifest,
        verify_pdf(pdf, trust, at=at),
        lambda wanted: verify_manifest(manifest, signature, trust, pdf_sha256=wanted, at=at),
    )


def verify_record_again(manifest: bytes, signature: bytes, pdf: bytes, trust: Trust) -> Verdict:
    """`verify_record` by `verify_again`: before what was just signed is locked away."""
    return _fitting(
        manifest,
        verify_again(pdf, trust),
        lambda wanted: verify_manifest_again(manifest, signature, trust, pdf_sha256=wanted),
    )


def _fitting(manifest: Path | bytes, copy: Verdict, verified: Callable[[str], Verdict]) -> Verdict:
    """The verdict on a record, by those on its copy and on its manifest. verified: of a manifest that names a file."""
    agency = copy.of("AGENCY")
    fitting = {copy.sha256, *(copy.revisions[agency.revision - 1 :] if agency and agency.revision else [])}
    named = named_pdf(manifest.read_bytes() if isinstance(manifest, Path) else manifest)
    wanted = named if named in fitting else copy.sha256
    data = verified(wanted)
    missing = list(dict.fromkeys([*data.missing, *copy.missing]))
    if copy.signatures and not agency:
        missing = list(dict.fromkeys([*missing, "AGENCY"]))
    verdict = _summary("MANIFEST", data.sha256, data.size, [*data.signatures, *copy.signatures], missing)
    for part in (data, copy):
        if not part.signatures:  # damaged, or not signed
            verdict.valid, verdict.code, verdict.sentence = False, part.code, part.sentence
    return verdict.model_copy(update={"renew_before": data.renew_before})


async def _one(
    item: EmbeddedPdfSignature,
    reader: PdfFileReader,
    stream: IO[bytes],
    proofs: list[tuple[int, ltv.Proof]],
    trust: Believed,
    at: datetime | None,
    stamped: bool,
) -> SignatureVerdict:
    item.compute_integrity_info(diff_policy=trust.specification().diff_policy)  # type: ignore[no-untyped-call]
    found = await ltv.validate(
        item.signed_data,
        item.compute_digest(),
        [proof for revision, proof in proofs if revision > item.signed_revision],
        _material(reader),
        trust,
        at,
        stamped=stamped,
        status_cls=PdfSignatureStatus,
        status_kwargs=item.summarise_integrity_info(),
    )
    status, code = found.status, _code(found.indication)
    change = status.modification_level if status else None
    if code == "OK" and status is not None:
        if status.docmdp_ok is False or change is None or change.value > ModificationLevel.FORM_FILLING.value:
            code = "CHANGED"
        elif status.coverage.value < SignatureCoverageLevel.ENTIRE_REVISION.value:
            code = "UNCOVERED"
    verdict = SignatureVerdict(
        field=item.field_name,
        role=_role(item.signer_cert, trust, found.stamped_at or at, item.field_name),
        valid=code == "OK",
        code=code,
        sentence="",
        intact=bool(status and status.intact),
        trusted=bool(status and status.trusted),
        **_who(item.signer_cert, status, item.other_embedded_certs, trust),
        level=found.level,
        signed_at=found.stamped_at,
        certification=item.docmdp_level is not None,
        revision=item.signed_revision + 1,
        revisions=reader.xrefs.total_revisions,
        revision_sha256=prefix_sha256(stream, int(item.byte_range[2]) + int(item.byte_range[3])),
        modification=change.name if change is not None else "OTHER",
    )
    verdict.sentence = _sentence(verdict)
    return verdict


async def _detached(
    data: bytes, content: cms.SignedData, trust: Believed, at: datetime | None
) -> tuple[SignatureVerdict, datetime | None]:
    found = await cades.validate(data, content, trust, at)
    status, code = found.status, _code(found.indication)
    verdict = SignatureVerdict(
        field=MANIFEST_SIGNATURE,
        role="MANIFEST" if status and _role(status.signing_cert, trust, found.stamped_at or at) == AGENCY else "OTHER",
        valid=code == "OK",
        code=code,
        sentence="",
        intact=bool(status and status.intact),
        trusted=bool(status and status.trusted) or code == "OK",
        **_who(status.signing_cert if status else None, status, _embedded(content), trust),
        level=found.level,
        signed_at=found.stamped_at,
    )
    verdict.sentence = _sentence(verdict)
    return verdict, found.renew_before


def _role(certificate: x509.Certificate, trust: Believed, at: datetime | None, field: str = "") -> str:
    """Whose certificate it is decides, never the name of the field. at: time of the signature (None: now)."""
    kind = kind_of(certificate, trust.signatories, at or clock())
    if kind == OFFICER:
        return "SIGNER" if field == SIGNER_FIELD else "OFFICER"
    return kind or "OTHER"


def _code(indication: Any) -> str:
    return "OK" if indication is AdESPassed.OK else str(indication.name)


def _embedded(content: cms.SignedData) -> list[x509.Certificate]:
    return [item.chosen for item in content["certificates"] or () if item.name == "certificate"]


def _who(
    certificate: x509.Certificate | None,
    status: Any,  # pyHanko's, or None
    others: Iterable[x509.Certificate],
    trust: Believed,
) -> dict[str, Any]:
    if certificate is None:
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


def _proofs(reader: PdfFileReader) -> list[tuple[int, ltv.Proof]]:
    """(revision, what it proves) of each document time-stamp that covers its whole revision."""
    found = []
    signatures: set[bytes] = set()
    for item in reader.embedded_signatures:
        if item.sig_object_type == "/DocTimeStamp":
            item.compute_integrity_info(skip_diff=True)
            if item.coverage.value >= SignatureCoverageLevel.ENTIRE_REVISION.value:
                material = _material(HistoricalResolver(reader, revision=item.signed_revision))
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


def _renew_before(reader: PdfFileReader) -> datetime | None:
    """End of the certificate of the newest document time-stamp."""
    stamps = reader.embedded_timestamp_signatures
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


def reason(code: str) -> str:
    """Why a signature is not valid, as the officer reads it."""
    return _REASONS.get(code, f"mã lỗi {code}")


def _sentence(verdict: SignatureVerdict) -> str:
    title = f"{_TITLES[verdict.role]} của {verdict.signer}" if verdict.signer else _TITLES[verdict.role]
    if verdict.role == "OTHER":
        title += " (không phải của cơ quan này)"
    if not verdict.valid:
        return f"{title} KHÔNG hợp lệ: {reason(verdict.code)}; vui lòng không sử dụng tệp này và báo quản trị viên."
    when = f", ký lúc {vietnam_time(verdict.signed_at)} theo dấu thời gian" if verdict.signed_at else ""
    mark = "; đây là chữ ký THỬ NGHIỆM (TEST), không có giá trị pháp lý" if verdict.test else ""
    return f"{title} hợp lệ{when}, nội dung nguyên vẹn{mark}."


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


def _holds_range(stream: IO[bytes]) -> bool:
    """Does a signature's ByteRange stand in the file, though no field has it?"""
    stream.seek(0)
    seen = b""
    while piece := stream.read(1 << 20):
        if re.search(rb"/ByteRange\s*\[\s*0\s", seen := seen[-32:] + piece):
            return True
    return False


def _summary(
    kind: str, digest: str, size: int, signatures: list[SignatureVerdict], missing: Sequence[str] = ()
) -> Verdict:
    if all(item.valid for item in signatures):
        text = f"Tất cả {len(signatures)} chữ ký số hợp lệ."
        if missing:
            text = f"Các chữ ký số đang có hợp lệ, nhưng {'; '.join(_MISSING[name] for name in missing)}; "
            text += "vui lòng không sử dụng như bản sao y."
            found = _verdict(kind, "OK", text, digest, size, signatures)
            return found.model_copy(update={"code": "INCOMPLETE", "missing": list(missing)})
        return _verdict(kind, "OK", text, digest, size, signatures)
    wrong = sum(not item.valid for item in signatures)
    text = f"Có {wrong} trong {len(signatures)} chữ ký số không hợp lệ; vui lòng không sử dụng tệp này."
    return _verdict(kind, "INVALID", text, digest, size, signatures)


def _verdict(
    kind: str, code: str, sentence: str, digest: str, size: int, signatures: list[SignatureVerdict]
) -> Verdict:
    return Verdict(
        kind=kind, valid=code == "OK", code=code, sentence=sentence, sha256=digest, size=size, signatures=signatures
    )


@contextmanager
def _stream(source: Source) -> Iterator[IO[bytes]]:
    if isinstance(source, bytes):
        yield io.BytesIO(source)
    elif not isinstance(source, Path):
        source.seek(0)
        yield source
    else:
        with source.open("rb") as stream:
            yield stream


def prefix_sha256(stream: IO[bytes], length: int) -> str:
    """Of the first `length` bytes."""
    running = hashlib.sha256()
    stream.seek(0)
    while length > 0 and (piece := stream.read(min(length, 1 << 20))):
        running.update(piece)
        length -= len(piece)
    return running.hexdigest()
