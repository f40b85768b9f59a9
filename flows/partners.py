"""Đối tác: their systems are told what changed in their dossiers.

The agent starts it when something has (deployments/agent.py), the clock each hour.
"""

from __future__ import annotations

from prefect import flow

from blocks.results import KIND
from tasks.partner_cases.steps import tell_partners


@flow(name="partners", result_serializer=KIND, persist_result=False)
def partners() -> str:
    """Returns what was done, in one line."""
    report = tell_partners()
    return f"{report.written} + {report.delivered} − {report.failed}"
