"""Tiến độ của việc dài: how far a step is that takes long, as a bar in the Prefect UI.

A thread tells Prefect every few seconds how far the work is: the work itself calls nothing, and an API that is slow or
away delays and breaks nothing. A retry goes on with the bar of its run.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import copy_context
from typing import Any
from uuid import UUID

from prefect import get_client
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, ArtifactFilterKey
from prefect.context import TaskRunContext

LONG = 10  # pieces of work; fewer are done before anybody has opened the page
EVERY_SECONDS = 5.0
LAST_SECONDS = 2.0  # how long the end of the work waits for the last word


@contextmanager
def progress_shown(key: str, about: str, total: int, done: int = 0) -> Iterator[Callable[[], None]]:
    """Yields what is to be called after each piece. key, about: of the artifact, without personal data.

    total, done: pieces in all, and those that an earlier try has done. Nothing is shown for fewer than LONG that are
    left, or outside a flow run.
    """
    context = TaskRunContext.get()
    run = context.task_run.flow_run_id if context else None
    if run is None or total - done < LONG:
        yield lambda: None
        return
    finished: list[None] = [None] * done  # appended to by any thread
    stop = threading.Event()

    def tell() -> None:
        bar: Any = None
        said = -1.0
        while True:
            over = stop.wait(EVERY_SECONDS)
            percent = round(100 * len(finished) / total, 1)
            with suppress(Exception):  # whatever happens to Prefect, the papers are what counts
                if bar is None:
                    bar = _known(key, run) or create_progress_artifact(percent, key, about)
                if percent != said:
                    update_progress_artifact(bar, percent)
                    said = percent
            if over:
                return

    thread = threading.Thread(target=copy_context().run, args=(tell,), name=f"progress {key}", daemon=True)
    thread.start()

    try:
        yield lambda: finished.append(None)
    finally:
        stop.set()
        thread.join(LAST_SECONDS)


def _known(key: str, run: UUID) -> UUID | None:
    """The bar that an earlier try of this run has made."""
    wanted = ArtifactFilter(key=ArtifactFilterKey(any_=[key]), flow_run_id=ArtifactFilterFlowRunId(any_=[run]))
    with get_client(sync_client=True) as client:
        found = client.read_artifacts(artifact_filter=wanted, limit=1)
    return found[0].id if found else None
