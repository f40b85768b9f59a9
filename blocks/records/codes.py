"""Mã hồ sơ: issued by the system only, unique under concurrency (P01, QĐ 352 Điều 10)."""

from __future__ import annotations

import re
from datetime import date, datetime

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session

from blocks.clock import vietnam_day
from blocks.errors import Remedy, SohoaError
from blocks.records.audit import audit
from blocks.records.queries import locked
from blocks.records.tables import Dossier, DossierSequence

LAST = 9999
UNIT = re.compile(r"[0-9A-Za-z.-]{1,35}")
CODE = re.compile(r"(?P<unit>[0-9A-Za-z.-]{1,35})-(?P<day>[0-9]{6})-(?P<number>[0-9]{4})")


class CodesExhausted(SohoaError):
    """A unit has issued 9999 codes on one day: the law's form of the code has no more."""

    code, rule = "CODES_EXHAUSTED", "P01"
    message = (
        "Đơn vị {unit} đã cấp hết 9999 mã hồ sơ của ngày {day}; vui lòng tiếp nhận vào ngày tiếp theo "
        "hoặc báo quản trị viên bổ sung mã đơn vị."
    )
    remedy = Remedy.OFFICER


class ManualCode(SohoaError):
    """Somebody offers a dossier code of their own."""

    code, rule = "MANUAL_CODE", "P01"
    message = "Mã hồ sơ do hệ thống tự động cấp; vui lòng bỏ mã nhập tay."
    remedy = Remedy.OFFICER


def issue_dossier_code(session: Session, unit_id: str, day: date | datetime | None = None) -> str:
    """The next code ``<unit id>-<YYMMDD>-<NNNN>`` of the unit on that day, counted in the caller's transaction.

    day: a day in Viet Nam, or an aware time that is turned into one; default: today. The counter's row stays locked
    until the transaction ends, so a rollback leaves no gap; keep that transaction short. The third value of the
    format is from 0001 to 9999. Raises CodesExhausted; ValueError for a unit id of another form.
    """
    if not UNIT.fullmatch(unit_id):
        raise ValueError("unit id must be 1 to 35 letters, digits, dots or hyphens")
    if day is None or isinstance(day, datetime):
        day = vietnam_day(day)
    counter = insert(DossierSequence).values(unit_id=unit_id, day=day, last=1)
    last = DossierSequence.__table__.c.last  # type: ignore[attr-defined]
    counted = session.execute(
        counter.on_conflict_do_update(
            index_elements=["unit_id", "day"], set_={"last": last + 1}, where=last < LAST
        ).returning(last)
    ).scalar()
    if counted is None:
        raise CodesExhausted(unit=unit_id, day=f"{day:%d/%m/%Y}")
    return f"{unit_id}-{day:%y%m%d}-{counted:04d}"


def assign_dossier_code(session: Session, dossier: Dossier, *, actor: str, at: datetime | None = None) -> str:
    """Give a dossier its code, once: a dossier that has one keeps it. Writes one audit entry with the code."""
    row = locked(session, Dossier, dossier.id, key_share=True)
    if row.code is None:
        row.code = issue_dossier_code(session, row.unit_id, at)
        session.add(row)
        session.flush()
        number = int(row.code[-4:])
        audit(session, actor=actor, action="code", dossier_id=row.id, rule="P01", details={"number": number})
    dossier.code = row.code
    return row.code
