"""The clock of the office: Viet Nam's day and time (UTC+7), whatever zone the machine has."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

VIET_NAM = timezone(timedelta(hours=7), "+07:00")  # no summer time since 1975


def vietnam_day(at: datetime | None = None) -> date:
    """The day in Viet Nam at `at` (timezone-aware; default: now). Raises ValueError for a time without zone."""
    at = at or datetime.now(UTC)
    if at.tzinfo is None:
        raise ValueError("a time without time zone has no certain day")
    return at.astimezone(VIET_NAM).date()


def vietnam_time(at: datetime) -> str:
    """dd/mm/yyyy HH:MM:SS +07:00, whatever the zone of `at` is."""
    return at.astimezone(VIET_NAM).strftime("%d/%m/%Y %H:%M:%S +07:00")
