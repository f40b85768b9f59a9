"""`sohoa partner`: secrets are shown once and kept as hash; two are valid while one is rotated (WH04)."""

from __future__ import annotations

import json
import re

import pytest
from sqlmodel import select
from typer.testing import CliRunner

from blocks.errors import SohoaError
from blocks.records import RecordsDatabase
from blocks.records.partners import PartnerSecret, authenticate
from blocks.records.tables import AuditEntry
from deployments.partners.commands import app

SCOPE = ("--unit", "BHXH-TEST", "--procedure", "1.001667", "--officer", "tnhs.01")
ADD = ("add", "buu-dien", "--name", "Bưu điện", *SCOPE)


def run(*arguments: str) -> str:
    done = CliRunner().invoke(app, list(arguments))
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


def secret_in(output: str) -> str:
    found = re.search(r"client_secret: (\S+)", output)
    assert found
    return found[1]


def opens(records: RecordsDatabase, secret: str) -> bool:
    with records.session() as session:
        return authenticate(session, "buu-dien", secret) is not None


def test_a_partner_is_added_rotated_listed_and_revoked(records: RecordsDatabase) -> None:
    first = secret_in(run(*ADD))
    assert opens(records, first) and not opens(records, first + "x") and not opens(records, "")
    second = secret_in(run("rotate", "buu-dien", "--days", "3"))
    assert opens(records, first) and opens(records, second)
    third = secret_in(run("rotate", "buu-dien", "--days", "0"))
    assert not opens(records, first) and not opens(records, second) and opens(records, third)
    run("change", "buu-dien", "--unit", "BHXH-TEST", "--unit", "BHXH-KHAC")
    (told,) = json.loads(run("list", "--json"))
    both = ["BHXH-TEST", "BHXH-KHAC"]
    assert (told["units"], told["open"], told["secrets"], told["revoked"]) == (both, 0, [""], False)
    assert "Bưu điện" in run("list") and third not in run("list")
    run("revoke", "buu-dien")
    assert not opens(records, third) and json.loads(run("list", "--json"))[0]["revoked"]
    with records.session() as session:
        for kept in session.exec(select(PartnerSecret)):
            assert kept.hash.startswith("scrypt$16384$8$1$") and first not in kept.hash
        actions = session.exec(select(AuditEntry.action).order_by(AuditEntry.seq)).all()  # type: ignore[arg-type]
    done = ["added", "rotated", "rotated", "changed", "revoked"]
    assert actions == [f"partner-{what}" for what in done]


def test_what_is_no_partner_is_refused(records: RecordsDatabase) -> None:
    run(*ADD)
    with pytest.raises(SohoaError) as known:
        run(*ADD)
    assert known.value.code == "PARTNER_EXISTS"
    with pytest.raises(SohoaError) as unknown:
        run("rotate", "benh-vien")
    assert unknown.value.code == "PARTNER_UNKNOWN"
    for more in (("--callback-host", "https://x.example"), ("--callback-host", "x/../y"), ("--scope", "admin")):
        assert CliRunner().invoke(app, [*ADD[:1], "khac", *ADD[2:], *more]).exit_code == 2
