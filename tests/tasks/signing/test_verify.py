"""Valid is said valid, by our verdict and by pdfsig; every tampering is found (CA08)."""

from __future__ import annotations

import io
import shutil
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pikepdf
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation.ades import simulate_future_ades_lta_validation

from blocks.signer import Signer
from blocks.trust import CertificateRefused, TimestampRefused, TimestampUnavailable, Trust, run
from tasks.signing import verify
from tasks.signing.errors import AlreadySigned, AppearanceDoesNotFit, FieldMissing, Unsignable
from tasks.signing.pdf import AGENCY_FIELD, sign_as_agency, sign_as_officer
from tasks.signing.verify import Verdict, verify_again, verify_pdf
from tests.tasks.signing.helpers import blank_pdf, write

CAPTURED = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)


@pytest.fixture
def signed(officer: Signer, agency: Signer, trust: Trust, tmp_path: Path) -> Iterator[Path]:
    """Both signatures at the levels for archives."""
    path = write(tmp_path / "signed.pdf", blank_pdf(pages=2))
    run(sign_as_officer(path, officer, agency, CAPTURED, trust))
    run(sign_as_agency(path, agency, CAPTURED, trust))
    yield path


def test_EX17_both_signatures_are_valid(signed: Path, trust: Trust) -> None:
    verdict = verify_pdf(signed, trust)
    assert verdict.valid and verdict.code == "OK"
    officer, agency = verdict.of("OFFICER"), verdict.of("AGENCY")
    assert officer and agency
    assert officer.certification and not agency.certification
    assert (officer.level, agency.level) == ("B-LTA", "B-LTA")
    assert (officer.modification, agency.modification) == ("FORM_FILLING", "LTA_UPDATES")
    assert (officer.revision, agency.revision, officer.revisions) == (2, 4, 6)
    assert all(item.test and "TEST" in item.sentence and "hợp lệ" in item.sentence for item in verdict.signatures)
    assert all(item.signed_at and abs((datetime.now(UTC) - item.signed_at).total_seconds()) < 120
               for item in verdict.signatures)  # fmt: skip
    with pikepdf.open(signed) as pdf:
        assert pdf.check_pdf_syntax() == []
        assert pdf.open_metadata().pdfa_status == "2B"


@pytest.mark.skipif(shutil.which("pdfsig") is None, reason="pdfsig (poppler-utils) is not installed")
def test_EX17_pdfsig_agrees(signed: Path) -> None:
    told = subprocess.run(["pdfsig", str(signed)], capture_output=True, text=True).stdout
    assert told.count("Signature is Valid.") == 2
    assert "NguoiSaoChup" in told and "CoQuanSaoY" in told


def test_CA08_officer_signature_alone_then_changed(
    officer: Signer, agency: Signer, trust: Trust, tmp_path: Path
) -> None:
    path = write(tmp_path / "officer.pdf", blank_pdf())
    run(sign_as_officer(path, officer, agency, CAPTURED, trust))
    verdict = verify_pdf(path, trust)
    assert verdict.valid and verdict.signatures[0].level == "B-LT"
    with path.open("r+b") as stream:  # a new page, appended as an increment
        writer = IncrementalPdfFileWriter(stream)
        page = generic.DictionaryObject({generic.pdf_name("/Type"): generic.pdf_name("/Page")})
        page[generic.pdf_name("/MediaBox")] = generic.ArrayObject(map(generic.NumberObject, (0, 0, 100, 100)))
        writer.insert_page(page)
        writer.write_in_place()
    verdict = verify_pdf(path, trust)
    assert not verdict.valid and verdict.signatures[0].code == "CHANGED"
    assert "đã bị thay đổi" in verdict.signatures[0].sentence and "vui lòng" in verdict.signatures[0].sentence


def test_CA08_rewritten_file(signed: Path, trust: Trust) -> None:
    out = io.BytesIO()
    with pikepdf.open(signed) as pdf:
        pdf.save(out)
    assert not verify_pdf(out.getvalue(), trust).valid


def test_CA08_any_changed_byte_is_found(signed: Path, trust: Trust) -> None:
    """One byte anywhere in what the agency signed: no error, no hang, and never a valid signature of the agency."""
    data = signed.read_bytes()
    agency = next(
        item for item in PdfFileReader(io.BytesIO(data)).embedded_regular_signatures if item.field_name == AGENCY_FIELD
    )
    _, first, second, length = (int(value) for value in agency.byte_range)
    assert first > 0.3 * len(data)

    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.integers(0, first + length - 1), st.integers(1, 255))
    def changed(place: int, mask: int) -> None:
        place += second - first if place >= first else 0
        other = bytearray(data)
        other[place] ^= mask
        found = verify_pdf(bytes(other), trust).of("AGENCY")
        assert found is None or not found.valid

    changed()


def test_CA08_a_look_a_moment_ago_counts_for_the_same_bytes_only(
    signed: Path, trust: Trust, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between signing and locking away nothing is validated twice, and nothing else passes for what was."""
    looked: list[Path | bytes] = []

    def look(source: Path | bytes, believed: Trust) -> Verdict:
        looked.append(source)
        return verify_pdf(source, believed)

    monkeypatch.setattr(verify, "verify_pdf", look)
    first = verify_again(signed, trust)
    assert first.valid and verify_again(signed.read_bytes(), trust) == first
    assert looked == [signed]
    first.valid = False  # whoever changes what he was told changes nothing for others
    assert verify_again(signed, trust).valid
    changed = bytearray(signed.read_bytes())
    changed[len(changed) // 3] ^= 1
    assert not verify_again(bytes(changed), trust).valid
    stranger = Trust(folder=tmp_path, tsa_url=trust.tsa_url)  # believes nobody
    (tmp_path / "anchors").mkdir()
    (tmp_path / "intermediates").mkdir()
    assert not verify_again(signed, stranger).valid
    assert len(looked) == 3
    verify._lately.expire(time.monotonic() + 250)
    assert verify_again(signed, trust).valid and len(looked) == 3
    verify._lately.expire(time.monotonic() + 301)  # as if five minutes had passed
    assert verify_again(signed, trust).valid and len(looked) == 4
    for _ in range(2):  # what was not valid is looked at each time: a service may have been away
        assert not verify_again(bytes(changed), trust).valid
    assert len(looked) == 6


def test_EX17_both_signatures_stand_in_nine_years(signed: Path, trust: Trust) -> None:
    """Simulated: the certificates have expired, the material in the file and its archive time-stamp prove them."""
    later = datetime.now(UTC) + timedelta(days=9 * 365)

    async def simulate() -> list[str]:
        reader = PdfFileReader(io.BytesIO(signed.read_bytes()))
        return [
            (await simulate_future_ades_lta_validation(item, trust.specification(), later)).ades_subindic.name
            for item in reader.embedded_regular_signatures
        ]

    assert run(simulate()) == ["OK", "OK"]


@pytest.mark.parametrize("data", [b"", b"%PDF-1.7\n", b"\x89PNG\r\n\x1a\n", b"%PDF-1.7\n" + b"\0" * 5000])
def test_verdict_about_a_damaged_file(data: bytes, trust: Trust) -> None:
    verdict = verify_pdf(data, trust)
    assert not verdict.valid and verdict.code == "PDF_DAMAGED"


def test_verdict_about_an_unsigned_file(trust: Trust) -> None:
    assert verify_pdf(blank_pdf(), trust).code == "NOT_SIGNED"


def test_CA10_nothing_is_signed_twice(signed: Path, officer: Signer, agency: Signer, trust: Trust) -> None:
    before = signed.read_bytes()
    with pytest.raises(AlreadySigned):
        run(sign_as_officer(signed, officer, agency, CAPTURED, trust))
    with pytest.raises(FieldMissing):
        run(sign_as_agency(signed, agency, CAPTURED, trust))
    assert signed.read_bytes() == before


def test_EX17_agency_only_after_the_officer(agency: Signer, trust: Trust, tmp_path: Path) -> None:
    with pytest.raises(FieldMissing):
        run(sign_as_agency(write(tmp_path / "a.pdf", blank_pdf()), agency, CAPTURED, trust))


def test_EX17_longer_agency_name_is_refused_not_shrunk(
    officer: Signer, agency: Signer, trust: Trust, tmp_path: Path
) -> None:
    class Renamed:
        certificate, test = agency.certificate, agency.test
        open = staticmethod(agency.open)

        def __init__(self, name: str) -> None:
            self.name = name

    path = write(tmp_path / "a.pdf", blank_pdf())
    run(sign_as_officer(path, officer, Renamed("BHXH"), CAPTURED, trust, long_term=False))
    with pytest.raises(AppearanceDoesNotFit):
        run(sign_as_agency(path, Renamed("BẢO HIỂM XÃ HỘI TỈNH BÀ RỊA – VŨNG TÀU MỞ RỘNG"), CAPTURED, trust))


def test_damaged_pdf_is_refused(officer: Signer, agency: Signer, trust: Trust, tmp_path: Path) -> None:
    with pytest.raises(Unsignable):
        run(sign_as_officer(write(tmp_path / "a.pdf", b"%PDF-1.7\nno"), officer, agency, CAPTURED, trust))


@pytest.mark.parametrize("who", ["expired", "not-yet-valid", "revoked", "wrong-usage", "unknown-issuer"])
def test_CA01_bad_certificate_leaves_the_file_alone(who: str, agency: Signer, trust: Trust, tmp_path: Path) -> None:
    from blocks.signer import signer_for

    path = write(tmp_path / "a.pdf", blank_pdf())
    before = path.read_bytes()
    with pytest.raises(CertificateRefused):
        run(sign_as_officer(path, signer_for(who), agency, CAPTURED, trust))
    assert path.read_bytes() == before


def test_CA02_no_signature_without_a_time_stamp(
    officer: Signer, agency: Signer, trust: Trust, tmp_path: Path, pki: object
) -> None:
    path = write(tmp_path / "a.pdf", blank_pdf())
    closed = Trust(tsa_url="http://127.0.0.1:1/", timeout=0.5)
    with pytest.raises(TimestampUnavailable):
        run(sign_as_officer(path, officer, agency, CAPTURED, closed))
    wrong = Trust(tsa_url=f"{pki.url}/nothing/here", timeout=5)  # type: ignore[attr-defined]
    with pytest.raises(TimestampRefused):
        run(sign_as_officer(path, officer, agency, CAPTURED, wrong))
    assert not verify_pdf(path, trust).valid
