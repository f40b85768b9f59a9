"""Tiến độ của việc dài: how far a step is that takes long, as a bar in the Prefect UI.

A thread tells Prefect every few seconds how far the work is: the work itself calls nothing, and an API that is slow or
away delays and breaks nothing. A retry goes on with the bar of its run.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import copy_context
from uuid import UUID

from prefect import get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import ArtifactCreate, ArtifactUpdate
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
    if context is None or context.task_run.flow_run_id is None or total - done < LONG:
        yield lambda: None
        return
    finished: list[None] = [None] * done  # appended to by any thread
    stop = threading.Event()

    bar = ArtifactCreate(
        key=key,
        type="progress",
        description=about,
        flow_run_id=context.task_run.flow_run_id,
        task_run_id=context.task_run.id,
    )

    def tell() -> None:
        made: UUID | None = None
        while True:
            over = stop.wait(EVERY_SECONDS)
            bar.data = round(100 * len(finished) / total, 1)
            # Whatever happens to Prefect, the papers are what counts. A client of this thread's own: the run's counts
            # who uses it, and isn't made for threads.
            with suppress(Exception), get_client(httpx_settings={"timeout": 10}, sync_client=True) as client:
                made = made or _known(client, bar)
                if made is None:
                    made = client.create_artifact(bar).id
                else:
                    client.update_artifact(made, ArtifactUpdate(data=bar.data))
            if over:
                return

    thread = threading.Thread(target=copy_context().run, args=(tell,), name=f"progress {key}", daemon=True)
    thread.start()

    try:
        yield lambda: finished.append(None)
    finally:
        stop.set()
        thread.join(LAST_SECONDS)


def _known(client: SyncPrefectClient, bar: ArtifactCreate) -> UUID | None:
    """The bar that an earlier try of this run has made."""
    assert bar.key and bar.flow_run_id
    wanted = ArtifactFilter(
        key=ArtifactFilterKey(any_=[bar.key]), flow_run_id=ArtifactFilterFlowRunId(any_=[bar.flow_run_id])
    )
    found = client.read_artifacts(artifact_filter=wanted, limit=1)
    return found[0].id if found else None
