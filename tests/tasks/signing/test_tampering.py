"""Tampering of every kind, each through `sohoa verify` as anybody would: found, and said in Vietnamese (CA08, EX17)."""

from __future__ import annotations

import hashlib
import io
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import httpx
import pytest
import yaml
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.generic import pdf_name
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from typer.testing import CliRunner

from blocks import trust as trusting
from blocks.settings import settings
from blocks.signer import agency_signer, signer_for
from blocks.trust import Trust, run
from deployments.cli.main import app
from infra.local.pki import ensure_pki, tsa_url
from infra.local.process import free_port, spawn, stop, wait_ready
from tasks.signing.manifest import canonical, sign_detached
from tasks.signing.pdf import renew, sign_as_agency, sign_as_officer
from tests.conftest import ROOT, TestPki

CAPTURED = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
PAGE = b"BT /F1 14 Tf 72 600 Td (So tien: 1.000.000) Tj ET"
OTHER = b"BT /F1 14 Tf 72 600 Td (So tien: 9.000.000) Tj ET"


def letter(content: bytes = PAGE, *, form: bool = False) -> bytes:
    """One page with a line of text: object 4. An unused object 4 with another sum lies beside it (shadow)."""
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R" + (b" /AcroForm << /Fields [7 0 R] >>" if form else b"") + b" >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents [4 0 R 6 0 R]"
        b" /Resources << /Font << /F1 5 0 R >> >>" + (b" /Annots [7 0 R]" if form else b"") + b" >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"<< /Length 28 >>\nstream\n1 g 300 700 100 20 re f 0 g \nendstream",  # a white patch
        b"<< /Type /Annot /Subtype /Widget /FT /Tx /T (Tien) /V () /P 3 0 R /Rect [72 500 272 520] /F 4 >>",
    ]
    data, offsets = b"%PDF-1.7\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    data += b"4 0 obj\n<< /Length %d >>\nstream\n%s\nendstream\nendobj\n" % (len(OTHER), OTHER)
    start = len(data)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return data + b"xref\n0 8\n0000000000 65535 f \n%strailer\n<< /Size 8 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (
        table,
        start,
    )


@dataclass(frozen=True)
class Record:
    """A finished copy with its manifest; officer: the copy as it was with the officer's signature only."""

    pdf: bytes
    officer: bytes
    manifest: bytes
    token: bytes


def make(folder: Path, data: bytes, trust: Trust, pki: Path | None = None, number: int = 1) -> Record:
    path = folder / "made.pdf"
    path.write_bytes(data)
    agency = agency_signer(pki)
    run(sign_as_officer(path, signer_for("tnhs.01", pki), agency, CAPTURED, trust))
    officer = path.read_bytes()
    run(sign_as_agency(path, agency, CAPTURED, trust))
    pdf = path.read_bytes()
    manifest = canonical({"document": {"ordinal": number}, "pdf": {"sha256": hashlib.sha256(pdf).hexdigest()}})
    return Record(pdf, officer, manifest, run(sign_detached(manifest, agency, trust)))


@pytest.fixture(scope="module")
def environment(pki: TestPki, home: Path) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOHOA_INBOX_DIR", str(home))
        for name in ("SOHOA_DATABASE_URL", "SOHOA_S3_ENDPOINT", "SOHOA_S3_ACCESS_KEY", "SOHOA_S3_SECRET_KEY"):
            patch.setenv(name, os.environ.get(name, "unused"))
        settings.cache_clear()
        yield
    settings.cache_clear()


@pytest.fixture(scope="module")
def record(environment: None, tmp_path_factory: pytest.TempPathFactory) -> Record:
    return make(tmp_path_factory.mktemp("record"), letter(), Trust())


@pytest.fixture(scope="module")
def rescanned(environment: None, tmp_path_factory: pytest.TempPathFactory) -> Record:
    """The same document after a rescan: another copy, another manifest."""
    return make(tmp_path_factory.mktemp("rescanned"), letter(PAGE + b" "), Trust())


@pytest.fixture(scope="module")
def foreign(environment: None, home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Record]:
    """The same content signed by another authority's certificates, with the same names in them."""
    port, folder = free_port(), home / "other-pki"
    url, log = f"http://127.0.0.1:{port}", home / "other-pki.log"
    ensure_pki(folder, url)
    arguments = [sys.executable, "-m", "infra.local.pki", "serve", "--dir", folder, "--port", str(port)]
    server = spawn(arguments, log=log, cwd=ROOT, env=os.environ, parent_death=signal.SIGKILL)
    try:
        wait_ready("PKI server", lambda: httpx.get(url, timeout=2) and None, server, log, 60)
        listing = yaml.safe_load((folder / "officers.yml").read_text())
        listing["agency"] = {"key": "keys/agency.pem", "certificate": "certs/agency.pem"}  # not on a token
        (folder / "officers.yml").write_text(yaml.safe_dump(listing, allow_unicode=True))
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SOHOA_PKI_DIR", str(folder))
            trusting._answers.cache_clear()  # it knows lists of revoked certificates by their issuer's name
            settings.cache_clear()
            made = make(
                tmp_path_factory.mktemp("foreign"), letter(), Trust(folder=folder, tsa_url=tsa_url(url)), folder
            )
        settings.cache_clear()
        trusting._answers.cache_clear()
        yield made
    finally:
        settings.cache_clear()
        stop(server)


def verify(folder: Path, pdf: bytes, *, manifest: bytes | None = None, token: bytes | None = None) -> tuple[int, str]:
    """(exit status, what was printed) of `sohoa verify`; with a manifest, of it and the PDF together."""
    (folder / "a.pdf").write_bytes(pdf)
    arguments = ["verify", str(folder / "a.pdf")]
    if manifest is not None and token is not None:
        (folder / "m.json").write_bytes(manifest)
        (folder / "m.p7s").write_bytes(token)
        arguments = ["verify", str(folder / "m.json"), "--signature", str(folder / "m.p7s")]
        arguments += ["--pdf", str(folder / "a.pdf")]
    done = CliRunner().invoke(app, arguments)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


# -- ways to tamper with a PDF --------------------------------------------------------------------------------------
def appended(change: Callable[[IncrementalPdfFileWriter], None], data: bytes) -> bytes:
    """An incremental update, as any PDF editor makes it."""
    stream = io.BytesIO(data)
    writer = IncrementalPdfFileWriter(stream)
    change(writer)
    writer.write_in_place()
    return stream.getvalue()


def replace_content(writer: IncrementalPdfFileWriter) -> None:
    content = writer.get_object(generic.Reference(4, 0, writer))
    content._data = OTHER
    content._encoded_data = None
    writer.mark_update(generic.Reference(4, 0, writer))


def lift_the_patch(writer: IncrementalPdfFileWriter) -> None:
    """Shadow attack "hide": what covered the page is taken away."""
    page = writer.root["/Pages"]["/Kids"][0]
    page["/Contents"] = generic.ArrayObject([page["/Contents"].raw_get(0)])
    writer.update_container(page)


def add_note(writer: IncrementalPdfFileWriter) -> None:
    page = writer.root["/Pages"]["/Kids"][0]
    note = {"/Type": pdf_name("/Annot"), "/Subtype": pdf_name("/FreeText"), "/Contents": generic.TextStringObject("9")}
    entries = generic.DictionaryObject({pdf_name(name): value for name, value in note.items()})
    entries[pdf_name("/Rect")] = generic.ArrayObject(map(generic.NumberObject, (72, 600, 200, 620)))
    page["/Annots"].append(writer.add_object(entries))
    writer.update_container(page["/Annots"])


def remove_field(name: str, writer: IncrementalPdfFileWriter) -> None:
    fields = writer.root["/AcroForm"]["/Fields"]
    left = [item for item in fields if name not in (item.get_object()["/T"], "*")]
    writer.root["/AcroForm"]["/Fields"] = generic.ArrayObject(left)
    writer.update_container(writer.root["/AcroForm"])


def empty_field(name: str, writer: IncrementalPdfFileWriter) -> None:
    for item in writer.root["/AcroForm"]["/Fields"]:
        if (field := item.get_object())["/T"] == name:
            del field["/V"]
            writer.update_container(field)


def swap_shadow(data: bytes) -> bytes:
    """Shadow attack "hide and replace": only a new cross-reference table, which leads to the unused object."""
    twin = data.index(b"4 0 obj", data.index(b"4 0 obj") + 1)
    last = int(data[data.rindex(b"startxref") + 9 :].split()[0])
    size = int(re.findall(rb"/Size (\d+)", data)[-1])
    start = len(data)
    return (
        data
        + b"xref\n4 1\n%010d 00000 n \ntrailer\n<< /Size %d /Root 1 0 R /Prev %d >>\nstartxref\n%d\n%%%%EOF\n"
        % (
            twin,
            size,
            last,
            start,
        )
    )


def shorten_range(data: bytes) -> bytes:
    """The last signature's ByteRange covers less than it did."""
    at = data.rindex(b"/ByteRange")
    end = data.index(b"]", at)
    first, second, third, fourth = map(int, data[data.index(b"[", at) + 1 : end].split())
    new = b"/ByteRange [%d %d %d %d" % (first, second, third, fourth - 50)
    return data[:at] + new.ljust(end - at) + data[end:]


def without_last_revisions(record: Record) -> bytes:
    """Cut off behind the agency's signature: the archive time-stamp and what validates it are gone."""
    marks = [match.end() for match in re.finditer(rb"%%EOF\n?", record.pdf)]
    return record.pdf[: marks[-3]]


CHANGED = "nội dung đã bị thay đổi sau khi ký"
TAMPERINGS: dict[str, tuple[Callable[[Record], bytes], str]] = {
    "changed byte in the page's content": (lambda r: r.pdf.replace(PAGE, OTHER, 1), CHANGED),
    "page replaced by an update after the last signature": (lambda r: appended(replace_content, r.pdf), CHANGED),
    "page replaced behind the officer's signature": (lambda r: appended(replace_content, r.officer), CHANGED),
    "note laid over the page": (lambda r: appended(add_note, r.pdf), CHANGED),
    "shadow: cover lifted": (lambda r: appended(lift_the_patch, r.pdf), CHANGED),
    "shadow: hidden object swapped": (lambda r: swap_shadow(r.pdf), CHANGED),
    "officer's field removed": (lambda r: appended(partial(remove_field, "NguoiSaoChup"), r.pdf), CHANGED),
    "agency's field removed": (lambda r: appended(partial(remove_field, "CoQuanSaoY"), r.pdf), CHANGED),
    "all fields removed": (lambda r: appended(partial(remove_field, "*"), r.pdf), "đã bị gỡ bỏ"),
    "officer's signature taken out of its field": (
        lambda r: appended(partial(empty_field, "NguoiSaoChup"), r.pdf), CHANGED,
    ),
    "agency's signature taken out of its field": (
        lambda r: appended(partial(empty_field, "CoQuanSaoY"), r.pdf), CHANGED,
    ),
    "cut back to the officer's signature": (lambda r: r.officer, "CHƯA CÓ chữ ký số cơ quan"),
    "archive time-stamp cut off": (without_last_revisions, "THIẾU dấu thời gian lưu trữ"),
    "cut in the middle": (lambda r: r.pdf[: len(r.pdf) // 2], "Không đọc được tệp PDF"),
    "last hundred bytes missing": (lambda r: r.pdf[:-100], "phần cuối tệp bị cắt cụt"),
    "something written behind the end": (lambda r: r.pdf + b"%PDF-1.7\n" + OTHER, "phần cuối tệp bị cắt cụt"),
    "range of the archive time-stamp shortened": (lambda r: shorten_range(r.pdf), "THIẾU dấu thời gian lưu trữ"),
    "range of the officer's signature shortened": (lambda r: shorten_range(r.officer), "KHÔNG hợp lệ"),
}  # fmt: skip


def test_the_record_as_it_is(record: Record, tmp_path: Path) -> None:
    status, text = verify(tmp_path, record.pdf)
    assert status == 0 and "Tất cả 2 chữ ký số hợp lệ" in text
    status, text = verify(tmp_path, record.pdf, manifest=record.manifest, token=record.token)
    assert status == 0 and "Tất cả 3 chữ ký số hợp lệ" in text


@pytest.mark.parametrize("name", TAMPERINGS)
def test_CA08_tampering_with_the_copy_is_found(record: Record, tmp_path: Path, name: str) -> None:
    tamper, sentence = TAMPERINGS[name]
    data = tamper(record)
    assert data != record.pdf
    status, text = verify(tmp_path, data)
    assert status == 2 and sentence in text and "vui lòng" in text, text


def test_CA08_form_filled_after_signing(environment: None, tmp_path: Path) -> None:
    """DocMDP (fill forms) would allow it; a copy of a paper has nothing to fill in."""
    made = make(tmp_path, letter(form=True), Trust())
    assert verify(tmp_path, made.pdf)[0] == 0

    def fill(writer: IncrementalPdfFileWriter) -> None:
        for item in writer.root["/AcroForm"]["/Fields"]:
            if (field := item.get_object())["/T"] == "Tien":
                field["/V"] = generic.TextStringObject("9.000.000")
                writer.update_container(field)

    for data in (made.pdf, made.officer):
        status, text = verify(tmp_path, appended(fill, data))
        assert status == 2 and CHANGED in text


def test_CA01_signed_anew_with_certificates_of_the_same_names(record: Record, foreign: Record, tmp_path: Path) -> None:
    status, text = verify(tmp_path, foreign.pdf)
    assert status == 2 and text.count("không do tổ chức được tin cậy cấp") == 2
    names = [PdfFileReader(io.BytesIO(r.pdf)).embedded_regular_signatures[1].signer_cert for r in (record, foreign)]
    assert names[0].subject == names[1].subject and names[0].public_key.dump() != names[1].public_key.dump()
    status, text = verify(tmp_path, record.pdf, manifest=record.manifest, token=foreign.token)
    assert status == 2 and "(không phải của cơ quan này) KHÔNG hợp lệ" in text
    status, text = verify(tmp_path, foreign.pdf, manifest=foreign.manifest, token=foreign.token)
    assert status == 2 and text.count("không do tổ chức được tin cậy cấp") == 3


@pytest.mark.parametrize(
    "mixed", ["other dossier's", "stale", "other's signature", "changed", "none", "cut", "cut back"]
)
def test_EX17_manifest_and_copy_that_do_not_belong_together(
    record: Record, rescanned: Record, tmp_path: Path, mixed: str
) -> None:
    pdf, manifest, token = record.pdf, record.manifest, record.token
    sentence = "dữ liệu đặc tả này không mô tả tệp PDF kèm theo"
    match mixed:
        case "other dossier's":
            manifest, token = rescanned.manifest, rescanned.token
        case "stale":  # the manifest of the first scan beside the copy of the second
            pdf = rescanned.pdf
        case "other's signature":
            token, sentence = rescanned.token, CHANGED
        case "changed":
            manifest, sentence = manifest.replace(b'"ordinal":1', b'"ordinal":2'), CHANGED
        case "none":
            token, sentence = b"", "Không đọc được chữ ký trên dữ liệu đặc tả"
        case "cut":  # what validates the archive time-stamp: the copy alone doesn't show it
            pdf = record.pdf[: [match.end() for match in re.finditer(rb"%%EOF\n?", record.pdf)][-2]]
            assert verify(tmp_path, pdf)[0] == 0
        case "cut back":
            pdf = record.officer
    status, text = verify(tmp_path, pdf, manifest=manifest, token=token)
    assert status == 2 and sentence in text, text


def test_EX17_the_manifest_fits_a_copy_whose_proof_was_renewed(record: Record, tmp_path: Path) -> None:
    path = tmp_path / "renewed.pdf"
    path.write_bytes(record.pdf)
    run(renew(path, Trust()))
    assert path.read_bytes() != record.pdf
    status, text = verify(tmp_path, path.read_bytes(), manifest=record.manifest, token=record.token)
    assert status == 0, text
