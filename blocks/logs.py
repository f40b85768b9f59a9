"""Log lines for machines: one JSON object a line, with the time, the run, and what was said.

Prefect is told by environment variables (`LOGGING`). Who is looked at is never named: messages carry codes, ids and
counts (WH04); `trace` of a decision stands in the gateway's line, the flow's and the audit trail alike.
"""

from __future__ import annotations

import json
import logging
import time
from datetime import UTC, datetime

LOGGING = {
    "PREFECT_LOGGING_FORMATTERS_JSON_CLASS": "blocks.logs.JsonLines",
    "PREFECT_LOGGING_HANDLERS_CONSOLE_FORMATTER": "json",
}
IDS = ("flow_run_id", "flow_run_name", "task_run_id", "task_run_name")  # as Prefect's loggers of runs give them


class JsonLines(logging.Formatter):
    """at (UTC), level, logger, text; of a run its ids and names; of an error its traceback."""

    def __init__(self, *_: object) -> None:
        super().__init__()  # a format would be Prefect's

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "text": record.getMessage(),
        }
        line |= {name: str(value) for name in IDS if (value := getattr(record, name, None))}
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def request_line(trace: str, method: str, path: str, status: int, began: float, **who: str | None) -> str:
    """One answered request. began: monotonic seconds; who: officer or partner, by id."""
    line = {
        "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "trace": trace,
        **who,
        "method": method,
        "path": path[:200],
        "status": status,
        "ms": round((time.monotonic() - began) * 1000),
    }
    return json.dumps(line)
