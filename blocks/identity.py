"""Who decided: what the officer gateway attests of one decision, signed with Ed25519 (JWS, RFC 7515, RFC 9864).

The gateway holds the private key; flows and anybody who checks later need only the public one, so that no worker can
make up a decision. An attestation fits one pause of one run of one dossier, one filled form and what was shown beside
it: it can't be used anywhere else. It is checked when the decision is made and again whenever it is used, perhaps
weeks later: keys that were replaced since stay known with the days on which they were used.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from pydantic import BaseModel, ConfigDict, ValidationError

from blocks.errors import Remedy, SohoaError
from blocks.ids import DossierId, FlowRunId
from blocks.secrets import write_private
from blocks.settings.sections import StepUpSettings

ALGORITHM = "Ed25519"
MAX_AGE = timedelta(minutes=2)  # between the gateway's attestation and Prefect's acceptance of it
PUBLIC_KEY_FILE = "SOHOA_GATEWAY_PUBLIC_KEY_FILE"
# What can't be taken back (signatures, deletion of what is secret): the provider is asked anew who sits there.
STEP_UP = frozenset({"KY", "KY_SO", "XAC_NHAN_MAT"})
PROOF = "proof"  # the field of each form that carries the attestation
DECISIONS = "decisions"  # name of the gateway's pair
PAST_KEYS = f"{DECISIONS}.past"  # folder beside the public key: the ones that it replaced, one JSON file each


class DecisionNotProven(SohoaError):
    """A decision that the officer gateway didn't attest, or attested for something else."""

    code, rule = "DECISION_NOT_PROVEN", "WH03"
    message = (
        "Quyết định không đi qua cổng viên chức nên không được công nhận; vui lòng đăng nhập cổng và quyết định lại."
    )
    remedy = Remedy.OFFICER


class Delegated(BaseModel):
    """That the officer acted by delegation (WH02): by which document, whose, until which day."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    document: str
    by: str
    until: date


class AttestedAt(BaseModel):
    """Whatever the gateway attests says when."""

    at: datetime


Said = TypeVar("Said", bound=AttestedAt)


class Attestation(AttestedAt):
    """What the gateway says. run, pause, dossier: where it may be used; form: SHA-256 of what was filled in.

    shown: SHA-256 of the list of what the officer saw (`shown_digest`), empty in what was attested before there was
    one; trace: request. acr, auth_time: how and when the officer last proved at the identity provider to be that
    person, as it says.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    officer: str
    role: str
    unit: str
    run: FlowRunId
    pause: str
    form: str
    trace: str = ""
    acr: str = ""
    auth_time: datetime | None = None
    delegation: Delegated | None = None
    dossier: DossierId | None = None
    shown: str = ""


class PastKey(BaseModel):
    """A public key (PEM) that was replaced: it proves what it attested until then."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str
    until: datetime


def json_digest(value: Any) -> str:
    """SHA-256 (hex) of a value as canonical JSON: keys sorted, no spaces, UTF-8."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def shown_digest(shown: Sequence[Any]) -> str:
    """Of the canonical list of what an officer saw."""
    return json_digest(shown)


def form_digest(form: Mapping[str, Any]) -> str:
    """Of a form's values without the proof itself."""
    return json_digest({name: value for name, value in form.items() if name != PROOF})


def ensure_keys(folder: Path, name: str = DECISIONS) -> tuple[Path, Path]:
    """(private, public) key files of a pair in PEM; made at the first call, the private one for its owner only."""
    private, public = folder / f"{name}.key", folder / f"{name}.pub"
    if not private.exists():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        key = Ed25519PrivateKey.generate()
        public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        write_private(private, key)  # last: without it another pair is made
    return private, public


def replace_keys(folder: Path, name: str = DECISIONS, *, at: datetime | None = None) -> tuple[Path, Path]:
    """A new pair of keys; the public one that it replaces stays known for what it attested until now.

    For who may write the folder. Idempotent after a crash: the old key is noted before it is replaced.
    """
    private, public = ensure_keys(folder, name)
    old = public.read_bytes()
    past = folder / f"{name}.past"
    past.mkdir(exist_ok=True, mode=0o755)
    noted = PastKey(key=old.decode(), until=at or datetime.now(UTC))
    (past / f"{key_id(OKPKey.import_key(old))}.json").write_text(noted.model_dump_json(), encoding="utf-8")
    private.unlink()
    return ensure_keys(folder, name)


def key_id(key: OKPKey) -> str:
    """RFC 7638: which key, the same for its public and its private half."""
    return str(key.thumbprint())


def attest(private: Path, attestation: BaseModel) -> str:
    """The attestation as compact JWS; its header names the key (`kid`)."""
    key = OKPKey.import_key(private.read_bytes())
    header = {"alg": ALGORITHM, "kid": key_id(key)}
    return jws.serialize_compact(header, attestation.model_dump_json().encode(), key, [ALGORITHM])


def prove(form: Mapping[str, Any], *, run: FlowRunId, pause: str, accepted_at: datetime) -> Attestation:
    """The gateway's attestation of this form at this pause. Raises DecisionNotProven; without a public key, always.

    accepted_at: when Prefect took the answer; one attested long before was kept back by somebody.
    """
    attestation = verify_kept_attestation(form, run=run, pause=pause)
    if abs(accepted_at - attestation.at) > MAX_AGE:
        raise DecisionNotProven()
    if form.get("decision") in STEP_UP and not freshly_authenticated(attestation.auth_time, attestation.at):
        raise DecisionNotProven()
    return attestation


def freshly_authenticated(auth_time: datetime | None, at: datetime) -> bool:
    """Whether the officer had proved at the provider who they are shortly before `at` (SOHOA_STEP_UP_MINUTES, 5)."""
    most = timedelta(minutes=StepUpSettings().step_up_minutes)
    return auth_time is not None and -MAX_AGE <= at - auth_time <= most + MAX_AGE


def verify_kept_attestation(form: Mapping[str, Any], *, run: FlowRunId | None, pause: str) -> Attestation:
    """The same for a decision that was taken some time ago: all but its freshness is checked once more.

    Raises DecisionNotProven.
    """
    attestation = read_attestation(str(form.get(PROOF, "")), Attestation)
    if attestation is None:
        raise DecisionNotProven()
    claimed = (run, pause, form_digest(form), form.get("officer"))
    if (attestation.run, attestation.pause, attestation.form, attestation.officer) != claimed:
        raise DecisionNotProven()
    return attestation


def read_attestation(token: str, kind: type[Said]) -> Said | None:
    """What the gateway attested, by any of its keys, each until it was replaced; None: nothing of this kind.

    Keys inside the token are never used. Raises DecisionNotProven without a public key.
    """
    return next((attestation for key, until in public_keys() if (attestation := _said(token, kind, key, until))), None)


def _said(token: str, kind: type[Said], key: OKPKey, until: datetime | None) -> Said | None:
    try:
        signed = jws.deserialize_compact(token, key, [ALGORITHM])
        attestation = kind.model_validate_json(signed.payload)
        in_time = until is None or attestation.at <= until
        return attestation if in_time and signed.headers().get("kid", key_id(key)) == key_id(key) else None
    except (JoseError, ValidationError, ValueError, TypeError):
        return None


def public_keys() -> Iterator[tuple[OKPKey, datetime | None]]:
    """The gateway's public key, then those that it replaced with the end of their use. Raises DecisionNotProven."""
    named = os.environ.get(PUBLIC_KEY_FILE)
    if not named:
        raise DecisionNotProven()
    try:
        yield OKPKey.import_key(Path(named).read_bytes()), None
        for path in sorted((Path(named).parent / PAST_KEYS).glob("*.json")):
            past = PastKey.model_validate_json(path.read_bytes())
            yield OKPKey.import_key(past.key), past.until
    except (JoseError, ValidationError, ValueError, OSError) as error:
        raise DecisionNotProven() from error
