"""Remote signing by the protocol of the Cloud Signature Consortium (CSC API 1.0.4): VNPT SmartCA, Viettel MySign kind.

Only hashes travel. One authorisation may cover many hashes (`batch`; CSC 11.6: one SAD for numSignatures). Where the
person confirms on a phone the service answers ``authorization_pending`` until then (RFC 8628): SignaturePending, and
the same hashes are asked for again later.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
from functools import cache
from pathlib import Path
from typing import Any

import aiohttp
from asn1crypto import algos, x509
from prefect.blocks.core import Block
from pyhanko.sign import signers
from pyhanko.sign.general import SigningError
from pyhanko.sign.signers.csc_signer import (
    CSCAuthorizationManager,
    CSCCredentialInfo,
    CSCServiceSessionInfo,
    fetch_certs_in_csc_credential,
)

from blocks.secrets import RefusedPin, secret
from blocks.settings import in_production
from blocks.signer.base import (
    ASK,
    HeldCertificate,
    KeyMismatch,
    PinRefused,
    RemoteRefused,
    RemoteUnavailable,
    SignatureDeclined,
    SignaturePending,
    SoleControlMissing,
    pin_of,
    refuse_test_keys,
    store,
)
from blocks.trust import certificates, session

_PENDING = {"authorization_pending", "slow_down"}  # RFC 8628
_DECLINED = {"access_denied", "expired_token"}
_WRONG_PIN = {"invalid_pin", "invalid_otp"}


class RemoteSigner(HeldCertificate, Block):
    """A credential at a CSC service. Address, credential id, references; nothing secret."""

    _block_type_name = "Sohoa remote signing (CSC)"
    _block_type_slug = "sohoa-remote-signing"

    url: str  # root of the service; its API is under /csc/v1
    credential: str
    certificate_path: Path
    token: str = ""  # reference to the service's access token
    pin: str = ""  # reference; ask: the person types it; empty: the person confirms elsewhere
    chain_folder: Path | None = None
    batch: int = 10  # most hashes of one authorisation; what the service allows, if that is fewer
    timeout: float = 20.0  # seconds, each request
    sole_control: bool = False  # of a person: the service must bind the person's act to the hashes (SCAL2)

    @property
    def is_deferred(self) -> bool:
        return not self.pin

    @property
    def asks_pin(self) -> bool:
        return self.pin == ASK

    async def open(self) -> signers.Signer:
        """One a process: signatures of those who `enter` share an authorisation. Raises TestKeyRefused."""
        refuse_test_keys(self.certificate, soft=False)
        known, place = _gathering(os.getpid()), self.model_dump_json()
        if place not in known:
            chain = certificates(self.chain_folder) if self.chain_folder else ()
            known[place] = GatheringSigner(self, self.certificate, chain)
        return known[place]

    async def max_batch_size(self) -> int:
        """The service's own limit or ours. Raises RemoteUnavailable, RemoteRefused, KeyMismatch."""
        return max(1, min(self.batch, (await self._information(self._service())).max_batch_size or 1))

    async def sign_digests(self, digests: list[bytes]) -> list[bytes]:
        """One authorisation, one SAD for all of them.

        Raises SignaturePending, SignatureDeclined, PinRefused, RemoteUnavailable (retry), RemoteRefused, KeyMismatch.
        """
        refuse_test_keys(self.certificate, soft=False)
        service = self._service()
        return await self._sign(service, await self._information(service), digests)

    def _service(self) -> CSCServiceSessionInfo:
        token = secret(self.token).get_secret_value() if self.token else None
        return CSCServiceSessionInfo(self.url.rstrip("/"), self.credential, oauth_token=token)

    async def _information(self, service: CSCServiceSessionInfo) -> CSCCredentialInfo:
        known = _credentials(os.getpid())
        if (place := (self.url, self.credential)) not in known:
            try:
                known[place] = await fetch_certs_in_csc_credential(session(), service, timeout=int(self.timeout) or 1)
            except SigningError as error:
                raise _translated(error.__cause__) from error
            except (aiohttp.ClientError, TimeoutError) as error:
                raise RemoteUnavailable() from error
        if known[place].signing_cert.dump() != self.certificate.dump():
            raise KeyMismatch()
        if self.sole_control and in_production() and not known[place].hash_pinning_required:
            raise SoleControlMissing()
        return known[place]

    async def _sign(
        self, service: CSCServiceSessionInfo, information: CSCCredentialInfo, digests: list[bytes]
    ) -> list[bytes]:
        hashes = [base64.b64encode(digest).decode() for digest in digests]
        authorisation = _Authorisation(service, information)
        pin = pin_of(self.certificate_path, self.pin).get_secret_value() if self.pin else None
        mark = RefusedPin(f"{self.url}|{self.credential}")
        if pin is not None and mark.holds(pin):
            raise PinRefused()
        request = authorisation.format_csc_auth_request(
            num_signatures=len(hashes),
            hash_b64s=hashes,
            pin=pin,
        )
        try:
            answer = await self._post(service, "credentials/authorize", request)
            granted = authorisation.parse_csc_auth_response(answer)
            algorithm = self.certificate.public_key.algorithm
            mechanism = "sha256_ecdsa" if algorithm == "ec" else "sha256_rsa"
            body = {
                "credentialID": self.credential,
                "SAD": granted.sad,
                "hashAlgo": algos.DigestAlgorithmId("sha256").dotted,
                "signAlgo": algos.SignedDigestAlgorithmId(mechanism).dotted,
                "hash": hashes,
            }
            signatures = (await self._post(service, "signatures/signHash", body))["signatures"]
            if len(signatures) != len(hashes):
                raise RemoteRefused(answer="count")
            mark.remove()
            return [base64.b64decode(item, validate=True) for item in signatures]
        except PinRefused:
            if pin is not None:
                mark.write(pin)
            raise
        except (SigningError, KeyError, TypeError, ValueError) as error:
            raise RemoteRefused(answer="format") from error

    async def _post(self, service: CSCServiceSessionInfo, endpoint: str, body: dict[str, Any]) -> dict[str, Any]:
        try:
            async with session().post(
                service.endpoint_url(endpoint),  # type: ignore[no-untyped-call]
                headers=service.auth_headers,
                json=body,
                timeout=aiohttp.ClientTimeout(total=self.timeout),
            ) as response:
                if response.status in {408, 429, 502, 503, 504}:
                    raise RemoteUnavailable()
                try:
                    answer = dict(await response.json())
                except (aiohttp.ContentTypeError, ValueError, TypeError) as error:
                    raise RemoteRefused(answer=response.status) from error
                reason = str(answer.get("error", ""))
                if reason in _PENDING:
                    raise SignaturePending()
                if reason in _DECLINED:
                    raise SignatureDeclined()
                if reason in _WRONG_PIN:
                    raise PinRefused()
                if response.status >= 400 or reason:
                    raise RemoteRefused(answer=response.status)
                return answer
        except (aiohttp.ClientConnectionError, TimeoutError) as error:
            raise RemoteUnavailable() from error


class _Authorisation(CSCAuthorizationManager):
    """Only for its formats."""


def _translated(cause: BaseException | None) -> Exception:
    if isinstance(cause, aiohttp.ClientResponseError) and cause.status < 500:
        return RemoteRefused(answer=cause.status)
    return (
        RemoteUnavailable() if isinstance(cause, aiohttp.ClientError | TimeoutError) else RemoteRefused(answer="info")
    )


class GatheringSigner(signers.Signer):
    """Has the hashes of those who work at the same time signed together.

    Who belongs to a batch enters and leaves; once all who are inside wait for their signature, the hashes are sent.
    Whoever works alone is served at once.
    """

    def __init__(
        self, remote: RemoteSigner, certificate: x509.Certificate, chain: tuple[x509.Certificate, ...]
    ) -> None:
        self._remote = remote
        self._waiting: list[tuple[bytes, asyncio.Future[bytes]]] = []
        self._sending: set[asyncio.Task[None]] = set()
        self._inside = 0
        super().__init__(signing_cert=certificate, cert_registry=store(chain))

    async def async_sign_raw(self, data: bytes, digest_algorithm: str, dry_run: bool = False) -> bytes:
        if dry_run:
            return bytes(512)
        if digest_algorithm != "sha256":
            raise RemoteRefused(answer=digest_algorithm)
        done: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting.append((hashlib.sha256(data).digest(), done))
        self._settle()
        return await done

    async def enter(self, count: int) -> None:
        """So many files of a batch are on their way."""
        self._inside += count

    async def leave(self) -> None:
        """One of them has ended, signed or not: the others don't wait for it."""
        self._inside -= 1
        self._settle()

    def _settle(self) -> None:
        if self._waiting and len(self._waiting) >= self._inside:
            waiting, self._waiting = self._waiting, []
            task = asyncio.get_running_loop().create_task(self._send_all(waiting))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    async def _send_all(self, waiting: list[tuple[bytes, asyncio.Future[bytes]]]) -> None:
        try:
            size = await self._remote.max_batch_size()
        except Exception:  # the service says so again to each
            size = len(waiting)
        for start in range(0, len(waiting), size):
            await self._send(waiting[start : start + size])

    async def _send(self, waiting: list[tuple[bytes, asyncio.Future[bytes]]]) -> None:
        try:
            signatures = await self._remote.sign_digests([digest for digest, _ in waiting])
        except Exception as error:  # whoever waits gets it
            for _, done in waiting:
                if not done.done():
                    done.set_exception(error)
        else:
            for (_, done), signature in zip(waiting, signatures, strict=True):
                if not done.done():
                    done.set_result(signature)


@cache
def _gathering(_pid: int) -> dict[str, GatheringSigner]:
    return {}


@cache
def _credentials(_pid: int) -> dict[tuple[str, str], CSCCredentialInfo]:
    return {}
