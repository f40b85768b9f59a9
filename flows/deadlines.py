"""Hạn trả kết quả: hourly during office hours, operations learn which dossiers are
near their day of result."""

from __future__ import annotations

from prefect import flow

from blocks.results import KIND
from tasks.monitoring.steps import note_deadlines


@flow(name="deadlines", result_serializer=KIND, persist_result=False)
def deadlines() -> int:
    """Note, tag and tell; an automation then starts the watch. Returns how many dossiers are new."""
    near: int = note_deadlines()
    return near
