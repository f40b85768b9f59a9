"""A person's PIN on a real token (SoftHSM): typed at the pause, used once, found nowhere (Điều 8.1)."""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import yaml
from pydantic import SecretStr
from sqlalchemy import text
from sqlmodel import select

from blocks.objects import ObjectStore
from blocks.pins import PinUnfit, ensure_pair, private_key, seal, unseal
from blocks.records import RecordsDatabase
from blocks.records.tables import Dossier, SealedPin, now
from blocks.settings import settings
from blocks.signer import StoredPinRefused, signer_for, stored_pins
from infra.local import token
from tasks.pauses.sign import describe as describe_sign
from tasks.signing.pins import LASTS, keep_pin, take_pin
from tests.attack.plugin import Attack
from tests.conftest import ROOT, TestPki
from tests.tasks.signing.test_steps import Case

OFFICER = "tnhs.01"
SIGN = """
import json
from uuid import UUID
from blocks.objects import ObjectStore
from blocks.records import RecordsDatabase
from blocks.signer import signer_for
from tasks.signing.batch import sign_captures
batch = sign_captures(RecordsDatabase(), ObjectStore(), [UUID({id!r})])
failed = [error.code for error in batch.failed.values()]
opened = signer_for({officer!r}).is_open
print(json.dumps({{"signed": len(batch.signed), "pin": batch.pin, "failed": failed, "open": opened}}))
"""


class Token:
    """The officer's own token: the PIN is known here and in the officer's head."""

    def __init__(self, place: Path) -> None:
        self.pin = f"{secrets.randbelow(10**8):08d}"
        given = place / "typed.pin"
        given.write_text(self.pin)
        library = token.module()
        assert library, "SoftHSM is missing: apt-get install softhsm2 (make test does)"
        token.make_token(place / "person", given, {OFFICER: place / f"keys/{OFFICER}.pem"}, label="person")
        given.unlink()
        listing = place / "officers.yml"
        known = yaml.safe_load(listing.read_text())
        entry = {"kind": "pkcs11", "module": str(library), "token": "person", "key": OFFICER,
                 "environment": {"SOFTHSM2_CONF": "person/softhsm2.conf"}}  # fmt: skip
        known["officers"][OFFICER] = known["officers"][OFFICER] | entry
        listing.write_text(yaml.safe_dump(known, allow_unicode=True))


@pytest.fixture
def held(pki: TestPki, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Token]:
    """A copy of the PKI's folder in which the officer signs with an own token."""
    copy = tmp_path / "pki"
    shutil.copytree(pki.folder, copy, ignore=shutil.ignore_patterns(".lock"))
    monkeypatch.setenv("SOHOA_PKI_DIR", str(copy))
    monkeypatch.setenv("SOHOA_PIN_KEYS", str(tmp_path / "state"))
    settings.cache_clear()
    ensure_pair()
    yield Token(copy)
    settings.cache_clear()


@pytest.fixture
def case(records: RecordsDatabase, objects: ObjectStore, held: Token) -> Case:
    return Case(records, objects)


def sign(case: Case) -> dict[str, Any]:
    """In a process of its own, as each flow run is: a PKCS#11 library reads its configuration once."""
    code = SIGN.format(id=str(case.id), officer=OFFICER)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=os.environ, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer


def boxes(records: RecordsDatabase) -> list[SealedPin]:
    with records.session() as session:
        return list(session.exec(select(SealedPin)))


def dumped() -> str:
    """Everything in the database as text, as its owner reads it."""
    with RecordsDatabase(url_env="SOHOA_DATABASE_OWNER_URL").session() as session:
        tables = session.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).scalars().all()
        return "".join(
            str(session.execute(text(f"SELECT coalesce(string_agg(t::text, ''), '') FROM {name} t")).scalar())
            for name in tables
            if name != "records_version"
        )


def test_CA01_the_officer_types_the_pin(
    case: Case, held: Token, records: RecordsDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without one nothing is signed; a wrong one is tried once and asked for again; the right one signs, once."""
    monkeypatch.setattr(RecordsDatabase, "get", staticmethod(lambda: records))
    assert sign(case) == {"signed": 0, "pin": True, "failed": [], "open": False}
    wrong = "0" * 8 if held.pin != "0" * 8 else "1" * 8
    keep_pin(records, case.dossier_id, "sign-1", OFFICER, SecretStr(wrong))
    assert sign(case) == {"signed": 0, "pin": True, "failed": [], "open": False}
    assert not boxes(records)  # used
    assert "Mã PIN lần trước chưa được chấp nhận" in describe_sign(True, case.dossier_id)
    keep_pin(records, case.dossier_id, "sign-2", OFFICER, SecretStr(held.pin))
    (kept,) = boxes(records)
    assert held.pin not in kept.box and held.pin.encode() not in base64.b64decode(kept.box)
    while_kept = dumped()
    assert sign(case) == {"signed": 1, "pin": False, "failed": [], "open": False}
    assert len(case.signatures()) == 1 and not boxes(records)
    written = [path for path in tmp_path.rglob("*") if path.is_file() and "person" not in path.parts]
    assert held.pin not in while_kept + dumped()
    assert not [path for path in written if held.pin.encode() in path.read_bytes()]


def test_pin_box_elsewhere(attack: Attack, records: RecordsDatabase, case: Case, held: Token) -> None:
    """Replayed on another dossier, pause or officer, after use, and when it is old."""
    keep_pin(records, case.dossier_id, "sign-1", OFFICER, SecretStr(held.pin))
    (kept,) = boxes(records)
    told: dict[str, Any] = {"dossier": case.dossier_id, "pause": "sign-1", "officer": OFFICER}
    for attempt, changed in {
        "PIN box opened for another dossier": {"dossier": uuid4()},
        "PIN box opened for another pause": {"pause": "sign-2"},
        "PIN box opened for another officer": {"officer": "ld.01"},
    }.items():
        with attack(attempt, watch=lambda: len(case.signatures())) as row:
            with pytest.raises(PinUnfit) as refused:
                unseal(kept.box, **(told | changed))
            row.answered(refused.value.code)
    with attack("PIN of one officer taken for another's signature", watch=lambda: len(case.signatures())) as row:
        assert take_pin(records, case.dossier_id, "sign", "ld.01") is None
        row.answered("None, and deleted")
        assert not boxes(records)


def put(records: RecordsDatabase, dossier: UUID, box: str, pause: str = "sign-1", *, old: bool = False) -> None:
    with records.session() as session:
        expires = now() - LASTS if old else now() + LASTS
        session.add(SealedPin(dossier_id=dossier, stage=pause, officer=OFFICER, box=box, expires_at=expires))


def test_pin_row_copied_or_old(attack: Attack, records: RecordsDatabase, case: Case, held: Token) -> None:
    """Whoever can write the table can't make a PIN fit."""
    box = seal(SecretStr(held.pin), dossier=case.dossier_id, pause="sign-1", officer=OFFICER)
    with records.session() as session:
        mine = session.get_one(Dossier, case.dossier_id)
        other = Dossier(
            submission=uuid4().hex, unit_id=mine.unit_id, procedure_code=mine.procedure_code, captured_by=OFFICER
        )
        session.add(other)
        session.flush()
        other_id = other.id
    put(records, other_id, box)
    with attack("row of a PIN copied to another dossier", watch=lambda: len(case.signatures())) as row:
        assert take_pin(records, other_id, "sign", OFFICER) is None
        row.answered("None")
    put(records, case.dossier_id, box, old=True)
    with attack("PIN used after its ten minutes", watch=lambda: len(case.signatures())) as row:
        assert take_pin(records, case.dossier_id, "sign", OFFICER) is None
        row.answered("None, and deleted")
        assert not boxes(records)
    put(records, case.dossier_id, box)
    first = take_pin(records, case.dossier_id, "sign", OFFICER)
    assert first is not None and first.get_secret_value() == held.pin
    with attack("PIN used a second time", watch=lambda: len(case.signatures())) as row:
        assert take_pin(records, case.dossier_id, "sign", OFFICER) is None
        row.answered("None")


def test_pin_key_is_the_workers_alone(held: Token) -> None:
    assert private_key().stat().st_mode & 0o077 == 0


def test_stored_pin_in_production(attack: Attack, held: Token, monkeypatch: pytest.MonkeyPatch) -> None:
    listing = settings().pki_dir / "officers.yml"
    known = yaml.safe_load(listing.read_text())
    known["officers"][OFFICER]["pin"] = "file:person.pin"
    listing.write_text(yaml.safe_dump(known, allow_unicode=True))
    assert stored_pins() == [OFFICER]
    monkeypatch.setenv("SOHOA_ENVIRONMENT", "production")
    settings.cache_clear()
    with attack("officer's PIN stored in officers.yml in production", watch=listing.read_text) as row:
        with pytest.raises(StoredPinRefused) as refused:
            signer_for(OFFICER)
        row.answered(refused.value.code)
