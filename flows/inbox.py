"""Hộp nhận hồ sơ: what lies in the inbox folder is taken in, and what was confirmed on a phone goes on.

The agent starts it when there is something (deployments/agent.py), the clock each hour.
"""

from __future__ import annotations

from prefect import flow
from prefect.client.schemas.objects import State

from blocks.results import KIND
from tasks.intake.steps import take_ready_folders
from tasks.signing.steps import go_on_with_confirmed


@flow(name="inbox", result_serializer=KIND, persist_result=False)
def inbox() -> int:
    """Take every ready folder (Điều 13.1); fetch confirmed signatures (Điều 8.1). Returns how many were handed in."""
    taken: State[int] = take_ready_folders(return_state=True)
    go_on_with_confirmed()  # whatever lies in the inbox
    return taken.result()
