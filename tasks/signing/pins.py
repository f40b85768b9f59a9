"""Mã PIN do chính người ký nhập: kept sealed for minutes, taken once by the step that signs (Điều 8.1).

No person's PIN is stored where signatures count; it is typed at the pause at which its owner allows the signature, and
is in the memory of the signing process only as long as the papers of that dossier are signed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from pydantic import SecretStr
from sqlalchemy import ColumnElement, delete
from sqlmodel import Session, col, select

from blocks.ids import DossierId
from blocks.pins import PinUnfit, seal, unseal
from blocks.records import RecordsDatabase
from blocks.records.tables import SealedPin, now
from blocks.signer import Signer
from blocks.signer.base import typed_pin

LASTS = timedelta(minutes=10)


def keep_pin(records: RecordsDatabase, dossier_id: DossierId, pause: str, officer: str, pin: SecretStr) -> None:
    """Seal what the officer has typed at a pause; a newer one takes its place. Raises PinKeyMissing."""
    box = seal(pin, dossier=dossier_id, pause=pause, officer=officer)
    with records.session() as session:
        _clean(session, *_at(dossier_id, pause))
        session.add(SealedPin(dossier_id=dossier_id, stage=pause, officer=officer, box=box, expires_at=now() + LASTS))


def drop_pin(records: RecordsDatabase, dossier_id: DossierId, pause: str) -> None:
    """The decision beside it wasn't taken."""
    with records.session() as session:
        _clean(session, *_at(dossier_id, pause))


def take_pin(records: RecordsDatabase, dossier_id: DossierId, stage: str, officer: str) -> SecretStr | None:
    """The PIN that the officer has typed at a pause of this kind, once: it is deleted before it is used.

    None when there is none, when it is too old, or when it was made for something else.
    """
    with records.session() as session:
        _clean(session, col(SealedPin.expires_at) < now())
        mine = col(SealedPin.dossier_id) == dossier_id, col(SealedPin.stage).startswith(f"{stage}-")
        rows = session.exec(select(SealedPin).where(*mine).order_by(col(SealedPin.expires_at)).with_for_update()).all()
        boxes = [(row.stage, row.officer, row.box) for row in rows]
        _clean(session, *mine)
    for pause, owner, box in reversed(boxes):
        if owner == officer:
            try:
                return unseal(box, dossier=dossier_id, pause=pause, officer=officer)
            except PinUnfit:
                continue
    return None


@contextmanager
def unlocked(
    records: RecordsDatabase, dossier_id: DossierId, stage: str, officer: str, signer: Signer
) -> Iterator[bool]:
    """The signer with the PIN that its owner has typed, for this block. Yields whether it can sign without asking."""
    if not signer.asks_pin:
        yield True
        return
    pin = take_pin(records, dossier_id, stage, officer)
    with typed_pin(signer, pin):
        yield pin is not None or signer.is_open


def _clean(session: Session, *where: ColumnElement[bool]) -> None:
    session.execute(delete(SealedPin).where(*where))


def _at(dossier_id: DossierId, pause: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return col(SealedPin.dossier_id) == dossier_id, col(SealedPin.stage) == pause
