"""The only way out for addresses that stand in certificates: hosts on a list, public addresses, small answers.

A certificate names where its revocation is told. Whoever made the certificate chose that address: it is followed only
where its host is on the list: hosts that the CA certificates of the trust folder name, and SOHOA_FETCH_HOSTS. Entries
of that setting, separated by commas: ``host``, ``host:port``, ``host:port=address`` for a host of the own network, or
an address itself. A name is resolved here and the connection goes to the address that was checked.
"""

from __future__ import annotations

import asyncio
import logging
import re
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from asn1crypto import x509

from blocks.addresses import Place, literal, place_of, public
from blocks.settings import in_production
from blocks.settings.sections import ConnectionSettings

LARGEST = {"ocsp": 64 << 10, "crl": 40 << 20}  # bytes of an answer
LONGEST_URL, LONGEST_REQUEST = 500, 4 << 10
_TYPES = {"ocsp": "application/ocsp-response", "crl": "application/pkix-crl"}
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,250}[a-z0-9])?")
logger = logging.getLogger(__name__)


class Refused(Exception):
    """Not sent: the host isn't on the list, or its address isn't public."""


class Failed(Exception):
    """Sent or tried, without a useful answer: later again."""


@dataclass(frozen=True)
class Way:
    """Where requests may go. addresses: fixed ones; local: literal addresses that CA certificates name count (test)."""

    places: frozenset[Place]
    addresses: Mapping[Place, str] = field(default_factory=dict)

    def admit(self, url: str) -> Place:
        """The place that a URL names. Raises Refused."""
        try:
            parts = urlsplit(url)
            host, port = place_of(url)
        except ValueError as error:
            raise Refused("no address") from error
        if len(url) > LONGEST_URL or parts.scheme not in {"http", "https"} or parts.username or parts.password:
            raise Refused("no address")
        if (host, port) not in self.places:
            logger.warning("revocation isn't asked at %s: not in SOHOA_FETCH_HOSTS", _shown(host, port))
            raise Refused("not on the list")
        if (host, port) not in self.addresses and literal(host) and not public(host):
            raise Refused("not a public address")
        return host, port


def _shown(host: str, port: int) -> str:
    return f"{host}:{port}" if _NAME.fullmatch(host) else "(no host name)"


def way(authorities: Iterable[x509.Certificate]) -> Way:
    """What the settings and the CA certificates of the trust folder allow.

    Addresses that are not public are good only where the setting names them; in `test` those of the TEST authorities,
    which live on this machine.
    """
    places: set[Place] = set()
    addresses: dict[Place, str] = {}
    for certificate in authorities:
        places |= {place for url in urls(certificate) if (place := _place(url))}
    if not in_production():
        addresses = {place: place[0] for place in places if literal(place[0])}
    for entry in filter(None, map(str.strip, ConnectionSettings().fetch_hosts.split(","))):
        named, _, address = entry.partition("=")
        host, _, port = named.rpartition(":") if re.search(r":\d+$", named) else (named, "", "")
        host = host.strip("[]").lower()
        for place in [(host, int(port))] if port else [(host, 80), (host, 443)]:
            places.add(place)
            if address or literal(host):
                addresses[place] = address or host
    return Way(frozenset(places), addresses)


def urls(certificate: x509.Certificate) -> list[str]:
    """All addresses that a certificate names for itself."""
    found = [url for point in certificate.crl_distribution_points for url in [point.url] if url]
    return [*found, *certificate.ocsp_urls]


def _place(url: str) -> Place | None:
    try:
        place = place_of(url)
    except ValueError:
        return None
    return place if place[0] and urlsplit(url).scheme in {"http", "https"} else None


class _Checked(AbstractResolver):
    """Resolves a name to the addresses that may be connected to: what is checked is what is used."""

    def __init__(self, way: Way) -> None:
        self._way = way

    async def resolve(self, host: str, port: int = 0, family: Any = socket.AF_UNSPEC) -> list[ResolveResult]:
        fixed = self._way.addresses.get((host.lower(), port))
        if fixed is not None:
            kind = socket.AF_INET6 if ":" in fixed else socket.AF_INET
            return [_result(host, fixed, port, kind)]
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM, family=family)
        good = [_result(host, str(to[0]), port, kind) for kind, _, _, _, to in found if public(str(to[0]))]
        if not good:
            raise OSError(f"{_shown(host, port)} has no public address")
        return good

    async def close(self) -> None:
        """Nothing is held."""


def _result(host: str, address: str, port: int, family: int) -> ResolveResult:
    return {"hostname": host, "host": address, "port": port, "family": family, "proto": 0, "flags": 0}


async def fetch(way: Way, kind: str, url: str, request: bytes, timeout: float) -> bytes:
    """The answer of a revocation service: kind ``ocsp`` (request is sent) or ``crl``. Raises Refused, Failed.

    No redirects, no proxy of the environment, no cookies; at most LARGEST bytes within `timeout` seconds.
    """
    way.admit(url)
    if kind not in LARGEST or len(request) > LONGEST_REQUEST:
        raise Refused("no request")
    connector = aiohttp.TCPConnector(resolver=_Checked(way), use_dns_cache=False, force_close=True)
    limits = aiohttp.ClientTimeout(total=timeout)
    headers = {"Accept": _TYPES[kind], "Accept-Encoding": "identity"}
    if kind == "ocsp":
        headers["Content-Type"] = "application/ocsp-request"
    try:
        async with (
            aiohttp.ClientSession(
                connector=connector, timeout=limits, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()
            ) as session,
            session.request(
                "POST" if kind == "ocsp" else "GET",
                url,
                data=request if kind == "ocsp" else None,
                headers=headers,
                allow_redirects=False,
            ) as answer,
        ):
            if answer.status != 200:
                raise Failed(f"HTTP {answer.status}")
            data = bytearray()
            async for piece in answer.content.iter_chunked(1 << 16):
                data += piece
                if len(data) > LARGEST[kind]:
                    raise Failed("too large")
            return bytes(data)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        raise Failed(type(error).__name__) from error
