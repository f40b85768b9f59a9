"""Who decided: what the officer gateway attests of one decision, signed with Ed25519 (JWS, RFC 7515, RFC 9864).

The gateway holds the private key; flows and anybody who checks later need only the public one, so that no worker can
make up a decision. An attestation fits one pause of one run and one filled form: it can't be used anywhere else.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from pydantic import BaseModel, ConfigDict, ValidationError

from blocks.errors import Remedy, SohoaError

ALGORITHM = "Ed25519"
FRESH = timedelta(minutes=2)  # between the gateway's attestation and Prefect's acceptance of it
PUBLIC_KEY_FILE = "SOHOA_GATEWAY_PUBLIC_KEY_FILE"
PROOF = "proof"  # the field of each form that carries the attestation


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


class Attestation(BaseModel):
    """What the gateway says. run, pause: where it may be used; form: SHA-256 of what was filled in; trace: request.

    acr, auth_time: how and when the officer last proved at the identity provider to be that person, as it says.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    officer: str
    role: str
    unit: str
    run: UUID
    pause: str
    form: str
    at: datetime
    trace: str = ""
    acr: str = ""
    auth_time: datetime | None = None
    delegation: Delegated | None = None


def form_digest(form: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of a form's JSON values without the proof itself; keys sorted, UTF-8."""
    plain = {name: value for name, value in form.items() if name != PROOF}
    text = json.dumps(plain, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def ensure_keys(folder: Path) -> tuple[Path, Path]:
    """(private, public) key files of the gateway in PEM; made at the first call, the private one for its owner only."""
    private, public = folder / "decisions.key", folder / "decisions.pub"
    if not private.exists():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        key = Ed25519PrivateKey.generate()
        half = private.with_suffix(".new")
        with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        half.replace(private)
    return private, public


def attest(private: Path, attestation: Attestation) -> str:
    """The attestation as compact JWS."""
    key = OKPKey.import_key(private.read_bytes())
    return jws.serialize_compact({"alg": ALGORITHM}, attestation.model_dump_json().encode(), key, [ALGORITHM])


def prove(form: Mapping[str, Any], *, run: UUID, pause: str, accepted_at: datetime) -> Attestation:
    """The gateway's attestation of this form at this pause. Raises DecisionNotProven; without a public key, always.

    accepted_at: when Prefect took the answer; one attested long before was kept back by somebody.
    """
    named = os.environ.get(PUBLIC_KEY_FILE)
    try:
        if not named:
            raise DecisionNotProven()
        key = OKPKey.import_key(Path(named).read_bytes())
        token = jws.deserialize_compact(str(form.get(PROOF, "")), key, [ALGORITHM])
        said = Attestation.model_validate_json(token.payload)
    except (JoseError, ValidationError, ValueError, OSError) as error:
        raise DecisionNotProven() from error
    fits = (said.run, said.pause, said.form, said.officer) == (run, pause, form_digest(form), form.get("officer"))
    if not fits or abs(accepted_at - said.at) > FRESH:
        raise DecisionNotProven()
    return said
