"""What a check is, and what it finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

CHECK_BAD = "CHECK_BAD"  # code of the incident that names all parts that don't work


class State(StrEnum):
    GOOD = "ĐẠT"
    WARNING = "CẢNH BÁO"
    BAD = "LỖI"


class Cost(StrEnum):
    """Who makes a check without being asked."""

    CHEAP = "cheap"  # the metrics each minute, the watch at each of its looks
    DEAR = "dear"  # nobody: a person asks, and the page makes it once a minute at most


@dataclass(frozen=True)
class Seen:
    """What was seen, in Vietnamese, and what to do when it isn't good. details: ids and counts for an incident."""

    state: State
    seen: str
    advice: str = ""
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Finding:
    """The outcome of one check. key, part: the check's."""

    key: str
    part: str
    state: State
    seen: str
    advice: str = ""
    details: dict[str, Any] = field(default_factory=dict)


Look = Callable[[], Seen]


@dataclass(frozen=True)
class Check:
    """One part that can be fit for work or not.

    key: its name in metrics and incidents (ASCII); part: its name for people; brief: what is made instead where a
    second is too long; incident: what the watch opens, empty for nothing. `CHECK_BAD` opens when the part is BAD or
    can't be looked at; a kind of the check's own opens as soon as the part isn't GOOD.
    """

    key: str
    part: str
    look: Look
    cost: Cost = Cost.CHEAP
    brief: Look | None = None
    incident: str = CHECK_BAD


def good(seen: str) -> Seen:
    return Seen(State.GOOD, seen)


def bad(seen: str, advice: str) -> Seen:
    return Seen(State.BAD, seen, advice)


def warning(seen: str, advice: str, **details: Any) -> Seen:
    return Seen(State.WARNING, seen, advice, details)
