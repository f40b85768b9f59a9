"""The pauses of a dossier: each stands whole in a file of its own in this folder, and is found there by itself.

Adding one means adding its file, the call in the flow, its part of the page where it asks for more than a decision
(`deployments/desk/templates/pauses/`), and a test: CONTRIBUTING.md shows it.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Generic, TypeVar

import tasks.pauses
from blocks.catalog.staff import Role
from blocks.ids import DossierId
from blocks.records.pause_keys import PauseKey
from blocks.records.states import SignatureRole
from tasks.pauses.form import Answer

ASK_AGAIN = "HOI_LAI"  # a kept decision that decides nothing: the answer wasn't good, the next number is asked
_ASKED_AGAIN = "câu trả lời chưa đạt, hệ thống hỏi lại"
A = TypeVar("A", bound=Answer)


def form_is_all(dossier_id: DossierId, answer: Answer) -> list[str]:
    """A check that finds nothing beyond the form."""
    return []


def attested_only(dossier_id: DossierId, answer: Answer) -> bool:
    """Nothing but the gateway's attestation proves an answer."""
    return False


@dataclass(frozen=True)
class Pause(Generic[A]):
    """One kind of pause.

    name: of its keys, ``name-1``, ``name-2`` …; form: what the officer fills in; role: who decides (WH01, WH02);
    label: its name on the officers' pages; choices: the decisions in the order of their buttons, with their wording;
    rule: id for the audit trail; describe: what the officer reads (Markdown, Vietnamese, no personal data), made of
    the dossier's id after what the flow hands over; check: sentences that keep an answer from being carried out;
    proven: whether something else than the gateway's attestation proves an answer, so that a program may give it;
    capturer_only: of those with the role only who captured decides (Điều 8.1); pin_of: whose PIN may come with the
    answer; on_phone: whose signature is confirmed on a phone meanwhile; words_of: pauses whose newest reason is shown;
    waits_for_citizen: officers are reminded, but no leader is told that they are late; days: that an answer is awaited,
    then the run fails: silence is never an answer.
    """

    name: str
    form: type[A]
    role: Role
    label: str
    choices: Mapping[StrEnum, str]
    rule: str
    describe: Callable[..., str]
    check: Callable[[DossierId, A], list[str]] = form_is_all
    proven: Callable[[DossierId, A], bool] = attested_only
    capturer_only: bool = False
    pin_of: SignatureRole | None = None
    on_phone: SignatureRole | None = None
    words_of: tuple[str, ...] = ()
    waits_for_citizen: bool = False
    days: int = 45


@functools.cache
def pauses() -> Mapping[str, Pause[Any]]:
    """All pauses by name. Looked for once a process, in the modules of this folder."""
    found: dict[str, Pause[Any]] = {}
    for module in pkgutil.iter_modules(tasks.pauses.__path__, "tasks.pauses."):
        for item in vars(importlib.import_module(module.name)).values():
            if isinstance(item, Pause) and found.setdefault(item.name, item) is not item:
                raise TypeError(f"two pauses of the name {item.name}")
    return MappingProxyType(found)


def step_label(name: str) -> str:
    """A pause as officers know it; what is no pause (any more) by the name that it has."""
    pause = pauses().get(name)
    return pause.label if pause else name


def pause_label(key: str) -> str:
    """``verification-1`` as an officer reads it; the second and later times with their number."""
    parsed = PauseKey.parse(key)
    pause = pauses().get(parsed.pause) if parsed else None
    if parsed is None or pause is None:
        return key
    return f"{pause.label} (lần {parsed.number})" if parsed.number > 1 else pause.label


@functools.cache
def decision_labels() -> Mapping[str, str]:
    """Decisions as they are kept → as officers read them."""
    found = {choice.value: label for pause in pauses().values() for choice, label in pause.choices.items()}
    return MappingProxyType(found | {ASK_AGAIN: _ASKED_AGAIN})


def prepare() -> None:
    """Before runs are forked: all pauses are looked for."""
    decision_labels()
