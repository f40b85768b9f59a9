"""Remote signing by the protocol of the Cloud Signature Consortium (CSC API 1.0.4): VNPT SmartCA, Viettel MySign kind.

Only hashes travel. One authorisation may cover many hashes (`batch`). Where the person confirms on a phone the service
answers ``authorization_pending`` until then: SignaturePending, and the same hash is asked for again later.
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
from blocks.signer.base import (
    KeyMismatch,
    PinRefused,
    RemoteRefused,
    RemoteUnavailable,
    SignaturePending,
    common_name,
    load_certificate,
    refuse_test_keys,
    store,
)
from blocks.trust import certificates, is_test, session

_PENDING = {"authorization_pending", "slow_down"}  # RFC 8628
_WRONG_PIN = {"invalid_pin", "invalid_otp"}


class RemoteSigner(Block):
    """A credential at a CSC service. Address, credential id, references; nothing secret."""

    _block_type_name = "Sohoa remote signing (CSC)"
    _block_type_slug = "sohoa-remote-signing"

    url: str  # root of the service; its API is under /csc/v1
    credential: str
    certificate_path: Path
    token: str = ""  # reference to the service's access token
    pin: str = ""  # reference; empty: the person confirms elsewhere
    chain_folder: Path | None = None
    batch: int = 10  # most hashes of one authorisation; the service may allow fewer
    timeout: float = 20.0  # seconds, each request

    @property
    def certificate(self) -> x509.Certificate:
        return load_certificate(self.certificate_path)

    @property
    def name(self) -> str:
        return common_name(self.certificate)

    @property
    def test(self) -> bool:
        return is_test(self.certificate)

    @property
    def interrupted(self) -> bool:
        return not self.pin

    async def open(self) -> signers.Signer:
        """Signatures asked for at the same time share an authorisation. Raises the errors of `sign_digests`."""
        refuse_test_keys(self.certificate, soft=False)
        chain = certificates(self.chain_folder) if self.chain_folder else ()
        return GatheringSigner(self, self.certificate, chain)

    async def sign_digests(self, digests: list[bytes]) -> list[bytes]:
        """One authorisation for each `batch` of hashes.

        Raises SignaturePending, PinRefused, RemoteUnavailable (retry), RemoteRefused, KeyMismatch.
        """
        refuse_test_keys(self.certificate, soft=False)
        service = CSCServiceSessionInfo(
            self.url.rstrip("/"),
            self.credential,
            oauth_token=secret(self.token).get_secret_value() if self.token else None,
        )
        information = await self._information(service)
        size = max(1, min(self.batch, information.max_batch_size or 1))
        signatures: list[bytes] = []
        for start in range(0, len(digests), size):
            signatures += await self._sign(service, information, digests[start : start + size])
        return signatures

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
        return known[place]

    async def _sign(
        self, service: CSCServiceSessionInfo, information: CSCCredentialInfo, digests: list[bytes]
    ) -> list[bytes]:
        hashes = [base64.b64encode(digest).decode() for digest in digests]
        authorisation = _Authorisation(service, information)
        pin = secret(self.pin).get_secret_value() if self.pin else None
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
                told = str(answer.get("error", ""))
                if told in _PENDING:
                    raise SignaturePending()
                if told in _WRONG_PIN:
                    raise PinRefused()
                if response.status >= 400 or told:
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
    """Collects the hashes that are asked for in the same moment and has them signed together."""

    def __init__(
        self, remote: RemoteSigner, certificate: x509.Certificate, chain: tuple[x509.Certificate, ...]
    ) -> None:
        self._remote = remote
        self._waiting: list[tuple[bytes, asyncio.Future[bytes]]] = []
        self._flush: asyncio.Task[None] | None = None
        self.expected = 1  # how many signatures are on their way; set by a batch
        super().__init__(signing_cert=certificate, cert_registry=store(chain))

    async def async_sign_raw(self, data: bytes, digest_algorithm: str, dry_run: bool = False) -> bytes:
        if dry_run:
            return bytes(512)
        if digest_algorithm != "sha256":
            raise RemoteRefused(answer=digest_algorithm)
        done: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting.append((hashlib.sha256(data).digest(), done))
        self.settle()
        return await done

    def settle(self) -> None:
        """Send what waits once everybody who is expected has come; a batch calls it when one of its files fails."""
        if self._waiting and len(self._waiting) >= self.expected:
            waiting, self._waiting = self._waiting, []
            self._flush = asyncio.get_running_loop().create_task(self._send(waiting))

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
def _credentials(_pid: int) -> dict[tuple[str, str], CSCCredentialInfo]:
    return {}
