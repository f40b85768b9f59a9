"""Sessions of signed-in officers, kept in the gateway's memory: a restart asks everybody to sign in again.

The cookie is a random number; what is kept is its hash. So a copy of the memory's content is no key, and signing out
ends a session at once, together with the WebSockets that were opened in it.
"""

from __future__ import annotations

import asyncio
import contextlib
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
    """Who signed in. grants: (unit, role) pairs that hold now; told: all that the provider's groups say."""

    id: str
    grants: frozenset[tuple[str, str]]
    told: frozenset[tuple[str, str]] = frozenset()

    def holds(self, role: str, unit: str | None = None) -> bool:
        return any(r == role and unit in (None, u) for u, r in self.grants)

    def where(self, *roles: str) -> set[str]:
        """Units in which one of these roles is held."""
        return {unit for unit, role in self.grants if role in roles}

    @property
    def roles(self) -> list[str]:
        return sorted({role for _, role in self.grants})

    @property
    def units(self) -> list[str]:
        return sorted({unit for unit, _ in self.grants})


@dataclass(eq=False)
class Session:
    officer: Officer
    began: float
    seen: float
    over: asyncio.Event = field(default_factory=asyncio.Event)
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
            self._end(next(iter(self._kept)))
        cookie, now = secrets.token_urlsafe(32), time.monotonic()
        self._kept[hashed(cookie)] = Session(officer, now, now)
        return cookie

    def find(self, cookie: str) -> Session | None:
        session = self._kept.get(hashed(cookie))
        if session is None or self._left(session) < 0:
            self.end(cookie)
            return None
        session.seen = time.monotonic()
        return session

    def end(self, cookie: str) -> None:
        self._end(hashed(cookie))

    async def ended(self, session: Session) -> None:
        """Returns when the session is over: signed out, idle or old. Waiting for it is no use of it."""
        while not session.over.is_set() and (left := self._left(session)) >= 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(session.over.wait(), left + 0.01)

    def _left(self, session: Session) -> float:
        """Seconds until it ends by itself if nobody uses it; below zero: it has ended."""
        return min(session.seen + self.idle, session.began + self.longest) - time.monotonic()

    def _end(self, key: str) -> None:
        if session := self._kept.pop(key, None):
            session.over.set()


def hashed(cookie: str) -> str:
    return hashlib.sha256(cookie.encode()).hexdigest()
