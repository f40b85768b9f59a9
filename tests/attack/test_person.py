"""Attacks on the personal signature: who signs, what is signed, and whether the person was there (Điều 8.1)."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest
import yaml
from sqlmodel import func, select

from blocks.objects import Bucket, ObjectStore
from blocks.records import RecordsDatabase
from blocks.records.sources import SourceConflict, SourceKind, SourceUnknown, record_source
from blocks.records.tables import Dossier, Incident, Scan, Source
from tasks.inbox import take_folder
from tasks.origin import HandInAltered, Origin, by_command
from tasks.rescan import handed_in
from tasks.submission import MANIFEST, hand_in, inbox_key, register_submission
from tests.attack.plugin import Attack
from tests.tasks.test_submission import PAGES, folder, manifest


def rows(records: RecordsDatabase) -> tuple[int, int]:
    """Dossiers and hand-ins that there are."""
    with records.session() as session:
        return tuple(session.exec(select(func.count()).select_from(table)).one() for table in (Dossier, Source))  # type: ignore[return-value]


def incidents(records: RecordsDatabase) -> list[str]:
    with records.session() as session:
        return sorted(session.exec(select(Incident.code)))


class Started:
    """Prefect, where every run that is started is counted."""

    def __init__(self) -> None:
        self.runs: list[str] = []

    def start(self, submission: str, *, tags: list[str]) -> None:
        self.runs.append(submission)


def put_down(inbox: Path, place: str, **declared: object) -> Path:
    """A dossier in a folder of the inbox."""
    (inbox / place).mkdir(parents=True, exist_ok=True)
    found = folder(inbox / place, manifest(**declared), PAGES)
    return found.rename(found.with_name(uuid4().hex[:8]))


def said(taken: Path) -> str:
    return (taken / "KHONG_TIEP_NHAN.txt").read_text(encoding="utf-8").partition(":")[0]


@pytest.mark.parametrize(
    ("attempt", "place", "declared", "code"),
    [
        ("inbox folder of one officer names another as capturer", "tnhs.01", "tnhs.02", "NOT_THE_CAPTURER"),
        ("folder in the inbox that is bound to nobody", ".", "tnhs.01", "INBOX_NOT_BOUND"),
        ("inbox folder named after an officer who may not receive", "ld.01", "ld.01", "INBOX_NOT_BOUND"),
        ("inbox folder named after nobody of the office", "khach", "tnhs.01", "INBOX_NOT_BOUND"),
    ],
)
def test_inbox_folder_of_another(
    attack: Attack, records: RecordsDatabase, objects: ObjectStore, tmp_path: Path, attempt: str, place: str,
    declared: str, code: str,
) -> None:  # fmt: skip
    inbox, prefect = tmp_path / "inbox", Started()
    put = put_down(inbox, place, captured_by=declared)
    with attack(attempt, watch=lambda: (rows(records), tuple(prefect.runs))) as told:
        assert take_folder(records, objects, prefect, inbox, put) is None  # type: ignore[arg-type]
        told.answered(said(put))
        assert said(put) == code


def test_inbox_folder_that_others_may_write(
    attack: Attack, records: RecordsDatabase, objects: ObjectStore, tmp_path: Path
) -> None:
    inbox, prefect = tmp_path / "inbox", Started()
    put = put_down(inbox, "tnhs.01")
    (inbox / "tnhs.01").chmod(0o777)
    with attack("dossier in an officer's inbox folder that every user may write", watch=lambda: rows(records)) as told:
        assert take_folder(records, objects, prefect, inbox, put) is None  # type: ignore[arg-type]
        told.answered(said(put))
        assert said(put) == "INBOX_NOT_GUARDED" and not prefect.runs
    (inbox / "tnhs.01").chmod(0o755)  # as it should be: it is taken
    submission = take_folder(records, objects, prefect, inbox, put)  # type: ignore[arg-type]
    assert submission and prefect.runs == [submission]


def test_scanner_folder_of_the_list(
    attack: Attack, records: RecordsDatabase, objects: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scanner's folder counts as the officer's to whom the office has given it; the list must be guarded."""
    owners = tmp_path / "inbox.yml"
    owners.write_text("may-quet-1: tnhs.02\n")
    owners.chmod(0o666)
    monkeypatch.setenv("SOHOA_INBOX_FILE", str(owners))
    inbox, prefect = tmp_path / "inbox", Started()
    put = put_down(inbox, "may-quet-1", captured_by=None)
    with attack("list of scanners that every user may write", watch=lambda: rows(records)) as told:
        assert take_folder(records, objects, prefect, inbox, put) is None  # type: ignore[arg-type]
        told.answered(said(put))
        assert said(put) == "INBOX_NOT_GUARDED"
    owners.chmod(0o644)
    submission = take_folder(records, objects, prefect, inbox, put)  # type: ignore[arg-type]
    assert submission and register_submission(records, objects, submission).counter_officer == "tnhs.02"


def test_flow_for_papers_that_nobody_handed_in(attack: Attack, records: RecordsDatabase, objects: ObjectStore) -> None:
    """Whoever can write to the bucket and start a run has handed nothing in."""
    submission = uuid4().hex
    body = yaml.safe_dump(manifest(components=[{"type": "LOCAL:GIAY-RA-VIEN", "pages": 1, "files": []}])).encode()
    objects.put_once(Bucket.INBOX, inbox_key(submission, 1, MANIFEST), body, content_type="application/yaml")
    with attack("flow for a submission without a source", watch=lambda: rows(records)) as told:
        with pytest.raises(SourceUnknown) as refused:
            register_submission(records, objects, submission)
        told.answered(refused.value.code)


@pytest.mark.parametrize("name", ["c1/0001-1.jpg", MANIFEST])
def test_files_swapped_after_the_hand_in(
    attack: Attack, records: RecordsDatabase, objects: ObjectStore, tmp_path: Path, name: str
) -> None:
    papers, id_ = folder(tmp_path, manifest(), PAGES), uuid4().hex
    submission = hand_in(records, objects, papers, by_command(), submission=id_)
    key = inbox_key(submission, 1, name)
    forged = b"another" if name != MANIFEST else yaml.safe_dump(manifest(captured_by="tnhs.02")).encode()
    objects.client.put_object(Bucket=objects.bucket_name(Bucket.INBOX), Key=key, Body=forged)

    def kept() -> int:
        with records.session() as session:
            return session.exec(select(func.count()).select_from(Scan)).one()

    with attack(f"{name.rpartition('/')[2]} swapped in the inbox bucket before reception", watch=kept) as told:
        with pytest.raises(HandInAltered) as refused:
            register_submission(records, objects, submission)
        told.answered(refused.value.code)
        assert incidents(records) == [HandInAltered.code]
        told.audited(f"incident {HandInAltered.code}")


def test_rescan_put_into_the_bucket(attack: Attack, records: RecordsDatabase, objects: ObjectStore) -> None:
    submission = uuid4().hex
    with attack("rescan put into the bucket without a hand-in", watch=lambda: rows(records)) as told:
        key = f"{submission}/rescan/1/2/{1:020d}/0001-1.jpg"
        objects.put_once(Bucket.INBOX, key, b"forged", content_type="image/jpeg")
        with records.session() as session:
            found = handed_in(session, submission, 1, 2)
        told.answered(f"{len(found)} files count")
        assert not found


def test_hand_in_under_another_name(
    attack: Attack, records: RecordsDatabase, objects: ObjectStore, tmp_path: Path
) -> None:
    papers, id_ = folder(tmp_path, manifest(captured_by=None), PAGES), uuid4().hex
    hand_in(records, objects, papers, Origin(SourceKind.SESSION, "tnhs.01", "tnhs.01"), submission=id_)
    with attack("papers of one officer claimed by another afterwards", watch=lambda: rows(records)) as told:
        with pytest.raises(SourceConflict) as refused:
            hand_in(records, objects, papers, Origin(SourceKind.INBOX, "tnhs.02", "tnhs.02"), submission=id_)
        told.answered(refused.value.code)
    assert register_submission(records, objects, id_).counter_officer == "tnhs.01"


def test_source_rewritten_in_the_database(attack: Attack, records: RecordsDatabase) -> None:
    submission = uuid4().hex
    with records.session() as session:
        record_source(session, submission=submission, kind=SourceKind.COMMAND, source="scan", officer="")
    with attack("row of a source changed by SQL", watch=lambda: rows(records)) as told:
        with pytest.raises(Exception, match="refused") as refused, records.session() as session:
            row = session.exec(select(Source).where(Source.submission == submission)).one()
            row.officer = "tnhs.01"
            session.add(row)
        told.answered(str(refused.value).partition("\n")[0])
