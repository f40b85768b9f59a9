"""Prefect has forgotten the run of a dossier that has ended, and the same papers are handed in again (CO06).

Whoever hands them in is told what became of the dossier; nothing is started, stored or done anew.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from secrets import token_hex
from typing import Any

import httpx
import pytest
from sqlmodel import col, func, select

from blocks.objects import Bucket
from blocks.records.machine import PublicStatus
from blocks.records.state_names import STATES
from blocks.records.states import DossierState
from blocks.records.tables import AuditEntry, Decision, Dossier
from blocks.settings import gateway_url
from tasks.decisions.proofs import is_proven
from tasks.intake.begin import Ended, begin
from tasks.intake.hand_in import hand_in
from tasks.intake.inbox import KNOWN
from tasks.intake.names import inbox_key
from tasks.intake.origin import by_command
from tests.attack.partner_client import PartnerClient, register
from tests.faults.stack import until
from tests.journeys.conftest import Journey
from tests.journeys.test_partner import papers
from tests.journeys.test_ways_in import dossiers, sohoa
from tests.players.demo import outcome, play
from tests.players.officers import Sample
from tests.players.ways_in import into_inbox, taken

STATUS = PublicStatus.REFUSED.value  # of dossiers that were returned
WAYS = ("desk", "command", "inbox", "partner")


def as_partner(client: PartnerClient, sample: Sample, folder: Path) -> dict[str, Any]:
    """All steps of a case, from its first to its start; the answer to the last."""
    declared, files = papers(sample, folder)
    case = f"BD-{sample.name}"
    assert client.open(case, procedure=declared["procedure"]).status_code in (200, 201)
    for name, data in files.items():
        assert client.put(f"submissions/{case}/r1/{name}", data).status_code in (200, 201)
    assert client.call("PUT", f"submissions/{case}/r1/declaration", json=declared).status_code in (200, 201)
    return dict(client.call("POST", f"submissions/{case}/r1/start").raise_for_status().json())


@pytest.fixture(scope="module")
def partner(played: Journey) -> Iterator[PartnerClient]:
    records = played.officers.records
    secret = register(records, "quen", procedures=["1.001667", "1.001742"], officers=["tnhs.01"])
    with httpx.Client(base_url=gateway_url(), timeout=60) as http:
        yield PartnerClient(http, "quen", secret).sign_in()


@pytest.fixture(scope="module")
def gone(played: Journey, partner: PartnerClient, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Sample]:
    """Way in → a dossier that came by it and was returned, and whose run was deleted in Prefect."""
    samples = {way: played.variant(f"quen-{way}", "16-om-dau-tra-lai") for way in WAYS}
    for way, sample in samples.items():
        if way != "partner":
            played.officers.hand_in(sample, way)
    started = as_partner(partner, samples["partner"], tmp_path_factory.mktemp("partner"))
    samples["partner"].run_id, samples["partner"].submission = started["flow_run_id"], started["submission"]
    states = play(played.officers, list(samples.values()), timeout=900)
    assert set(states.values()) == {"COMPLETED"}
    for sample in samples.values():
        assert played.prefect.call("DELETE", f"/flow_runs/{sample.run_id}").status_code == 204
    return samples


@pytest.fixture
def nothing_anew(played: Journey, gone: dict[str, Sample]) -> Iterator[Callable[[Sample], Dossier]]:
    """Gives the dossier of a sample; afterwards there is no dossier and no run more than before."""

    def known(sample: Sample) -> Dossier:
        found = played.officers.dossier(sample)
        assert found is not None and found.state is DossierState.TRA_LAI and found.code
        assert str(found.flow_run_id) == sample.run_id
        return found

    before = dossiers(played), played.prefect.count(flow="dossier")
    yield known
    assert (dossiers(played), played.prefect.count(flow="dossier")) == before
    assert all(known(sample) for sample in gone.values())


Known = Callable[[Sample], Dossier]


def test_CO06_at_the_counter_the_page_of_the_dossier_opens(
    played: Journey, gone: dict[str, Sample], nothing_anew: Known
) -> None:
    sample = Sample(gone["desk"].folder)
    played.officers.hand_in(sample, "desk")
    assert (sample.submission, sample.run_id) == (gone["desk"].submission, "")
    page = played.officers.at_gateway("tnhs.01").http.get(f"/nop/{sample.submission}", follow_redirects=True)
    dossier = nothing_anew(gone["desk"])
    assert page.status_code == 200 and page.url.path == f"/ho-so/{dossier.id}" and str(dossier.code) in page.text
    assert STATES[dossier.state] in page.text
    assert outcome(sample, played.officers, {}).right  # as `make demo` shows it


def test_CO06_the_command_tells_code_and_state(played: Journey, gone: dict[str, Sample], nothing_anew: Known) -> None:
    done = sohoa("submit", str(gone["command"].folder))
    told = " ".join(done.stdout.split())
    assert done.returncode == 0 and str(nothing_anew(gone["command"]).code) in told and STATUS in told


def test_CO06_a_folder_of_the_inbox_is_told_code_and_state(
    played: Journey, gone: dict[str, Sample], nothing_anew: Known, tmp_path: Path
) -> None:
    again = shutil.copytree(gone["inbox"].folder, tmp_path / "nop-lai")
    place = into_inbox(again, "tnhs.01")
    until(lambda: taken(place))
    told = (place / KNOWN).read_text(encoding="utf-8")
    assert str(nothing_anew(gone["inbox"]).code) in told and STATUS in told


def test_CO06_a_partner_is_told_code_and_state(
    gone: dict[str, Sample], nothing_anew: Known, partner: PartnerClient, tmp_path: Path
) -> None:
    sample, dossier = gone["partner"], nothing_anew(gone["partner"])
    started = as_partner(partner, sample, tmp_path)
    assert (started["submission"], started["flow_run_id"]) == (sample.submission, sample.run_id)
    status = partner.call("GET", f"submissions/BD-{sample.name}").json()
    assert (status["code"], status["status"]) == (dossier.code, STATUS)
    deployment = partner.call("GET", "/api/deployments/name/dossier/integrators").json()["id"]
    body = {"parameters": {"submission": sample.submission}, "idempotency_key": sample.submission}
    for answer in (
        partner.call("POST", f"/api/deployments/{deployment}/create_flow_run", json=body),
        partner.call("GET", f"/api/flow_runs/{sample.run_id}"),
    ):
        run = answer.raise_for_status().json()
        assert (run["id"], run["name"], run["state"]["type"]) == (sample.run_id, dossier.code, "COMPLETED")
        assert run["tags"] == [f"state:{dossier.state.value}"] and dossier.owner_name not in json.dumps(run)


def test_LU06_no_copies_are_stored_again(played: Journey, gone: dict[str, Sample], nothing_anew: Known) -> None:
    officers, sample = played.officers, gone["command"]
    officers.objects.delete_below(Bucket.INBOX, f"{sample.submission}/")  # as each night does
    assert hand_in(officers.records, officers.objects, sample.folder, by_command()) == sample.submission
    assert not officers.objects.exists(Bucket.INBOX, inbox_key(sample.submission, 1, "dossier.yaml"))
    begun = begin(officers.records, officers.prefect, sample.submission)
    dossier = nothing_anew(sample)
    assert begun == Ended(dossier.id, dossier.code, dossier.state, dossier.flow_run_id)


def test_CO06_another_run_of_an_ended_dossier_does_nothing(played: Journey, gone: dict[str, Sample]) -> None:
    """Somebody starts one in Prefect itself."""
    records, sample = played.officers.records, gone["desk"]

    def kept() -> tuple[Dossier | None, int, list[bool]]:
        dossier = played.officers.dossier(sample)
        assert dossier is not None
        with records.session() as session:
            entries = select(func.count()).where(col(AuditEntry.dossier_id) == dossier.id)
            decided = session.exec(select(Decision).where(Decision.dossier_id == dossier.id)).all()
            return dossier, session.exec(entries).one(), [is_proven(session, one) for one in decided]

    before = kept()
    deployment = played.prefect.call("GET", "/deployments/name/dossier/counter").json()["id"]
    body = {"parameters": {"submission": sample.submission}, "idempotency_key": token_hex(16)}
    run = played.prefect.call("POST", f"/deployments/{deployment}/create_flow_run", body).json()["id"]
    until(lambda: played.prefect.run(run)["state_type"] in {"COMPLETED", "FAILED", "CRASHED"})
    steps = {"flow_runs": {"id": {"any_": [run]}}}
    until(lambda: played.prefect.call("POST", "/task_runs/count", steps).json() == 1, 60)  # it looks, no more
    assert played.prefect.run(run)["state_type"] == "COMPLETED"
    assert kept() == before and all(before[2]) and before[2]
    played.prefect.call("DELETE", f"/flow_runs/{run}")
