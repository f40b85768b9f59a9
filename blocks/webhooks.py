"""Call-backs to other systems: where they may go, how they are signed (Standard Webhooks, Ed25519: ``v1a``).

An address is good when its host is on the partner's list, it is https, and the host's address is a public one; the
connection goes to the address that was checked. Entries of a list: ``host``, ``host:port``, and ``host:port=address``
for a host of the own network. Plain http and loopback are for tests (SOHOA_ENVIRONMENT=test) only.
"""

from __future__ import annotations

import asyncio
import base64
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

import httpx
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from blocks.addresses import literal, loopback, own_network, place_of, public, valid
from blocks.errors import Remedy, SohoaError
from blocks.settings import in_production

KEY, PUBLIC_KEY = "SOHOA_CALLBACK_KEY", "SOHOA_CALLBACK_PUBLIC_KEY"  # variables; base64 of 32 bytes
LONGEST = 500  # characters of an address
ENTRY = re.compile(
    r"(?P<host>[a-z0-9](?:[a-z0-9.-]{0,250}[a-z0-9])?)(?::(?P<port>\d{1,5}))?(?:=(?P<address>[0-9a-f.:]+))?"
)


class CallbackRefused(SohoaError):
    """The address of a call-back isn't one that the administrator allows, or not a public one."""

    code, rule, status = "CALLBACK_REFUSED", "WH04", 422
    message = "Địa chỉ nhận thông báo không được phép ({why}); vui lòng liên hệ quản trị viên."
    remedy = Remedy.OFFICER


class CallbackFailed(Exception):
    """Not delivered: no answer in time, or one that isn't 2xx. Try again later."""


@dataclass(frozen=True)
class Place:
    """An address that may be called. fixed: the host's address by the administrator's list; empty: ask DNS."""

    host: str
    port: int
    fixed: str = ""


def admit(url: str, hosts: Sequence[str]) -> Place:
    """The place that a URL names. Raises CallbackRefused; what the name stands for is checked when it is called."""
    test = not in_production()
    try:
        parts = urlsplit(url)
        host, port = place_of(url)
    except ValueError:
        raise CallbackRefused(why="không phải địa chỉ") from None
    if len(url) > LONGEST or not url.isascii() or not url.isprintable() or parts.username or parts.fragment:
        raise CallbackRefused(why="không phải địa chỉ")
    if parts.scheme != "https" and not (parts.scheme == "http" and test and host == "127.0.0.1"):
        raise CallbackRefused(why="phải là https")
    for entry in filter(None, map(ENTRY.fullmatch, hosts)):
        if entry["host"] == host and int(entry["port"] or 443) == port:
            place = Place(host, port, entry["address"] or "")
            if place.fixed or literal(host):
                _require_usable(place.fixed or host, named=bool(place.fixed), test=test)
            return place
    raise CallbackRefused(why="máy chủ không có trong danh sách")


def _require_usable(address: str, *, named: bool, test: bool) -> None:
    """Public, or named by the administrator; of this machine in `test` only. Raises CallbackRefused."""
    if not valid(address):
        raise CallbackRefused(why="không phải địa chỉ")
    if not (public(address) or (named and own_network(address)) or (test and loopback(address))):
        raise CallbackRefused(why="không phải địa chỉ công cộng")


def deliver(url: str, hosts: Sequence[str], headers: dict[str, str], body: bytes, *, seconds: float = 10) -> None:
    """POST within `seconds`; no redirect is followed, nothing of the answer but its status is used.

    Raises CallbackRefused, CallbackFailed.
    """
    place = admit(url, hosts)
    try:
        asyncio.run(asyncio.wait_for(_post(url, place, headers, body), seconds))
    except (TimeoutError, httpx.HTTPError, OSError) as error:
        raise CallbackFailed(type(error).__name__) from error


async def _post(url: str, place: Place, headers: dict[str, str], body: bytes) -> None:
    address, test = place.fixed, literal(place.host) and not in_production()
    if not address:
        found = await asyncio.get_running_loop().getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
        for *_, to in found:
            _require_usable(str(to[0]), named=False, test=test)
        address = str(found[0][4][0])
    parts = urlsplit(url)
    netloc = f"[{address}]:{place.port}" if ":" in address else f"{address}:{place.port}"
    signed = headers | {"host": parts.netloc, "content-type": "application/json"}
    async with (
        httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=10) as client,
        client.stream(
            "POST",
            urlunsplit(parts._replace(netloc=netloc)),
            content=body,
            headers=signed,
            extensions={"sni_hostname": place.host},
        ) as answer,
    ):
        if not 200 <= answer.status_code < 300:
            raise CallbackFailed(f"HTTP {answer.status_code}")


# -- signing --------------------------------------------------------------------------------------------------------
def new_key() -> str:
    return base64.b64encode(Ed25519PrivateKey.generate().private_bytes_raw()).decode()


def public_of(key: str) -> str:
    return base64.b64encode(_private(key).public_key().public_bytes_raw()).decode()


def signed(key: str, event: str, at: int, body: bytes) -> dict[str, str]:
    """Headers of a call-back. event: its id, the same in each try; at: seconds since 1970, of this try."""
    signature = _private(key).sign(_content(event, at, body))
    return {
        "webhook-id": event,
        "webhook-timestamp": str(at),
        "webhook-signature": f"v1a,{base64.b64encode(signature).decode()}",
    }


def verified(public: str, headers: dict[str, str], body: bytes, *, now: float, tolerance: float = 300) -> bool:
    """What a receiver does; it also remembers ``webhook-id`` and takes none twice."""
    try:
        at = int(headers["webhook-timestamp"])
        version, _, signature = headers["webhook-signature"].partition(",")
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public))
        key.verify(base64.b64decode(signature), _content(headers["webhook-id"], at, body))
    except (KeyError, ValueError, InvalidSignature):
        return False
    return version == "v1a" and abs(now - at) <= tolerance


def _private(key: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(base64.b64decode(key))


def _content(event: str, at: int, body: bytes) -> bytes:
    return f"{event}.{at}.".encode() + body
