"""A run that has lost its journal begins at its first line: all that was done is found in the records, once (ST01).

At every pause, before the officer answers, all rows of the run are deleted as the database's owner: so it is after an
upgrade from a version without a journal. When the dossier has ended they are deleted once more, and the run is started
again.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from uuid import UUID

import psycopg
import pytest
import yaml
from sqlmodel import col, select

from blocks.objects import Bucket
from blocks.orchestrator import pause_key
from blocks.records.states import DocumentState
from blocks.records.tables import (
    ArchivedObject,
    AuditEntry,
    Decision,
    Document,
    Outbox,
    RepositoryEntry,
    ResultNumber,
    Signature,
    Waiting,
)
from infra.local.keys import read_part
from tasks.capture.rescan import hand_in_rescan
from tasks.intake.hand_in import hand_in
from tasks.intake.origin import by_command
from tests.faults.stack import until
from tests.journeys.conftest import Journey
from tests.journeys.test_phone import LEADER, OFFICER, csc  # noqa: F401  (a fixture)
from tests.players.demo import ENDED
from tests.players.officers import Officers, Sample
from tests.players.ways_in import rescan_at_desk
from tests.support.csc_server import control

RECEIVED = ["KIEM_TRA", "DA_TIEP_NHAN", "SO_HOA"]
FILED = ["KY_CO_QUAN", "CO_KET_QUA", "DA_TRA", "LUU_TRU"]
# Actions of the trail that tell of work; what people look at, and what was asked in vain, isn't.
WORK = {
    "register", "supplement", "check_account", "reuse", "differ", "examine_original", "capture", "rescan", "sign",
    "extract", "confirm_fields", "decide", "assign_code", "issue", "quarantine", "store_original", "incident",
    "sign-asked",
}  # fmt: skip
Answer = Callable[[Sample], None]


class Anew:
    """Dossiers on the stack, whose runs forget what they have done."""

    def __init__(self, journey: Journey) -> None:
        self.journey = journey
        self.officers: Officers = journey.officers
        self.owner = read_part(journey.stack.home, "owner")["SOHOA_DATABASE_URL"].replace("+psycopg", "")

    def forget(self, sample: Sample) -> None:
        with psycopg.connect(self.owner, autocommit=True) as connection:
            gone = connection.execute("DELETE FROM donestep WHERE flow_run_id = %s", (sample.run_id,))
            assert gone.rowcount > 0

    def say(self, officer: str, **form: Any) -> Answer:
        return lambda sample: self.officers.at_gateway(officer).resume(sample.run_id, form)

    def play(self, plans: Mapping[str, tuple[Sample, dict[str, Answer]]], timeout: float = 600) -> None:
        """Each dossier by its plan, pause by pause: exactly these, in this order; then once more from the first line.

        A plan names each pause with the answer; `usual` answers as the played officers do.
        """
        met: dict[str, list[str]] = {name: [] for name in plans}
        left, deadline = set(plans), time.monotonic() + timeout
        while left:
            assert time.monotonic() < deadline, {name: met[name] for name in left}
            for name in sorted(left):
                sample, plan = plans[name]
                run = self.journey.prefect.run(sample.run_id)
                if run["state_type"] in ENDED:
                    assert run["state_type"] == "COMPLETED", (name, met[name], self.journey.stack.log("worker")[-5000:])
                    left.remove(name)
                key = pause_key(run)
                if not key or key in met[name] or not self.journey.description(sample, key):
                    continue
                assert key in plan, (name, key, self.journey.description(sample, key))
                met[name].append(key)
                self.forget(sample)
                plan[key](sample)
            time.sleep(0.5)
        assert met == {name: list(plan) for name, (_, plan) in plans.items()}
        for sample, _ in plans.values():
            self.again_from_the_first_line(sample)

    def usual(self, sample: Sample) -> None:
        until(lambda: self.officers.answer(sample, self.journey.prefect.run(sample.run_id)))

    def again_from_the_first_line(self, sample: Sample) -> None:
        before = self.all_that_was_done(sample)
        self.forget(sample)
        state = {"state": {"type": "SCHEDULED", "name": "AwaitingRetry"}, "force": True}
        self.journey.prefect.call("POST", f"/flow_runs/{sample.run_id}/set_state", state)
        until(
            lambda: self.journey.prefect.run(sample.run_id)["state_type"] in ENDED,
            why=lambda: self.journey.stack.log("worker")[-3000:],
        )
        assert self.journey.prefect.run(sample.run_id)["state_type"] == "COMPLETED", sample.name
        assert self.all_that_was_done(sample) == before

    def all_that_was_done(self, sample: Sample) -> list[Any]:
        """The work that the trail tells of, and what lies in the store."""
        trail = [(e.seq, e.action) for e in self.trail(sample) if e.action in WORK | {"transition"}]
        objects = self.officers.objects
        where = f"{self.id(sample)}/"
        return [trail, {bucket: sorted(objects.list(bucket, where)) for bucket in (Bucket.INTAKE, Bucket.RECORDS)}]

    def id(self, sample: Sample) -> UUID:
        dossier = self.officers.dossier(sample)
        assert dossier is not None
        return dossier.id

    def trail(self, sample: Sample) -> list[AuditEntry]:
        with self.officers.records.session() as session:
            query = select(AuditEntry).where(AuditEntry.dossier_id == self.id(sample))
            return list(session.exec(query.order_by(col(AuditEntry.seq))))

    def moves(self, sample: Sample) -> list[str]:
        """The states through which the dossier went."""
        return [str(e.target_state) for e in self.trail(sample) if e.action == "transition" and e.document_id is None]

    def require_once(self, sample: Sample) -> None:
        """No work, no move of a paper, no decision, signature, code, number, record or message was made twice."""
        with self.officers.records.session() as session:
            papers = {d.id: d for d in session.exec(select(Document).where(Document.dossier_id == self.id(sample)))}
            ids = list(papers)
            signed = session.exec(select(Signature).where(col(Signature.document_id).in_(ids))).all()
            kept = session.exec(select(ArchivedObject).where(col(ArchivedObject.document_id).in_(ids))).all()
            shown = session.exec(select(RepositoryEntry).where(col(RepositoryEntry.document_id).in_(ids))).all()
            sent = session.exec(
                select(Outbox).where(col(Outbox.dedup_key).in_([str(i) for i in (*ids, self.id(sample))]))
            )
            numbers = session.exec(select(ResultNumber).where(col(ResultNumber.document_id).in_(ids))).all()
            decided = session.exec(select(Decision).where(Decision.dossier_id == self.id(sample))).all()
            assert session.get(Waiting, self.id(sample)) is None
            told: dict[str, Counter[Any]] = {
                "signature": Counter((row.document_id, row.role, row.attempt) for row in signed),
                "record": Counter((row.document_id, row.kind) for row in kept),
                "shown": Counter(row.document_id for row in shown),
                "message": Counter((row.topic, row.dedup_key) for row in sent),
                "number": Counter((row.dossier_id, row.result_code) for row in numbers),
                "decision": Counter(row.stage for row in decided),
            }
        trail = self.trail(sample)
        told["work"] = Counter(
            (
                e.action,
                e.document_id,
                e.details.get("attempt"),
                e.details.get("stage"),
                e.details.get("role"),
                e.details.get("code"),
            )
            for e in trail
            if e.action in WORK
        )
        assert not {
            what: twice for what, found in told.items() if (twice := [key for key, n in found.items() if n > 1])
        }
        walked = Counter((e.document_id, e.source_state, e.target_state) for e in trail if e.action == "transition")
        for (document, source, target), times in walked.items():
            assert document is None or times <= papers[document].attempt, (source, target)
        assert len([key for key in told["work"] if key[0] == "decide"]) == len(told["decision"])


@pytest.fixture
def anew(played: Journey) -> Anew:
    return Anew(played)


def declared(sample: Sample) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((sample.folder / "dossier.yaml").read_text(encoding="utf-8"))
    return found


def test_ST01_runs_without_a_journal_find_what_was_done(anew: Anew) -> None:
    """Leader, scope, the signer's own pause, an opinion, a rescan, a clerk who sends back; secrecy, first a false
    alarm, then not; refused, and returned at three places."""
    played, officers = anew.journey, anew.officers
    say, usual = anew.say, anew.usual

    def hand_in_as(name: str, like: str, way: str = "", **changes: object) -> Sample:
        sample = played.variant(name, like, **changes)
        officers.hand_in(sample, way)
        return sample

    def scans(sample: Sample, component: int) -> list[Any]:
        return [sample.folder / file for file in declared(sample)["components"][component - 1]["files"]]

    def rescan_by_command(component: int, sample: Sample) -> None:
        where = officers.records, officers.objects, by_command(), sample.submission
        hand_in_rescan(*where, component, 2, scans(sample, component))
        say("tnhs.01", decision="DA_QUET_LAI")(sample)

    def rescan_by_desk(component: int, sample: Sample) -> None:
        client = officers.at_gateway("tnhs.01")
        rescan_at_desk(client, anew.id(sample), "rescan-1", {component: scans(sample, component)})

    components = declared(played.samples["12-tu-tuat-so-de-hong"])["components"]
    components[0]["flags"] = {"fragile": True, "important": True}
    back = {"decision": "TRA_LAI", "reason": "Chưa đủ điều kiện giải quyết."}
    long = hand_in_as("lam-lai-dai", "12-tu-tuat-so-de-hong", "command", components=components)
    secret = hand_in_as("lam-lai-mat", "18-van-ban-mat", "desk")
    refused = hand_in_as("lam-lai-tu-choi", "d06-thieu-thanh-phan")
    at_rescan = hand_in_as("lam-lai-tra-quet", "d09-trang-trang")
    at_sign = hand_in_as("lam-lai-tra-ky", "16-om-dau-tra-lai", "command")
    at_signoff = hand_in_as("lam-lai-tra-duyet", "17-thai-san-khong-ky")
    anew.play(
        {
            "long": (
                long,
                {
                    "leader-1": usual,
                    "scope-1": usual,
                    "sign-1": usual,
                    "verification-1": say("gq.02", decision="XIN_Y_KIEN", reason="Xin ý kiến Phòng Chế độ."),
                    "consult-1": say("gq.02", decision="DA_CO_Y_KIEN", reason="Đủ điều kiện, công văn 12/CĐ."),
                    "verification-2": say("gq.01", decision="QUET_LAI", rescan=[2]),
                    "rescan-1": partial(rescan_by_command, 2),
                    "sign-2": usual,
                    "verification-3": say("gq.02", decision="XIN_Y_KIEN", reason="Xin ý kiến lần hai."),
                    "consult-2": say("gq.02", decision="DA_CO_Y_KIEN", reason="Vẫn đủ điều kiện."),
                    "verification-4": usual,
                    "signoff-1": usual,
                    "seal-1": say("vt.01", decision="TRINH_LAI", reason="Sai thể thức."),
                    "signoff-2": usual,
                    "seal-2": usual,
                    "return-1": usual,
                },
            ),
            "secret": (
                secret,
                {
                    "secrecy-1": say("ld.01", decision="KHONG_PHAI_MAT", reason="Không phải dấu chỉ độ mật."),
                    "verification-1": say("gq.01", decision="QUET_LAI", rescan=[2]),
                    "rescan-1": partial(rescan_by_desk, 2),
                    "secrecy-2": usual,
                    "verification-2": usual,
                    "signoff-1": usual,
                    "seal-1": usual,
                    "return-1": usual,
                },
            ),
            "refused": (refused, {"supplement-1": usual}),
            "at_rescan": (at_rescan, {"rescan-1": say("tnhs.01", **back)}),
            "at_sign": (at_sign, {"sign-1": say("tnhs.01", **back)}),
            "at_signoff": (at_signoff, {"verification-1": usual, "signoff-1": usual}),
        }
    )
    for sample in (long, secret, refused, at_rescan, at_sign, at_signoff):
        anew.require_once(sample)
    opinion = ["CHO_Y_KIEN", "THAM_DINH"]
    to_verify = [*RECEIVED, "DA_CHUYEN", "THAM_DINH"]
    asked = [*RECEIVED, "CHO_LANH_DAO_SO_HOA", "SO_HOA", "DA_CHUYEN", "THAM_DINH", *opinion, *opinion]
    assert anew.moves(long) == [*asked, "TRINH_KY", *FILED]
    assert anew.moves(secret) == [*to_verify, "TRINH_KY", *FILED]
    assert anew.moves(refused) == ["KIEM_TRA", "BO_SUNG_TRUOC", "TU_CHOI_TIEP_NHAN"]
    assert anew.moves(at_rescan) == anew.moves(at_sign) == [*RECEIVED, "TRA_LAI"]
    assert anew.moves(at_signoff) == [*to_verify, "TRINH_KY", "TRA_LAI"]
    dossier = officers.dossier(long)
    assert dossier is not None
    papers = officers.documents(dossier)
    assert {paper.ordinal: paper.attempt for paper in papers if not paper.is_issued} == {1: 1, 2: 2, 3: 1}
    assert {paper.state for paper in papers} <= {DocumentState.HIEN_THI_KHO, DocumentState.DA_LUU_CHUA_DINH_DANH}
    dossier = officers.dossier(secret)
    assert dossier is not None
    hidden = officers.documents(dossier)[1]
    assert (hidden.state, hidden.attempt) == (DocumentState.CACH_LY_MAT, 2)
    for bucket in (Bucket.INTAKE, Bucket.WORKING, Bucket.RECORDS):  # not brought back by who began anew
        assert not list(officers.objects.list(bucket, f"{dossier.id}/{hidden.id}/"))


def test_ST01_a_supplement_and_phones_without_a_journal(anew: Anew, csc: str) -> None:  # noqa: F811
    """What was confirmed on a phone counts for the pause that asked for it; a supplement is an attempt of its own."""
    played, officers = anew.journey, anew.officers
    right = declared(played.samples["01-om-dau"])
    sample = played.variant("lam-lai-dien-thoai", "01-om-dau", captured_by=OFFICER, originals=7)

    def supplement(sample: Sample) -> None:
        mended = yaml.safe_dump(declared(sample) | {"originals": right["originals"]}, allow_unicode=True)
        (sample.folder / "dossier.yaml").write_text(mended, encoding="utf-8")
        hand_in(
            officers.records, officers.objects, sample.folder, by_command(), submission=sample.submission, revision=2
        )
        anew.say("tnhs.01", decision="DA_BO_SUNG")(sample)

    def tap(sample: Sample) -> None:
        """The dossier goes on by itself: nobody answers at the desk."""
        control(csc, mode="ok")

    def wait_for_the_phone(sample: Sample) -> None:
        control(csc, mode="pending", reset=True)
        anew.usual(sample)

    control(csc, mode="pending", reset=True)
    officers.hand_in(sample, "command")
    anew.play(
        {
            "phone": (
                sample,
                {
                    "supplement-1": supplement,
                    "sign-1": anew.usual,
                    "confirm-1": tap,
                    "verification-1": anew.usual,
                    "signoff-1": anew.usual,
                    "seal-1": wait_for_the_phone,
                    "issue-1": tap,
                    "return-1": anew.usual,
                },
            )
        }
    )
    anew.require_once(sample)
    assert anew.moves(sample) == [
        "KIEM_TRA", "BO_SUNG_TRUOC", "KIEM_TRA", "DA_TIEP_NHAN", "SO_HOA", "DA_CHUYEN", "THAM_DINH", "TRINH_KY", *FILED
    ]  # fmt: skip
    with officers.records.session() as session:
        kept = session.exec(select(Decision).where(Decision.dossier_id == anew.id(sample))).all()
        by = {row.stage: (row.decision, row.officer) for row in kept}
    assert by["confirm-1"] == ("DA_XAC_NHAN", OFFICER) and by["issue-1"] == ("DA_XAC_NHAN", LEADER)
