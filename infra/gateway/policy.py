"""What of Prefect an officer may reach: reading, and resuming (which has a route of its own). Everything else is shut.

Written against Prefect 3.8: an unknown path is shut, so that a new version opens nothing by itself.
"""

from __future__ import annotations

import re
from typing import Any

UUID = r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"
# Blocks and variables hold references to secrets; settings tell of the machine; the rest is not for officers' browsers.
SHUT = re.compile(
    r"^/api/(block_|variables|admin/settings|admin/database|templates|csrf-token|work_queues/.*/get_runs)"
)
# What an officer typed lies here until the flow has taken it: it may be personal data.
TYPED = re.compile(rf"^/api/flow_runs/{UUID}/input(/filter|/[^/]*response)?/?$")
READING_POST = re.compile(
    r"^/api/(?:ui/)?[a-z_]+(?:/[a-z_]+)*/"
    r"(?:filter|count|paginate|history|lateness|filter-minimal|count-by/[a-z_-]+|dashboard-task-run-counts|"
    r"count-task-runs|count-task-runs-by-flow-run|next-runs|deployment-counts|count-deployments)/?$"
)
NAVIGATION = re.compile(r"^/(?!api/)(?!api$)[A-Za-z0-9/._-]*$")
FORM = re.compile(rf"^/api/flow_runs/{UUID}/input/suspended-[a-z]+-\d+-schema$")


def open_to_officers(method: str, path: str) -> bool:
    """Whether a signed-in officer may call this of Prefect."""
    if SHUT.match(path) or TYPED.match(path):
        return False
    if method in ("GET", "HEAD"):
        return path.startswith("/api/") or NAVIGATION.match(path) is not None
    return method == "POST" and READING_POST.match(path) is not None


def asked_by_the_ui(method: str, path: str) -> bool:
    """Shut, but Prefect's own UI asks for it on each page: no attempt of a person, so not worth an audit entry."""
    return method == "GET" and path.rstrip("/") in ("/api/admin/settings", "/api/csrf-token")


def is_tricky(raw_path: bytes) -> bool:
    """Ways of writing a path so that two programs read two different ones."""
    return b"%" in raw_path or b"//" in raw_path or b"\\" in raw_path or b"/." in raw_path or b";" in raw_path


def has_template(value: Any) -> bool:
    """Prefect's server would expand ``__prefect_kind`` in what officers type (templates, variables)."""
    if isinstance(value, dict):
        return "__prefect_kind" in value or any(map(has_template, value.values()))
    return isinstance(value, list) and any(map(has_template, value))
