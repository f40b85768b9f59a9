"""Log lines as JSON objects, and Prefect takes the formatter that the stack names."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys

from blocks.logs import LOGGING, JsonLines


def test_a_line_has_time_run_and_error_and_is_one_line() -> None:
    record = logging.LogRecord("prefect.flow_runs", logging.INFO, "", 0, "%s: Ký\nsố", ("seal-1",), None)
    record.flow_run_id, record.created = "2b", 0.5
    assert json.loads(JsonLines().format(record)) == {
        "at": "1970-01-01T00:00:00.500+00:00",
        "level": "INFO",
        "logger": "prefect.flow_runs",
        "text": "seal-1: Ký\nsố",
        "flow_run_id": "2b",
    }
    try:
        raise LookupError("x")
    except LookupError:
        record.exc_info = sys.exc_info()
    line = JsonLines().format(record)
    assert "\n" not in line and "Ký" in line and "LookupError: x" in json.loads(line)["error"]


def test_prefect_logs_in_these_lines() -> None:
    said = (
        "from prefect.logging.configuration import setup_logging; from prefect.logging import get_logger; "
        "setup_logging(); get_logger('x').warning('[a] %s', 'b ' * 200)"
    )
    done = subprocess.run([sys.executable, "-c", said], env=os.environ | LOGGING, capture_output=True, text=True)
    (line,) = done.stderr.splitlines()
    assert json.loads(line)["text"].startswith("[a] b b")
