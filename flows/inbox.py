"""Hộp nhận hồ sơ: each minute, what lies in the inbox folder is taken in."""

from __future__ import annotations

from prefect import flow

from tasks.inbox import take_ready_folders


@flow(name="inbox", persist_result=False)
def inbox() -> int:
    """Take every ready folder (Điều 13.1). Returns how many were handed in."""
    return take_ready_folders()
