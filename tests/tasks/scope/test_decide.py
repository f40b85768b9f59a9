"""SC01–SC13: the whole truth table, properties, and what is recorded."""

from __future__ import annotations

import itertools
from datetime import date
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import col, select

from blocks.catalog import Catalog, DocumentType
from blocks.catalog.models import PaperOwner
from blocks.errors import InvalidTransition
from blocks.objects import Bucket, ObjectStore
from blocks.records import RecordsDatabase
from blocks.records.audit import verify_chain
from blocks.records.states import DocumentState, Form
from blocks.records.tables import AuditEntry, Dossier, FieldValue, Incident, Scan
from tasks.scope.decide import PAPER_COPIES, DocumentFacts, ScopeVerdict, decide, decide_scope
from tasks.scope.fragile import LeaderSilent, certify_copy, settle_leader_opinion, settle_unlisted
from tasks.scope.quarantine import SecrecyLevel, SecretStored, isolate
from tests.tasks.lawcase import get, make_dossier, put_signed, scan_of, set_fields, walk_document

D = DocumentState
CATALOG = Catalog()


def kind(*, prior: bool = False, law: bool = False, shown: bool = False, consultation: bool = False) -> DocumentType:
    return DocumentType(
        code="LOCAL:X",
        name="Giấy tờ",
        local=True,
        number=True,
        date=True,
        issuer=True,
        owner=PaperOwner.PERSON,
        retention="forever",
        prior_result=prior,
        digitise_by_law=law,
        show_only=shown,
        consultation=consultation,
        valid_from=date(2020, 1, 1),
        source="test",
    )


def expected(facts: DocumentFacts, entry: DocumentType, listed: bool | None) -> tuple[str, bool | None]:
    """The order of docs/formats.md, written as a list of (condition, rule, in scope): the first that holds decides."""
    copy = facts.form in PAPER_COPIES
    rows: list[tuple[bool, str, bool | None]] = [
        (facts.secret, "SC13", False),
        (facts.show_only or entry.show_only, "SC12", False),
        (bool(facts.shared_source), "SC10", False),
        (listed is True, "SC03", True),
        (entry.consultation, "SC06", True),
        (copy and listed is None, "SC03", None),
        (copy, "SC11", False),
        (facts.prior_result or entry.prior_result, "SC01", True),
        (entry.digitise_by_law, "SC02", True),
        (facts.requested, "SC04", True),
        (listed is None, "SC03", None),
        (True, "SC04", False),
    ]
    return next((rule, verdict) for holds, rule, verdict in rows if holds)


def test_SC01_SC13_the_whole_truth_table() -> None:
    flags = list(itertools.product([False, True], repeat=5))
    entries = [kind(), kind(prior=True), kind(law=True), kind(shown=True), kind(consultation=True)]
    count = 0
    for (secret, shown, prior, requested, fragile), shared, form, entry, listed, important in itertools.product(
        flags, [None, "CSDL"], Form, entries, [True, False, None], [False, True]
    ):
        facts = DocumentFacts(
            form=form,
            secret=secret,
            show_only=shown,
            shared_source=shared,
            prior_result=prior,
            requested=requested,
            fragile=fragile,
            important=important,
        )
        verdict = decide(facts, entry, listed)
        assert (verdict.rule, verdict.in_scope) == expected(facts, entry, listed), (facts, entry, listed)
        assert verdict.target is _target(verdict, facts)
        assert verdict.text.endswith(".")
        count += 1
    assert count == 32 * 2 * 6 * 5 * 3 * 2


def _target(verdict: ScopeVerdict, facts: DocumentFacts) -> DocumentState:
    if verdict.in_scope is None:
        return D.PHAN_LOAI
    if not verdict.in_scope:
        return {"SC13": D.CACH_LY_MAT, "SC10": D.TAI_SU_DUNG}.get(verdict.rule, D.NGOAI_PHAM_VI)
    if facts.fragile:
        return D.XIN_Y_KIEN if facts.important else D.DE_HONG
    return D.CHO_SAO_CHUP


FACTS = st.builds(
    DocumentFacts,
    form=st.sampled_from(Form),
    secret=st.booleans(),
    show_only=st.booleans(),
    shared_source=st.none() | st.text(min_size=1),
    prior_result=st.booleans(),
    requested=st.booleans(),
    fragile=st.booleans(),
    important=st.booleans(),
)
KINDS = st.builds(kind, prior=st.booleans(), law=st.booleans(), shown=st.booleans(), consultation=st.booleans())
LISTED = st.sampled_from([True, False, None])


@given(FACTS, KINDS, LISTED)
def test_SC13_SC12_what_may_not_be_captured_never_is(
    facts: DocumentFacts, entry: DocumentType, listed: bool | None
) -> None:
    verdict = decide(facts, entry, listed)
    if facts.secret or facts.show_only or entry.show_only:
        assert verdict.in_scope is False and verdict.rule in {"SC12", "SC13"}
    assert decide(facts, entry, listed) == verdict


@given(FACTS, KINDS, LISTED)
def test_SC04_a_request_never_takes_a_paper_out(facts: DocumentFacts, entry: DocumentType, listed: bool | None) -> None:
    order = {False: 0, None: 1, True: 2}
    without = decide(facts.model_copy(update={"requested": False}), entry, listed)
    asked = decide(facts.model_copy(update={"requested": True}), entry, listed)
    assert order[asked.in_scope] >= order[without.in_scope]


@given(FACTS, KINDS)
def test_SC03_without_a_list_nothing_is_guessed(facts: DocumentFacts, entry: DocumentType) -> None:
    """Whatever is decided without a list would be decided the same with one that has, or has not, the paper."""
    unknown = decide(facts, entry, None)
    both = {decide(facts, entry, listed).in_scope for listed in (True, False)}
    if unknown.in_scope is None:
        assert both == {True, False}
    else:
        assert both == {unknown.in_scope}


@given(FACTS, KINDS, LISTED)
def test_B3e_only_an_important_fragile_paper_goes_to_the_leader(
    facts: DocumentFacts, entry: DocumentType, listed: bool | None
) -> None:
    verdict = decide(facts, entry, listed)
    assert (verdict.target is D.XIN_Y_KIEN) == (verdict.in_scope is True and facts.fragile and facts.important)


@pytest.mark.parametrize("form", sorted(PAPER_COPIES))
def test_SC05_a_paper_copy_of_a_prior_result_is_no_valid_component(form: Form) -> None:
    verdict = decide(DocumentFacts(form=form), kind(prior=True), False)
    assert verdict.rule == "SC11" and verdict.refused_by == "SC05"
    assert decide(DocumentFacts(form=form), kind(), False).refused_by is None
    assert decide(DocumentFacts(form=Form.E_PHOTO_COMPARED), kind(prior=True), False).rule == "SC01"


def test_scope_is_recorded_once_with_its_rule(records: RecordsDatabase, objects: ObjectStore) -> None:
    dossier_id, ids = make_dossier(
        records,
        [
            "LOCAL:GIAY-RA-VIEN",
            {"type_code": "LOCAL:CCCD"},
            {"type_code": "LOCAL:XAC-NHAN-CU-TRU", "form": Form.PHOTOCOPY},
            {"type_code": "LOCAL:GIAY-KHAI-SINH", "shared_as_data": "CSDL hộ tịch"},
            {"type_code": "LOCAL:SO-BHXH", "fragile": True},
            {"type_code": "LOCAL:SO-BHXH", "fragile": True, "important": True},
            {"type_code": "LOCAL:KHONG-CO"},
        ],
    )
    report = decide_scope(records, objects, CATALOG, dossier_id, "tnhs.01")
    states = [D.CHO_SAO_CHUP, D.NGOAI_PHAM_VI, D.NGOAI_PHAM_VI, D.TAI_SU_DUNG, D.DE_HONG, D.XIN_Y_KIEN]
    assert [item.state for item in report.documents] == states
    assert [item.verdict.rule for item in report.documents] == ["SC03", "SC12", "SC11", "SC10", "SC03", "SC03"]
    assert [problem.code for problem in report.problems] == ["TYPE_UNKNOWN"]
    assert (report.to_capture, report.to_ask, report.fragile) == ([ids[0]], [ids[5]], [ids[4]])
    assert report.ordinals([ids[5], ids[0]]) == [1, 6]
    assert get(records, ids[0]).scope_rule == "SC03" and get(records, ids[0]).in_scope is True
    with records.session() as session:
        entries = len(session.exec(select(AuditEntry)).all())
    assert decide_scope(records, objects, CATALOG, dossier_id, "tnhs.01") == report
    with records.session() as session:
        assert len(session.exec(select(AuditEntry)).all()) == entries


def test_SC03_no_list_in_force_waits_for_the_officer(records: RecordsDatabase, objects: ObjectStore) -> None:
    dossier_id, ids = make_dossier(records, ["LOCAL:GIAY-RA-VIEN", "LOCAL:GIAY-RA-VIEN"])
    with records.session() as session:
        dossier = session.get_one(Dossier, dossier_id)
        dossier.created_at = dossier.created_at.replace(year=2022)
        session.add(dossier)
    report = decide_scope(records, objects, CATALOG, dossier_id, "tnhs.01")
    assert [problem.code for problem in report.problems] == ["SCOPE_UNDECIDED"] * 2 and report.undecided == ids
    assert settle_unlisted(records, ids[0], digitise=True, actor="tnhs.01") is D.CHO_SAO_CHUP
    assert settle_unlisted(records, ids[0], digitise=False, actor="tnhs.01") is D.CHO_SAO_CHUP  # decided already
    assert settle_unlisted(records, ids[1], digitise=False, actor="tnhs.01") is D.NGOAI_PHAM_VI


def test_SC12_images_of_a_show_only_paper_are_refused_and_deleted(
    records: RecordsDatabase, objects: ObjectStore
) -> None:
    dossier_id, ids = make_dossier(records, ["LOCAL:CCCD", "LOCAL:GIAY-RA-VIEN"])
    for document_id in ids:
        scan_of(records, objects, document_id)
    for _ in range(2):
        report = decide_scope(records, objects, CATALOG, dossier_id, "tnhs.01")
        assert [(p.code, p.component) for p in report.problems] == [("SHOW_ONLY", 1)]
    assert _objects_of(objects, records, dossier_id, ids[0], 1) == []
    assert len(_objects_of(objects, records, dossier_id, ids[1], 2)) == 5
    with records.session() as session:
        scan = session.exec(select(Scan).where(col(Scan.document_id) == ids[0])).one()
        assert scan.refused_code == "SHOW_ONLY"


def _objects_of(
    objects: ObjectStore, records: RecordsDatabase, dossier_id: UUID, document_id: UUID, ordinal: int
) -> list[str]:
    with records.session() as session:
        submission = session.get_one(Dossier, dossier_id).submission
    keys = [k for b in (Bucket.INTAKE, Bucket.WORKING) for k in objects.list(b, f"{dossier_id}/{document_id}/")]
    inbox = [k for k in objects.list(Bucket.INBOX, f"{submission}/") if f"/c{ordinal}/" in k or f"/{ordinal}/2/" in k]
    return keys + inbox


def test_SC13_a_declared_secret_paper_leaves_no_image(records: RecordsDatabase, objects: ObjectStore) -> None:
    secret = {"type_code": "LOCAL:VAN-BAN-HANH-CHINH", "secret": True}
    dossier_id, ids = make_dossier(records, [secret, "LOCAL:GIAY-RA-VIEN"])
    for document_id in ids:
        scan_of(records, objects, document_id)
    report = decide_scope(records, objects, CATALOG, dossier_id, "tnhs.01")
    assert [item.state for item in report.documents] == [D.CACH_LY_MAT, D.CHO_SAO_CHUP]
    assert decide_scope(records, objects, CATALOG, dossier_id, "tnhs.01") == report
    assert _objects_of(objects, records, dossier_id, ids[0], 1) == []
    assert len(_objects_of(objects, records, dossier_id, ids[1], 2)) == 5


def test_SC13_a_stamp_read_later_quarantines_with_incident_and_audit(
    records: RecordsDatabase, objects: ObjectStore
) -> None:
    dossier_id, ids = make_dossier(records, ["LOCAL:VAN-BAN-HANH-CHINH"])
    scan_of(records, objects, ids[0])
    set_fields(records, ids[0], number_symbol="01/BC-BHXH")
    walk_document(records, ids[0], D.CHO_XAC_NHAN)
    first = isolate(records, objects, ids[0], SecrecyLevel.TOI_MAT, "system")
    again = isolate(records, objects, ids[0], "TOI_MAT", "system")
    assert (first.first, first.removed, again.first, again.removed) == (True, 5, False, 0)
    assert get(records, ids[0]).state is D.CACH_LY_MAT
    assert _objects_of(objects, records, dossier_id, ids[0], 1) == []
    with records.session() as session:
        assert session.exec(select(FieldValue)).all() == []
        incident = session.exec(select(Incident)).one()
        assert (incident.code, incident.rule, incident.details["level"]) == ("SECRET", "SC13", "TOI_MAT")
        actions = [row.action for row in session.exec(select(AuditEntry).where(col(AuditEntry.rule) == "SC13"))]
        assert sorted(actions) == ["incident", "quarantine", "transition"]
        assert session.exec(select(Scan)).all()  # the row that says a paper was there
        assert verify_chain(session) == []


def test_SC13_a_crash_before_the_deletion_is_finished_by_the_next_run(
    records: RecordsDatabase, objects: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    dossier_id, ids = make_dossier(records, ["LOCAL:VAN-BAN-HANH-CHINH"])
    scan_of(records, objects, ids[0])
    with monkeypatch.context() as patch:
        patch.setattr("tasks.scope.quarantine.discard_images", _killed)
        with pytest.raises(KeyboardInterrupt):
            isolate(records, objects, ids[0], SecrecyLevel.MAT, "system")
    assert get(records, ids[0]).state is D.CACH_LY_MAT  # nobody can open it meanwhile
    assert isolate(records, objects, ids[0], SecrecyLevel.MAT, "system").removed == 5
    assert _objects_of(objects, records, dossier_id, ids[0], 1) == []


def _killed(*_: object) -> int:
    raise KeyboardInterrupt


def test_SC13_a_signed_record_is_an_incident_for_people(records: RecordsDatabase, objects: ObjectStore) -> None:
    _, ids = make_dossier(records, ["LOCAL:VAN-BAN-HANH-CHINH"])
    put_signed(records, objects, ids[0])
    with pytest.raises(SecretStored):
        isolate(records, objects, ids[0], SecrecyLevel.MAT, "system")
    with records.session() as session:
        assert session.exec(select(Incident)).one().code == "SECRET_STORED"


def test_B3d_B3e_fragile_papers(records: RecordsDatabase, objects: ObjectStore) -> None:
    fragile = {"type_code": "LOCAL:SO-BHXH", "fragile": True}
    dossier_id, ids = make_dossier(records, [fragile, fragile | {"important": True}, fragile | {"important": True}])
    decide_scope(records, objects, CATALOG, dossier_id, "tnhs.01")
    assert certify_copy(records, ids[0], actor="tnhs.01", original_captured=True) is D.CHO_SAO_CHUP
    with pytest.raises(LeaderSilent):
        settle_leader_opinion(records, ids[1], digitise=None, actor="ld.01")
    assert get(records, ids[1]).state is D.XIN_Y_KIEN  # silence is not approval
    assert settle_leader_opinion(records, ids[1], digitise=False, actor="ld.01") is D.KHONG_SO_HOA
    assert settle_leader_opinion(records, ids[1], digitise=True, actor="ld.01") is D.KHONG_SO_HOA
    assert settle_leader_opinion(records, ids[2], digitise=True, actor="ld.01") is D.DE_HONG
    assert certify_copy(records, ids[2], actor="tnhs.01") is D.CHO_SAO_CHUP
    with records.session() as session:
        kept = session.exec(select(AuditEntry).where(col(AuditEntry.rule) == "B3d")).all()
        assert {row.details["reason"] for row in kept} == {"FRAGILE"}


def test_ST01_a_document_is_not_captured_before_it_is_classified(records: RecordsDatabase) -> None:
    _, ids = make_dossier(records, ["LOCAL:SO-BHXH"])
    with pytest.raises(InvalidTransition), records.session() as session:
        from blocks.records.machine import move_document
        from blocks.records.tables import Document

        move_document(session, session.get_one(Document, ids[0]), D.CHO_SAO_CHUP, actor="test")
