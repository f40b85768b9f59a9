"""Attacks on the personal signature: who signs, what is signed, and whether the person was there (Điều 8.1)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml
from sqlmodel import col, func, select

from blocks.catalog.staff import load_staff
from blocks.identity import ensure_keys
from blocks.objects import Bucket, ObjectStore, document_key
from blocks.records import RecordsDatabase
from blocks.records.sources import SourceConflict, SourceKind, SourceUnknown, record_source
from blocks.records.tables import AuditEntry, Document, Dossier, Incident, Scan, Signature, Source
from blocks.settings import settings
from deployments.desk.auth.sessions import Officer
from deployments.desk.decisions import why_not
from tasks.capture.document import capture
from tasks.capture.rescan import handed_in
from tasks.intake.hand_in import hand_in
from tasks.intake.inbox import take_folder
from tasks.intake.manifest import MANIFEST
from tasks.intake.names import inbox_key
from tasks.intake.origin import HandInAltered, Origin, by_command
from tasks.intake.submission import register
from tasks.pauses.sign import SIGN, PaperToSign, SignCapture, SignDecision, to_sign
from tasks.pauses.sign import check as check_sign
from tasks.signing.authorised import NotAuthorised, unauthorised
from tasks.signing.sign import sign_capture
from tests.attack.plugin import Attack
from tests.conftest import TestPki
from tests.support.attested import allow_signature, at_desk, gateway_key
from tests.tasks.capture.pages_for_tests import jpeg, paper, scanned
from tests.tasks.capture.test_document import new_document
from tests.tasks.intake.test_submission import PAGES, folder, manifest
from tests.tasks.signing.helpers import blank_pdf


@pytest.fixture
def installation(
    pki: TestPki, records: RecordsDatabase, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[None]:
    """Settings of a test installation; the blocks as the tasks find them."""
    monkeypatch.setenv("SOHOA_INBOX_DIR", str(tmp_path / "inbox"))
    monkeypatch.setattr(RecordsDatabase, "get", staticmethod(lambda: records))
    settings.cache_clear()
    yield
    settings.cache_clear()


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

    def start(self, submission: str, **_: object) -> dict[str, str]:
        self.runs.append(submission)
        return {"id": str(uuid4())}


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
    assert submission and register(records, objects, submission).counter_officer == "tnhs.02"


def test_flow_for_papers_that_nobody_handed_in(attack: Attack, records: RecordsDatabase, objects: ObjectStore) -> None:
    """Whoever can write to the bucket and start a run has handed nothing in."""
    submission = uuid4().hex
    body = yaml.safe_dump(manifest(components=[{"type": "LOCAL:GIAY-RA-VIEN", "pages": 1, "files": []}])).encode()
    objects.put_once(Bucket.INBOX, inbox_key(submission, 1, MANIFEST), body, content_type="application/yaml")
    with attack("flow for a submission without a source", watch=lambda: rows(records)) as told:
        with pytest.raises(SourceUnknown) as refused:
            register(records, objects, submission)
        told.answered(refused.value.code)


@pytest.mark.parametrize("name", ["c1/0001-1.jpg", MANIFEST])
def test_files_swapped_after_the_hand_in(
    attack: Attack, records: RecordsDatabase, objects: ObjectStore, tmp_path: Path, name: str
) -> None:
    papers, id_ = folder(tmp_path, manifest(), PAGES), uuid4().hex
    submission = hand_in(records, objects, papers, by_command(), submission=id_)
    key = inbox_key(submission, 1, name)
    forged = b"another" if name != MANIFEST else yaml.safe_dump(manifest(captured_by="tnhs.02")).encode()
    bucket = objects.bucket_name(Bucket.INBOX)

    def kept() -> int:
        with records.session() as session:
            return session.exec(select(func.count()).select_from(Scan)).one()

    objects.delete(Bucket.INBOX, key)  # with all its versions, as only the worker's key can
    objects.client.put_object(Bucket=bucket, Key=key, Body=forged)
    with attack(f"{name.rpartition('/')[2]} swapped in the inbox bucket before reception", watch=kept) as told:
        with pytest.raises(HandInAltered) as refused:
            register(records, objects, submission)
        told.answered(refused.value.code)
        assert incidents(records) == [HandInAltered.code]
        told.audited(f"incident {HandInAltered.code}")


def test_another_version_over_a_file_after_the_hand_in(
    attack: Attack, records: RecordsDatabase, objects: ObjectStore, tmp_path: Path
) -> None:
    """Who can only add (the gateway's key) changes nothing: what was handed in is taken."""
    papers, id_ = folder(tmp_path, manifest(), PAGES), uuid4().hex
    submission = hand_in(records, objects, papers, by_command(), submission=id_)
    bucket = objects.bucket_name(Bucket.INBOX)
    for name in ("c1/0001-1.jpg", MANIFEST):
        objects.client.put_object(Bucket=bucket, Key=inbox_key(submission, 1, name), Body=b"another")
    with attack("another version over each file in the inbox bucket before reception") as told:
        register(records, objects, submission)
        with records.session() as session:
            taken = {scan.sha256 for scan in session.exec(select(Scan))}
            dossier = session.exec(select(Dossier)).one()
            assert dossier.captured_by != "tnhs.02"
        assert hashlib.sha256(b"another").hexdigest() not in taken and None not in taken
        told.answered("received as it was handed in")
        told.proved("SHA-256 of each scan is that of the hand-in")


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
    assert register(records, objects, id_).counter_officer == "tnhs.01"


def test_source_rewritten_in_the_database(attack: Attack, records: RecordsDatabase) -> None:
    submission = uuid4().hex
    with records.session() as session:
        record_source(session, submission=submission, kind=SourceKind.COMMAND, source="scan", officer="")
    with attack("row of a source changed by SQL", watch=lambda: rows(records)) as told:
        with pytest.raises(Exception, match=r"refused|InsufficientPrivilege") as refused, records.session() as session:
            row = session.exec(select(Source).where(Source.submission == submission)).one()
            row.officer = "tnhs.01"
            session.add(row)
        told.answered(str(refused.value).partition("\n")[0])


# -- the authorisation of a signature -------------------------------------------------------------------------------
@pytest.fixture
def captured(records: RecordsDatabase, objects: ObjectStore, installation: None) -> Captured:
    return Captured(records, objects)


class Captured:
    """A dossier with one captured paper that waits for the personal signature of tnhs.01."""

    def __init__(self, records: RecordsDatabase, objects: ObjectStore) -> None:
        self.records, self.objects = records, objects
        gateway_key()
        self.document = new_document(records, objects, [jpeg(scanned(paper(1)))])
        with records.session() as session:
            dossier = session.get_one(Dossier, session.get_one(Document, self.document).dossier_id)
            dossier.captured_by = "tnhs.01"
            session.add(dossier)
            self.dossier = dossier.id
        assert capture(records, objects, self.document).ok

    def paper(self) -> PaperToSign:
        with self.records.session() as session:
            return to_sign(session, self.dossier)[0]

    def signatures(self) -> int:
        with self.records.session() as session:
            return session.exec(select(func.count()).select_from(Signature)).one()

    def sign(self) -> None:
        sign_capture(self.records, self.objects, self.document)

    def handed_in(self, origin: Origin) -> None:
        """The paper's scan as this origin handed it in."""
        with self.records.session() as session:
            submission = session.get_one(Dossier, self.dossier).submission
            (scan,) = session.exec(select(Scan).where(Scan.document_id == self.document))
            files = {"r1/c1/0001-1.jpg": scan.sha256}
        origin.note(self.records, submission, "r1", files)


def test_signature_that_nobody_allowed(attack: Attack, captured: Captured) -> None:
    with attack("personal signature without any authorisation", watch=captured.signatures) as told:
        with pytest.raises(NotAuthorised) as refused:
            captured.sign()
        told.answered(refused.value.code)
        assert incidents(captured.records) == [NotAuthorised.code]
        told.audited(f"incident {NotAuthorised.code}")


@pytest.mark.parametrize(
    ("attempt", "changed"),
    [
        ("authorisation for the hash of another file", {"sha256": "0" * 64}),
        ("authorisation for another component", {"component": 2}),
        ("authorisation for another capture attempt", {"attempt": 7}),
    ],
)
def test_authorisation_of_something_else(
    attack: Attack, captured: Captured, attempt: str, changed: dict[str, Any]
) -> None:
    allow_signature(captured.records, captured.document, papers=[captured.paper().model_copy(update=changed)])
    with attack(attempt, watch=captured.signatures) as told:
        with pytest.raises(NotAuthorised) as refused:
            captured.sign()
        told.answered(refused.value.code)


@pytest.mark.parametrize(
    ("attempt", "attested"),
    [
        ("authorisation replayed from another dossier's run", {"run": uuid4()}),
        ("authorisation attested for another pause", {"pause": "verification-1"}),
        ("authorisation attested for another form", {"form": "0" * 64}),
        ("authorisation attested for another officer", {"officer": "tnhs.02"}),
    ],
)
def test_proof_that_does_not_fit(attack: Attack, captured: Captured, attempt: str, attested: dict[str, Any]) -> None:
    allow_signature(captured.records, captured.document, **attested)
    with attack(attempt, watch=captured.signatures) as told:
        with pytest.raises(NotAuthorised) as refused:
            captured.sign()
        told.answered(refused.value.code)


@pytest.mark.parametrize("officer", ["tnhs.02", "ld.01"])
def test_another_officer_answers(attack: Attack, captured: Captured, officer: str) -> None:
    """A colleague with the same role, and the leader: neither at the desk nor in the flow."""
    with captured.records.session() as session:
        dossier = session.get_one(Dossier, captured.dossier)
        session.expunge(dossier)
    role = "RECEIVE" if officer.startswith("tnhs") else "LEAD"
    session_of = Officer(officer, frozenset({("BHXH-TEST", role)}))
    answer = SignCapture(decision=SignDecision.KY_SO_CA_NHAN, papers=[captured.paper()], officer=officer)
    with attack(f"pause `sign` answered by {officer}", watch=captured.signatures) as told:
        refusal = why_not(session_of, dossier, SIGN, load_staff())
        assert refusal and check_sign(captured.dossier, answer)
        told.answered(refusal[0])
        allow_signature(captured.records, captured.document, officer=officer)  # past both of them
        with pytest.raises(NotAuthorised):
            captured.sign()


def test_hand_in_that_was_not_attested(attack: Attack, captured: Captured, tmp_path: Path) -> None:
    """A row in the database, and one proven with a key of the attacker's own."""
    own, _ = ensure_keys(tmp_path / "forged")
    captured.handed_in(at_desk("tnhs.01", key=own))
    with attack("hand-in of an officer attested with another key", watch=captured.signatures) as told:
        with pytest.raises(NotAuthorised) as refused:
            captured.sign()
        told.answered(refused.value.code)


def test_hand_in_without_permission_to_sign(attack: Attack, captured: Captured) -> None:
    captured.handed_in(at_desk("tnhs.01", sign=False))
    with attack("hand-in at the desk whose officer didn't allow the signature", watch=captured.signatures) as told:
        assert unauthorised(captured.records, [(captured.document, 1)]) == [captured.document]
        with pytest.raises(NotAuthorised) as refused:
            captured.sign()
        told.answered(refused.value.code)


def test_hand_in_of_a_colleague(attack: Attack, captured: Captured) -> None:
    captured.handed_in(at_desk("tnhs.02"))
    with attack("one officer's hand-in used for another's signature", watch=captured.signatures) as told:
        with pytest.raises(NotAuthorised) as refused:
            captured.sign()
        told.answered(refused.value.code)


def test_captured_file_replaced_after_the_hand_in(attack: Attack, captured: Captured) -> None:
    """Scans and authorisation are right, the built PDF isn't the one that they give."""
    captured.handed_in(at_desk("tnhs.01"))
    assert unauthorised(captured.records, [(captured.document, 1)]) == []
    data = blank_pdf()
    with captured.records.session() as session:
        document = session.get_one(Document, captured.document)
        key = document_key(document.dossier_id, document.id, 1, "forged.pdf")
        stored = captured.objects.put_once(Bucket.WORKING, key, data, content_type="application/pdf")
        document.file_key, document.file_sha256 = key, stored.sha256
        session.add(document)
    with attack("captured PDF replaced in database and bucket", watch=captured.signatures) as told:
        with pytest.raises(NotAuthorised) as refused:
            captured.sign()
        told.answered(refused.value.code)


def test_CA01_what_was_allowed_is_signed(captured: Captured) -> None:
    """The other side: the same paper, allowed with its hand-in, needs no question and gets its signature."""
    captured.handed_in(at_desk("tnhs.01"))
    assert unauthorised(captured.records, [(captured.document, 1)]) == []
    captured.sign()
    assert captured.signatures() == 1
    with captured.records.session() as session:
        signed = session.exec(select(AuditEntry).where(col(AuditEntry.details)["authorised"].as_string() == "r1")).one()
        assert signed.document_id == captured.document
