"""What the gateway does by itself: ends the sessions of who was ended elsewhere, is off the list, or is switched off.

Each minute the provider is asked whether an account is still good, where it gave a refresh token. One that doesn't
answer ends nothing: what it can't say, the list of staff and the limits of a session say.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from starlette.concurrency import run_in_threadpool

from deployments.desk.auth.provider import FAULTS, Provider, ProviderRefused, kind_of
from deployments.desk.auth.sessions import Officer, Session, Sessions
from deployments.desk.auth.signin import SignIns
from deployments.desk.limits import Refusals

log = logging.getLogger("sohoa.gateway")
EACH, ACCOUNT_SECONDS, AT_ONCE = 10.0, 45.0, 10


class Watch:
    """today: an officer with what holds now; note(code, officer) writes the audit trail."""

    def __init__(
        self,
        provider: Provider,
        sessions: Sessions,
        signins: SignIns,
        refusals: Refusals,
        today: Callable[[Officer], Officer],
        note: Callable[[str, str], Awaitable[None]],
    ) -> None:
        self.provider, self.sessions, self.signins, self.refusals = provider, sessions, signins, refusals
        self.today, self.note = today, note
        self._many = asyncio.Semaphore(AT_ONCE)

    async def run(self) -> None:
        """For ever."""
        while True:
            await asyncio.sleep(EACH)
            try:
                await self.once()
            except Exception as error:  # the records don't answer; next time
                log.warning(json.dumps({"event": "watch", "kind": type(error).__name__}))

    async def once(self) -> None:
        for session in self.sessions.all():
            session.officer = self.today(session.officer)  # who waits at a socket is told (Sessions.ended)
        await asyncio.gather(*map(self._account, self.sessions.all()))
        await self.refusals.flush()
        await self._records()

    async def _records(self) -> None:
        gone, self.sessions.gone = self.sessions.gone, []
        if gone:
            try:
                await run_in_threadpool(self.signins.ended, gone)
            except Exception:
                self.sessions.gone = gone + self.sessions.gone
                raise
        still = {session.id: session for session in self.sessions.all()}
        if not still:
            return
        over = await run_in_threadpool(self.signins.over, list(still))
        self.sessions.end_those([still[ident] for ident in over if ident in still], "system", "ENDED")
        ago = time.monotonic()
        times = {s.id: datetime.now(UTC) - timedelta(seconds=ago - s.seen) for s in self.sessions.all()}
        await run_in_threadpool(self.signins.seen, times)

    async def _account(self, session: Session) -> None:
        if not session.refresh_token or time.monotonic() - session.checked < ACCOUNT_SECONDS:
            return
        async with self._many:
            try:
                token, told = await self.provider.still(session.account[1], session.refresh_token)
            except ProviderRefused:
                if self.sessions.end_those([session], "system", "ACCOUNT_OFF"):
                    await self.note("ACCOUNT_OFF", session.officer.id)
                return
            except FAULTS as error:
                log.warning(json.dumps({"event": "account not checked", "kind": kind_of(error)}))
                return
        session.refresh_token, session.checked = token, time.monotonic()
        if told is not None and told != session.officer.told:
            session.officer = self.today(replace(session.officer, told=told))
            if not told and self.sessions.end_those([session], "system", "NO_ROLE"):
                await self.note("NO_ROLE", session.officer.id)
