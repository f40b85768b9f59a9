"""WH04, P14, B3g: an officer sees what must be checked first; every look is audited; strangers see nothing."""

from __future__ import annotations

import ast
import re

import pytest
from sqlmodel import Session, col, select

from blocks.catalog import Catalog
from blocks.records import RecordsDatabase
from blocks.records.audit import audit
from blocks.records.state_names import STATES
from blocks.records.states import DocumentState, DossierState, FieldSource
from blocks.records.tables import AuditEntry, FieldValue, Incident
from blocks.settings import ROOT
from tasks.desk_views.history import ACTIONS, ARTICLES, REMINDERS, Event
from tasks.extraction.fields import PROPOSAL
from tasks.pauses.registry import decision_labels, pause_label
from tasks.pauses.verification import VerificationDecision
from tasks.verification.review import FieldView, NotAssignedToUnit, Review, look
from tests.tasks.lawcase import NAME, make_dossier, walk_document, walk_dossier

KIND = "LOCAL:GIAY-RA-VIEN"


def put(session: Session, document_id: object, name: str, value: str | None, confidence: float, **more: object) -> None:
    session.add(FieldValue(document_id=document_id, name=name, value=value, confidence=confidence, **more))


@pytest.fixture
def seen(records: RecordsDatabase) -> Review:
    dossier_id, ids = make_dossier(records, [{"type_code": KIND, "declared_pages": 2, "note_pages": [2]}])
    walk_dossier(records, dossier_id, DossierState.THAM_DINH)
    walk_document(records, ids[0], DocumentState.CHO_XAC_NHAN)
    with records.session() as session:
        put(session, ids[0], "full_name", NAME, 0.99, page=1, box=[1.0, 2.0, 3.0, 4.0], printed=NAME.upper())
        put(session, ids[0], "issuer", "Bệnh viện A", 0.5, rule=f"decree30.issuer;{PROPOSAL}")
        put(session, ids[0], "number_symbol", "2/B", 0.98)
        put(session, ids[0], "shared.number_symbol", "1/A", 1.0, source=FieldSource.LOOKUP)
        put(session, ids[0], "abstract", None, 1.0, attested_absent=True, source=FieldSource.MANUAL)
        put(session, ids[0], "valid_until", None, 0.0)
        put(
            session, ids[0], "title", "Giấy ra viện", 1.0,
            source=FieldSource.MANUAL, extracted_value="Giấy ra vien", correction_reason="CHU_MO",
        )  # fmt: skip
        details = {"stage": "rescan-2", "decision": "TRA_LAI"}
        audit(session, actor="gq.01", action="decide", dossier_id=dossier_id, details=details)
    return look(records, Catalog(), dossier_id, "gq.01", grants=None)


def field(seen: Review, name: str) -> FieldView:
    return next(item for item in seen.components[0].fields if item.name == name)


def test_EXc_what_must_be_checked_stands_first(seen: Review) -> None:
    names = [item.name for item in seen.components[0].fields]
    # EXb: without an id the name and the birth date are needed. Missing thrice, doubtful, differing from shared data.
    assert names[:5] == ["birth_date", "issue_date", "owner_id", "issuer", "number_symbol"]
    assert [item.pressing for item in seen.components[0].fields] == [True] * 5 + [False] * (len(names) - 5)
    assert field(seen, "owner_id").missing and field(seen, "issuer").doubtful
    assert [item.name for item in seen.components[0].fields if item.by_hand] == ["issuer"]
    assert not field(seen, "valid_until").missing  # EXh may be empty
    assert field(seen, "abstract").absent and not field(seen, "abstract").missing
    assert (field(seen, "full_name").page, field(seen, "full_name").box) == (1, [1.0, 2.0, 3.0, 4.0])
    assert field(seen, "full_name").printed == NAME.upper()


def test_B3g_both_values_and_the_original_are_shown(seen: Review) -> None:
    number, title = field(seen, "number_symbol"), field(seen, "title")
    assert (number.value, number.shared, number.differs) == ("2/B", "1/A", True)
    assert (title.value, title.extracted, title.corrected_because) == ("Giấy ra viện", "Giấy ra vien", "chữ mờ")


def test_CA06_CA07_images_are_counted_against_the_declaration(seen: Review) -> None:
    assert (seen.originals, seen.components[0].images, seen.components[0].expected) == (1, 0, 3)


def test_P14_every_look_is_in_the_audit_trail_and_history_is_told_in_vietnamese(
    records: RecordsDatabase, seen: Review
) -> None:
    assert "Quét lại (lần 2): không giải quyết, trả hồ sơ cho người nộp." in [event.sentence for event in seen.history]
    assert "Hồ sơ đang thẩm định." in [event.sentence for event in seen.history]
    assert "Thành phần 1: chờ viên chức xác nhận dữ liệu." in [event.sentence for event in seen.history]
    with records.session() as session:
        entry = session.exec(select(AuditEntry).where(col(AuditEntry.action) == "view")).one()
        assert (entry.actor, entry.rule, entry.details) == ("gq.01", "P14", {"components": 1})
        again: list[Event] = look(records, Catalog(), entry.dossier_id, "ld.01", grants=None).history  # type: ignore[arg-type]
    assert again[-1].actor == "gq.01" and again[-1].sentence == "Xem dữ liệu hồ sơ."


def test_WH04_a_stranger_sees_nothing_and_each_try_is_recorded(records: RecordsDatabase) -> None:
    dossier_id, _ = make_dossier(records, [KIND])
    for officer in ("gq.99", "gq.99", NAME):  # somebody typed a name: it must not get into the trail
        with pytest.raises(NotAssignedToUnit):
            look(records, Catalog(), dossier_id, officer, grants=None)
    with records.session() as session:
        assert session.exec(select(Incident.code)).all() == ["OFFICER_NOT_ASSIGNED"]
        entries = session.exec(select(AuditEntry).order_by(col(AuditEntry.seq))).all()
        assert [entry.actor for entry in entries if entry.action == "refuse"] == ["gq.99", "gq.99", "unknown"]
        assert not [entry for entry in entries if entry.action == "view"]


def test_WH04_an_officer_of_another_unit_sees_nothing(records: RecordsDatabase) -> None:
    dossier_id, _ = make_dossier(records, [KIND], unit_id="BHXH-KHAC")
    with pytest.raises(NotAssignedToUnit):
        look(records, Catalog(), dossier_id, "gq.01", grants=None)


CODE = re.compile(r"\b(?:SC|WH|ST|CA|EX|CO|LU|KQ|B|P|CT)\d{1,2}[a-z]?\b|\bEX[a-l]\b")


def test_P14_the_history_names_articles_and_no_id_of_a_rule(records: RecordsDatabase) -> None:
    dossier_id, (document,) = make_dossier(records, [KIND])
    with records.session() as session:
        for rule in (*ARTICLES, "", "X99"):
            audit(
                session, actor="system", action="transition", dossier_id=dossier_id, rule=rule, target_state="TRINH_KY"
            )
        known = {"dossier_id": dossier_id, "document_id": document, "actor": "system"}
        audit(session, **known, action="refuse", rule="SC12")
        audit(session, **known, action="refuse", rule="WH04")
    told = look(records, Catalog(), dossier_id, "gq.01", grants=None).history
    assert not [event for event in told if CODE.search(event.sentence + event.article)]
    assert [event.article for event in told if not event.article.startswith("Điều ")] == ["", ""]
    assert [event.sentence for event in told][-2:] == [
        "Thành phần 1: xóa ảnh quét của giấy tờ chỉ để xuất trình.", "Thành phần 1: từ chối truy cập.",
    ]  # fmt: skip


def test_every_rule_that_the_program_names_has_its_article_and_every_action_its_words() -> None:
    rules, actions = set(), set()
    for layer in ("blocks", "tasks", "flows", "deployments"):
        for path in (ROOT / layer).rglob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            rules |= {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and is_rule(node.value)}
            actions |= {value for node in ast.walk(tree) if isinstance(node, ast.Call) for value in action_of(node)}
    assert {"LU04", "CA05", "B3a"} <= rules <= set(ARTICLES) and {"view", "export"} <= actions
    assert actions <= {*ACTIONS, *REMINDERS, "transition", "decide"}


def is_rule(value: object) -> bool:
    return isinstance(value, str) and CODE.fullmatch(value) is not None


def action_of(call: ast.Call) -> list[str]:
    """The action of an audit entry about a dossier, where it is written down at that place."""
    named = {word.arg: word.value for word in call.keywords}
    action = named.get("action")
    if getattr(call.func, "id", "") != "audit" or "dossier_id" not in named or not isinstance(action, ast.Constant):
        return []
    return [str(action.value)]


def test_every_state_and_decision_has_its_words() -> None:
    assert set(STATES) == {*DossierState, *DocumentState} and {d.value for d in VerificationDecision} <= set(
        decision_labels()
    )
    assert ACTIONS["view"] and pause_label("signoff-1") == "Trình ký số cơ quan" and pause_label("x-1") == "x-1"
