"""WH03: an attestation proves one decision of one officer at one pause, and nothing else."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from blocks.identity import PUBLIC_KEY_FILE, Attestation, DecisionNotProven, attest, ensure_keys, form_digest, prove

FORM: dict[str, Any] = {"decision": "DUYET", "officer": "gq.01", "reason": "", "corrections": [{"value": "Đỗ Ánh"}]}
RUN = uuid4()
NOW = datetime.now(UTC)


@pytest.fixture
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    private, public = ensure_keys(tmp_path / "gateway")
    monkeypatch.setenv(PUBLIC_KEY_FILE, str(public))
    return private


def signed(key: Path, form: dict[str, Any] = FORM, **changes: Any) -> dict[str, Any]:
    said = {
        "officer": "gq.01",
        "role": "RESOLVE",
        "unit": "BHXH-TEST",
        "run": RUN,
        "pause": "verification-1",
        "form": form_digest(form),
        "at": NOW,
    }
    return form | {"proof": attest(key, Attestation(**(said | changes)))}


def check(form: dict[str, Any], run: UUID = RUN, pause: str = "verification-1", at: datetime = NOW) -> Attestation:
    return prove(form, run=run, pause=pause, accepted_at=at)


def test_what_the_gateway_attested_is_proven(key: Path) -> None:
    said = check(signed(key))
    assert (said.officer, said.role, said.unit, said.at) == ("gq.01", "RESOLVE", "BHXH-TEST", NOW)


@pytest.mark.parametrize(
    "forged",
    [
        lambda key: FORM,  # no proof at all
        lambda key: FORM | {"proof": "x.y.z"},
        lambda key: signed(key) | {"decision": "TRA_LAI"},
        lambda key: signed(key) | {"officer": "ld.01"},
        lambda key: signed(key) | {"corrections": []},
        lambda key: signed(key, officer="ld.01"),  # the form says another person
        lambda key: signed(key, run=uuid4()),
        lambda key: signed(key, pause="signoff-1"),
        lambda key: signed(key, at=NOW - timedelta(minutes=10)),  # kept back by somebody
        lambda key: signed(key, at=NOW + timedelta(minutes=10)),
        lambda key: signed(ensure_keys(key.parent / "other")[0]),  # a key of one's own
        lambda key: FORM | {"proof": "eyJhbGciOiJub25lIn0." + signed(key)["proof"].split(".")[1] + "."},  # alg none
    ],
)
def test_anything_else_is_refused(key: Path, forged: Any) -> None:
    with pytest.raises(DecisionNotProven):
        check(forged(key))


def test_another_pause_of_the_same_run_is_another_decision(key: Path) -> None:
    with pytest.raises(DecisionNotProven):
        check(signed(key), pause="verification-2")


def test_without_a_public_key_nothing_is_proven(key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    form = signed(key)
    monkeypatch.delenv(PUBLIC_KEY_FILE)
    with pytest.raises(DecisionNotProven):
        check(form)


def test_the_private_key_is_its_owners_alone_and_is_kept(key: Path) -> None:
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    before = key.read_bytes()
    assert ensure_keys(key.parent)[0].read_bytes() == before
