"""Phiên làm việc: each officer's own sessions; who runs or leads a unit sees and ends those of its people (WH04)."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from blocks.catalog.staff import Role
from blocks.records import RecordsDatabase
from blocks.records.audit import audit
from deployments.desk.auth.sessions import Officer, Session
from deployments.desk.pages.rendering import Pages

ENDING = "phien"  # what the step-up is for
WHY = "Trước khi kết thúc phiên khác của mình, bạn cần xác thực lại với tài khoản của mình."


@dataclass(frozen=True)
class Row:
    id: UUID
    officer: str
    began: datetime
    seen: datetime
    this: bool


class SessionPages:
    """step_up_minutes: how fresh the proof of who one is must be before another session of one's own is ended."""

    def __init__(self, pages: Pages, records: RecordsDatabase, step_up_minutes: int) -> None:
        self.pages, self.records, self.step_up_minutes = pages, records, step_up_minutes

    def show(self, session: Session, everybody: list[Session]) -> Response:
        seen = [_row(one, session) for one in everybody if may_end(session.officer, one.officer)]
        mine = [row for row in seen if row.officer == session.officer.id]
        others = [row for row in seen if row.officer != session.officer.id]
        return self.pages.page("sessions.html", session, title="Phiên làm việc", mine=mine, others=others)

    async def end(self, request: Request, session: Session, wanted: list[Session]) -> tuple[list[Session], Response]:
        """(the sessions that are to end, the page)."""
        _, _, refusal = await self.pages.posted(request)
        if refusal is not None:
            return [], refusal
        if not all(may_end(session.officer, one.officer) for one in wanted):
            self._note(session, "refuse", {"code": "WRONG_UNIT", "trace": request.state.trace})
            return [], self.pages.say("Không được kết thúc", "Phiên này không thuộc đơn vị của bạn.", 403, session)
        own = any(one.officer.id == session.officer.id for one in wanted)
        if own and session.proven_for(ENDING, self.step_up_minutes) is None:
            # Who has found an open desk must not shut the owner out elsewhere.
            return [], self.pages.step_up(session, ENDING, "/phien", {}, why=WHY)
        for one in wanted:
            self._note(session, "end-session", {"officer": one.officer.id, "trace": request.state.trace})
        return wanted, RedirectResponse("/phien", 303)

    def _note(self, session: Session, action: str, details: dict[str, Any]) -> None:
        with self.records.session() as database:
            audit(database, actor=session.officer.id, action=action, rule="WH04", details=details)


def may_end(officer: Officer, other: Officer) -> bool:
    """One's own; of others, those with a role in a unit that this officer leads or runs, and of who has none left."""
    watched = officer.where(Role.LEAD, Role.OPERATE)
    units = set(other.units) or {unit for unit, _ in other.told}
    return officer.id == other.id or bool(watched & units)


def _row(one: Session, here: Session) -> Row:
    now, at = time.monotonic(), datetime.now(UTC)
    began, seen = at - timedelta(seconds=now - one.began), at - timedelta(seconds=now - one.seen)
    return Row(one.id, one.officer.id, began, seen, one is here)
