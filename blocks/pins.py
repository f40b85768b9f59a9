"""A PIN on its way from the officer's browser to the one step that signs: sealed so that nobody else can read it.

HPKE (RFC 9180): X25519, HKDF-SHA256, AES-256-GCM. The gateway has the public key, the worker the private one. A box
fits one pause of one dossier and one officer; anywhere else it doesn't open.
"""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from pydantic import SecretStr

from blocks.errors import Remedy, SohoaError
from blocks.ids import DossierId
from blocks.secrets import write_private
from blocks.settings import home

MOST = 64  # characters of a PIN
_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


class PinKeyMissing(SohoaError):
    """The key pair that protects PINs isn't there, or not readable by this part."""

    code = "PIN_KEY_MISSING"
    message = "Máy chủ chưa sẵn sàng nhận mã PIN; vui lòng báo quản trị viên chạy lại `make up`."


class PinUnfit(SohoaError):
    """The box was made for something else, or was changed."""

    code, remedy = "PIN_UNFIT", Remedy.OFFICER
    message = "Mã PIN đã nhập không dùng được cho việc ký này; vui lòng nhập lại."


def _base() -> Path:
    return Path(os.environ.get("SOHOA_PIN_KEYS") or home())


def private_key(base: Path | None = None) -> Path:
    """For the worker alone."""
    return (base or _base()) / "signing" / "pin.key"


def public_key(base: Path | None = None) -> Path:
    return (base or _base()) / "public" / "pin.pub"


def ensure_pair(base: Path | None = None) -> None:
    """Make the pair at the first start. base: the state folder."""
    private, public = private_key(base), public_key(base)
    private.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    public.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
    if not private.exists():
        write_private(private, X25519PrivateKey.generate())
    key = load_pem_private_key(private.read_bytes(), password=None)
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


def seal(pin: SecretStr, *, dossier: DossierId, pause: str, officer: str) -> str:
    """The box, base64. Raises PinKeyMissing."""
    try:
        key = load_pem_public_key(public_key().read_bytes())
    except (OSError, ValueError) as error:
        raise PinKeyMissing() from error
    if not isinstance(key, X25519PublicKey):
        raise PinKeyMissing()
    sealed = _SUITE.encrypt(pin.get_secret_value().encode(), key, info=_fits(dossier, pause, officer))
    return base64.b64encode(sealed).decode()


def unseal(box: str, *, dossier: DossierId, pause: str, officer: str) -> SecretStr:
    """The PIN. Raises PinUnfit when the box was made for another pause, dossier or officer; PinKeyMissing."""
    try:
        key = load_pem_private_key(private_key().read_bytes(), password=None)
    except (OSError, ValueError) as error:
        raise PinKeyMissing() from error
    if not isinstance(key, X25519PrivateKey):
        raise PinKeyMissing()
    try:
        sealed = base64.b64decode(box, validate=True)
        return SecretStr(_SUITE.decrypt(sealed, key, info=_fits(dossier, pause, officer)).decode())
    except (InvalidTag, ValueError) as error:
        raise PinUnfit() from error


def _fits(dossier: DossierId, pause: str, officer: str) -> bytes:
    return json.dumps(["sohoa-pin-1", str(dossier), pause, officer]).encode()
