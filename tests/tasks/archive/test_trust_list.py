"""The list of trusted certificates: read from folders, each change noted once and brought before a person (CA01)."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from sqlmodel import select

from blocks.records import RecordsDatabase
from blocks.records.audit import verify_chain
from blocks.records.tables import AuditEntry, Incident
from blocks.trust import Trust, TrustListUnreadable, clock
from tasks.archive.trust_list import as_table, review_trust_list
from tests.conftest import TestPki


@pytest.fixture
def folder(pki: TestPki, tmp_path: Path) -> Path:
    """Copies of the test PKI's lists, to be changed."""
    for name in ("anchors", "intermediates"):
        shutil.copytree(pki.folder / name, tmp_path / name)
    return tmp_path


def noted(records: RecordsDatabase) -> tuple[int, int]:
    """(entries in the trail, open incidents)."""
    with records.session() as session:
        entries = session.exec(select(AuditEntry).where(AuditEntry.action == "trust_list")).all()
        assert verify_chain(session) == []
        return len(entries), len(session.exec(select(Incident)).all())


def test_CA01_the_first_look_is_noted_and_no_incident(records: RecordsDatabase, folder: Path) -> None:
    trust = Trust(folder=folder)
    report = review_trust_list(records, trust)
    assert report.first and not report.changed
    assert len(report.certificates) == len(trust.anchors) + len(trust.intermediates) > 1
    assert noted(records) == (1, 0)
    again = review_trust_list(records, trust)
    assert not again.first and not again.added and noted(records) == (1, 0)


def test_CA01_what_comes_and_goes_is_an_incident_once(records: RecordsDatabase, folder: Path, pki: TestPki) -> None:
    trust = Trust(folder=folder)
    review_trust_list(records, trust)
    shutil.copy(next(iter(sorted((pki.folder / "certs").glob("tsa*.pem")))), folder / "anchors" / "foreign.pem")
    grown = review_trust_list(records, trust)  # the same process: the folder is read again
    assert grown.changed and len(grown.added) == 1 and not grown.removed
    assert "MỚI" in as_table(grown) and noted(records) == (2, 1)
    (folder / "anchors" / "foreign.pem").unlink()
    shrunk = review_trust_list(records, trust)
    assert shrunk.removed == grown.added and f"Đã bị bỏ: `{grown.added[0]}`" in as_table(shrunk)
    assert noted(records) == (3, 1)  # one open incident until a person has looked


def test_CA01_certificates_near_their_end_are_named(records: RecordsDatabase, folder: Path) -> None:
    trust = Trust(folder=folder)
    ends = max(item.not_valid_after for item in (*trust.anchors, *trust.intermediates))
    assert "sắp hết hạn" in as_table(review_trust_list(records, trust, ends - timedelta(days=30)))
    late = review_trust_list(records, trust, ends + timedelta(days=1))
    assert len(late.expired) == len(late.certificates) and "ĐÃ HẾT HẠN" in as_table(late)
    assert not review_trust_list(records, trust, clock()).expired


@pytest.mark.parametrize(
    "content", [b"", b"no certificate", b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"]
)
def test_CA01_a_broken_file_is_named_and_never_skipped(folder: Path, content: bytes) -> None:
    (folder / "anchors" / "broken.pem").write_bytes(content)
    with pytest.raises(TrustListUnreadable, match=r"broken\.pem"):
        _ = Trust(folder=folder).anchors


def test_CA01_a_missing_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(TrustListUnreadable, match="anchors"):
        _ = Trust(folder=tmp_path).anchors
