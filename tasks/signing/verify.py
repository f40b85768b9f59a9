"""Is a signature valid? A verdict for machines, and one Vietnamese sentence for each signature.

Validation follows ETSI EN 319 102-1 (pyHanko's `ades`): the material inside the file counts, revocation is hard-fail.
The entries are here; `verify_file` looks at the signatures of one PDF, `verify_reader` opens it, `verify_changes` says
what came after a signature, `verify_words` what an officer reads of all this.
"""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, BinaryIO

from asn1crypto import cms, x509
from cachetools import TTLCache

from blocks.signatories import AGENCY
from blocks.trust import Believed, RevocationUnavailable, Trust, revocation_answers, run
from tasks.signing import cades
from tasks.signing.manifest import MANIFEST_SIGNATURE, named_pdf
from tasks.signing.verify_file import code_of, ours, prefix_sha256, role_of, verify_stream, who
from tasks.signing.verify_model import SignatureVerdict, Verdict
from tasks.signing.verify_words import sentence, summary, verdict_of

__all__ = [
    "SignatureVerdict",
    "Verdict",
    "prefix_sha256",
    "verify_again",
    "verify_manifest",
    "verify_manifest_again",
    "verify_pdf",
    "verify_record",
    "verify_record_again",
    "verify_stream",
]
Source = Path | bytes | BinaryIO  # a file, its content, or an open stream of it


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
        if verdict.later:
            raise RevocationUnavailable()
        if not verdict.valid:  # a service that was away may have answered since
            return verdict
        with _lately_lock:
            _lately[key] = verdict
    return verdict.model_copy(deep=True)


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
        if ours(error):
            raise
        text = "Không đọc được chữ ký trên dữ liệu đặc tả; vui lòng không sử dụng dữ liệu này."
        return verdict_of("MANIFEST", "CMS_DAMAGED", text, digest, size, [])
    if verdict.valid and pdf_sha256 is not None and named_pdf(data) != pdf_sha256:
        verdict.valid, verdict.code = False, "PDF_DIFFERS"
        verdict.sentence = sentence(verdict)
    missing = [] if verdict.role == "MANIFEST" else ["NOT_AGENCY"]
    return summary("MANIFEST", digest, size, [verdict], missing).model_copy(update={"renew_before": renew_before})


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
    verdict = summary("MANIFEST", data.sha256, data.size, [*data.signatures, *copy.signatures], missing)
    for part in (data, copy):
        if not part.signatures:  # damaged, or not signed
            verdict.valid, verdict.code, verdict.sentence = False, part.code, part.sentence
    return verdict.model_copy(update={"renew_before": data.renew_before})


async def _detached(
    data: bytes, content: cms.SignedData, trust: Believed, at: datetime | None
) -> tuple[SignatureVerdict, datetime | None]:
    found = await cades.validate(data, content, trust, at)
    status, code = found.status, code_of(found.indication)
    verdict = SignatureVerdict(
        field=MANIFEST_SIGNATURE,
        role="MANIFEST"
        if status and role_of(status.signing_cert, trust, found.stamped_at or at) == AGENCY
        else "OTHER",
        valid=code == "OK",
        code=code,
        sentence="",
        intact=bool(status and status.intact),
        trusted=bool(status and status.trusted) or code == "OK",
        **who(status.signing_cert if status else None, status, _embedded(content), trust),
        level=found.level,
        signed_at=found.stamped_at,
        stamp=found.stamp,
    )
    verdict.sentence = sentence(verdict)
    return verdict, found.renew_before


def _embedded(content: cms.SignedData) -> list[x509.Certificate]:
    return [item.chosen for item in content["certificates"] or () if item.name == "certificate"]


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
