"""Limits that hold before anybody is known, and for each who is: entries, requests, uploads (in memory, a gateway)."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address

from cachetools import TLRUCache
from starlette.datastructures import Headers

MINUTE, DAY = 60.0, 86_400.0
KEPT = 20_000  # addresses, officers that are remembered
Write = Callable[[str, str | None, str, str, int], Awaitable[None]]  # code, officer, trace, path, how many


def _windows(seconds: float) -> TLRUCache[str, tuple[float, int]]:
    """For each key when its window began and what was counted in it; over after `seconds`, however often counted."""
    return TLRUCache(KEPT, lambda _key, window, _now: float(window[0]) + seconds, time.monotonic)


class Rate:
    """How often a minute, by key."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._seen: TLRUCache[str, tuple[float, int]] = _windows(MINUTE)

    def take(self, key: str) -> bool:
        """Whether this one is within the limit."""
        began, count = self._seen.get(key, (time.monotonic(), 0))
        self._seen[key] = (began, count + 1)
        return count < self.most


@dataclass
class _Window:
    began: float
    written: int = 0
    counted: int = 0


class Refusals:
    """Refusals on their way to the audit trail: so many a minute and person; one entry tells how many more there were.

    The trail can't be shortened, so nobody may fill it: strangers share one window, each officer has one.
    """

    def __init__(self, write: Write, strangers: int, officer: int) -> None:
        self._write, self._strangers, self._officer = write, strangers, officer
        self._windows: dict[str, _Window] = {}

    async def note(self, code: str, officer: str | None, trace: str, path: str) -> None:
        window = await self._window(officer)
        if window.written >= (self._officer if officer else self._strangers):
            window.counted += 1
            return
        window.written += 1
        await self._write(code, officer, trace, path, 1)

    async def exhausted(self, officer: str) -> bool:
        """Whether this officer was refused too often; each further request is counted, and nothing of it is done."""
        window = await self._window(officer)
        if window.written < self._officer:
            return False
        window.counted += 1
        return True

    async def elsewhere(self, officer: str) -> None:
        """A refusal that somebody else has written."""
        (await self._window(officer)).written += 1

    async def flush(self) -> None:
        """Write the numbers of windows that are over."""
        for key, window in list(self._windows.items()):
            if time.monotonic() - window.began >= MINUTE:
                del self._windows[key]
                await self._tell(key, window)

    async def _window(self, officer: str | None) -> _Window:
        key, now = officer or "", time.monotonic()
        window = self._windows.get(key)
        if window is None or now - window.began >= MINUTE:
            before, window = window, _Window(now)
            self._windows[key] = window
            if before is not None:
                await self._tell(key, before)
        return window

    async def _tell(self, key: str, window: _Window) -> None:
        if window.counted:
            await self._write("TOO_MANY", key or None, "", "", window.counted)


class UploadsBusy(Exception):
    """why: QUOTA (this officer, today), AT_ONCE (this officer, now) or SPOOL (everybody, now)."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Uploads:
    """Bytes that officers upload: a day, at once, and of all together in the spool folder."""

    def __init__(self, quota: int, at_once: int, spool: int) -> None:
        self.quota, self.at_once, self.spool = quota, at_once, spool
        self._days: TLRUCache[str, tuple[float, int]] = _windows(DAY)
        self._now: dict[str, int] = {}
        self._spooled = 0

    @contextmanager
    def reserved(self, officer: str, size: int) -> Iterator[None]:
        """size: bytes that the request announces. Raises UploadsBusy before any of them is read."""
        began, used = self._days.get(officer, (time.monotonic(), 0))
        if used + size > self.quota:
            raise UploadsBusy("QUOTA")
        if self._now.get(officer, 0) >= self.at_once:
            raise UploadsBusy("AT_ONCE")
        if self._spooled + 2 * size > self.spool:  # the form as it comes, and each file as it is handed in
            raise UploadsBusy("SPOOL")
        self._days[officer] = (began, used + size)
        self._now[officer] = self._now.get(officer, 0) + 1
        self._spooled += 2 * size
        try:
            yield
        finally:
            self._spooled -= 2 * size
            self._now[officer] -= 1
            if not self._now[officer]:
                del self._now[officer]


def client_address(peer: str, headers: Headers, proxies: Sequence[IPv4Network | IPv6Network]) -> str:
    """Who asks. X-Forwarded-For is believed from configured proxies only, and only what they wrote themselves."""
    address = peer
    hops = [hop.strip() for line in headers.getlist("x-forwarded-for") for hop in line.split(",")]
    while hops and _within(address, proxies):
        address = hops.pop()
    return address[:64]


def _within(address: str, proxies: Sequence[IPv4Network | IPv6Network]) -> bool:
    try:
        return any(ip_address(address) in network for network in proxies)
    except ValueError:
        return False
