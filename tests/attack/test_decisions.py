"""Attacks on decisions: forged and replayed proofs, and what changes between an officer's eyes and the signature."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from joserfc import jws
from joserfc.jwk import OKPKey
from sqlalchemy import text
from sqlmodel import select

from blocks.catalog import Catalog
from blocks.identity import (
    PAST_KEYS,
    PROOF,
    DecisionNotProven,
    attest,
    ensure_keys,
    replace_keys,
    verify_kept_attestation,
)
from blocks.objects import Bucket, ObjectStore
from blocks.records import RecordsDatabase
from blocks.records.codes import assign_dossier_code
from blocks.records.queries import get_dossier
from blocks.records.tables import AuditEntry, Decision, Document, Dossier, Incident, Page, Scan
from blocks.trust import Trust
from tasks.archive.store import NotAgencySigned, require_signed
from tasks.decisions.proofs import drafted, is_proven, latest_proven
from tasks.decisions.shown import ShownChanged
from tasks.decisions.upheld import require_upheld
from tasks.pauses import wait as approvals
from tasks.pauses.seal import Seal, SealDecision
from tasks.pauses.seal import check as check_seal
from tasks.pauses.signoff import SIGNOFF, SignOff, SignOffDecision
from tasks.pauses.signoff import check as check_signoff
from tasks.pauses.wait import Answered, ask
from tasks.results.issue import issue_results, require_as_decided
from tasks.signing.errors import ForeignFile
from tasks.signing.sign import sign_agency
from tasks.verification.confirm import confirm_fields
from tests.attack.plugin import Attack
from tests.tasks.decided import attestation, decide, gateway_key, whole_settings
from tests.tasks.lawcase import NAME, D, H, make_dossier, put_signed, set_fields, walk_document, walk_dossier

CATALOG = Catalog()
ARTICLES = ["Mức hưởng: 1.000.000 đồng"]


class Asked(Exception):
    """The officer would be asked now."""


@dataclass
class Case:
    """A dossier of which everything was decided, and nothing is signed by the agency yet."""

    records: RecordsDatabase
    owner: RecordsDatabase
    id: UUID
    document: UUID

    def sql(self, statement: str, **values: Any) -> None:
        """As who owns the tables: also what the guards of the database refuse to everybody else."""
        with self.owner.session() as session:
            session.execute(text("ALTER TABLE decision DISABLE TRIGGER USER"))
            session.execute(text(statement), {"dossier": self.id, "document": self.document} | values)
            session.execute(text("ALTER TABLE decision ENABLE TRIGGER USER"))

    def forge(self, key: str, decision: str, payload: dict[str, Any], **columns: Any) -> None:
        """One INSERT, as anybody with the password of the database can make it."""
        officer = payload.get("officer", "ld.01")
        row = {"officer": officer, "role": "LEAD", "reason": payload.get("reason") or None} | columns
        with self.records.session() as session:
            session.add(Decision(dossier_id=self.id, stage=key, decision=decision, payload=payload, **row))

    def kept(self, key: str) -> Decision:
        with self.records.session() as session:
            row = session.exec(select(Decision).where(Decision.dossier_id == self.id, Decision.stage == key)).one()
            session.expunge(row)
            return row

    def counts(self, key: str) -> bool:
        with self.records.session() as session:
            row = session.exec(select(Decision).where(Decision.dossier_id == self.id, Decision.stage == key)).one()
            return is_proven(session, row)

    def incidents(self) -> list[str]:
        with self.records.session() as session:
            return [row.code for row in session.exec(select(Incident).where(Incident.dossier_id == self.id))]

    def trail(self) -> str:
        """The refusal as the trail has it."""
        with self.records.session() as session:
            query = select(AuditEntry).where(AuditEntry.dossier_id == self.id, AuditEntry.action == "refuse")
            return "; ".join(f"refuse {e.details['code']} {e.details['stage']}" for e in session.exec(query))

    def signed(self) -> tuple[str, int]:
        """What must not move: the paper's state, and numbers that were given out."""
        with self.records.session() as session:
            state = session.get_one(Document, self.document).state.value
            return state, int(session.execute(text("SELECT count(*) FROM resultnumber")).scalar_one())


@pytest.fixture
def case(
    records: RecordsDatabase,
    owner: RecordsDatabase,
    objects: ObjectStore,
    pki: object,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Case]:
    monkeypatch.setattr(RecordsDatabase, "get", staticmethod(lambda: records))
    monkeypatch.setattr(Catalog, "get", staticmethod(lambda: CATALOG))
    monkeypatch.setenv("SOHOA_INBOX_DIR", "unused")
    made = decided_case(records, owner)
    with whole_settings():
        yield made


def decided_case(records: RecordsDatabase, owner: RecordsDatabase) -> Case:
    dossier_id, (document_id,) = make_dossier(records, ["LOCAL:01B-HSB"])
    walk_document(records, document_id, D.CHO_XAC_NHAN)
    walk_dossier(records, dossier_id, H.TRINH_KY)
    set_fields(records, document_id, confirmed=False, title="GIẤY RA VIỆN", full_name="Thử Văn A", number_symbol="12")
    with records.session() as session:
        assign_dossier_code(session, session.get_one(Dossier, dossier_id), actor="test")
        scan = Scan(document_id=document_id, ordinal=1, object_key="k", sha256="a" * 64, size=1)
        session.add(scan)
        session.flush()
        page = {"width": 100, "height": 100, "dpi": 300, "image_sha256": "b" * 64, "paper_page": 1}
        session.add(Page(document_id=document_id, scan_id=scan.id, number=1, **page))
        document = session.get_one(Document, document_id)
        document.file_key, document.file_sha256, document.page_count = "k", "c" * 64, 1
        session.add(document)
    typed = {"component": 1, "field": "number_symbol", "value": "12/GRV"}
    absent = {"component": 1, "field": "abstract"}
    decide(
        records, dossier_id, "verification-1", "DUYET", "gq.01", corrections=[typed], absent=[absent], result=ARTICLES
    )
    confirm_fields(records, dossier_id, "verification-1")
    with records.session() as session:
        document = session.get_one(Document, document_id)
        for target in (D.DA_CAP_MA, D.CHO_KET_QUA):
            approvals_move(session, document, target)
    decide(records, dossier_id, "signoff-1", "KY", "ld.01")
    decide(records, dossier_id, "seal-1", "KY_SO", "vt.01")
    with whole_settings():
        require_upheld(records, CATALOG, dossier_id, leader="ld.01", clerk="vt.01")  # good as it is
    return Case(records, owner, dossier_id, document_id)


def approvals_move(session: Any, document: Document, target: D) -> None:
    from blocks.records.machine import move_document

    move_document(session, document, target, actor="test")


def asked_after(case: Case, monkeypatch: pytest.MonkeyPatch, after: int) -> str:
    """The pause at which the flow would ask, instead of taking what is stored."""

    def suspend(*_: object, key: str, **__: object) -> None:
        raise Asked(key)

    monkeypatch.setattr(approvals, "suspend_flow_run", suspend)
    try:
        answered: Answered[SignOff] = ask(SIGNOFF, case.id, after=after)
    except Asked as asked:
        return str(asked)
    return f"answered {answered.number}"


FORM: dict[str, Any] = {"decision": "KY", "reason": "", "officer": "ld.01"}


def forged_proofs(case: Case, folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(what is tried, the payload of the row signoff-2)."""
    kept = case.kept("signoff-1")
    said = attestation(case.records, case.id, "signoff-2", FORM, kept.shown or [])
    yield "one INSERT into the table of decisions, with an empty proof", FORM | {PROOF: ""}
    other, _ = ensure_keys(folder / "other")
    yield "a decision attested with a key of the attacker's own", FORM | {PROOF: attest(other, said)}
    key = OKPKey.import_key(other.read_bytes())
    header = {"alg": "Ed25519", "jwk": key.as_dict(private=False)}
    inside = jws.serialize_compact(header, said.model_dump_json().encode(), key, ["Ed25519"])
    yield "the attacker's key inside the token itself (jwk)", FORM | {PROOF: inside}
    body = base64.urlsafe_b64encode(said.model_dump_json().encode()).rstrip(b"=").decode()
    none = base64.urlsafe_b64encode(json.dumps({"alg": "none"}).encode()).rstrip(b"=").decode()
    yield "a token that says it needs no signature (alg none)", FORM | {PROOF: f"{none}.{body}."}
    yield "the leader's old approval again, at the next pause", dict(kept.payload)
    another = decided_case(case.records, case.owner)
    yield "the leader's approval of another dossier", dict(another.kept("signoff-1").payload)


def test_forged_and_replayed_proofs_have_no_effect(
    attack: Attack, case: Case, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert asked_after(case, monkeypatch, 0) == "answered 1"  # what is proven is taken, without asking
    for number, (attempt, payload) in enumerate(forged_proofs(case, tmp_path), 2):
        with attack(attempt, watch=case.signed) as told:
            case.forge(f"signoff-{number}", "KY", payload)
            asked = asked_after(case, monkeypatch, number - 1)
            told.answered(f"not taken: asks at {asked}")
            assert asked == f"signoff-{number + 1}"
            assert "DECISION_NOT_PROVEN" in case.incidents()
            told.audited(case.trail().split("; ")[-1])
            assert case.trail().endswith(f"refuse DECISION_NOT_PROVEN signoff-{number}")
            assert asked_after(case, monkeypatch, number - 1) == asked  # a replay notes it once
            assert len(case.trail().split("; ")) == number - 1


def test_an_approval_of_another_run_is_none(attack: Attack, case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    with attack("approvals of an earlier run of the dossier, used by another run", watch=case.signed) as told:
        case.sql("UPDATE dossier SET flow_run_id = :run WHERE id = :dossier", run=uuid4())
        asked = asked_after(case, monkeypatch, 0)
        told.answered(f"not taken: asks at {asked}")
        told.audited(case.trail())
        assert asked == "signoff-2"
        with pytest.raises(DecisionNotProven):
            require_upheld(case.records, CATALOG, case.id)


def test_columns_count_only_as_copies_of_what_was_attested(attack: Attack, case: Case) -> None:
    """The proof of a refusal in a row that says KY; another's name; another day; another list of what was seen."""
    decide(case.records, case.id, "signoff-2", "TRA_LAI", "ld.01", reason="Thiếu căn cứ.")
    changes = {
        "the column says KY, the attested form TRA_LAI": "decision = 'KY'",
        "the approval is another leader's by its column": "officer = 'ld.02'",
        "the approval is moved to another day": "decided_at = decided_at - interval '1 day'",
        "the reasons are rewritten": "reason = 'khác'",
        "what the leader saw is rewritten beside the decision": "shown = '[]'::jsonb",
    }
    for attempt, change in changes.items():
        before = case.kept("signoff-2")
        assert case.counts("signoff-2")
        with attack(attempt) as told:
            case.sql(f"UPDATE decision SET {change} WHERE dossier_id = :dossier AND stage = 'signoff-2'")
            assert not case.counts("signoff-2")
            with case.records.session() as session:
                latest = latest_proven(session, case.id, "signoff")
            told.answered("the row has no effect")
            told.proved("the newest decision that counts is signoff-1")
            assert latest is not None and latest.stage == "signoff-1"
        case.sql(
            "UPDATE decision SET decision = :d, officer = :o, decided_at = :at, reason = :r, shown = cast(:s AS jsonb) "
            "WHERE dossier_id = :dossier AND stage = 'signoff-2'",
            d=before.decision, o=before.officer, at=before.decided_at, r=before.reason, s=json.dumps(before.shown),
        )  # fmt: skip


def test_a_later_forged_approval_does_not_write_the_result(attack: Attack, case: Case) -> None:
    def wording() -> list[str]:
        with case.records.session() as session:
            return drafted(session, get_dossier(session, case.id))

    with attack("a made-up later approval with other articles (9.000.000 đồng)", watch=wording) as told:
        payload = {"decision": "DUYET", "officer": "gq.01", "result": ["Mức hưởng: 9.000.000 đồng"], "proof": ""}
        case.forge("verification-9", "DUYET", payload, role="RESOLVE")
        told.answered("the result keeps the articles that were decided")
        assert wording() == ARTICLES


AFTER_APPROVAL = {
    "a value on the paper's record, after it was confirmed": (
        "UPDATE fieldvalue SET value = 'Thử Văn B' WHERE document_id = :document AND name = 'full_name'"
    ),
    "a corrected value, after it was confirmed": (
        "UPDATE fieldvalue SET value = '13/GRV' WHERE document_id = :document AND name = 'number_symbol'"
    ),
    "who confirmed the data": "UPDATE fieldvalue SET confirmed_by = 'gq.02' WHERE document_id = :document",
    "a field that nobody saw": (
        "INSERT INTO fieldvalue (id, document_id, name, value, confidence, rule, source, engine, attested_absent, "
        "confirmed_by, extracted_at) VALUES (gen_random_uuid(), :document, 'special.amount', '9000000', 1, '', 'OCR', "
        "'', false, 'gq.01', now())"
    ),
    "the articles in the resolving officer's decision": (
        "UPDATE decision SET payload = jsonb_set(payload, '{result}', '[\"9.000.000 đồng\"]') "
        "WHERE dossier_id = :dossier AND stage = 'verification-1'"
    ),
    "a page image": "UPDATE page SET image_sha256 = repeat('d', 64) WHERE document_id = :document",
    "the kind of the paper": "UPDATE document SET type_code = 'LOCAL:02A' WHERE id = :document",
    "whose dossier it is": "UPDATE dossier SET owner_name = 'Thử Văn C' WHERE id = :dossier",
    "the attempt that is shown": "UPDATE document SET attempt = 2 WHERE id = :document",
    "the file of the paper": "UPDATE document SET file_sha256 = repeat('d', 64) WHERE id = :document",
}


@pytest.mark.parametrize("what", AFTER_APPROVAL)
def test_what_changes_after_the_approval_is_not_signed(attack: Attack, case: Case, what: str) -> None:
    with attack(f"changed in the database between approval and signature: {what}", watch=case.signed) as told:
        case.sql(AFTER_APPROVAL[what])
        with pytest.raises((DecisionNotProven, ShownChanged)) as refused:
            require_upheld(case.records, CATALOG, case.id, leader="ld.01", clerk="vt.01")
        told.answered(f"not signed: {refused.value.code}")
        told.audited(f"incident {case.incidents()[-1]}")
        assert case.incidents() == [refused.value.code]
        seal = Seal(decision=SealDecision.KY_SO, officer="vt.01")
        assert check_seal(case.id, seal)  # the clerk is told so, too


UNDO = "UPDATE fieldvalue SET value = 'Thử Văn A' WHERE document_id = :document AND name = 'full_name'"
UNDO_PAGE = "UPDATE page SET image_sha256 = repeat('b', 64) WHERE document_id = :document"
UNDO_OWNER = "UPDATE dossier SET owner_name = :name WHERE id = :dossier"


def test_the_leader_cannot_allow_data_that_nobody_confirmed(attack: Attack, case: Case) -> None:
    what = ("a value on the paper's record, after it was confirmed", "a page image", "whose dossier it is")
    for change in what:
        assert not check_signoff(case.id, SignOff(decision=SignOffDecision.KY, officer="ld.01"))
        _leader_is_told(attack, case, change)
        with case.owner.session() as session:  # as it was
            session.execute(text(UNDO), {"document": case.document})
            session.execute(text(UNDO_PAGE), {"document": case.document})
            session.execute(text(UNDO_OWNER), {"dossier": case.id, "name": NAME})


def _leader_is_told(attack: Attack, case: Case, change: str) -> None:
    with attack(f"changed before the leader looks: {change}", watch=case.signed) as told:
        case.sql(AFTER_APPROVAL[change])
        (sentence,) = check_signoff(case.id, SignOff(decision=SignOffDecision.KY, officer="ld.01"))
        told.answered(sentence)
        assert "khác dữ liệu đã được xác nhận" in sentence


def test_another_leader_or_clerk_than_the_decisions_name(attack: Attack, case: Case) -> None:
    with attack("the result is to be signed by a leader who has not allowed it", watch=case.signed) as told:
        with pytest.raises(DecisionNotProven) as refused:
            require_upheld(case.records, CATALOG, case.id, leader="ld.02", clerk="vt.01")
        told.answered(refused.value.code)


def test_a_paper_that_the_officer_did_not_sign(
    attack: Attack, case: Case, objects: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    case.sql("UPDATE dossier SET state = 'KY_CO_QUAN' WHERE id = :dossier")
    with attack("the agency is to sign a file that no officer signed", watch=case.signed) as told:
        with pytest.raises(ForeignFile) as refused:
            sign_agency(case.records, objects, case.document)
        told.answered(refused.value.code)


def test_the_unsigned_result_is_replaced_in_the_store(attack: Attack, case: Case, objects: ObjectStore) -> None:
    case.sql("UPDATE dossier SET state = 'KY_CO_QUAN', procedure_code = '1.001667' WHERE id = :dossier")
    (result,) = issue_results(case.records, objects, CATALOG, case.id, "ld.01", "vt.01")
    require_as_decided(case.records, objects, CATALOG, result, "ld.01")
    with case.records.session() as session:
        row = session.get_one(Document, result)
        key, mine = row.file_key or "", objects.unproven(Bucket.WORKING, row.file_key or "")[0]
    with attack("another result under the key of the one that the leader will sign", watch=case.signed) as told:
        other = mine.replace(b"/Title", b"/Titel")
        objects.delete(Bucket.WORKING, key)
        stored = objects.put_once(Bucket.WORKING, key, other, content_type="application/pdf")
        case.sql("UPDATE document SET file_sha256 = :sha WHERE id = :result", sha=stored.sha256, result=result)
        with pytest.raises(ForeignFile) as refused:
            require_as_decided(case.records, objects, CATALOG, result, "ld.01")
        told.answered(refused.value.code)


# -- keys that were replaced --------------------------------------------------------------------------------------
def test_replaced_keys_prove_what_they_attested_and_no_more(attack: Attack, case: Case, tmp_path: Path) -> None:
    folder = gateway_key().parent
    old = tmp_path / "old.key"
    old.write_bytes(gateway_key().read_bytes())
    replace_keys(folder)
    assert case.counts("signoff-1")  # what was decided before still holds
    kept = case.kept("signoff-1")
    with attack("a decision attested with a key that was replaced", watch=case.signed) as told:
        said = attestation(case.records, case.id, "signoff-2", FORM, kept.shown or [])
        with pytest.raises(DecisionNotProven) as refused:
            verify_kept_attestation(FORM | {PROOF: attest(old, said)}, run=said.run, pause="signoff-2")
        told.answered(refused.value.code)
    with attack("a key is planted among those of the past with no end", watch=case.signed) as told:
        assert isinstance(load_pem_private_key(old.read_bytes(), None), Ed25519PrivateKey)
        (noted,) = (folder / PAST_KEYS).glob("*.json")
        assert noted.stat().st_mode & 0o022 == 0 and noted.parent.stat().st_mode & 0o022 == 0
        late = datetime.now(UTC) + timedelta(days=1)
        said = attestation(case.records, case.id, "signoff-2", FORM, kept.shown or [], at=late)
        with pytest.raises(DecisionNotProven):
            verify_kept_attestation(FORM | {PROOF: attest(old, said)}, run=said.run, pause="signoff-2")
        told.answered("only the owner of the gateway's folder can write there; a key counts until its day")


def test_the_newest_decision_counts_by_its_number(case: Case) -> None:
    for number in (2, 9, 10):
        decide(case.records, case.id, f"signoff-{number}", "TRA_LAI", "ld.01", reason=f"lần {number}")
    with case.records.session() as session:
        newest = latest_proven(session, case.id, "signoff")
        assert newest is not None and (newest.stage, newest.reason) == ("signoff-10", "lần 10")


def test_a_row_that_is_put_in_while_the_answer_is_kept_has_no_effect(
    attack: Attack, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    def faster(*args: Any) -> None:
        case.forge(args[2], "KY", FORM | {PROOF: ""})
        monkeypatch.setattr(approvals, "_suspend_and_record", again)

    def again(*args: Any) -> None:
        raise Asked(args[2])

    with attack("a forged row is written in the moment before the flow keeps the answer", watch=case.signed) as told:
        monkeypatch.setattr(approvals, "_suspend_and_record", faster)
        with pytest.raises(Asked, match="signoff-3") as asked:
            ask(SIGNOFF, case.id, after=1)
        told.answered(f"not taken: asks at {asked.value}")
        told.audited(case.trail())


def test_rows_that_say_signed_are_not_believed(attack: Attack, case: Case, objects: ObjectStore) -> None:
    """Rows, state and files as the signing steps leave them, but nobody has signed the files."""
    dossier_id, (document_id,) = make_dossier(case.records, ["LOCAL:01B-HSB"])
    put_signed(case.records, objects, document_id)

    def locked() -> list[str]:
        return list(objects.list(Bucket.RECORDS, f"{dossier_id}/"))

    with attack("rows say that the agency has signed: its record is to be locked", watch=locked) as told:
        with pytest.raises(NotAgencySigned) as refused:
            require_signed(case.records, objects, document_id, Trust())
        told.answered(refused.value.code)
