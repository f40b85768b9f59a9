"""A partner's program at the gateway: it is told what its dossiers lack, sends it, and hears how they end.

It has what an integrator has: id and secret, docs/en/integrators.md, a server that takes call-backs. Officers act at
the desk; the clock that sends the call-backs is started by hand, so that nobody waits for its minute.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from blocks.orchestrator import Orchestrator
from blocks.records.machine import PublicStatus
from blocks.settings import gateway_url
from tests.attack.partner_client import PartnerClient, Receiver, example, register
from tests.faults.stack import until
from tests.journeys.conftest import Journey
from tests.journeys.test_ways_in import as_partner, sohoa
from tests.players.demo import play
from tests.players.officers import COUNTER, Sample
from tests.samples import badfiles

Answer = dict[str, Any]
Files = dict[str, bytes]  # name below the part → content


@dataclass
class Program(PartnerClient):
    """It names its cases by its own ids and knows of them what the interface tells."""

    receiver: Receiver = field(kw_only=True)
    prefect: Orchestrator = field(kw_only=True)  # for the clock only
    heard: dict[str, Answer] = field(default_factory=dict)  # event by its id

    def twice(self, ask: Callable[[], httpx.Response]) -> Answer:
        """Every request again, as after a lost answer: the same answer."""
        first, second = ask(), ask()
        assert first.status_code in (200, 201) and second.status_code == 200, first.text + second.text
        assert first.json() == second.json()
        return dict(first.json())

    def send(self, case: str, part: str, files: Files) -> None:
        for name, data in files.items():
            place = f"submissions/{case}/{part}/{name}"
            self.twice(lambda place=place, data=data: self.put(place, data))  # type: ignore[misc]

    def declare(self, case: str, part: str, declared: Answer) -> Answer:
        return self.twice(lambda: self.call("PUT", f"submissions/{case}/{part}/declaration", json=declared))

    def start(self, case: str, part: str) -> Answer:
        return self.twice(lambda: self.call("POST", f"submissions/{case}/{part}/start"))

    def hand_in_as(self, case: str, declared: Answer, files: Files) -> Answer:
        self.twice(lambda: self.open(case, procedure=declared["procedure"]))
        self.send(case, "r1", files)
        assert self.declare(case, "r1", declared)["missing"] == []
        return self.start(case, "r1")

    def status(self, case: str) -> Answer:
        return dict(self.call("GET", f"submissions/{case}").raise_for_status().json())

    def polls(self, case: str, wanted: Callable[[Answer], object]) -> Answer:
        """Every half a second: one has so many requests a minute."""
        deadline = time.monotonic() + 240
        while not wanted(told := self.status(case)):
            assert time.monotonic() < deadline, told
            time.sleep(0.5)
        return told

    def hears(self, case: str, wanted: Callable[[Answer], object]) -> Answer:
        """What the newest call-back about this case says, once it is that."""
        clock = self.prefect.call("GET", "/deployments/name/partners/callbacks").json()["id"]

        def came() -> bool:
            run = self.prefect.call("POST", f"/deployments/{clock}/create_flow_run", {}).json()["id"]
            until(lambda: self.prefect.run(run)["state_type"] in {"COMPLETED", "CANCELLED"})
            self._take()
            return bool(self.events(case) and wanted(self.events(case)[-1]))

        until(came, why=lambda: json.dumps(self.heard, ensure_ascii=False))
        return self.events(case)[-1]

    def events(self, case: str) -> list[Answer]:
        mine = [event for event in self.heard.values() if event["data"]["reference"] == case]
        return [event["data"] for event in sorted(mine, key=lambda event: int(event["sequence"]))]

    def _take(self) -> None:
        """What has come, checked as the documentation says."""
        known: dict[str, Any] = {}
        exec(example("callback-example"), known)
        key = self.http.get("/api/partners/v1/key").json()["public_key"]  # needs no token
        while self.receiver.got:
            headers, body = self.receiver.got.pop(0)
            known["check"](key, headers, body)
            event = json.loads(body)
            assert event["id"] == headers["webhook-id"] and event["type"] == "submission.changed"
            assert event["id"] not in self.heard  # what was taken doesn't come again
            self.heard[event["id"]] = event


@pytest.fixture(scope="module")
def program(played: Journey) -> Iterator[Program]:
    """Registered by the administrator's command; then id and secret alone."""
    receiver = Receiver()
    host = f"127.0.0.1:{receiver.server_port}"
    bounds = ["--unit", "BHXH-TEST", "--officer", COUNTER, "--callback-host", host]
    bounds += [word for code in ("1.001667", "1.001742") for word in ("--procedure", code)]
    added = sohoa("partner", "add", "benh-vien", "--name", "Bệnh viện huyện", *bounds)
    secret = re.search(r"client_secret: (\S+)", added.stdout)
    assert added.returncode == 0 and secret, added.stderr
    with httpx.Client(base_url=gateway_url(), timeout=60) as http:
        made = Program(http, "benh-vien", secret[1], receiver=receiver, prefect=played.prefect)
        made.sign_in()
        made.twice(lambda: made.call("PUT", "callback", json={"url": f"http://{host}/sohoa"}))
        yield made
    receiver.shutdown()
    receiver.server_close()


@pytest.fixture
def stranger(played: Journey, program: Program) -> PartnerClient:
    """Another partner, with the same bounds."""
    secret = register(played.officers.records, "phong-kham", procedures=["1.001667", "1.001742"], officers=[COUNTER])
    return PartnerClient(program.http, "phong-kham", secret).sign_in()


def papers(sample: Sample, folder: Path) -> tuple[Answer, Files]:
    """Declaration and files as a partner names them."""
    as_partner(sample, folder)
    declared: Answer = json.loads((folder / "declaration.json").read_text(encoding="utf-8"))
    declared.pop("captured_by", None)  # this partner has one officer only
    return declared, {name: (folder / name).read_bytes() for item in declared["components"] for name in item["files"]}


def _with_curl(program: Program, case: str, new: str, declaration: Answer, folder: Path) -> None:
    """The same supplement, as the documentation writes it: the same answers."""
    (folder / new).parent.mkdir()
    shutil.copy(folder / "c2" / Path(new).name, folder / new)
    (folder / "declaration.json").write_text(json.dumps(declaration), encoding="utf-8")
    known = {"CLIENT_ID": program.name, "CLIENT_SECRET": program.secret, "SOHOA_GATEWAY_URL": gateway_url()}
    known |= {"PATH": os.environ["PATH"], "HOME": str(folder), "CASE": case, "NEW": new}
    command = ["bash", "-euo", "pipefail", "-c", example("curl-begin", "curl-supplement")]
    done = subprocess.run(command, capture_output=True, text=True, env=known, cwd=folder, timeout=120)
    assert done.returncode == 0 and json.loads(done.stdout[done.stdout.rindex("{") :])["reference"] == case, done


def refusal(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json" and "vui lòng" in answer.json()["detail"]
    return answer.status_code, answer.json()["code"]


@pytest.mark.long
def test_B3a_a_partner_supplements_what_is_missing_and_the_dossier_goes_on(
    played: Journey, program: Program, tmp_path: Path
) -> None:
    sample = played.variant("doi-tac-bo-sung", "01-om-dau")
    declared, files = papers(sample, tmp_path)
    letter, listed = declared["components"]
    shown = {"type": "LOCAL:CCCD", "pages": 1, "flags": {"show_only": True}, "files": []}
    first = declared | {"originals": 1, "components": [letter, shown]}
    sent = program.hand_in_as("BV-1", first, {name: files[name] for name in letter["files"]})
    sample.run_id, sample.submission = sent["flow_run_id"], sent["submission"]

    asked = program.polls("BV-1", lambda told: told["waiting_for"])
    (wanted,) = asked["waiting_for"]
    assert (wanted["kind"], wanted["revision"], wanted["handed_in"]) == ("SUPPLEMENT", 2, False)
    assert [problem["code"] for problem in asked["problems"]] == ["COMPONENT_MISSING"]
    assert "còn thiếu: Danh sách đề nghị giải quyết (mẫu 01B-HSB)" in asked["problems"][0]["text"]
    assert program.hears("BV-1", lambda told: told["waiting_for"]) == asked  # the same words
    played.wait_pause(sample, "supplement-1")

    new = {name.replace("c2/", "c3/"): files[name] for name in listed["files"]}
    (name,) = new
    listed |= {"files": [name]}
    fewer = program.call("PUT", "submissions/BV-1/r2/declaration", json=first | {"components": [letter]})
    assert refusal(fewer) == (422, "MANIFEST_INVALID") and fewer.json()["errors"][0]["field"] == "components"
    assert refusal(program.put("submissions/BV-1/r3/c3/0001.pdf", new[name])) == (409, "NOT_ASKED")
    assert refusal(program.put("submissions/BV-1/r2/c3/danh-sach.PDF", new[name])) == (422, "FILE_NAME")
    program.send("BV-1", "r2", new | {"c4/0001.pdf": new[name]})  # the last one under a wrong number
    early = program.call("POST", "submissions/BV-1/r2/start")
    assert refusal(early) == (409, "NOT_DECLARED")
    declaration = declared | {"originals": 2, "components": [letter, shown, listed]}
    told = program.declare("BV-1", "r2", declaration)
    assert (told["missing"], told["unused"]) == ([], ["c4/0001.pdf"])  # what came before need not come again
    late = program.put("submissions/BV-1/r2/c5/0001.pdf", new[name])
    assert refusal(late) == (409, "FILE_NOT_DECLARED") and "c5/0001.pdf" in late.json()["detail"]
    program.start("BV-1", "r2")
    _with_curl(program, "BV-1", name, declaration, tmp_path)
    (wanted,) = program.status("BV-1")["waiting_for"]
    assert wanted["handed_in"]
    assert refusal(program.put("submissions/BV-1/r2/c3/0002.pdf", new[name])) == (409, "HANDED_IN_ALREADY")

    played.officers.at_gateway(COUNTER).resume(sample.run_id, {"decision": "DA_BO_SUNG"})
    received = program.polls("BV-1", lambda told: told["code"])
    assert received["waiting_for"] == received["problems"] == [] and received["status"] == PublicStatus.RECEIVED
    assert program.hears("BV-1", lambda told: told["code"])["code"] == received["code"]
    asked_for = [event["waiting_for"][0]["revision"] for event in program.events("BV-1") if event["waiting_for"]]
    assert set(asked_for) == {2}  # nothing was asked for in between
    played.wait_pause(sample, "sign-1")  # every paper has passed its capture, the first one, too
    dossier = played.officers.dossier(sample)
    assert dossier is not None and dossier.code == received["code"] and dossier.revision == 2
    assert [document.attempt for document in played.officers.documents(dossier)] == [2, 2, 2]
    assert refusal(program.put("submissions/BV-1/r3/c1/0001.jpg", new[name])) == (409, "NOT_ASKED")


def test_CA05_a_partner_scans_again_and_hears_the_result(
    played: Journey, program: Program, stranger: PartnerClient, tmp_path: Path
) -> None:
    sample = played.variant("doi-tac-quet-lai", "d05-dpi-thap")
    declared, files = papers(sample, tmp_path)
    sent = program.hand_in_as("BV-2", declared, files)
    sample.run_id, sample.submission = sent["flow_run_id"], sent["submission"]
    (better,) = sample.rescans(1)
    locked = tmp_path / "0001.pdf"
    badfiles.encrypted(locked, [better.read_bytes()])

    def needs(attempt: int, code: str) -> None:
        """Status and call-back name component and reason, and what to do."""
        asked = program.polls("BV-2", lambda told: [wanted["attempt"] for wanted in told["waiting_for"]] == [attempt])
        (wanted,), (problem,) = asked["waiting_for"], asked["problems"]
        assert (wanted["kind"], wanted["component"], wanted["handed_in"]) == ("RESCAN", 1, False)
        assert (problem["code"], problem["component"]) == (code, 1) and "vui lòng" in problem["text"]
        if attempt == 2:
            assert program.hears("BV-2", lambda told: told["waiting_for"]) == asked

    def sends(attempt: int, file: Path) -> None:
        part = f"rescan/1/{attempt}"
        program.send("BV-2", part, {f"0001{file.suffix}": file.read_bytes()})
        program.start("BV-2", part)
        assert [wanted["handed_in"] for wanted in program.status("BV-2")["waiting_for"]] == [True]
        played.wait_pause(sample, f"rescan-{attempt - 1}")
        played.officers.at_gateway(COUNTER).resume(sample.run_id, {"decision": "DA_QUET_LAI"})

    needs(2, "DPI_LOW")
    data = better.read_bytes()
    for part in ("r2/c1", "rescan/2/2", "rescan/1/3"):  # not asked for, another component, another attempt
        assert refusal(program.put(f"submissions/BV-2/{part}/0001.jpg", data)) == (409, "NOT_ASKED")
    assert refusal(program.call("PUT", "submissions/BV-2/r2/declaration", json=declared)) == (409, "NOT_ASKED")
    assert refusal(program.call("POST", "submissions/BV-2/rescan/1/2/start")) == (409, "NOT_DECLARED")
    for answer in (
        stranger.call("GET", "submissions/BV-2"),
        stranger.put("submissions/BV-2/rescan/1/2/0001.jpg", data),
        stranger.call("POST", "submissions/BV-2/rescan/1/2/start"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "CASE_UNKNOWN")
    sends(2, locked)
    needs(3, "PDF_ENCRYPTED")
    sends(3, better)
    program.polls("BV-2", lambda told: not told["waiting_for"])
    assert play(played.officers, [sample], timeout=240) == {sample.run_id: "COMPLETED"}
    ended = program.status("BV-2")
    assert (ended["phase"], ended["status"]) == ("ENDED", PublicStatus.RETURNED) and ended["code"]
    assert program.hears("BV-2", lambda told: told["phase"] == "ENDED") == ended
    dossier = played.officers.dossier(sample)
    assert dossier is not None and dossier.state.value == "LUU_TRU" and dossier.owner_name not in json.dumps(ended)
    (document,) = [paper for paper in played.officers.documents(dossier) if not paper.is_issued]
    assert document.attempt == 3
    seen = [(told["code"] is not None, [w["attempt"] for w in told["waiting_for"]]) for told in program.events("BV-2")]
    assert (True, [2]) in seen and (True, [4]) not in seen
