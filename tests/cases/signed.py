"""Electronic originals: signed PDFs as offices' and vendors' programs write them, and the services around them."""

from __future__ import annotations

import atexit
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import pikepdf
from asn1crypto import cms

from blocks.trust import RevocationUnavailable
from tasks.signing.sandbox import verify_untrusted
from tasks.signing.verify import Verdict, verify_pdf
from tests.cases import Case, Otherwise
from tests.support.own_pki import Holder, OwnPki, own_pki
from tests.support.signed_pdf import (
    field,
    hybrid,
    objects,
    revision,
    sealed,
    second,
    signature,
    signed_objects,
    stream,
)

Made = Callable[[], bytes]
FALSE = b"BT /F1 20 Tf 72 700 Td (Tro cap 9.000.000 dong) Tj ET"
WHITE = b"<< /Type /Annot /Subtype /FreeText /Rect [72 690 400 730] /Contents (So: 12/QD) /DA (/Helv 12 Tf) /F 4 >>"


@cache
def _pki() -> OwnPki:
    """One for the process, and the settings that let its services be asked."""
    held = ExitStack()
    atexit.register(held.close)
    pki = held.enter_context(own_pki(Path(held.enter_context(TemporaryDirectory(prefix="sohoa-pki-")))))
    hosts = f"127.0.0.1:{pki.port},127.0.0.1:9,nowhere.invalid:80"
    held.enter_context(mock.patch.dict(os.environ, {"SOHOA_FETCH_HOSTS": hosts, "SOHOA_ENVIRONMENT": "test"}))
    return pki


@cache
def _who() -> Holder:
    return _pki().issue()


def _seal(data: bytes) -> bytes:
    return sealed(data, _who())


def _looked(data: bytes) -> Verdict:
    return verify_pdf(data, _pki().trust, stamped=False)


def _told(verdict: Verdict) -> str:
    return "; ".join([verdict.code, *(item.code for item in verdict.signatures)])


# -- structures ------------------------------
def _plain() -> bytes:
    return _seal(revision(signed_objects()))


def _word() -> bytes:
    """First revision by Word, signed by a program that appends."""
    first = hybrid(objects(fields=b""))
    form = objects()
    return _seal(revision({1: form[1], 3: form[3], 5: field(6), 6: signature()}, first))


def _absent() -> bytes:
    """References to objects that nobody wrote: null (ISO 32000-2, 7.3.10)."""
    return _seal(revision(signed_objects(root=b"/Metadata 90 0 R", page=b"/Thumb 91 0 R")))


def _absent_kept() -> bytes:
    """The page refers to what is absent, and is written again by who signs next."""
    return _seal(revision(signed_objects(root=b"/Metadata 90 0 R")))


def _reused() -> bytes:
    """The number of the first cross-reference stream is the signature's in the next revision, as Java signers do."""
    first = revision(objects(fields=b""), as_stream=8)
    form = objects(fields=b"5 0 R")
    return _seal(revision({1: form[1], 3: form[3], 5: field(8), 8: signature()}, first, as_stream=9))


def _stream_again() -> bytes:
    """Each revision's cross-reference stream has the same number."""
    first = revision(objects(fields=b""), as_stream=8)
    form = objects()
    return _seal(revision({1: form[1], 3: form[3], 5: field(6), 6: signature()}, first, as_stream=8))


def _small() -> bytes:
    return _seal(revision(signed_objects(), size=4))


def _generation() -> bytes:
    """Generation 1 though nothing was ever freed."""
    held = signed_objects()
    held[3] = held[3].replace(b"/Contents 4 0 R", b"/Contents 4 1 R")
    return _seal(revision(held, generations={4: 1}))


def _twice() -> bytes:
    return _seal(revision(signed_objects(page=b"/Rotate 0 /Rotate 0")))


def _dotted() -> bytes:
    return _seal(revision(signed_objects(name=b"form1.Sig")))


def _chain_elsewhere() -> bytes:
    """The signer's certificate stands in the file's validation data (DSS), not in the signature."""
    raw = _who().asn1.dump()
    held = signed_objects(root=b"/DSS << /Certs [8 0 R] >>") | {8: stream(raw)}

    def without(content: cms.ContentInfo) -> cms.ContentInfo:
        content["content"]["certificates"] = cms.CertificateSet([])
        return content

    return sealed(revision(held), _who(), change=without)


def _two_signers() -> bytes:
    def doubled(content: cms.ContentInfo) -> cms.ContentInfo:
        (info,) = content["content"]["signer_infos"]
        content["content"]["signer_infos"] = cms.SignerInfos([info, info.copy()])
        return content

    return sealed(revision(signed_objects()), _who(), change=doubled)


def _locked() -> bytes:
    """With an owner's password."""
    folder = TemporaryDirectory(prefix="sohoa-case-")
    with folder, pikepdf.new() as pdf:
        pdf.add_blank_page()
        path = Path(folder.name, "locked.pdf")
        pdf.save(path, encryption=pikepdf.Encryption(owner="x", user="", R=4))
        return path.read_bytes()


def _old_kind() -> bytes:
    held = signed_objects() | {6: signature(b"adbe.x509.rsa_sha1")}
    return _seal(revision(held))


def _agreed(data: bytes, folder: Path) -> None:
    """pdfsig finds as many intact signatures as we do."""
    if shutil.which("pdfsig") is None:
        return
    path = folder / "signed.pdf"
    path.write_bytes(data)
    said = subprocess.run(["pdfsig", "-nocert", str(path)], capture_output=True, text=True, check=False).stdout
    count = data.count(b"/ByteRange")
    if said.count("Signature is Valid.") != count:
        raise Otherwise(f"pdfsig: {said.count('Signature is Valid.')} of {count}")


def _valid(make: Made, *, compared: bool = True) -> Callable[[Path], str]:
    def play(folder: Path) -> str:
        data = make()
        verdict = _looked(data)
        if not verdict.valid:
            raise Otherwise(_told(verdict))
        if compared:
            _agreed(data, folder)
        return f"valid, {len(verdict.signatures)} signature(s)"

    return play


def _refused(make: Made, code: str, words: str = "") -> Callable[[Path], str]:
    def play(_: Path) -> str:
        verdict = _looked(make())
        said = " ".join([verdict.sentence, *(item.sentence for item in verdict.signatures)])
        if verdict.valid or code not in _told(verdict) or words not in said or "mã lỗi" in said:
            raise Otherwise(f"{_told(verdict)}: {said}")
        return f"refused: {code}"

    return play


# -- attacks: bytes that nobody signed ------------------------------
def _defined_later(kind: str) -> bytes:
    """What was absent when it was signed gets content afterwards."""
    if kind == "page":
        first = _seal(revision(signed_objects(page=b"/Thumb 4 0 R").copy() | {3: _page(b"[4 0 R 40 0 R]")}))
        return revision({40: stream(FALSE)}, first)
    held = signed_objects()
    held[3] = held[3].replace(b"/Parent 2 0 R", b"/Parent 41 0 R")
    first = _seal(revision(held))
    return revision({41: b"<< /Type /Pages /Count 1 /Kids [3 0 R] /Rotate 180 >>"}, first)


def _page(contents: bytes) -> bytes:
    return objects()[3].replace(b"/Contents 4 0 R", b"/Contents " + contents)


def _over_small_size() -> bytes:
    """/Size says that number 7 was free when it was signed."""
    return revision({7: b"<< /Type /Font /Subtype /Type1 /BaseFont /Symbol >>"}, _small())


def _stream_over_content() -> bytes:
    """The cross-reference stream takes the number of the page's content."""
    return revision({30: b"<< >>"}, _absent(), as_stream=4)


def _twice_later() -> bytes:
    """One entry twice in an appended object: programs differ in which one they show."""
    page = objects(page=b"/Thumb 91 0 R")[3].replace(b"/Contents 4 0 R", b"/Contents 4 0 R /Contents 40 0 R")
    return revision({3: page, 40: stream(FALSE)}, _absent())


def _trailer_twice() -> bytes:
    form = objects(page=b"/Thumb 91 0 R")
    return revision({40: form[1].replace(b"2 0 R", b"41 0 R")}, _absent(), trailer=b"/Root 40 0 R")


def _hidden_before() -> bytes:
    """A second content of the page lies in the signed bytes without a number; an appended table gives it one."""
    held = signed_objects(root=b"/Metadata 90 0 R") | {8: stream(b"4 0 obj\n" + stream(FALSE) + b"\nendobj\n")}
    first = _seal(revision(held))
    return revision({}, first, extra={4: first.rindex(b"4 0 obj\n<< /Length %d" % len(FALSE))})


def _other_generation() -> bytes:
    return revision({4: stream(FALSE)}, _absent(), generations={4: 1})


def _hybrid_later() -> bytes:
    """A hybrid revision after the signature: old programs see one thing, new ones another."""
    first = _word()
    whole = hybrid({3: _page(b"40 0 R"), 40: stream(FALSE)})
    head = whole.index(b"3 0 obj")
    moved = len(first) - head
    part = re.sub(rb"(\d{10}) 00000 n", lambda m: b"%010d 00000 n" % (int(m[1]) + moved), whole[head:])
    part = re.sub(rb"/XRefStm (\d+)", lambda m: b"/XRefStm %d" % (int(m[1]) + moved), part)
    part = part.replace(b"trailer\n<< ", b"trailer\n<< /Prev %d " % int(re.findall(rb"startxref\s+(\d+)", first)[-1]))
    return first + re.sub(rb"startxref\n(\d+)", lambda m: b"startxref\n%d" % (int(m[1]) + moved), part)


def _removed() -> bytes:
    form = objects(fields=b"")
    return revision({1: form[1], 3: form[3]}, _plain())


def _attacked(make: Made) -> Callable[[Path], str]:
    def play(_: Path) -> str:
        verdict = _looked(make())
        if verdict.whole:
            raise Otherwise("called valid")
        return f"refused: {_told(verdict)}"

    return play


# -- services of revocation ------------------------------
def _asked(folder: Path, who: Holder) -> Verdict:
    path = folder / "signed.pdf"
    path.write_bytes(sealed(revision(signed_objects()), who))
    return verify_untrusted(path, stamped=False, trust=_pki().trust)


def _away(status: dict[str, int], **addresses: str) -> Callable[[Path], str]:
    """Later while it is so, and valid when the services are back (where they ever were)."""

    def play(folder: Path) -> str:
        pki = _pki()
        who = pki.issue(**addresses)
        pki.status.update(status)
        try:
            verdict = _asked(folder, who)
            raise Otherwise(f"final: {_told(verdict)}")
        except RevocationUnavailable:
            pass
        finally:
            pki.status.clear()
        if not addresses and not _asked(folder, who).valid:
            raise Otherwise("not valid when the service is back")
        return "later"

    return play


def _one_answers(path: str, **addresses: str) -> Callable[[Path], str]:
    def play(folder: Path) -> str:
        pki = _pki()
        pki.status[path] = 503
        try:
            verdict = _asked(folder, pki.issue(**addresses))
        finally:
            pki.status.clear()
        if not verdict.valid:
            raise Otherwise(_told(verdict))
        return "valid"

    return play


def _no_address() -> bytes:
    return sealed(revision(signed_objects()), _pki().issue(crl="", ocsp=""))


def _sha1() -> bytes:
    return sealed(revision(signed_objects()), _who(), algorithm="sha1")


# -- time-stamps ------------------------------
def _stamped(kind: str, why: str) -> Callable[[Path], str]:
    """The stamp counts as none, the signature by itself."""

    def play(folder: Path) -> str:
        pki, now = _pki(), datetime.now(UTC)
        if kind == "stranger":
            with own_pki(folder / "stranger", "Other root") as other:
                stamper = other.issue("Other TSA", tsa=True).stamper()
                data = sealed(revision(signed_objects()), _who(), stamper)
        else:
            none = {"crl": "http://127.0.0.1:9/crl", "ocsp": ""} if kind == "dead" else {}
            times = {"2048": datetime(2048, 1, 1, tzinfo=UTC), "tomorrow": now + timedelta(days=1),
                     "early": now - timedelta(days=31)}  # fmt: skip
            tsa = pki.issue("TSA", tsa=True, begins=now - timedelta(days=60), **none)
            data = sealed(revision(signed_objects()), _who(), tsa.stamper(times.get(kind)))
        (found,) = _looked(data).signatures
        if not found.valid or found.signed_at or why not in found.sentence:
            raise Otherwise(f"{found.code}, {found.signed_at}: {found.sentence}")
        return "valid without the stamp, which the sentence says"

    return play


def _good_stamp(folder: Path) -> str:
    (found,) = _looked(sealed(revision(signed_objects()), _who(), _pki().issue("TSA", tsa=True).stamper())).signatures
    if not found.valid or found.signed_at is None or found.stamp:
        raise Otherwise(f"{found.code}: {found.sentence}")
    return "valid, with the time of the stamp"


# -- the usual order ------------------------------
def _leader_number_agency() -> bytes:
    form = objects()
    page = form[3].replace(b"/Annots [5 0 R]", b"/Annots [5 0 R 30 0 R]")
    numbered = revision({3: page, 30: WHITE}, _plain())
    return _seal(second(numbered, notes=b"30 0 R"))


def _rights_only() -> bytes:
    """A form that Adobe Reader may fill: signed by Adobe, not by anybody who issues papers."""
    held = objects(fields=b"", root=b"/Perms << /UR3 6 0 R >>") | {6: signature(b"adbe.pkcs7.detached")}
    return _seal(revision(held))


def _stamp_only() -> bytes:
    tsa = _pki().issue("TSA", tsa=True)
    held = signed_objects() | {6: signature(b"ETSI.RFC3161", b"DocTimeStamp")}
    return sealed(revision(held), tsa, tsa.stamper(), token=True)


def _twofold(make: Made) -> Made:
    """Signed once more."""
    return lambda: _seal(second(make()))


CASES = [
    *(
        Case(name, "judged on its merits, as pdfsig does", _valid(make))
        for name, make in (
            ("plain signature", _plain),
            ("two signatures", _twofold(_plain)),
            ("first revision hybrid-reference, as Word writes it", _word),
            ("the same, signed twice", _twofold(_word)),
            ("one hybrid-reference revision, signed", lambda: _seal(hybrid(signed_objects()))),
            ("references to absent objects", _absent),
            ("the same, with a second signature", _twofold(_absent_kept)),
            ("number of the cross-reference stream used again", _reused),
            ("the same, signed twice", _twofold(_reused)),
            ("cross-reference streams all of one number", _stream_again),
            ("size of the cross-references too small", _small),
            ("generation without a free entry", _generation),
            ("an entry twice in a dictionary", _twice),
            ("full stop in a partial field name", _dotted),
            ("full stop in a field name, signed twice", _twofold(_dotted)),
        )
    ),
    Case("signer's certificate only in the DSS, where pdfsig doesn't look", "valid",
         _valid(_chain_elsewhere, compared=False)),
    Case("two signers in one field", "refused in words", _refused(_two_signers, "MULTIPLE_SIGNERS", "nhiều người")),
    Case("encrypted", "refused in words", _refused(_locked, "PDF_ENCRYPTED", "mật khẩu")),
    Case("signature of an old kind (x509.rsa_sha1)", "refused in words", _refused(_old_kind, "SUBFILTER", "quá cũ")),
    Case("SHA-1", "refused in words", _refused(_sha1, "CRYPTO_CONSTRAINTS_FAILURE", "SHA-1")),
    Case("certificate without any address", "refused in words",
         _refused(_no_address, "NO_REVOCATION_ADDRESS", "địa chỉ để kiểm tra thu hồi")),
    Case("leader signs, number stamped, agency signs", "refused: which signature, what and where",
         _refused(_leader_number_agency, "CHANGED", "thêm chú thích, con dấu hoặc chữ ở trang 1")),
    Case("form with usage rights only", "not signed", _refused(_rights_only, "NOT_SIGNED", "chưa có chữ ký số")),
    Case("document time-stamp only", "only a time-stamp", _refused(_stamp_only, "ONLY_TIMESTAMP", "dấu thời gian")),
    Case("signature taken out of its field", "said so", _refused(_removed, "SIGNATURE_REMOVED", "dấu vết")),
    *(
        Case(f"attack: {name}", "never valid", _attacked(make))
        for name, make in (
            ("absent content of the page comes later", lambda: _defined_later("page")),
            ("absent parent of the page comes later", lambda: _defined_later("parent")),
            ("an object beyond the declared size is replaced", _over_small_size),
            ("cross-reference stream takes the number of the content", _stream_over_content),
            ("entry twice in an appended page", _twice_later),
            ("root twice in an appended trailer", _trailer_twice),
            ("appended table names hidden bytes", _hidden_before),
            ("another generation of the content", _other_generation),
            ("hybrid revision appended", _hybrid_later),
        )
    ),
    *(
        Case(f"revocation: {name}", "later, not never", _away(status, **addresses))
        for name, status, addresses in (
            ("404", {"/crl": 404, "/ocsp": 404}, {}),
            ("503", {"/crl": 503, "/ocsp": 503}, {}),
            ("hanging", {"/crl": 0, "/ocsp": 0}, {}),
            ("connection refused", {}, {"crl": "http://127.0.0.1:9/crl", "ocsp": "http://127.0.0.1:9/ocsp"}),
            ("unknown host", {}, {"crl": "http://nowhere.invalid/crl", "ocsp": "http://nowhere.invalid/ocsp"}),
            ("list is away, no OCSP", {"/crl": 503}, {"ocsp": ""}),
        )
    ),
    Case("revocation: list dead, OCSP good", "valid", _one_answers("/crl")),
    Case("revocation: OCSP dead, list good", "valid", _one_answers("/ocsp")),
    Case("time-stamp, trusted", "its time counts", _good_stamp),
    *(
        Case(f"time-stamp {name}", "counts as none, said so", _stamped(kind, why))
        for name, kind, why in (
            ("of a stranger", "stranger", "ngoài danh sách tin cậy"),
            ("whose own revocation can't be learnt", "dead", "chưa kiểm tra được tình trạng thu hồi"),
            ("of 2048", "2048", "sau lúc kiểm tra"),
            ("of tomorrow", "tomorrow", "sau lúc kiểm tra"),
            ("before the signer's certificate", "early", "trước khi chứng thư số của người ký"),
        )
    ),
]  # fmt: skip
