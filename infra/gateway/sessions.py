"""Sessions of signed-in officers, kept in the gateway's memory: a restart asks everybody to sign in again.

The cookie is a random number; what is kept is its hash. So a copy of the memory's content is no key, and signing out
ends a session at once.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

GROUP = re.compile(r"sohoa/([0-9A-Za-z][0-9A-Za-z._-]{0,34})/([A-Z]{2,16})")
OFFICER = re.compile(r"[0-9a-z._-]{1,64}")
LIMIT = 10_000  # sessions; the oldest go first


@dataclass(frozen=True)
class Officer:
    """Who signed in. grants: (unit, role) pairs from the provider's groups."""

    id: str
    grants: frozenset[tuple[str, str]]

    def holds(self, role: str, unit: str | None = None) -> bool:
        return any(r == role and unit in (None, u) for u, r in self.grants)

    @property
    def roles(self) -> list[str]:
        return sorted({role for _, role in self.grants})

    @property
    def units(self) -> list[str]:
        return sorted({unit for unit, _ in self.grants})


@dataclass
class Session:
    officer: Officer
    began: float
    seen: float
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    notes: list[dict[str, Any]] = field(default_factory=list)  # shown on the next page


def grants_of(groups: Iterable[object]) -> frozenset[tuple[str, str]]:
    """(unit, role) of the groups that are ours; all others are left out."""
    found = (GROUP.fullmatch(str(group)) for group in groups)
    return frozenset((match[1], match[2]) for match in found if match)


class Sessions:
    """idle, longest: seconds."""

    def __init__(self, idle: float, longest: float) -> None:
        self.idle, self.longest = idle, longest
        self._kept: dict[str, Session] = {}

    def begin(self, officer: Officer) -> str:
        """The cookie of a new session."""
        while len(self._kept) >= LIMIT:
            self._kept.pop(next(iter(self._kept)))
        cookie, now = secrets.token_urlsafe(32), time.monotonic()
        self._kept[_hash(cookie)] = Session(officer, now, now)
        return cookie

    def find(self, cookie: str) -> Session | None:
        session = self._kept.get(_hash(cookie))
        now = time.monotonic()
        if session is None or now - session.seen > self.idle or now - session.began > self.longest:
            self.end(cookie)
            return None
        session.seen = now
        return session

    def end(self, cookie: str) -> None:
        self._kept.pop(_hash(cookie), None)


def _hash(cookie: str) -> str:
    return hashlib.sha256(cookie.encode()).hexdigest()
