"""Services that are away: what is waited for, how long, and who hears of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import uuid4

import httpx
import pytest
from prefect.client.schemas.objects import State, StateType
from sqlmodel import select

from blocks.catalog.staff import TEST_STAFF, load_staff
from blocks.objects import ObjectConflict, ObjectStoreUnavailable
from blocks.records import RecordsDatabase
from blocks.records.tables import Dossier, Incident
from blocks.records.waiting import OUTAGE, wait_at
from blocks.signer.base import PinRefused
from blocks.trust import RevocationUnavailable, TimestampUnavailable
from tasks.monitoring.incidents import AWAY, KINDS
from tasks.monitoring.run_faults import settle
from tasks.pauses.outages import (
    AWAITING,
    OTHER,
    SERVICES,
    TOLD_AFTER,
    away,
    next_try,
    pause_after,
    sentence,
    service_away,
    streak,
)
from tests.tasks.lawcase import make_dossier
from tests.tasks.test_prefect_task import OUTSIDE

NOW = datetime(2026, 11, 30, 3, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("error", "service"),
    [
        (TimestampUnavailable(), "TIMESTAMP_UNAVAILABLE"),
        (RevocationUnavailable(), "REVOCATION_UNAVAILABLE"),
        (ObjectStoreUnavailable(), "OBJECT_STORE_UNAVAILABLE"),
        (httpx.ConnectError("refused"), OTHER),
        (ConnectionResetError(), OTHER),
        (PinRefused(), None),  # a person must act: each further try could lock the token
        (ObjectConflict(), None),
        (ValueError(), None),
        (KeyError("x"), None),
    ],
)
def test_only_what_comes_back_by_itself_is_waited_for(error: Exception, service: str | None) -> None:
    assert service_away(error) == service


def test_every_outside_service_has_a_name_and_an_incident() -> None:
    no_service = {"MAIL_UNAVAILABLE", "ANCHOR_TAKEN", "PAGE_UNDRAWABLE"}  # no step of a dossier, or no service
    assert OUTSIDE - no_service <= SERVICES.keys()
    assert all(KINDS[f"{AWAY}{code}"].closer is None for code in SERVICES)


def test_pauses_grow_to_twenty_minutes_and_after_a_day_to_an_hour() -> None:
    pauses = [pause_after(tries, timedelta()).total_seconds() / 60 for tries in (1, 2, 3, 4, 5, 6, 50)]
    for pause, least in zip(pauses, (1, 2, 5, 10, 20, 20, 20), strict=True):
        assert least <= pause <= least * 1.2
    assert 60 <= pause_after(80, timedelta(days=1)).total_seconds() / 60 <= 72


def test_after_45_days_it_fails_and_people_decide() -> None:
    """From the first failure on, as a run lives it: each try fails at once."""
    tries, at = [NOW], next_try([], NOW)
    while at is not None:
        tries.append(at)
        at = next_try(tries[:-1], at)
    gaps = [(later - earlier).total_seconds() / 60 for earlier, later in pairwise(tries)]
    within_a_day = sum(when - NOW < timedelta(days=1) for when in tries)
    assert 60 < within_a_day < 76  # a service that is back is found within 24 minutes
    assert all(gap <= 24 for gap in gaps[: within_a_day - 1])
    assert all(60 <= gap <= 72 for gap in gaps[within_a_day:])
    assert timedelta(days=45) < tries[-1] - NOW < timedelta(days=45, hours=1.2)  # the last one finds it too long


def state(minutes: int, kind: StateType, name: str = "", service: str = "TIMESTAMP_UNAVAILABLE") -> State:
    """service: the one that is waited for."""
    at = NOW + timedelta(minutes=minutes)
    return State(type=kind, name=name or kind.value.title(), message=f"Đang chờ [{service}]", timestamp=at)


def test_an_outage_begins_where_the_run_last_did_something_else() -> None:
    S, R, P = StateType.SCHEDULED, StateType.RUNNING, StateType.PAUSED
    earlier = [state(0, S), state(1, R), state(2, S, AWAITING), state(3, R), state(4, P), state(9, S), state(10, R)]
    assert streak(earlier, "TIMESTAMP_UNAVAILABLE") == []
    now = [*earlier, state(11, S, AWAITING), state(12, StateType.PENDING), state(12, R), state(13, S, AWAITING)]
    assert streak(now, "TIMESTAMP_UNAVAILABLE") == [NOW + timedelta(minutes=11), NOW + timedelta(minutes=13)]
    another = [*now, state(14, R), state(15, S, AWAITING, "OBJECT_STORE_UNAVAILABLE"), state(16, R)]
    assert streak(another, "OBJECT_STORE_UNAVAILABLE") == [NOW + timedelta(minutes=15)]


def test_one_incident_a_service_however_many_wait_and_it_closes_itself(records: RecordsDatabase) -> None:
    with records.session() as session:
        for _ in range(3):
            dossier, _ = make_dossier(records, ["LOCAL:GIAY-RA-VIEN"])
            row = session.get_one(Dossier, dossier)
            wait_at(session, row, uuid4(), "TIMESTAMP_UNAVAILABLE", kind=OUTAGE, since=NOW)
        assert sentence(session, dossier).startswith("Hệ thống đang chờ dịch vụ dấu thời gian;")
        assert away(session, NOW + TOLD_AFTER) == {}
        told = away(session, NOW + TOLD_AFTER + timedelta(minutes=1))
    assert told == {"TIMESTAMP_UNAVAILABLE": 3}
    staff = load_staff(TEST_STAFF)
    found = {(f"{AWAY}{code}", None): {"dossiers": count} for code, count in told.items()}
    assert settle(records, staff, found).opened == 1 and settle(records, staff, found).opened == 0
    assert settle(records, staff, {}).closed == 1
    with records.session() as session:
        assert len(session.exec(select(Incident)).all()) == 1
