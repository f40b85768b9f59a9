"""Which addresses a URL that somebody else chose may lead to (SSRF; CWE-918).

Used where a certificate, or a partner, names a host. `egress.py` and `webhooks.py` each have a list of hosts and rules
of their own; what an address is, and which ones are public, is said here once.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

# IPv6 that a gateway turns into IPv4: behind it may lie any address of the own network (RFC 6052, 8215, 3056, 4380).
_TRANSLATED = [ipaddress.ip_network(net) for net in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")]
_OLD_SPELLING = re.compile(r"(0x[0-9a-f]*|\d+)(\.(0x[0-9a-f]*|\d+)){0,3}\.?")

Place = tuple[str, int]  # host in lower case, port


def place_of(url: str) -> Place:
    """The host, empty where there is none, and the port. Raises ValueError for what is no URL."""
    parts = urlsplit(url)
    return (parts.hostname or "").lower(), parts.port or (443 if parts.scheme == "https" else 80)


def literal(host: str) -> bool:
    """An address, also in the old spellings that a resolver would take for one (127.1, 0x7f000001, 2130706433)."""
    return ":" in host or _OLD_SPELLING.fullmatch(host) is not None


def valid(address: str) -> bool:
    """An IPv4 or IPv6 address."""
    return _plain(address) is not None


def public(address: str) -> bool:
    """An address of the internet: not of this machine, not of the own network, for one receiver."""
    ip = _plain(address)
    return ip is not None and ip.is_global and not ip.is_loopback and not _nobodys(ip)


def loopback(address: str) -> bool:
    """An address of this machine."""
    ip = _plain(address)
    return ip is not None and ip.is_loopback and not _nobodys(ip)


def own_network(address: str) -> bool:
    """An address that an administrator may name for a host of the own network: neither public nor of this machine."""
    ip = _plain(address)
    return ip is not None and not ip.is_global and not ip.is_loopback and not _nobodys(ip)


def _plain(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An IPv4 address that is written as IPv6 as itself; None: no address."""
    try:
        ip = ipaddress.ip_address(address.strip("[]").partition("%")[0])
    except ValueError:
        return None
    return ip.ipv4_mapped or ip if isinstance(ip, ipaddress.IPv6Address) else ip


def _nobodys(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """No single host's, or one that a gateway translates."""
    translated = isinstance(ip, ipaddress.IPv6Address) and any(ip in net for net in _TRANSLATED)
    return ip.is_link_local or ip.is_multicast or ip.is_unspecified or ip.is_reserved or translated
