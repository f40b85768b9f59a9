"""Plays the officers of the sample dossiers: signs in at the gateway, reads what an officer would see, answers there.

Used by the demo and by the journeys. The truth beside each sample stands for the paper on the desk: the player
compares each extracted field with it, as the resolving officer would.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx

from blocks.catalog import Catalog
from blocks.catalog.staff import Role
from blocks.errors import Remedy, SohoaError
from blocks.ids import FlowRunId
from blocks.objects import ObjectStore
from blocks.orchestrator import Orchestrator, PrefectUnavailable, ResumeRefused, pause_key
from blocks.records import RecordsDatabase
from blocks.records.pause_keys import pause_of
from blocks.records.queries import documents, dossier_of_submission, fields
from blocks.records.states import DocumentState
from blocks.records.tables import Document, Dossier
from blocks.settings import gateway_url
from tasks.intake.begin import Ended, begin
from tasks.pauses.registry import Pause, pauses
from tasks.pauses.rescan import RESCAN
from tasks.pauses.sign import to_sign
from tasks.pauses.verification import SETTABLE
from tasks.scope.decide import case_date
from tests.players import ways_in

COUNTER, RESOLVING, LEADER, CLERK = "tnhs.01", "gq.01", "ld.01", "vt.01"
PLAYER = {Role.RECEIVE: COUNTER, Role.RESOLVE: RESOLVING, Role.LEAD: LEADER, Role.SEAL: CLERK}


# What business software would have computed.
ARTICLES = ["Mức hưởng: 1.234.500 đồng (một triệu hai trăm ba mươi bốn nghìn năm trăm đồng)", "Nhận qua tài khoản"]


class SignInFailed(SohoaError):
    """The gateway or the TEST provider didn't let this officer in."""

    code = "SIGN_IN_FAILED"
    message = "Chưa đăng nhập được cổng viên chức; vui lòng kiểm tra bằng `sohoa doctor`."
    remedy = Remedy.RETRY


class GatewayClient:
    """One officer at the gateway, signed in at the TEST provider as a browser would be."""

    def __init__(self, officer: str, base: str | None = None) -> None:
        self.base = base or gateway_url()
        self.officer = officer
        self.http = httpx.Client(base_url=self.base, headers={"origin": self.base}, follow_redirects=True, timeout=60)
        self.sign_in()

    def sign_in(self) -> None:
        asked = self.http.get("/dang-nhap", params={"ve": "/suc-khoe"})
        given = self.http.post(asked.url, data={"sub": self.officer}) if asked.status_code == 200 else asked
        if given.status_code != 200 or given.text != "ok":
            raise SignInFailed()

    def step_up(self, place: str) -> None:
        """Prove anew who one is, before a signature."""
        asked = self.http.get(place)
        if self.http.post(asked.url, data={"sub": self.officer}).status_code != 200:
            raise SignInFailed()

    def resume(self, flow_run_id: FlowRunId | str, run_input: dict[str, Any]) -> None:
        """Decide. Raises ResumeRefused with the gateway's status (REJECT, ABORT) and sentence."""
        answer = self.post(flow_run_id, run_input)
        if answer.status_code == 401:  # the gateway was restarted, or the session has ended
            self.sign_in()
            answer = self.post(flow_run_id, run_input)
        if answer.status_code == 200 and (place := answer.json().get("step_up")):
            self.step_up(place)
            answer = self.post(flow_run_id, run_input)
        if answer.status_code == 503:
            raise PrefectUnavailable()
        body = answer.json()
        if answer.status_code not in (200, 201):
            raise ResumeRefused(status=str(answer.status_code), why=str(body.get("detail")))
        if body["status"] != "ACCEPT":
            raise ResumeRefused(status=body["status"], why=body["details"]["reason"])

    def post(self, flow_run_id: FlowRunId | str, run_input: dict[str, Any]) -> httpx.Response:
        return self.http.post(f"/quyet-dinh/{flow_run_id}", json={"run_input": run_input})


@dataclass
class Sample:
    """One sample folder with its truth."""

    folder: Path
    answered: set[str] = field(default_factory=set)
    run_id: str = ""
    submission: str = ""
    inbox: Path | None = None  # where it lies, when it was put there
    refused: str = ""  # code, when it was refused at the door

    @cached_property
    def truth(self) -> dict[str, Any]:
        data: dict[str, Any] = json.loads((self.folder / "truth.json").read_text(encoding="utf-8"))
        return data

    @property
    def name(self) -> str:
        return self.folder.name

    def rescans(self, ordinal: int) -> list[Path]:
        folder = self.folder / "rescan" / str(ordinal)
        return sorted(p for p in folder.iterdir() if p.is_file()) if folder.is_dir() else []


class Officers:
    """Counter officer, resolving officer and leader, each with an own id."""

    def __init__(self, records: RecordsDatabase, objects: ObjectStore, prefect: Orchestrator) -> None:
        self.records, self.objects, self.prefect = records, objects, prefect
        self._signed_in: dict[str, GatewayClient] = {}

    def at_gateway(self, officer: str) -> GatewayClient:
        """This officer's session, begun when it is first needed."""
        if officer not in self._signed_in:
            self._signed_in[officer] = GatewayClient(officer)
        return self._signed_in[officer]

    def hand_in(self, sample: Sample, way: str = "") -> None:
        """Hand the folder in and start its flow run (twice gives the same run). way: desk, inbox, command; "": as fits.

        Of the inbox nothing is awaited: `collected` tells what became of the folder.
        """
        way = way or ways_in.way_of(sample.folder)
        if way == "inbox":
            sample.inbox = ways_in.into_inbox(sample.folder, ways_in.capturer(sample.folder))
            return
        if way == "desk":
            client = self.at_gateway(ways_in.capturer(sample.folder))
            sample.submission = ways_in.at_desk(client, sample.folder)
        else:
            sample.submission = ways_in.by_folder(self.records, self.objects, sample.folder)
        self._begin(sample)

    def collected(self, sample: Sample) -> bool:
        """Find the run of what was put into the inbox; a busy worker looks there only after a while."""
        assert sample.inbox is not None
        try:
            submission = ways_in.taken(sample.inbox)
        except ways_in.HandInRefused as error:
            sample.refused = error.code
            return True
        if submission is None:
            return False
        sample.submission = submission
        self._begin(sample)
        return True

    def _begin(self, sample: Sample) -> None:
        """Start or find its run; none where the dossier has ended and Prefect has forgotten it."""
        begun = begin(self.records, self.prefect, sample.submission, tags=["demo"])
        run = begun.flow_run_id if isinstance(begun, Ended) else begun
        sample.run_id = str(run) if self.prefect.call("GET", f"/flow_runs/{run}").status_code == 200 else ""

    def answer(self, sample: Sample, run: dict[str, Any]) -> str | None:
        """Answer the pause at which this run waits, once. Returns the stage, or None when there was nothing to do."""
        key = pause_key(run)
        if not key or key in sample.answered:
            return None
        pause = pauses()[pause_of(key)]
        try:
            if pause is RESCAN and (scans := self._again(sample)):
                dossier = self._known(sample)
                ways_in.rescan_at_desk(self.at_gateway(dossier.captured_by), dossier.id, key, scans)
            else:
                who = self._known(sample).captured_by if pause.capturer_only else PLAYER[pause.role]
                self.at_gateway(who).resume(sample.run_id, self._said(pause, sample))
        except ResumeRefused as refusal:
            # Suspended, but its form is not saved yet (Prefect does the two one after the other), or just resumed.
            if refusal.details.get("status") in ("REJECT", "ABORT"):
                return None
            raise
        except SohoaError as error:
            if error.remedy is Remedy.RETRY:  # the gateway says that something is away: one tries again
                return None
            raise
        sample.answered.add(key)
        return pause.name

    def _said(self, pause: Pause[Any], sample: Sample) -> dict[str, Any]:
        """What this player says at a pause; where nothing else is told here, the first button."""
        told = getattr(self, f"_{pause.name}", None)
        return told(sample) if told else {"decision": next(iter(pause.choices)).value}

    def dossier(self, sample: Sample) -> Dossier | None:
        with self.records.session() as session:
            row = dossier_of_submission(session, sample.submission)
            if row is not None:
                session.expunge(row)
            return row

    def documents(self, dossier: Dossier) -> list[Document]:
        with self.records.session() as session:
            rows = documents(session, dossier.id)
            for row in rows:
                session.expunge(row)
            return rows

    def _supplement(self, sample: Sample) -> dict[str, Any]:
        return {
            "decision": "TU_CHOI",
            "reason": "Hồ sơ không bảo đảm thành phần theo quy định của thủ tục hành chính.",
        }

    def _known(self, sample: Sample) -> Dossier:
        dossier = self.dossier(sample)
        assert dossier is not None
        return dossier

    def _again(self, sample: Sample) -> dict[int, list[Path]]:
        """Better scans of the components that need them, where there are some."""
        waiting = [d.ordinal for d in self.documents(self._known(sample)) if d.state is DocumentState.CHUP_LAI]
        return {ordinal: files for ordinal in waiting if (files := sample.rescans(ordinal))}

    def _rescan(self, sample: Sample) -> dict[str, Any]:
        return {
            "decision": "TRA_LAI",
            "reason": "Người nộp không cung cấp được bản giấy đạt yêu cầu để sao chụp.",
        }

    def _sign(self, sample: Sample) -> dict[str, Any]:
        with self.records.session() as session:
            papers = to_sign(session, self._known(sample).id)
        return {"decision": "KY_SO_CA_NHAN", "papers": [paper.model_dump() for paper in papers]}

    def _scope(self, sample: Sample) -> dict[str, Any]:
        dossier = self.dossier(sample)
        assert dossier is not None
        fragile = [d.ordinal for d in self.documents(dossier) if d.state is DocumentState.DE_HONG]
        return {"decision": "TIEP_TUC", "certified": fragile}

    def _leader(self, sample: Sample) -> dict[str, Any]:
        return {"decision": "SO_HOA", "reason": "Giấy tờ vẫn có thể sao chụp an toàn."}

    def _secrecy(self, sample: Sample) -> dict[str, Any]:
        """Whether the paper that waits is secret, by the truth beside the sample."""
        dossier = self.dossier(sample)
        assert dossier is not None
        waiting = {d.ordinal for d in self.documents(dossier) if d.state is DocumentState.NGHI_MAT}
        secret = {item["ordinal"] for item in sample.truth["documents"] if item["expected_state"] == "CACH_LY_MAT"}
        if waiting & secret:
            return {"decision": "XAC_NHAN_MAT"}
        return {"decision": "KHONG_PHAI_MAT", "reason": "Chữ trên giấy tờ không phải dấu chỉ độ mật."}

    def _verification(self, sample: Sample) -> dict[str, Any]:
        if sample.truth.get("defect") == "REFUSE_VERIFICATION":
            return {
                "decision": "TRA_LAI",
                "reason": "Nội dung giấy tờ chưa đủ điều kiện giải quyết theo quy định.",
            }
        dossier = self.dossier(sample)
        assert dossier is not None
        if sample.truth.get("defect") == "PAGES_ORDER" and all(d.attempt == 1 for d in self.documents(dossier)):
            return {"decision": "QUET_LAI", "rescan": [1]}  # the notice is right: its pages are swapped
        form: dict[str, Any] = {
            "decision": "DUYET",
            "flagged_checked": True,
            "originals_seen": True,
            "corrections": [],
            "absent": [],
            "result": ARTICLES if Catalog.get().issued_results(dossier.procedure_code, case_date(dossier)) else [],
        }
        truths = {item["ordinal"]: item for item in sample.truth["documents"]}
        with self.records.session() as session:
            for document in documents(session, dossier.id, states=[DocumentState.CHO_XAC_NHAN]):
                found = {row.name: row.value for row in fields(session, document.id)}
                paper = truths.get(document.ordinal, {}).get("fields", {})
                for name in sorted(SETTABLE | set(paper) | set(found)):
                    on_paper = paper.get(name)
                    if on_paper and on_paper != found.get(name) and (name in SETTABLE or name.startswith("special.")):
                        form["corrections"].append(
                            {"component": document.ordinal, "field": name, "value": str(on_paper)}
                        )
                    elif not on_paper and (name in SETTABLE or (found.get(name) and name.startswith("special."))):
                        form["absent"].append({"component": document.ordinal, "field": name})
        return form

    def _signoff(self, sample: Sample) -> dict[str, Any]:
        if sample.truth.get("defect") == "REFUSE_SIGNOFF":
            return {
                "decision": "TRA_LAI",
                "reason": "Chưa đủ căn cứ để giải quyết; trả lại hồ sơ theo quy định.",
            }
        return {"decision": "KY"}

    def _return(self, sample: Sample) -> dict[str, Any]:
        return {
            "decision": "DA_TRA",
            "way": "TRUC_TIEP",
            "receiver": "Người nộp hồ sơ",
            "identity_checked": True,
        }

    def _seal(self, sample: Sample) -> dict[str, Any]:
        return {"decision": "KY_SO"}
