"""What a step shows of itself in the Prefect UI: one artifact per key and flow run, however often
the step is tried.

Tiến độ của việc dài: a thread tells Prefect every few seconds how far the work is. The work itself calls nothing; an
API that is slow or away delays and breaks nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import copy_context
from uuid import UUID

from prefect import get_client, get_run_logger
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import ArtifactCreate, ArtifactUpdate
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, ArtifactFilterKey
from prefect.context import FlowRunContext, TaskRunContext

LONG = 10  # pieces of work; fewer are done before anybody has opened the page
EVERY_SECONDS = 5.0
PATIENCE = {"timeout": 10.0}  # seconds for an answer of Prefect
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
        artifact: UUID | None = None
        while True:
            over = stop.wait(EVERY_SECONDS)
            bar.data = round(100 * len(finished) / total, 1)
            # Whatever happens to Prefect, the papers are what counts. A client of this thread's own: the run's counts
            # who uses it, and isn't made for threads.
            with suppress(Exception), get_client(httpx_settings=PATIENCE, sync_client=True) as client:
                artifact = artifact or _known(client, bar)
                if artifact is None:
                    artifact = client.create_artifact(bar).id
                else:
                    client.update_artifact(artifact, ArtifactUpdate(data=bar.data))
            if over:
                return

    thread = threading.Thread(target=copy_context().run, args=(tell,), name=f"progress {key}", daemon=True)
    thread.start()

    try:
        yield lambda: finished.append(None)
    finally:
        stop.set()
        thread.join(LAST_SECONDS)


def keep_markdown(key: str, markdown: str, about: str) -> None:
    """A Markdown artifact of the run that this task belongs to; a retry writes it anew. Nothing outside a run.

    key, about: like the text without personal data. What Prefect doesn't take is a line in the log: the papers count.
    """
    context = TaskRunContext.get()
    if context is None or context.task_run.flow_run_id is None:
        return
    artifact = ArtifactCreate(
        key=key,
        type="markdown",
        description=about,
        data=markdown,
        flow_run_id=context.task_run.flow_run_id,
        task_run_id=context.task_run.id,
    )
    try:
        with get_client(httpx_settings=PATIENCE, sync_client=True) as client:
            if (known := _known(client, artifact) if _tried_before(context) else None) is not None:
                client.update_artifact(known, ArtifactUpdate(data=markdown))
            else:
                client.create_artifact(artifact)
    except Exception as error:
        get_run_logger().warning("artifact %s: %s", key, type(error).__name__)


def _tried_before(context: TaskRunContext) -> bool:
    """Whether this may be another try: of the task, or of a run that a process has worked on before."""
    run = FlowRunContext.get()
    return context.task_run.run_count > 1 or run is None or run.flow_run is None or run.flow_run.run_count > 1


def _known(client: SyncPrefectClient, wanted: ArtifactCreate) -> UUID | None:
    """The one that an earlier try of this run has made."""
    assert wanted.key and wanted.flow_run_id
    chosen = ArtifactFilter(
        key=ArtifactFilterKey(any_=[wanted.key]), flow_run_id=ArtifactFilterFlowRunId(any_=[wanted.flow_run_id])
    )
    found = client.read_artifacts(artifact_filter=chosen, limit=1)
    return found[0].id if found else None
