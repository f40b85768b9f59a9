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
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from cachetools import FIFOCache

GROUP = re.compile(r"sohoa/([0-9A-Za-z][0-9A-Za-z._-]{0,34})/([A-Z]{2,16})")
OFFICER = re.compile(r"[0-9a-z._-]{1,64}")
LIMIT = 10_000  # sessions; the oldest go first
LOOK_SECONDS = 15.0  # between two looks whether who waits for the end still has the same rights
ASKED = 5  # step-ups of one session that are under way
ASKED_MINUTES = 30  # then what was typed is forgotten
TYPED_BYTES = 1 << 20  # of what was typed before a step-up


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


@dataclass(frozen=True)
class Proven:
    """How and when somebody proved at the identity provider who they are."""

    acr: str = ""
    auth_time: datetime | None = None


@dataclass(eq=False)
class Asked:
    """A step-up that is under way. about: what it is for, and nothing else; back: the page it comes back to."""

    about: str
    back: str
    typed: Mapping[str, Any]
    at: datetime
    proven: Proven | None = None


@dataclass(eq=False)
class Session:
    """account: (issuer, sub, sid) at the provider; checked: when it last said that the account is good."""

    officer: Officer
    began: float
    seen: float
    account: tuple[str, str, str] = ("", "", "")
    proven: Proven = Proven()
    refresh_token: str = field(default="", repr=False)
    checked: float = 0.0
    id: UUID = field(default_factory=uuid4)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    notes: list[dict[str, Any]] = field(default_factory=list)  # shown on the next page
    asked: OrderedDict[str, Asked] = field(default_factory=OrderedDict, repr=False)
    sockets: int = 0

    def ask_again(self, about: str, back: str, typed: Mapping[str, Any]) -> str:
        """Begin a step-up; returns its token. Only so much of what was typed is kept."""
        size = sum(len(name) + len(str(value)) for name, value in typed.items())
        token = secrets.token_urlsafe(24)
        self.asked[token] = Asked(about, back, dict(typed) if size <= TYPED_BYTES else {}, datetime.now(UTC))
        while len(self.asked) > ASKED:
            self.asked.popitem(last=False)
        return token

    def step_up(self, token: str) -> Asked | None:
        found = self.asked.get(token)
        late = found is not None and datetime.now(UTC) - found.at > timedelta(minutes=ASKED_MINUTES)
        return None if late else found

    def proven_for(self, about: str, minutes: int) -> Proven | None:
        """The step-up for this, while it is fresh."""
        oldest = datetime.now(UTC) - timedelta(minutes=minutes)
        for asked in reversed(self.asked.values()):
            at = asked.proven.auth_time if asked.proven else None
            if asked.about == about and at is not None and at >= oldest:
                return asked.proven
        return None

    def spend(self, about: str) -> None:
        """One step-up, one act."""
        for token in [token for token, asked in self.asked.items() if asked.about == about]:
            del self.asked[token]


def grants_of(groups: Iterable[object]) -> frozenset[tuple[str, str]]:
    """(unit, role) of the groups that are ours; all others are left out."""
    found = (GROUP.fullmatch(str(group)) for group in groups)
    return frozenset((match[1], match[2]) for match in found if match)


class Sessions:
    """idle, longest: seconds. gone: (session, by whom, why) of those that ended and aren't in the records yet."""

    def __init__(self, idle: float, longest: float) -> None:
        self.idle, self.longest = idle, longest
        self._kept: dict[str, Session] = {}
        self._were: FIFOCache[str, None] = FIFOCache(LIMIT)  # cookies of sessions that have ended
        self.gone: list[tuple[UUID, str, str]] = []

    def begin(self, officer: Officer, **more: Any) -> str:
        """The cookie of a new session. more: of its account at the provider."""
        while len(self._kept) >= LIMIT:
            self._end(next(iter(self._kept)), "system", "TOO_MANY")
        cookie, now = secrets.token_urlsafe(32), time.monotonic()
        self._kept[hashed(cookie)] = Session(officer, now, now, **more)
        return cookie

    def find(self, cookie: str, *, use: bool = True) -> Session | None:
        """use: whether a person asks; what a page asks for by itself keeps no session alive."""
        session = self._kept.get(hashed(cookie))
        if session is None:
            return None
        if self._left(session) < 0:
            self.end(cookie, "system", "IDLE" if session.seen + self.idle < session.began + self.longest else "OLD")
            return None
        if use:
            session.seen = time.monotonic()
        return session

    def end(self, cookie: str, by: str = "system", reason: str = "SIGNED_OUT") -> None:
        self._end(hashed(cookie), by, reason)

    def knew(self, cookie: str) -> bool:
        """Whether this was the cookie of a session that has ended."""
        return hashed(cookie) in self._were

    def all(self) -> list[Session]:
        """Those that have not ended, the newest first."""
        for key in [key for key, session in self._kept.items() if self._left(session) < 0]:
            self._end(key, "system", "IDLE")
        return sorted(self._kept.values(), key=lambda session: -session.began)

    def end_those(self, ended: Iterable[Session], by: str, reason: str) -> int:
        keys = {id(session): key for key, session in self._kept.items()}
        found = [keys[id(session)] for session in ended if id(session) in keys]
        for key in found:
            self._end(key, by, reason)
        return len(found)

    async def ended(self, session: Session) -> None:
        """Returns when the session is over, or a right that it had is gone. Waiting for it is no use of it."""
        had = session.officer.grants
        while not session.over.is_set() and (left := self._left(session)) >= 0 and had <= session.officer.grants:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(session.over.wait(), min(left + 0.01, LOOK_SECONDS))

    def _left(self, session: Session) -> float:
        """Seconds until it ends by itself if nobody uses it; below zero: it has ended."""
        return min(session.seen + self.idle, session.began + self.longest) - time.monotonic()

    def _end(self, key: str, by: str, reason: str) -> None:
        if session := self._kept.pop(key, None):
            session.over.set()
            session.refresh_token = ""
            session.asked.clear()
            self.gone.append((session.id, by, reason))
            self._were[key] = None


def hashed(cookie: str) -> str:
    return hashlib.sha256(cookie.encode()).hexdigest()
