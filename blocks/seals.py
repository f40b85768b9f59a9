"""Who wrote an entry of the audit trail: each part seals its own with a key that no database password opens (P14).

A seal is an Ed25519 signature over the part's name and the entry's hash, which holds its number and all entries before
it: a seal fits no other place. The private key is a file that the part's OS user alone reads; the public ones lie
beside it for everybody, so that whoever checks needs no secret. A key that was replaced proves what stands before its
successor's first entry and was written until that day.
"""

from __future__ import annotations

import base64
import binascii
import os
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from pydantic import ValidationError

from blocks.errors import SohoaError
from blocks.identity import MAX_AGE, PastKey, ensure_keys
from blocks.settings import home

# Flows and the command line; the desk and partners' API; `sohoa dispose`. No other part writes entries.
WORKER, GATEWAY, DISPOSAL = PARTS = ("worker", "gateway", "disposal")
LENGTH = 86  # characters of a signature, base64 without padding


class SealKeyMissing(SohoaError):
    """This part has no key to seal entries, may not read it, or nobody could check what it seals."""

    code, rule = "SEAL_KEY_MISSING", "P14"
    message = (
        "Không đọc được khóa ghi nhật ký của bộ phận {part}; vui lòng báo quản trị viên chạy lại `make up` "
        "(gõ lệnh bằng tài khoản quản trị máy chủ)."
    )


def folder() -> Path:
    """Of this installation's keys."""
    return home() / "sealing"


def ensure_seal_keys(base: Path) -> None:
    """A pair for each part, at the first start. base: the state folder. What is there stays."""
    for part in PARTS:
        _, public = ensure_keys(base / "sealing", part)
        public.chmod(0o644)


def seal(digest: str) -> str:
    """What this part (SOHOA_PART) says of an entry's hash. Raises SealKeyMissing."""
    part = os.environ.get("SOHOA_PART") or WORKER
    path = folder() / f"{part}.key"
    try:
        status = path.stat()
        key = _private(path, status.st_mtime_ns, status.st_ino)
    except (OSError, ValueError) as error:
        raise SealKeyMissing(part=part) from error
    return f"{part}.{base64.urlsafe_b64encode(key.sign(_said(part, digest))).decode().rstrip('=')}"


@lru_cache(maxsize=4)
def _private(path: Path, _changed: int, _inode: int) -> Ed25519PrivateKey:
    """Read again only when another file lies there."""
    key = load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey) or path.stem not in PARTS:
        raise ValueError("no key of a part")
    return key


def _said(part: str, digest: str) -> bytes:
    return f"sohoa-seal-1:{part}:{digest}".encode()


def part_of(sealed: str) -> str:
    """Whose seal it says to be; nothing is checked."""
    return sealed.partition(".")[0]


@dataclass
class Seals:
    """The public keys of an installation. Entries are to be shown in their order.

    since: when the entry before the first one was written; a key that was replaced before has sealed none of them.
    """

    since: datetime | None = None
    folder: Path = field(default_factory=folder)

    def __post_init__(self) -> None:
        """Raises SealKeyMissing when a part's public key isn't there."""
        self._keys = {part: self._public(part) for part in PARTS}
        # Index of the newest key that has sealed an entry: none that it replaced seals a later one.
        self._newest = {part: len(keys) for part, keys in self._keys.items()}

    def _public(self, part: str) -> list[tuple[Ed25519PublicKey, datetime | None]]:
        """The key in use, then those that it replaced, the newest first, each with the end of its use."""
        try:
            past = [PastKey.model_validate_json(p.read_bytes()) for p in (self.folder / f"{part}.past").glob("*.json")]
            past = [one for one in past if self.since is None or one.until + MAX_AGE >= self.since]
            past.sort(key=lambda one: one.until, reverse=True)
            pems = [((self.folder / f"{part}.pub").read_bytes(), None), *((p.key.encode(), p.until) for p in past)]
            keys = [(load_pem_public_key(pem), until) for pem, until in pems]
        except (OSError, ValueError, ValidationError) as error:
            raise SealKeyMissing(part=part) from error
        return [(key, until) for key, until in keys if isinstance(key, Ed25519PublicKey)]

    def fits(self, sealed: str, digest: str, at: datetime) -> bool:
        """Whether the part that the seal names has written the entry with this hash at this time."""
        part, _, text = sealed.partition(".")
        if len(text) != LENGTH or part not in self._keys:
            return False
        try:
            signature = base64.b64decode(text + "==", altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return False
        part_key = _said(part, digest)
        for index, (key, until) in enumerate(self._keys[part][: self._newest[part] + 1]):
            if until is not None and at > until + MAX_AGE:
                break  # older ones ended before
            try:
                key.verify(signature, part_key)
            except InvalidSignature:
                continue
            self._newest[part] = index
            return True
        return False
