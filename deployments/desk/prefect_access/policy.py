"""What of Prefect operations may reach: reading, and resuming (which has a route of its own). Everything else is shut.

Written against Prefect 3.8: an unknown path is shut, so that a new version opens nothing by itself.
"""

from __future__ import annotations

import re
from typing import Any

OPERATE = "OPERATE"  # the role of who runs the machine; runs show dossiers of all units
# As Prefect's UI writes it. Its server also understands capitals, no hyphens, braces and urn:uuid: a rule that shuts
# one way of writing leaves the others open, so rules open, and only this way.
UUID = r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"
NAME = r"[A-Za-z0-9_.-]+"
KINDS = r"flows|flow_runs|task_runs|deployments|artifacts|automations|work_queues|saved_searches|concurrency_limits"
# Not among them: blocks and variables (references to secrets), settings, what an officer typed at a pause (it lies in
# Prefect until the flow has taken it, and may be personal data).
READING_GET = re.compile(
    rf"^/api/(?:health|ready|version|admin/version|(?:ui/)?(?:{KINDS})/{UUID}"
    rf"|flow_runs/{UUID}/(?:graph|graph-v2|logs/download|input/suspended-[a-z]+-\d+-(?:schema|description))"
    rf"|deployments/{UUID}/(?:work_queue_check|schedules)|work_queues/{UUID}/status"
    rf"|(?:flow_run|task_run)_states/(?:{UUID})?|(?:flows|work_queues)/name/{NAME}|deployments/name/{NAME}/{NAME}"
    rf"|artifacts/{NAME}/latest|work_pools/{NAME}(?:/queues/{NAME})?|v2/concurrency_limits/{NAME}"
    rf"|concurrency_limits/tag/{NAME}|automations/related-to/{NAME}|collections/views/{NAME}|events/filter/next)/?$"
)
READING_POST = re.compile(
    rf"^/api/(?:ui/)?(?:{KINDS}|work_pools(?:/{NAME}/(?:queues|workers))?|v2/concurrency_limits|artifacts/latest"
    r"|logs|events|task_workers)/"
    r"(?:filter|count|paginate|history|lateness|filter-minimal|count-by/[a-z_-]+|dashboard-task-run-counts|"
    r"count-task-runs|count-task-runs-by-flow-run|next-runs|deployment-counts|count-deployments)/?$"
)
LISTED = re.compile(r"^/api/(?:block_documents|block_types|variables)/(?:filter|count)$")
NAVIGATION = re.compile(r"^/(?!api/)(?!api$)[A-Za-z0-9/._-]*$")
FORM = re.compile(rf"^/api/flow_runs/{UUID}/input/suspended-[a-z]+-\d+-schema$")


def open_to_operations(method: str, path: str) -> bool:
    """Whether who holds OPERATE may call this of Prefect; others may call nothing of it."""
    if method in ("GET", "HEAD"):
        return (READING_GET if path.startswith("/api/") else NAVIGATION).match(path) is not None
    return method == "POST" and READING_POST.match(path) is not None


def told_the_ui(method: str, path: str, body: bytes) -> tuple[int, Any] | None:
    """(status, answer) for what Prefect's own UI asks for by itself, though it is shut: no attempt of a person.

    Nothing is told, but an answer there must be: without settings its page of deployments never ends to draw itself,
    without a list of blocks the page of events says that something went wrong. Asking for secrets is an attempt.
    """
    path = path.rstrip("/")
    if method == "GET":
        return {"/api/admin/settings": (200, {}), "/api/csrf-token": (404, {"detail": "Not Found"})}.get(path)
    if LISTED.match(path) and b"secret" not in body:
        return 200, 0 if path.endswith("/count") else []
    return None


def is_tricky(raw_path: bytes) -> bool:
    """Ways of writing a path so that two programs read two different ones."""
    return b"%" in raw_path or b"//" in raw_path or b"\\" in raw_path or b"/." in raw_path or b";" in raw_path


def has_template(value: Any) -> bool:
    """Prefect's server would expand ``__prefect_kind`` in what officers type (templates, variables)."""
    if isinstance(value, dict):
        return "__prefect_kind" in value or any(map(has_template, value.values()))
    return isinstance(value, list) and any(map(has_template, value))
