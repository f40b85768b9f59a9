"""Access tokens of partners (RFC 6749, 4.4; RFC 6750): random, short, in the gateway's memory, never written.

A restart asks for new ones, as it asks officers to sign in. A token ends with its secret and its partner.
"""

from __future__ import annotations

import base64
import binascii
import secrets
import threading
import time
from collections import OrderedDict, deque
from dataclasses import dataclass
from urllib.parse import unquote_plus
from uuid import UUID

from cachetools import LRUCache

from deployments.desk.auth.sessions import hashed

LIFE, LIMIT, EACH = 900, 10_000, 100  # seconds; tokens at all, of one partner


@dataclass(frozen=True)
class Grant:
    """What a token opens. ends: monotonic seconds."""

    partner: str
    secret: UUID
    scopes: frozenset[str]
    ends: float


class Tokens:
    """Kept as hash: a copy of the memory is no key."""

    def __init__(self, life: float = LIFE) -> None:
        self.life = life
        self._kept: OrderedDict[str, Grant] = OrderedDict()
        self._lock = threading.Lock()

    def issue(self, partner: str, secret: UUID, scopes: frozenset[str]) -> str:
        token, now = secrets.token_urlsafe(32), time.monotonic()
        with self._lock:
            for key in [key for key, grant in self._kept.items() if grant.ends <= now]:
                del self._kept[key]
            mine = [key for key, grant in self._kept.items() if grant.partner == partner]
            for key in mine[: max(0, len(mine) - EACH + 1)]:
                del self._kept[key]
            while len(self._kept) >= LIMIT:
                self._kept.popitem(last=False)
            self._kept[hashed(token)] = Grant(partner, secret, scopes, now + self.life)
        return token

    def find(self, token: str) -> Grant | None:
        """None for all that isn't a living token."""
        grant = self._kept.get(hashed(token))
        return grant if grant is not None and grant.ends > time.monotonic() else None


class Meter:
    """How often something happened within the last minute, a key; the oldest keys are forgotten."""

    def __init__(self, keys: int = 10_000) -> None:
        self._seen: LRUCache[str, deque[float]] = LRUCache(keys)
        self._lock = threading.Lock()

    def admits(self, key: str, limit: int) -> bool:
        """Count one more, unless that were more than `limit` a minute."""
        now = time.monotonic()
        with self._lock:
            seen = self._seen.setdefault(key, deque())
            while seen and now - seen[0] >= 60:
                seen.popleft()
            if len(seen) >= limit:
                return False
            seen.append(now)
            return True


def basic(header: str) -> tuple[str, str] | None:
    """Id and secret of ``Authorization: Basic`` as RFC 6749, 2.3.1 writes them; None: it isn't that."""
    kind, _, value = header.partition(" ")
    if kind.lower() != "basic" or len(value) > 1024:
        return None
    try:
        client, colon, secret = base64.b64decode(value.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (unquote_plus(client), unquote_plus(secret)) if colon and client and secret else None
