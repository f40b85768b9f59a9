"""Secrets by reference: ``env:NAME`` or ``file:/path`` (0600). Never a value in YAML, in Prefect or in an argument."""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import SecretStr

from blocks.errors import SohoaError
from blocks.settings import home


class SecretMissing(SohoaError):
    """The reference leads nowhere, or to a file that other users of the machine can read."""

    code = "SECRET_MISSING"
    message = "Không đọc được mã bí mật của thiết bị hoặc dịch vụ ký số; vui lòng báo quản trị viên kiểm tra cấu hình."


def secret(reference: str, base: Path | None = None) -> SecretStr:
    """What a reference stands for. base: folder that relative paths count from. Raises SecretMissing."""
    kind, _, place = reference.partition(":")
    if kind == "env" and (value := os.environ.get(place)):
        return SecretStr(value)
    if kind == "file":
        path = (base or Path()) / place
        try:
            if not path.stat().st_mode & 0o077:
                return SecretStr(path.read_text().strip())
        except OSError as error:
            raise SecretMissing() from error
    raise SecretMissing()


def write_private(path: Path, key: Ed25519PrivateKey | X25519PrivateKey) -> None:
    """Whole or not at all, for its owner only."""
    half = path.with_suffix(".new")
    with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    half.replace(path)


class RefusedPin:
    """The PIN that a token or service refused, as a salted hash in a file of our own (0600).

    Each flow run is a process of its own, so "tried once" can't be a variable. Another PIN in the reference is tried.
    """

    def __init__(self, place: str) -> None:
        self.path = home() / "tokens" / f"{hashlib.sha256(place.encode()).hexdigest()[:16]}.refused"

    def holds(self, pin: str) -> bool:
        """Was it this one?"""
        try:
            salt, _, known = self.path.read_text().strip().partition(":")
        except OSError:
            return False
        return secrets.compare_digest(known, _hashed(salt, pin))

    def write(self, pin: str) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        salt = secrets.token_hex(16)
        with os.fdopen(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
            stream.write(f"{salt}:{_hashed(salt, pin)}\n")

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)


def _hashed(salt: str, pin: str) -> str:
    return hashlib.scrypt(pin.encode(), salt=bytes.fromhex(salt), n=2**14, r=8, p=1).hex()
