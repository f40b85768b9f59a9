"""Damaged files are accepted or refused with a sentence, never a crash, a hang or greed (CA08; see tests/fuzz.py)."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path

import img2pdf
import pytest
from PIL import Image

from blocks.sandbox import WALL_FACTOR
from blocks.signer import agency_signer, signer_for
from blocks.trust import Trust, run
from tasks.capture import guard
from tasks.signing import sandbox
from tasks.signing.pdf import sign_as_agency, sign_as_officer
from tests import fuzz
from tests.tasks.signing.conftest import signing_settings  # noqa: F401  (for each test)
from tests.tasks.signing.helpers import HEAD, blank_pdf, printed_pdf

PAGE = Path(__file__).parents[1] / "blocks" / "ocr" / "pages" / "s_05CT_p1.jpg"


def intake_seeds() -> list[bytes]:
    """A genuine scan as JPEG, PNG, TIFF and PDF, and a PDF with text."""
    jpeg = PAGE.read_bytes()
    found = [jpeg, img2pdf.convert([jpeg, jpeg]), printed_pdf(HEAD)]
    with Image.open(PAGE) as image:
        for kind in ("PNG", "TIFF"):
            out = io.BytesIO()
            image.resize((600, 850)).save(out, kind)
            found.append(out.getvalue())
    return found


def signed_files(folder: Path) -> list[bytes]:
    """One file with the officer's signature, one with both."""
    officer, agency, trust, now = signer_for("tnhs.01"), agency_signer(), Trust(), datetime.now(UTC)
    path = folder / "seed.pdf"
    path.write_bytes(blank_pdf(pages=2))
    run(sign_as_officer(path, officer, agency, now, trust))
    first = path.read_bytes()
    run(sign_as_agency(path, agency, now, trust))
    return [first, path.read_bytes()]


def test_CA08_intake_of_damaged_files(tmp_path: Path) -> None:
    report = fuzz.fuzz_intake(intake_seeds(), tmp_path, seed=1, most=120)
    assert report.broken == []
    assert sum(report.answers.values()) == 120 and len(report.answers) >= 4, report.answers
    assert report.greediest < fuzz.MEMORY + 50  # the program itself, and at most 500 MB of data (guard.MEMORY)
    assert report.slowest < fuzz.SECONDS * WALL_FACTOR


def test_CA08_verifier_of_damaged_files(tmp_path: Path) -> None:
    report = fuzz.fuzz_verifier(signed_files(tmp_path), tmp_path, seed=1, most=6)
    assert report.broken == []
    assert sum(report.answers.values()) == 6
    assert 50 < report.greediest < sandbox.MEMORY / 2**20 + 150  # data, and the program itself


def test_the_fuzzer_finds_what_it_looks_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(guard, "inspect_guarded", breaks)
    report = fuzz.fuzz_intake([b"abc"], tmp_path, seed=1, most=1)
    assert report.broken and (tmp_path / "broken-1-0").exists()
