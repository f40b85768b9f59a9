"""Keys on a token or HSM (PKCS#11): the session is opened once a process and kept, a wrong PIN is sent once.

Each flow run is a process of its own, so "once" can't be a variable: a refused PIN is remembered in a file beside the
token's configuration, and tried again only when the reference gives another one.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from asn1crypto import algos, x509
from pkcs11 import exceptions as p11
from prefect.blocks.core import Block
from pydantic import Field, SecretStr
from pyhanko.config.pkcs11 import TokenCriteria
from pyhanko.sign import signers
from pyhanko.sign.pkcs11 import PKCS11Signer, open_pkcs11_session

from blocks.secrets import RefusedPin
from blocks.signer.base import (
    ASK,
    HeldCertificate,
    PinLocked,
    PinRefused,
    TokenKeyMissing,
    TokenUnavailable,
    pin_of,
    refuse_test_keys,
    require_fits,
)
from blocks.trust import certificates

_GONE = (
    p11.DeviceRemoved,
    p11.TokenNotPresent,
    p11.TokenNotRecognised,
    p11.SessionHandleInvalid,
    p11.SessionClosed,
    p11.KeyHandleInvalid,
    p11.ObjectHandleInvalid,
    p11.UserNotLoggedIn,
    p11.DeviceError,
    p11.GeneralError,
    p11.NoSuchToken,
    p11.SlotIDInvalid,
)


class TokenSigner(HeldCertificate, Block):
    """A key on a PKCS#11 token. Labels, paths and the PIN's reference; nothing secret."""

    _block_type_name = "Sohoa token (PKCS#11)"
    _block_type_slug = "sohoa-token"

    module: Path  # the vendor's library
    token: str  # label
    key: str  # label of the private key
    pin: str  # reference: env:NAME or file:PATH; "" or ask: the person types it
    certificate_path: Path
    chain_folder: Path | None = None
    environment: dict[str, str] = Field(default_factory=dict)  # that the library reads, e.g. SOFTHSM2_CONF

    @property
    def asks_pin(self) -> bool:
        return self.pin in ("", ASK)

    @property
    def is_open(self) -> bool:
        return self._place in _held(os.getpid())

    @property
    def _place(self) -> tuple[str, ...]:
        return str(self.module), self.token, self.key, str(self.certificate_path)

    def close(self) -> None:
        """Log out: the next signature needs the PIN again."""
        _held(os.getpid()).pop(self._place, None)
        if (session := _sessions(os.getpid()).pop((str(self.module), self.token), None)) is not None:
            with suppress(p11.PKCS11Error):
                session.close()

    async def open(self) -> signers.Signer:
        """Raises TestKeyRefused, PinNeeded, SecretMissing, PinRefused, PinLocked, TokenUnavailable,
        TokenKeyMissing, KeyMismatch.

        The session stays open as long as the process.
        """
        return await self._opened()

    async def sign_digests(self, digests: list[bytes]) -> list[bytes]:
        opened = await self._opened()
        return [await opened.sign_digest(digest) for digest in digests]

    async def _opened(self) -> HeldToken:
        refuse_test_keys(self.certificate, soft=False)
        held, place = _held(os.getpid()), self._place
        if place not in held:
            held[place] = await self._log_in()
        return held[place]

    async def _log_in(self) -> HeldToken:
        os.environ.update(self.environment)
        session = _session(self.module, self.token, lambda: pin_of(self.certificate_path, self.pin))
        chain = list(certificates(self.chain_folder)) if self.chain_folder else []
        opened = HeldToken(session, self.certificate, chain, self.key, lambda: self._forget())
        probe = secrets.token_bytes(32)  # a token can hold any key under any label
        require_fits(self.certificate, probe, await opened.async_sign_raw(probe, "sha256"))
        return opened

    def _forget(self) -> None:
        """The next signature opens the token again."""
        _held(os.getpid()).clear()
        _sessions(os.getpid()).clear()


class HeldToken(PKCS11Signer):
    """pyHanko's signer on a session that is kept; one operation at a time, as PKCS#11 sessions want it."""

    def __init__(
        self, session: Any, certificate: x509.Certificate, chain: list[x509.Certificate], key: str, forget: Any
    ) -> None:
        # For elliptic curves many tokens sign hashes only.
        raw = certificate.public_key.algorithm == "ec"
        super().__init__(session, signing_cert=certificate, ca_chain=chain, key_label=key, use_raw_mechanism=raw)
        self._one = asyncio.Lock()
        self._forget = forget

    async def async_sign_raw(self, data: bytes, digest_algorithm: str, dry_run: bool = False) -> bytes:
        with _faults(self._forget):
            async with self._one:
                return bytes(await super().async_sign_raw(data, digest_algorithm, dry_run))

    async def sign_digest(self, digest: bytes) -> bytes:
        """Sign what was hashed elsewhere (SHA-256): the token pads, it doesn't hash."""
        from pkcs11 import Mechanism
        from pkcs11.util.ec import encode_ecdsa_signature

        with _faults(self._forget):
            async with self._one:
                await self.ensure_objects_loaded()  # type: ignore[no-untyped-call]
                key: Any = self._key_handle
                if self.signing_cert.public_key.algorithm == "ec":
                    return bytes(encode_ecdsa_signature(key.sign(digest, mechanism=Mechanism.ECDSA)))
                info = algos.DigestInfo({"digest_algorithm": {"algorithm": "sha256"}, "digest": digest})
                return bytes(key.sign(info.dump(), mechanism=Mechanism.RSA_PKCS))


@contextmanager
def _faults(forget: Any) -> Iterator[None]:
    try:
        yield
    except _GONE as error:
        forget()
        raise TokenUnavailable() from error
    except (p11.NoSuchKey, p11.MultipleObjectsReturned) as error:
        raise TokenKeyMissing() from error
    except p11.PKCS11Error as error:
        if "Could not find private key" in str(error) or "No private key" in str(error):
            raise TokenKeyMissing() from error
        forget()
        raise TokenUnavailable() from error


@cache
def _held(_pid: int) -> dict[tuple[str, ...], HeldToken]:
    return {}


@cache
def _sessions(_pid: int) -> dict[tuple[str, str], Any]:
    return {}


def _session(module: Path, token: str, pin_now: Callable[[], SecretStr]) -> Any:
    """Log in, at most once a process and never again with a PIN that was refused."""
    known = _sessions(os.getpid())
    if (place := (str(module), token)) in known:
        return known[place]
    pin = pin_now().get_secret_value()
    mark = RefusedPin(f"{module}|{token}")
    if mark.holds(pin):
        raise PinRefused()
    try:
        _refresh(module)
        known[place] = open_pkcs11_session(str(module), token_criteria=TokenCriteria(label=token), user_pin=pin)
    except (p11.PinIncorrect, p11.PinInvalid, p11.PinLenRange) as error:
        mark.write(pin)
        raise PinRefused() from error
    except (p11.PinLocked, p11.PinExpired) as error:
        raise PinLocked() from error
    except (p11.PKCS11Error, RuntimeError, OSError) as error:
        raise TokenUnavailable() from error
    mark.remove()
    return known[place]


def _refresh(module: Path) -> None:
    """A library lists its tokens when it starts: one that was put in later is seen only after a new start."""
    from pkcs11 import lib

    lib(str(module)).reinitialize()
