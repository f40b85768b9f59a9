"""What a verification tells: officers in Vietnamese, machines in JSON, archives by ETSI TS 119 102-2."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pymupdf
import pytest
from typer.testing import CliRunner

from blocks.signer import Signer
from blocks.trust import Trust, clock, run
from deployments.cli.main import app
from tasks.signing.pdf import AGENCY_FIELD, OFFICER_FIELD, sign_as_agency, sign_as_officer
from tasks.signing.report import etsi_reports, lines, page_pdf
from tasks.signing.verify import verify_pdf
from tests.tasks.signing.helpers import blank_pdf, write


@pytest.fixture
def signed(officer: Signer, agency: Signer, trust: Trust, tmp_path: Path) -> Iterator[Path]:
    path = write(tmp_path / "signed.pdf", blank_pdf())
    run(sign_as_officer(path, officer, agency, clock(), trust))
    run(sign_as_agency(path, agency, clock(), trust))
    yield path


def changed(path: Path) -> Path:
    """One byte of what the officer signed is another."""
    data = bytearray(path.read_bytes())
    data[data.index(b"\n%") + 2] ^= 1  # in the comment that says that the file is binary
    return write(path.with_name("changed.pdf"), bytes(data))


def words(pdf: bytes) -> str:
    with pymupdf.open(stream=pdf) as document:
        assert document.page_count == 1
        return " ".join(document[0].get_text().split())


def test_EX17_one_vietnamese_page_for_officers(signed: Path, trust: Trust) -> None:
    good = verify_pdf(signed, trust)
    page = words(page_pdf(good))
    assert " HỢP LỆ" in page and "KHÔNG" not in page
    assert "Chữ ký số cá nhân (người sao chụp): hợp lệ" in page and "Chữ ký số cơ quan: hợp lệ" in page
    assert good.sha256 in page and "TEST" in page and "Gia hạn dấu thời gian lưu trữ trước ngày" in page
    bad = words(page_pdf(verify_pdf(changed(signed), trust)))
    assert "KHÔNG HỢP LỆ" in bad and "KHÔNG hợp lệ" in bad


def test_EX17_lines_name_certificate_and_level(signed: Path, trust: Trust) -> None:
    text = "\n".join(lines(verify_pdf(signed, trust)))
    assert text.count("Chứng thư số: ") == 2 and "B-LTA (có dấu thời gian lưu trữ" in text


def test_EX17_etsi_reports_say_the_same(signed: Path, trust: Trust) -> None:
    for path, wanted in ((signed, "urn:etsi:019102:mainindication:total-passed"), (changed(signed), "failed")):
        reports = etsi_reports(path, trust)
        assert set(reports) == {OFFICER_FIELD, AGENCY_FIELD}
        for text in reports.values():
            told = [e.text for e in ElementTree.fromstring(text).iter() if e.tag.endswith("MainIndication")]
            assert any(wanted in str(item) for item in told), told


def test_EX17_anyone_can_verify_a_file(signed: Path, tmp_path: Path) -> None:
    runner = CliRunner()
    page, folder = tmp_path / "page.pdf", tmp_path / "etsi"
    good = runner.invoke(app, ["verify", str(signed), "--page", str(page), "--etsi", str(folder)])
    assert good.exit_code == 0 and "hợp lệ" in good.output
    assert "HỢP LỆ" in words(page.read_bytes()) and len(list(folder.glob("*.xml"))) == 2
    machine = runner.invoke(app, ["verify", str(signed), "--json"])
    assert json.loads(machine.output)["valid"] is True
    bad = runner.invoke(app, ["verify", str(changed(signed))])
    assert bad.exit_code == 2 and "đã bị thay đổi" in bad.output
    nothing = runner.invoke(app, ["verify", str(write(tmp_path / "text.pdf", b"no pdf at all"))])
    assert nothing.exit_code == 2 and "Traceback" not in nothing.output
