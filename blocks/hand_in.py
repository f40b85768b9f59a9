"""What the officer gateway attests of a hand-in: which officer, which files, and whether they may be signed for them.

A JWS with the key of decisions (blocks/identity.py), so that no worker and nobody who writes to the database can say
that an officer has handed something in, or has allowed the signature on it.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ConfigDict

from blocks.errors import Remedy, SohoaError
from blocks.identity import AttestedAt, DecisionNotProven, json_digest, read_attestation


class HandInNotProven(SohoaError):
    """A hand-in that the gateway didn't attest, or attested of other files or another officer."""

    code, rule = "HAND_IN_NOT_PROVEN", "CA01"
    message = "Lần nộp không có chứng thực của cổng viên chức; vui lòng để người sao chụp kiểm tra và ký số tại cổng."
    remedy = Remedy.OFFICER


class HandInAttestation(AttestedAt):
    """files: SHA-256 of the list of files; sign: the officer has checked them and lets them be signed (Điều 8.1)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    officer: str
    submission: str
    part: str
    files: str
    sign: bool
    trace: str = ""


def files_digest(files: Mapping[str, str]) -> str:
    """SHA-256 (hex) of file names and their hashes."""
    return json_digest(dict(files))


def prove_hand_in(token: str, *, submission: str, part: str, files: Mapping[str, str]) -> HandInAttestation:
    """The gateway's attestation of exactly this hand-in. Raises HandInNotProven; without a public key, always."""
    try:
        attestation = read_attestation(token, HandInAttestation)
    except DecisionNotProven as error:
        raise HandInNotProven() from error
    claimed = (submission, part, files_digest(files))
    if attestation is None or (attestation.submission, attestation.part, attestation.files) != claimed:
        raise HandInNotProven()
    return attestation
