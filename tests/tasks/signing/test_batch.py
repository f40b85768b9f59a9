"""The papers of a dossier signed with one authorisation: a real signing service, failures beside successes."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import pytest
from sqlmodel import select

from blocks.errors import InvalidTransition
from blocks.objects import Bucket, ObjectStore
from blocks.records import RecordsDatabase
from blocks.records.states import DocumentState, SignatureRole
from blocks.records.tables import Document, Signature, SigningRequest
from blocks.signer import PinRefused, RemoteUnavailable, SignerUnknown
from blocks.trust import Trust
from tasks.pauses.facts import unconfirmed
from tasks.signing.batch import sign_captures, sign_results
from tasks.signing.verdicts import as_table
from tasks.signing.verify import verify_pdf
from tests.conftest import TestPki
from tests.support.csc_server import MULTISIGN, PIN, control
from tests.tasks.signing.test_deferred import Listing, csc, listed  # noqa: F401  (fixtures)
from tests.tasks.signing.test_steps import Case

Make = Callable[[int], tuple[Case, list[UUID]]]


@pytest.fixture
def papers(records: RecordsDatabase, objects: ObjectStore) -> Make:
    """A dossier with so many captured papers."""

    def make(count: int) -> tuple[Case, list[UUID]]:
        case = Case(records, objects)
        return case, [case.id, *(case.another(ordinal) for ordinal in range(2, count + 1))]

    return make


@pytest.fixture
def pin(listed: Listing, csc: str, monkeypatch: pytest.MonkeyPatch) -> Listing:  # noqa: F811
    monkeypatch.setenv("CSC_PIN", PIN)
    listed(pin="env:CSC_PIN")
    control(csc, pin=PIN, reset=True)
    return listed


def signatures(case: Case, role: SignatureRole = SignatureRole.OFFICER) -> dict[UUID, Signature]:
    with case.records.session() as session:
        rows = session.exec(select(Signature).join(Document).where(Document.dossier_id == case.dossier_id)).all()
    return {row.document_id: row for row in rows if row.role is role}


def require_valid(case: Case, ids: list[UUID], trust: Trust) -> None:
    rows = signatures(case)
    assert set(rows) == set(ids)
    for row in rows.values():
        [found] = verify_pdf(case.objects.read(Bucket.WORKING, row.object_key, sha256=row.sha256), trust).signatures
        assert (found.valid, found.level, found.role) == (True, "B-LT", "OFFICER")


def test_CA01_one_authorisation_for_the_papers_of_a_dossier(
    papers: Make, pin: Listing, csc: str, trust: Trust  # noqa: F811
) -> None:  # fmt: skip
    case, ids = papers(MULTISIGN + 2)
    batch = sign_captures(case.records, case.objects, ids)
    batch.require()
    assert set(batch.signed) == set(ids) and not batch.waiting
    counts = control(csc)
    assert (counts["authorize"], counts["sign"], counts["hashes"]) == (2, 2, MULTISIGN + 2)  # 10 + 2
    require_valid(case, ids, trust)
    again = sign_captures(case.records, case.objects, ids)
    assert all(report.already for reports in again.signed.values() for report in reports)
    assert control(csc)["hashes"] == MULTISIGN + 2


def test_CA01_what_fails_leaves_the_others_alone(
    papers: Make, pin: Listing, csc: str, trust: Trust  # noqa: F811
) -> None:  # fmt: skip
    case, ids = papers(5)
    broken, early = ids[1], ids[3]
    with case.records.session() as session:
        document = session.get_one(Document, broken)
        good = document.file_sha256
        document.file_sha256 = "0" * 64
        session.add(document)
    case.move(DocumentState.CHUP_LAI, document=early)
    batch = sign_captures(case.records, case.objects, ids)
    assert set(batch.failed) == {broken, early} and isinstance(batch.failed[early], InvalidTransition)
    assert control(csc)["authorize"] == 1
    left = [one for one in ids if one not in (broken, early)]
    require_valid(case, left, trust)
    with pytest.raises(type(batch.failed[broken])):
        batch.require()
    rows = as_table(case.records, batch).splitlines()[2:]
    assert [row.split(" | ")[0] for row in rows] == ["| 1", "| 2", "| 3", "| 4", "| 5"]
    assert "| PAdES-B-LT | hợp lệ | " in rows[0] and rows[0].endswith(" +07:00 | TEST |")
    assert f"chưa ký: `{batch.failed[broken].code}`" in rows[1] and "hợp lệ" not in rows[3]

    with case.records.session() as session:  # mended: only that one is signed
        document = session.get_one(Document, broken)
        document.file_sha256 = good
        session.add(document)
    sign_captures(case.records, case.objects, [*left, broken]).require()
    require_valid(case, [*left, broken], trust)
    assert control(csc)["hashes"] == 4


@pytest.mark.parametrize(("mode", "refusal"), [("down", RemoteUnavailable), ("pin", PinRefused)])
def test_CA01_a_service_that_refuses_signs_nothing_and_loses_nothing(
    papers: Make, pin: Listing, csc: str, trust: Trust, mode: str, refusal: type[Exception],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    case, ids = papers(3)
    if mode == "pin":
        monkeypatch.setenv("CSC_PIN", "00000000")
    control(csc, mode="ok" if mode == "pin" else mode)
    batch = sign_captures(case.records, case.objects, ids)
    assert set(batch.failed) == set(ids) and all(isinstance(error, refusal) for error in batch.failed.values())
    counts = control(csc, mode="ok")
    assert counts["authorize"] == 1 and counts["pins"] == (mode == "pin") and not signatures(case)
    monkeypatch.setenv("CSC_PIN", PIN)
    sign_captures(case.records, case.objects, ids).require()
    require_valid(case, ids, trust)


def test_CA01_one_confirmation_on_the_phone_for_a_dossier(
    papers: Make, listed: Listing, csc: str, trust: Trust  # noqa: F811
) -> None:  # fmt: skip
    case, ids = papers(3)
    control(csc, mode="pending")
    for asked in (1, 2):
        batch = sign_captures(case.records, case.objects, ids)
        batch.require()
        assert batch.waiting == ids and control(csc)["authorize"] == asked
    with case.records.session() as session:
        assert len({row.state["group"] for row in session.exec(select(SigningRequest))}) == 1
    late = case.another(4)  # a paper that comes later is another request: the first stays as the service knows it
    sign_captures(case.records, case.objects, [*ids, late])
    assert control(csc)["authorize"] == 4
    control(csc, mode="ok")
    sign_captures(case.records, case.objects, [*ids, late]).require()
    require_valid(case, [*ids, late], trust)
    assert control(csc)["hashes"] == 4


def test_CA01_declined_on_the_phone_is_asked_again_when_an_officer_says_so(
    papers: Make, listed: Listing, csc: str, trust: Trust  # noqa: F811
) -> None:  # fmt: skip
    case, ids = papers(2)
    control(csc, mode="declined")
    assert sign_captures(case.records, case.objects, ids).waiting == ids
    assert unconfirmed(case.dossier_id, SignatureRole.OFFICER) == [(1, True), (2, True)]
    control(csc, mode="pending")
    assert sign_captures(case.records, case.objects, ids).waiting == ids
    assert unconfirmed(case.dossier_id, SignatureRole.OFFICER) == [(1, False), (2, False)]
    control(csc, mode="ok")
    sign_captures(case.records, case.objects, ids).require()
    require_valid(case, ids, trust)


def at_signoff(papers: Make) -> tuple[Case, list[UUID]]:
    """Three papers, signed by the officer and read, that wait for the agency's signature."""
    case, ids = papers(3)
    sign_captures(case.records, case.objects, ids).require()
    for one in ids:
        case.field("title", "Giấy ra viện", document=one)
    case.to_signoff(ids)
    return case, ids


def test_EX17_the_agency_signs_copies_and_data_with_two_authorisations(
    papers: Make, listed: Listing, csc: str, trust: Trust, pki: TestPki, monkeypatch: pytest.MonkeyPatch  # noqa: F811
) -> None:  # fmt: skip
    monkeypatch.setenv("CSC_PIN", PIN)
    listed(kind="soft", key="keys/tnhs.01.pem")
    case, ids = at_signoff(papers)
    listed(agency={"kind": "csc", "url": csc, "credential": "test/agency", "token": "env:CSC_TOKEN",
                   "pin": "env:CSC_PIN", "certificate": "certs/agency.pem"})  # fmt: skip
    control(csc, pin=PIN, reset=True)
    batch = sign_results(case.records, case.objects, ids)
    batch.require()
    assert [report.level for report in batch.signed[ids[0]]] == ["PAdES-B-LTA", "CAdES-B-LTA"]
    counts = control(csc)
    assert (counts["authorize"], counts["hashes"]) == (2, 6)
    assert set(signatures(case, SignatureRole.AGENCY)) == set(signatures(case, SignatureRole.MANIFEST)) == set(ids)


def test_EX17_the_agency_is_never_asked_on_a_phone(papers: Make, listed: Listing, csc: str) -> None:  # noqa: F811
    case, ids = papers(1)
    listed(agency={"kind": "csc", "url": csc, "credential": "test/agency", "certificate": "certs/agency.pem"})
    with pytest.raises(SignerUnknown, match="mã PIN"):
        sign_results(case.records, case.objects, ids)
    assert control(csc)["authorize"] == 0


def test_CA01_a_token_keeps_its_session_for_the_batch(papers: Make, listed: Listing, trust: Trust) -> None:  # noqa: F811
    """The agency's key lies on SoftHSM; soft keys sign one after the other."""
    listed(kind="soft", key="keys/tnhs.01.pem")
    case, ids = at_signoff(papers)
    sign_results(case.records, case.objects, ids).require()
    assert len(signatures(case, SignatureRole.AGENCY)) == len(signatures(case, SignatureRole.MANIFEST)) == 3
