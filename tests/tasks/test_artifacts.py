"""Artifacts of steps on a real Prefect server: once a run, also after retries; long work moves, and nothing gets in its
way."""

from __future__ import annotations

import socket
import time
from uuid import UUID

import pytest
from prefect import flow, get_client, task
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
from prefect.client.schemas.objects import Artifact
from prefect.settings import PREFECT_API_URL, temporary_settings

from infra.local.process import free_port
from tasks import artifacts
from tasks.artifacts import keep_markdown, progress_shown
from tests.faults.stack import until

pytestmark = pytest.mark.usefixtures("prefect_server")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifacts, "EVERY_SECONDS", 0.2)


def bars(key: str) -> list[Artifact]:
    with get_client(sync_client=True) as client:
        return client.read_artifacts(artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=[key])))


def test_a_retry_goes_on_with_the_bar_of_its_run() -> None:
    failed: list[int] = []
    read: list[int] = []

    @task(retries=1, retry_delay_seconds=0)
    def pages() -> None:
        with progress_shown("doc-1", "Đọc 30 trang", 30, len(read)) as one_more:
            for number in range(len(read), 30):
                if number == 12 and not failed:
                    until(lambda: [bar.data for bar in bars("doc-1")] == [40.0])
                    failed.append(number)
                    raise OSError
                read.append(number)
                one_more()

    @flow
    def work() -> None:
        pages()

    work()
    until(lambda: [bar.data for bar in bars("doc-1")] == [100.0])  # the end of the work waits for it, but not for ever
    (bar,) = bars("doc-1")
    assert (bar.type, bar.description) == ("progress", "Đọc 30 trang")


def test_short_work_and_work_outside_a_run_show_nothing() -> None:
    @task
    def pages(key: str, total: int, done: int) -> None:
        with progress_shown(key, "", total, done) as one_more:
            one_more()
            time.sleep(0.5)

    @flow
    def work() -> None:
        pages("short", 9, 0)
        pages("reused", 200, 195)

    work()
    with progress_shown("outside", "", 50) as one_more:
        one_more()
    assert not bars("short") and not bars("reused") and not bars("outside")


def test_work_neither_fails_nor_waits_when_prefect_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifacts, "PATIENCE", {"timeout": 120.0})
    taken: list[float] = []
    silent = socket.create_server(("127.0.0.1", 0))  # takes calls, says nothing

    @task
    def pages() -> None:
        began = time.monotonic()
        with (
            temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{silent.getsockname()[1]}/api"}),
            progress_shown("away", "", 20) as one_more,
        ):
            for _ in range(20):
                time.sleep(0.05)
                one_more()
        taken.append(time.monotonic() - began)

    @flow
    def work() -> None:
        pages()

    with silent:
        work()
    assert taken[0] < 60 and not bars("away")


def test_an_error_of_the_work_is_the_works() -> None:
    @task
    def pages() -> None:
        with progress_shown("broken", "", 20):
            raise ValueError("page")

    @flow
    def work() -> UUID:
        return pages()  # type: ignore[return-value]

    with pytest.raises(ValueError, match="page"):
        work()


def test_a_retry_writes_its_report_anew_and_without_prefect_nothing_fails() -> None:
    tries: list[int] = []

    @task(retries=1, retry_delay_seconds=0)
    def report() -> None:
        tries.append(len(tries))
        keep_markdown("report", f"try {tries[-1]}", "Báo cáo")
        with temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{free_port()}/api"}):
            keep_markdown("away", "", "")
        if len(tries) < 2:
            raise OSError

    @flow
    def work() -> None:
        report()

    work()
    work()
    keep_markdown("outside", "", "")
    assert [bar.data for bar in sorted(bars("report"), key=lambda bar: str(bar.data))] == ["try 1", "try 2"]
    assert not bars("outside") and not bars("away")
