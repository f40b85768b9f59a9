"""What the officer gateway attests of a hand-in: which officer, which files, and whether they may be signed for them.

A JWS with the key of decisions (blocks/identity.py), so that no worker and nobody who writes to the database can say
that an officer has handed something in, or has allowed the signature on it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from pydantic import BaseModel, ConfigDict, ValidationError

from blocks.errors import Remedy, SohoaError
from blocks.identity import ALGORITHM, DecisionNotProven, public_keys


class HandInNotProven(SohoaError):
    """A hand-in that the gateway didn't attest, or attested of other files or another officer."""

    code, rule = "HAND_IN_NOT_PROVEN", "CA01"
    message = "Lần nộp không có chứng thực của cổng viên chức; vui lòng để người sao chụp kiểm tra và ký số tại cổng."
    remedy = Remedy.OFFICER


class HandInAttestation(BaseModel):
    """files: SHA-256 of the list of files; sign: the officer has checked them and lets them be signed (Điều 8.1)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    officer: str
    submission: str
    part: str
    files: str
    sign: bool
    at: datetime
    trace: str = ""


def files_digest(files: Mapping[str, str]) -> str:
    """SHA-256 (hex) of file names and their hashes: JSON, keys sorted, UTF-8."""
    text = json.dumps(dict(files), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def prove_hand_in(token: str, *, submission: str, part: str, files: Mapping[str, str]) -> HandInAttestation:
    """The gateway's attestation of exactly this hand-in. Raises HandInNotProven; without a public key, always."""
    try:
        found = (_said(token, key, until) for key, until in public_keys())
        said = next((one for one in found if one), None)
    except DecisionNotProven as error:
        raise HandInNotProven() from error
    if said is None or (said.submission, said.part, said.files) != (submission, part, files_digest(files)):
        raise HandInNotProven()
    return said


def _said(token: str, key: OKPKey, until: datetime | None) -> HandInAttestation | None:
    try:
        payload = jws.deserialize_compact(token, key, [ALGORITHM]).payload
        said = HandInAttestation.model_validate_json(payload)
    except (JoseError, ValidationError, ValueError, TypeError):
        return None
    return said if until is None or said.at <= until else None
