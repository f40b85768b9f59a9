"""A dossier whose run is killed after every single step, keeps no journal, and begins at its first line each time.

The steps are the product's, on the real database, object store and PKI; only Prefect is left out, and officers answer
at once. Each run must go the same way as the one before, and one step further.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import pytest
import yaml
from sqlmodel import col, select

import flows.dossier as way
from blocks.objects import ObjectStore
from blocks.orchestrator import Orchestrator
from blocks.records import RecordsDatabase
from blocks.records.audit import audit
from blocks.records.queries import decision, get_dossier
from blocks.records.tables import AuditEntry, Document, Outbox, Signature
from tasks.capture.rescan import hand_in_rescan
from tasks.decisions.proofs import is_proven
from tasks.intake.origin import by_command
from tasks.journal import Step, named
from tasks.pauses.registry import Pause
from tasks.pauses.wait import Answered
from tests.conftest import TestPki
from tests.players.officers import Officers, Sample
from tests.players.ways_in import by_folder
from tests.samples.__main__ import generate
from tests.tasks.decided import decide, gateway_key, whole_settings

pytestmark = pytest.mark.timeout(900)


class Killed(BaseException):
    """As by SIGKILL: nothing of ours runs after it."""


Said = Callable[[], tuple[str, dict[str, Any]]]  # officer and form
RECEIVED = ["KIEM_TRA", "DA_TIEP_NHAN", "SO_HOA"]


class Desk:
    """Officers who answer at once, each pause once."""

    def __init__(self, records: RecordsDatabase, objects: ObjectStore, sample: Sample) -> None:
        self.records, self.objects, self.sample = records, objects, sample
        self.officers = Officers(records, objects, cast(Orchestrator, None))
        self.answers = self.benefit() if sample.name.startswith("01-") else self.secret()
        self.asked: list[str] = []

    def benefit(self) -> dict[str, Said]:
        """Leader, scope, an opinion, a rescan, a clerk who sends back."""
        return {
            "leader-1": lambda: ("ld.01", self.officers._leader(self.sample)),
            "scope-1": lambda: ("tnhs.01", self.officers._scope(self.sample)),
            "sign-1": self.sign,
            "verification-1": lambda: ("gq.02", {"decision": "XIN_Y_KIEN", "reason": "Xin ý kiến Phòng Chế độ."}),
            "consult-1": lambda: ("gq.02", {"decision": "DA_CO_Y_KIEN", "reason": "Đủ điều kiện, công văn 12/CĐ."}),
            "verification-2": lambda: ("gq.01", {"decision": "QUET_LAI", "rescan": [2]}),
            "rescan-1": self.rescan,
            "sign-2": self.sign,
            "verification-3": self.verify,
            "signoff-1": lambda: ("ld.01", {"decision": "KY"}),
            "seal-1": lambda: ("vt.01", {"decision": "TRINH_LAI", "reason": "Sai thể thức."}),
            "signoff-2": lambda: ("ld.01", {"decision": "SUA_LAI", "reason": "Trích yếu chưa đúng."}),
            "verification-4": self.verify,
            "signoff-3": lambda: ("ld.01", {"decision": "KY"}),
            "seal-2": lambda: ("vt.01", {"decision": "SUA_LAI", "reason": "Sai số, ký hiệu."}),
            "verification-5": self.verify,
            "signoff-4": lambda: ("ld.01", {"decision": "KY"}),
            "seal-3": lambda: ("vt.01", {"decision": "KY_SO"}),
            "return-1": lambda: ("tnhs.01", self.officers._return(self.sample)),
        }

    def secret(self) -> dict[str, Said]:
        """A stamp that is a false alarm and, when it is scanned again, a real one; then the leader returns the case."""
        back = {"decision": "TRA_LAI", "reason": "Chưa đủ căn cứ để giải quyết."}
        return {
            "sign-1": self.sign,
            "secrecy-1": lambda: ("ld.01", {"decision": "KHONG_PHAI_MAT", "reason": "Không phải dấu chỉ độ mật."}),
            "verification-1": lambda: ("gq.01", {"decision": "QUET_LAI", "rescan": [2]}),
            "rescan-1": self.rescan,
            "sign-2": self.sign,
            "secrecy-2": lambda: ("ld.01", {"decision": "XAC_NHAN_MAT"}),
            "verification-2": self.verify,
            "signoff-1": lambda: ("ld.01", back),
        }

    def sign(self) -> tuple[str, dict[str, Any]]:
        return "tnhs.01", self.officers._sign(self.sample)

    def verify(self) -> tuple[str, dict[str, Any]]:
        return "gq.01", self.officers._verification(self.sample)

    def rescan(self) -> tuple[str, dict[str, Any]]:
        files = declared(self.sample.folder)["components"][1]["files"]
        where = self.records, self.objects, by_command(), self.sample.submission
        hand_in_rescan(*where, 2, 2, [self.sample.folder / name for name in files])
        return "tnhs.01", {"decision": "DA_QUET_LAI"}

    def ask(self, pause: Pause[Any], dossier_id: UUID, *about: Any, after: int = 0) -> Answered[Any]:
        """As tasks.pauses.wait.ask, without the wait."""
        key = f"{pause.name}-{after + 1}"
        with self.records.session() as session:
            kept = decision(session, dossier_id, key)
            if kept is not None:
                assert is_proven(session, kept)
                return Answered(after + 1, pause.form.model_validate(kept.payload))
        assert pause.describe(*about, dossier_id)
        officer, form = self.answers[key]()
        answer = pause.form.model_validate(form | {"officer": officer})
        assert pause.check(dossier_id, answer) == []
        self.asked.append(key)
        decide(self.records, dossier_id, key, officer=officer, **form)
        with self.records.session() as session:
            audit(session, actor=officer, action="decide", dossier_id=dossier_id, details={"stage": key})
        return Answered(after + 1, answer)


def declared(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((folder / "dossier.yaml").read_text(encoding="utf-8"))
    return found


BENEFIT = [
    *RECEIVED, "CHO_LANH_DAO_SO_HOA", "SO_HOA", "DA_CHUYEN", "THAM_DINH", "CHO_Y_KIEN", "THAM_DINH", "TRINH_KY",
    "THAM_DINH", "TRINH_KY", "THAM_DINH", "TRINH_KY", "KY_CO_QUAN", "CO_KET_QUA", "DA_TRA", "LUU_TRU",
]  # fmt: skip
SECRET = [*RECEIVED, "DA_CHUYEN", "THAM_DINH", "TRINH_KY", "TRA_LAI"]


@pytest.mark.parametrize(("name", "states"), [("01-om-dau", BENEFIT), ("18-van-ban-mat", SECRET)])
def test_ST01_a_run_that_is_killed_after_every_step_does_each_once(
    tmp_path: Path,
    records: RecordsDatabase,
    objects: ObjectStore,
    pki: TestPki,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    states: list[str],
) -> None:
    folder = next(made for made in generate(tmp_path, only=(name[:3],)) if made.name == name)
    first = declared(folder)
    if states is BENEFIT:
        first["components"][0]["flags"] = {"fragile": True, "important": True}
    (folder / "dossier.yaml").write_text(yaml.safe_dump(first, allow_unicode=True), encoding="utf-8")
    monkeypatch.setattr(RecordsDatabase, "get", staticmethod(lambda: records))
    monkeypatch.setattr(ObjectStore, "get", staticmethod(lambda: objects))
    monkeypatch.delenv("SOHOA_PORTAL_URL", raising=False)
    gateway_key()
    sample = Sample(folder, submission=by_folder(records, objects, folder))
    desk = Desk(records, objects, sample)
    monkeypatch.setattr(way, "ask", desk.ask)
    walked: list[str] = []

    def called(step: Step[..., Any], *args: Any, **kwargs: Any) -> Any:
        walked.append(named(step.verb, args, kwargs))
        result = step.verb(*args, **kwargs)
        if len(walked) == lives:
            raise Killed
        return result

    monkeypatch.setattr(Step, "__call__", called)
    ended, before, lives = "", [], 0
    with whole_settings():
        while not ended:
            lives += 1
            before, walked[:] = list(walked), []
            try:
                ended = way.dossier.fn(sample.submission)
            except Killed:
                assert walked[:-1] == before, "the way of this run is another one"
    assert ended == states[-1] and walked == before and desk.asked == list(desk.answers)
    with records.session() as session:
        dossier = get_dossier(session, desk.officers._known(sample).id)
        entries = session.exec(select(AuditEntry).where(AuditEntry.dossier_id == dossier.id)).all()
        papers = {row.id: row for row in session.exec(select(Document).where(Document.dossier_id == dossier.id))}
        signed = session.exec(select(Signature).where(col(Signature.document_id).in_(list(papers)))).all()
        sent = session.exec(select(Outbox)).all()
    moves = [entry.target_state for entry in entries if entry.action == "transition" and entry.document_id is None]
    assert moves == states
    done = Counter(
        (
            entry.action,
            entry.document_id,
            *(str(entry.details.get(name)) for name in ("attempt", "stage", "role", "place")),
        )
        for entry in entries
        if entry.action != "transition"
    )
    assert [what for what, times in done.items() if times > 1] == []
    assert Counter((row.document_id, row.role, row.attempt) for row in signed).most_common(1)[0][1] == 1
    assert Counter((row.topic, row.dedup_key) for row in sent).most_common(1)[0][1] == 1
    confirmed_anew = moves.count("TRINH_KY") - 1
    after_reading = {"CHO_XAC_NHAN", "DA_BOC_TACH", "DA_CAP_MA", "CHO_KET_QUA"}
    for (document, source, target), times in Counter(
        (entry.document_id, entry.source_state, entry.target_state) for entry in entries if entry.document_id
    ).items():
        more = confirmed_anew if source in after_reading else 0
        assert source is None or times <= papers[document].attempt + more, (source, target)
