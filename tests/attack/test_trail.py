"""Attacks on the audit trail by who owns the database, and on its anchors by who holds the keys of the store."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import col, select

from blocks.objects import Bucket, ObjectStore
from blocks.records import RecordsDatabase
from blocks.records.audit import audit, canonical, chain_head, read_chain
from blocks.records.queries import record_decision
from blocks.records.tables import AuditEntry, Decision, Incident
from blocks.signer import signer_for
from blocks.trust import Trust, run
from tasks.monitoring import audit_anchor as module
from tasks.monitoring.audit_anchor import anchor_trail, anchors, faults, key_of, newest
from tasks.monitoring.audit_trail import BROKEN, AnchorsBroken, TrailBroken, check_trail, look_through
from tasks.signing.manifest import canonical as signed_bytes
from tasks.signing.manifest import sign_detached
from tests.attack.plugin import Attack
from tests.conftest import TestPki
from tests.tasks.decided import whole_settings
from tests.tasks.lawcase import make_dossier


@dataclass
class Trail:
    """A trail with two anchors in a store of its own; entries after the last one."""

    records: RecordsDatabase
    owner: RecordsDatabase
    objects: ObjectStore
    trust: Trust

    def note(self, count: int = 3) -> None:
        with self.records.session() as session:
            for _ in range(count):
                audit(session, actor="gq.01", action="view", rule="P14")

    def sql(self, statement: str, **values: Any) -> None:
        """As who owns the tables: the triggers that refuse changes are off."""
        with self.owner.session() as session:
            session.execute(text("ALTER TABLE auditentry DISABLE TRIGGER USER"))
            session.execute(text(statement), values)
            session.execute(text("ALTER TABLE auditentry ENABLE TRIGGER USER"))

    def recompute(self) -> None:
        """All hashes anew, as somebody does who wants no gap to be seen."""
        with self.owner.session() as session:
            previous = "0" * 64
            session.execute(text("ALTER TABLE auditentry DISABLE TRIGGER USER"))
            for entry in session.exec(select(AuditEntry).order_by(col(AuditEntry.seq))).all():
                row = entry.model_dump() | {"previous_hash": previous}
                previous = hashlib.sha256(canonical(row)).hexdigest()
                change = "UPDATE auditentry SET previous_hash = :p, hash = :h WHERE seq = :s"
                values = {"p": row["previous_hash"], "h": previous, "s": entry.seq}
                session.execute(text(change), values)
            session.execute(text("ALTER TABLE auditentry ENABLE TRIGGER USER"))
        with self.records.session() as session:
            assert read_chain(session).wrong == []  # the chain alone shows nothing

    def stored(self) -> list[str]:
        """The anchors themselves: none of them may change."""
        keys = self.objects.list(Bucket.RECORDS, module.PLACE)
        return [f"{key[-13:]}={self.objects.unproven(Bucket.RECORDS, key)[1].sha256[:8]}" for key in keys]

    def broken(self) -> str:
        """What the nightly look and the auditor's button both say, and the incident."""
        for whole in (False, True):
            with pytest.raises(TrailBroken) as told:
                check_trail(self.records, "system", self.objects, self.trust, whole=whole)
        with self.records.session() as session:
            assert [row.code for row in session.exec(select(Incident))] == [BROKEN]
        return str(told.value)


@pytest.fixture
def trail(records: RecordsDatabase, owner: RecordsDatabase, objects: ObjectStore, pki: TestPki) -> Iterator[Trail]:
    with whole_settings():
        yield anchored(records, owner, pki)


def anchored(records: RecordsDatabase, owner: RecordsDatabase, pki: TestPki) -> Trail:
    store = ObjectStore(prefix=f"t{secrets.token_hex(4)}")
    store.ensure_buckets()
    made = Trail(records, owner, store, Trust(folder=pki.folder, tsa_url=pki.tsa))
    for _ in range(2):
        made.note()
        anchor_trail(records, store, made.trust, "system")
    made.note()
    report = check_trail(records, "kt.01", store, made.trust)
    assert (report.anchors, report.entries) == (2, 11)
    return made


def cut(trail: Trail, last: int) -> None:
    trail.sql("DELETE FROM auditentry WHERE seq > :last", last=last)


def change_actor(trail: Trail) -> None:
    trail.sql("UPDATE auditentry SET actor = 'gq.02' WHERE seq = 2")
    trail.recompute()


def take_out_the_anchors_entry(trail: Trail) -> None:
    trail.sql("DELETE FROM auditentry WHERE action = 'anchor'")
    trail.sql("UPDATE auditentry SET seq = -seq")
    trail.sql(
        "UPDATE auditentry a SET seq = n.place FROM (SELECT seq, row_number() OVER (ORDER BY seq DESC) AS place "
        "FROM auditentry) n WHERE n.seq = a.seq"
    )
    trail.recompute()


def begin_anew(trail: Trail) -> None:
    trail.sql("DELETE FROM auditentry")


ATTEMPTS: dict[str, Callable[[Trail], None]] = {
    "another actor in an old entry, all hashes computed anew": change_actor,
    "the end of the trail is cut off, below the newest anchor": lambda trail: cut(trail, 5),
    "the anchors' own entries are taken out, all others numbered and hashed anew": take_out_the_anchors_entry,
    "the whole trail is deleted": begin_anew,
}


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_a_trail_that_was_rewritten_is_found(attack: Attack, trail: Trail, attempt: str) -> None:
    with attack(attempt, watch=trail.stored) as told:
        ATTEMPTS[attempt](trail)
        told.answered(trail.broken())
        told.audited("incident TRAIL_BROKEN")


def test_what_is_cut_after_the_newest_anchor_shows_by_the_decisions(attack: Attack, trail: Trail) -> None:
    dossier_id, _ = make_dossier(trail.records, ["LOCAL:01B-HSB"])
    with trail.records.session() as session:
        record_decision(session, dossier_id, "signoff-1", decision="KY", officer="ld.01")
        details = {"stage": "signoff-1", "decision": "KY"}
        audit(session, actor="ld.01", action="decide", dossier_id=dossier_id, rule="EX17", details=details)
    check_trail(trail.records, "kt.01", trail.objects, trail.trust)
    with attack("the last entries, made after the newest anchor, are cut off", watch=trail.stored) as told:
        cut(trail, 11)
        told.answered(trail.broken())
        told.audited("incident TRAIL_BROKEN")


def test_a_decision_that_no_entry_tells_of_is_found(attack: Attack, trail: Trail) -> None:
    dossier_id, _ = make_dossier(trail.records, ["LOCAL:01B-HSB"])
    with attack("a decision is put into its table beside the flow", watch=trail.stored) as told:
        with trail.records.session() as session:
            session.add(Decision(dossier_id=dossier_id, stage="signoff-1", decision="KY", officer="ld.01"))
        told.answered(trail.broken())
        told.audited("incident TRAIL_BROKEN")


def test_anchors_cannot_be_deleted_and_a_gap_is_seen(
    attack: Attack, trail: Trail, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, name = trail.objects.client, trail.objects.bucket_name(Bucket.RECORDS)
    (version,) = trail.objects.versions(Bucket.RECORDS, key_of(2))
    with attack("the newest anchor is deleted with the store's key", watch=trail.stored) as told:
        with pytest.raises(client.exceptions.ClientError) as refused:
            client.delete_object(Bucket=name, Key=key_of(2), VersionId=version)
        told.answered(refused.value.response["Error"]["Code"])
    with attack("the newest anchor is hidden under a mark of deletion") as told:
        client.delete_object(Bucket=name, Key=key_of(2))
        with trail.records.session() as session:
            assert faults(session, anchors(trail.objects, trail.trust)) == []
        told.answered("it is read below the mark, and counts")
        told.proved(f"anchors read: {len(anchors(trail.objects))}")
    whole = ObjectStore.list
    for serial in (1, 2):  # as if the disk had lost it: past every lock
        gone = key_of(serial)
        with attack(f"anchor {serial} of 2 is destroyed on the disk") as told, monkeypatch.context() as patch:
            patch.setattr(ObjectStore, "list", lambda *a, gone=gone: [k for k in whole(*a) if k != gone])
            with pytest.raises(AnchorsBroken, match=f"MISSING {serial}") as broken:
                check_trail(trail.records, "system", trail.objects, trail.trust, whole=serial == 1)
            told.answered(broken.value)
            told.proved("the trail goes on naming it")


def test_an_anchor_that_is_laid_over_another_does_not_count(attack: Attack, trail: Trail) -> None:
    """Allowed by object lock: a new version over a locked key; also one with a good signature of the agency."""
    change_actor(trail)
    with trail.records.session() as session:
        head = chain_head(session)
        assert head is not None
        other = session.exec(select(AuditEntry.hash).where(AuditEntry.seq == 3)).one()
    with attack("a new version over the locked anchor fits the rewritten trail") as told:
        old = anchors(trail.objects)[0].anchor
        assert old is not None
        put(trail, old.model_copy(update={"hash": other}), None)
        (first, second) = anchors(trail.objects, trail.trust)
        assert first.fault == "SEVERAL_VERSIONS"
        told.answered(trail.broken())
        told.audited("incident TRAIL_BROKEN")
        told.proved("the first version is there still, locked")
        assert second.anchor is not None


def put(trail: Trail, made: module.Anchor, officer: str | None) -> None:
    data = signed_bytes(made.model_dump())
    signer = signer_for(officer) if officer else module.agency_signer()
    token = run(sign_detached(data, signer, trail.trust))
    trail.objects.client.put_object(
        Bucket=trail.objects.bucket_name(Bucket.RECORDS),
        Key=key_of(made.serial),
        Body=json.dumps({"anchor": data.decode(), "cades": token.hex()}).encode(),
        ObjectLockMode="COMPLIANCE",
        ObjectLockRetainUntilDate=datetime.now(UTC) + timedelta(days=1),
    )


def test_an_anchor_of_another_certificate_or_of_none(attack: Attack, trail: Trail) -> None:
    last = newest(anchors(trail.objects))
    assert last is not None
    before = anchors(trail.objects)[-1].sha256
    with trail.records.session() as session:
        head = chain_head(session)
        assert head is not None
    mine = last.model_copy(update={"serial": 3, "previous": before, "seq": head.seq, "hash": head.hash})
    with attack("an anchor signed by an officer's own, valid certificate") as told:
        put(trail, mine, "ld.01")
        told.answered(trail.broken())
        told.proved("NOT_OURS 3: " + anchors(trail.objects, trail.trust)[2].fault)
        assert anchors(trail.objects, trail.trust)[2].fault == "NOT_OURS"


def test_an_anchor_with_a_number_far_away(attack: Attack, trail: Trail) -> None:
    last = newest(anchors(trail.objects))
    assert last is not None
    with attack("an anchor numbered 99999999, to tire whoever looks for the ones between") as told:
        put(trail, last.model_copy(update={"serial": 99_999_999}), "ld.01")
        told.answered(trail.broken())
        told.proved(", ".join(f"{one.fault} {one.serial}" for one in anchors(trail.objects, trail.trust)[2:]))
        assert [one.fault for one in anchors(trail.objects, trail.trust)] == ["", "", "MISSING", "NOT_OURS"]


def test_only_what_follows_the_newest_anchor_is_read_each_night(trail: Trail) -> None:
    report, wrong, against = look_through(trail.records, trail.objects, trail.trust, whole=False)
    assert (report.since, report.entries, wrong.all, against) == (7, 12, [], [])
    trail.sql("UPDATE auditentry SET actor = 'gq.02' WHERE seq = 9")
    assert look_through(trail.records, trail.objects, trail.trust, whole=False)[1].all == [9]
    trail.sql("UPDATE auditentry SET actor = 'gq.01' WHERE seq = 9")
    trail.sql("UPDATE auditentry SET actor = 'gq.02' WHERE seq = 2")  # its hash stays: only a whole reading sees it
    assert look_through(trail.records, trail.objects, trail.trust, whole=False)[1].all == []
    assert look_through(trail.records, trail.objects, trail.trust, whole=True)[1].all == [2]
