"""The fixture `attack`, and the rows that attacks leave for the table of `make attack`.

def test_bucket_deleted_on_the_master_port(attack, seaweed, objects):
    with attack("GET that deletes a bucket on the master's port, without a key", watch=lambda: stored_hash()) as told:
        answer = httpx.get(f"http://127.0.0.1:{master}/col/delete?collection=sohoa-records")
        told.answered(f"HTTP {answer.status_code}")
        assert answer.status_code == 404
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

ROWS = "ATTACK_ROWS"  # file to which the rows are added, one JSON object a line
PROPERTY = "attack"


@dataclass
class Row:
    """One attempt as the table shows it. unchanged: the proof that nothing changed."""

    attempt: str
    answer: str = ""
    audit: str = "–"
    unchanged: str = ""

    def answered(self, text: object) -> None:
        """What the attacked part said, without personal data."""
        self.answer = str(text)[:120]

    def audited(self, text: object) -> None:
        """The entry of the audit trail that tells of it."""
        self.audit = str(text)[:80]

    def proved(self, text: object) -> None:
        """Why nothing changed, where `watch` can't compare it."""
        self.unchanged = str(text)[:120]


class Attack:
    """Makes one row for each `with attack(…)`; several in one test are several attempts."""

    def __init__(self, node: pytest.Item) -> None:
        self._node = node

    @contextmanager
    def __call__(self, attempt: str, *, watch: Callable[[], Any] | None = None) -> Iterator[Row]:
        """The attempt in words. watch: what must be equal before and after it (a hash, a row, a count)."""
        row = Row(attempt)
        before = watch() if watch else None
        yield row
        if watch:
            assert watch() == before, f"{attempt}: it changed something"
            row.unchanged = row.unchanged or f"before = after: {str(before)[:60]}"
        assert row.answer, "an attack says what was answered"
        assert row.unchanged, "an attack proves that nothing changed: watch=… or told.proved(…)"
        self._node.user_properties.append((PROPERTY, asdict(row)))


@pytest.fixture
def attack(request: pytest.FixtureRequest) -> Attack:
    """See module."""
    return Attack(request.node)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "attack: tries to break a promise of docs/security.md (`make attack`)")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Who takes the fixture is an attack."""
    for item in items:
        if "attack" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.attack)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Add the rows of a finished test to the file, failed ones too."""
    place = os.environ.get(ROWS)
    if not place or os.environ.get("PYTEST_XDIST_WORKER"):
        return  # the controller hears of all reports
    rows = [row for name, row in report.user_properties if name == PROPERTY]
    if report.when == "call" or report.outcome == "failed":
        rows = rows or ([asdict(Row(report.nodeid))] if report.outcome == "failed" else [])
        with Path(place).open("a", encoding="utf-8") as file:
            for row in rows:
                said = row | {"test": report.nodeid, "repelled": report.outcome == "passed"}
                file.write(json.dumps(said, ensure_ascii=False) + "\n")
