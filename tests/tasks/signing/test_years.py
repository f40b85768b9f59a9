"""Do the signatures still stand in ten and in twenty years? Services, clocks and certificates live on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from asn1crypto import cms

from blocks.signer import agency_signer, signer_for
from blocks.trust import CertificateExpired, clock, run
from tasks.signing import cades
from tasks.signing.manifest import sign_detached
from tasks.signing.pdf import renew, sign_as_agency, sign_as_officer
from tasks.signing.verify import verify_manifest, verify_pdf
from tests.tasks.signing.helpers import blank_pdf, write
from tests.tasks.signing.years import Years, living, years_from_now


@pytest.fixture(scope="module")
def years(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Years]:
    with living(tmp_path_factory.mktemp("years")) as made:
        yield made


def sign(years: Years, path: Path) -> tuple[Path, bytes, bytes]:
    """Today's record: the PDF with both signatures, the manifest and its signature."""
    years.travel(years_from_now(0))
    officer, agency, trust = signer_for("tnhs.01", years.folder), agency_signer(years.folder), years.trust()
    write(path, blank_pdf())
    run(sign_as_officer(path, officer, agency, clock(), trust))
    run(sign_as_agency(path, agency, clock(), trust))
    data = b'{"pdf":{"sha256":"%s"}}' % hashlib.sha256(path.read_bytes()).hexdigest().encode()
    return path, data, run(sign_detached(data, agency, trust))


def renewed(years: Years, service: str, path: Path, data: bytes, token: bytes) -> bytes:
    trust = years.trust(service)
    run(renew(path, trust))
    return bytes(run(cades.archive(cms.ContentInfo.load(token), data, trust)).dump())


def test_LU06_signatures_and_data_stand_after_ten_and_twenty_years(years: Years, tmp_path: Path) -> None:
    path, data, token = sign(years, tmp_path / "record.pdf")
    today = path.read_bytes()
    assert verify_pdf(path, years.trust()).renew_before < years_from_now(10.1)  # type: ignore[operator]

    years.travel(years_from_now(9))
    token = renewed(years, "tsa2", path, data, token)
    assert path.read_bytes().startswith(today)  # what was signed is never touched

    years.travel(years_from_now(10.2))  # officer, agency and the first time-stamp service are long expired
    for verdict in (verify_pdf(path, years.trust()), verify_manifest(data, token, years.trust())):
        assert verdict.valid, verdict
        assert [item.level for item in verdict.signatures] in (["B-LTA", "B-LTA"], ["B-LTA"])

    years.travel(years_from_now(19))
    token = renewed(years, "tsa3", path, data, token)
    years.travel(years_from_now(20.1))  # and so are the second service and the issuing authority
    verdict = verify_pdf(path, years.trust())
    assert verdict.valid and len(verdict.signatures) == 2, verdict
    assert {item.role for item in verdict.signatures} == {"OFFICER", "AGENCY"}
    found = verify_manifest(data, token, years.trust())
    assert found.valid and found.of("MANIFEST").level == "B-LTA", found  # type: ignore[union-attr]
    assert not verify_manifest(data + b" ", token, years.trust()).valid


def test_LU06_without_renewal_nothing_is_claimed(years: Years, tmp_path: Path) -> None:
    """The control: the same record, never renewed, is not valid when the time-stamp service has expired."""
    path, data, token = sign(years, tmp_path / "record.pdf")
    years.travel(years_from_now(10.2))
    assert not verify_pdf(path, years.trust()).valid
    assert not verify_manifest(data, token, years.trust()).valid


def test_LU06_renewed_too_late_is_refused(years: Years, tmp_path: Path) -> None:
    path, data, token = sign(years, tmp_path / "record.pdf")
    before = path.read_bytes()
    years.travel(years_from_now(10.2))
    with pytest.raises(CertificateExpired):
        run(renew(path, years.trust("tsa2")))
    with pytest.raises(CertificateExpired):
        run(cades.archive(cms.ContentInfo.load(token), data, years.trust("tsa2")))
    assert path.read_bytes() == before


def test_time_stamp_of_another_manifest_proves_nothing(years: Years, tmp_path: Path) -> None:
    """An archive time-stamp that is moved into another signature covers nothing there."""
    years.travel(years_from_now(0))
    agency, trust = agency_signer(years.folder), years.trust()
    one, other = (cms.ContentInfo.load(run(sign_detached(data, agency, trust))) for data in (b"one", b"other"))
    stamp = [a for a in other["content"]["signer_infos"][0]["unsigned_attrs"] if a["type"].native == cades.ARCHIVE]
    signer = one["content"]["signer_infos"][0]
    kept = [a for a in signer["unsigned_attrs"] if a["type"].native != cades.ARCHIVE]
    signer["unsigned_attrs"] = cms.CMSAttributes([*kept, *stamp])
    swapped = cms.ContentInfo({"content_type": "signed_data", "content": one["content"].copy()}).dump()
    found = verify_manifest(b"one", swapped, trust)
    assert found.signatures[0].level != "B-LTA"
