"""What the worklist of an officer holds, and which dossiers a part of a code finds (QĐ 352, Điều 12)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from sqlalchemy import ColumnElement, tuple_
from sqlmodel import col, func, select

from blocks.catalog import Catalog
from blocks.catalog.staff import SEES_PAPERS, Role, Staff
from blocks.clock import vietnam_day
from blocks.ids import FlowRunId
from blocks.records import RecordsDatabase
from blocks.records.tables import Dossier, Waiting
from blocks.records.waiting import Place, counts, page, place
from deployments.desk.auth.sessions import Officer
from deployments.desk.decisions import why_not
from tasks.desk_views.worklist import Item, for_officer, worklist
from tasks.pauses.registry import pauses

PAGE = 50  # dossiers
SHORTEST, FOUND = 3, 50  # letters of a code to search by, dossiers that are shown


class Work:
    def __init__(
        self, records: RecordsDatabase, catalog: Catalog, taken: Callable[[], Collection[tuple[FlowRunId, str]]] = tuple
    ) -> None:
        """taken: pauses (run, stage) whose decision the desk has just handed on; their rows stay until the run's next
        process has noted it."""
        self.records, self.catalog, self.taken = records, catalog, taken

    def items(
        self, officer: Officer, staff: Staff, kind: str = "", after: Place | None = None
    ) -> tuple[list[Item], Place | None]:
        """What this officer may decide now, and what is escalated to a leader (WH01–WH03): one page of it, and after
        what the next one begins (None: that was all). kind: of this step only.
        """
        with self.records.session() as session:
            rows = page(session, *self._mine(officer, staff, kind), after=after, limit=PAGE)
        return self._decidable(officer, staff, rows), place(rows[-1]) if len(rows) == PAGE else None

    def counts(self, officer: Officer, staff: Staff) -> dict[str, int]:
        """How many wait for this officer, by step."""
        with self.records.session() as session:
            return counts(session, *self._mine(officer, staff))

    def _mine(self, officer: Officer, staff: Staff, kind: str = "") -> list[ColumnElement[bool]]:
        wanted = [for_officer(officer.id, staff, vietnam_day(), officer.grants)]
        if kind:
            wanted.append(col(Waiting.kind) == kind)
        if taken := list(self.taken()):
            wanted.append(tuple_(col(Waiting.flow_run_id), col(Waiting.stage)).not_in(taken))
        return wanted

    def _decidable(self, officer: Officer, staff: Staff, rows: Sequence[Waiting]) -> list[Item]:
        """Those that the provider's groups allow, too."""
        found = worklist(self.records, self.catalog, rows, officer=officer.id, staff=staff)
        with self.records.session() as session:
            query = select(Dossier).where(col(Dossier.id).in_([item.dossier_id for item in found]))
            dossiers = {dossier.id: dossier for dossier in session.exec(query)}
        return [
            item
            for item in found
            if why_not(officer, dossiers[item.dossier_id], pauses()[item.pause], staff) is None
            or (item.escalated and officer.holds(Role.LEAD.value, item.unit))
        ]

    def found(self, officer: Officer, wanted: str) -> Sequence[Dossier]:
        """The one of a whole code; else, newest first, those with this part.

        Of units whose papers the officer sees: that there are others isn't told either (WH04).
        """
        mine = col(Dossier.unit_id).in_(officer.where(*SEES_PAPERS))
        with self.records.session() as session:
            whole = (Dossier.code == wanted.upper()) | (Dossier.submission == wanted)
            rows = session.exec(select(Dossier).where(whole, mine).limit(1)).all()
            if not rows and len(wanted) >= SHORTEST:
                part = func.lower(col(Dossier.code)).contains(wanted.lower(), autoescape=True)
                newest = select(Dossier).where(part, mine)
                rows = session.exec(newest.order_by(col(Dossier.created_at).desc()).limit(FOUND)).all()
            session.expunge_all()
            return rows
