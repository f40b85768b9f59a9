"""What the records keep of sign-ins, for the gateway (WH04)."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from blocks.records import RecordsDatabase, signins


class SignIns:
    def __init__(self, records: RecordsDatabase) -> None:
        self.records = records

    def is_bound(self, issuer: str, sub: str, officer: str, first: bool) -> bool:
        with self.records.session() as session:
            return signins.is_bound(session, issuer, sub, officer, first=first)

    def began(self, ident: UUID, officer: str) -> None:
        with self.records.session() as session:
            signins.begin(session, ident, officer)

    def ended(self, those: list[tuple[UUID, str, str]]) -> None:
        with self.records.session() as session:
            for ident, by, reason in those:
                signins.end(session, ident, by, reason)

    def seen(self, times: dict[UUID, datetime]) -> None:
        with self.records.session() as session:
            signins.seen(session, times)

    def over(self, idents: list[UUID]) -> list[UUID]:
        with self.records.session() as session:
            return signins.ended(session, idents)

    def first_use(self, issuer: str, jti: str, until: datetime) -> bool:
        with self.records.session() as session:
            return signins.first_use(session, issuer, jti, until)

    def end_all(self) -> None:
        """A gateway that starts knows no session of the one before."""
        with self.records.session() as session:
            signins.end_all(session, "system", "RESTART")
