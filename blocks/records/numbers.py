"""Số và ký hiệu văn bản đi (NĐ 30/2020, Điều 15): given by the system only, in order, unique under concurrency."""

from __future__ import annotations

import re
from datetime import datetime

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, select

from blocks.clock import vietnam_day
from blocks.records.audit import audit
from blocks.records.queries import locked
from blocks.records.tables import Dossier, ResultNumber, ResultSequence, now

SYMBOL = re.compile(r"[A-ZĐa-z]{1,10}(-[0-9A-ZĐa-z]{1,20})*")


def issue_result_number(
    session: Session, dossier: Dossier, result_code: str, symbol: str, *, actor: str, at: datetime | None = None
) -> ResultNumber:
    """The number of a dossier's result document, counted from 1 in each unit, Viet Nam year and symbol.

    In the caller's transaction: its rollback leaves no gap, so keep that short. The same dossier and result get
    the same number again, with the day on which it was given; two tasks at once get one. at: moment of issue (now).
    Raises ValueError for a symbol of another form.
    """
    if not SYMBOL.fullmatch(symbol):
        raise ValueError("a symbol is letters, joined by hyphens")
    locked(session, Dossier, dossier.id, key_share=True)
    query = select(ResultNumber).where(ResultNumber.dossier_id == dossier.id, ResultNumber.result_code == result_code)
    known = session.exec(query).first()
    if known is not None:
        return known
    moment = at or now()
    year, last = vietnam_day(moment).year, ResultSequence.__table__.c.last  # type: ignore[attr-defined]
    counter = insert(ResultSequence).values(unit_id=dossier.unit_id, year=year, symbol=symbol, last=1)
    counted = session.execute(
        counter.on_conflict_do_update(index_elements=["unit_id", "year", "symbol"], set_={"last": last + 1}).returning(
            last
        )
    ).scalar_one()
    row = ResultNumber(
        unit_id=dossier.unit_id, year=year, symbol=symbol, number=counted, dossier_id=dossier.id,
        result_code=result_code, issued_at=moment,
    )  # fmt: skip
    session.add(row)
    session.flush()
    details = {"number_symbol": row.number_symbol, "year": year, "result": result_code}
    audit(session, actor=actor, action="number", dossier_id=dossier.id, rule="B4e", details=details)
    return row
