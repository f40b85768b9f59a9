"""Prefect's automations of this installation, as code: `make up` adds, changes and removes them until they are these.

A failure, a long queue, a deadline that has come near start the watch (`flows.watch`) at once instead of within its
five minutes. Runs whose process hangs are not an automation's business (`infra.worker.rescue`, ADR 0011).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from prefect import get_client
from prefect.automations import AutomationCore, EventTrigger, Posture, RunDeployment

from blocks.orchestrator import DOSSIER, FAILED_RUNS, LONG_QUEUE, NEAR_DEADLINES, OURS, WATCH
from tasks.monitoring.checks.work import LATE_RUNS
from tasks.monitoring.deadlines import TOLD


def _events(names: set[str]) -> set[str]:
    return {f"prefect.flow-run.{name}" for name in names}


RUNS = {"prefect.resource.id": "prefect.flow-run.*"}


def _watch_when(name: str, description: str, watch: UUID, **trigger: Any) -> AutomationCore:
    return AutomationCore(
        name=name,
        description=description,
        trigger=EventTrigger(posture=Posture.Reactive, **{"match": RUNS, **trigger}),
        actions=[RunDeployment(source="selected", deployment_id=watch)],
    )


def wanted(watch: UUID) -> list[AutomationCore]:
    """All of them. watch: id of the deployment that looks after everything."""
    return [
        _watch_when(
            FAILED_RUNS,
            "Có lượt xử lý lỗi: trực vận hành xem ngay.",
            watch,
            # Not of the watch itself: its own failure would start it again and again.
            match_related={"prefect.resource.role": "flow", "prefect.resource.name": f"!{WATCH}"},
            expect=_events({"Failed", "TimedOut", "Crashed"}),
            within=timedelta(minutes=1),
        ),
        _watch_when(
            LONG_QUEUE,
            "Nhiều hồ sơ chờ chỗ trống: trực vận hành xem ngay.",
            watch,
            match_related={"prefect.resource.role": "flow", "prefect.resource.name": DOSSIER},
            expect=_events({"Late"}),
            threshold=LATE_RUNS + 1,
            within=timedelta(minutes=10),
        ),
        _watch_when(
            NEAR_DEADLINES,
            "Có hồ sơ sắp đến hạn hoặc quá hạn trả kết quả: nhắc viên chức, báo lãnh đạo, ghi sự cố ngay.",
            watch,
            # One a look, however many dossiers; the watch emits none, so it can't start itself.
            match={"prefect.resource.id": "sohoa.deadlines"},
            expect={TOLD},
            within=timedelta(0),
        ),
    ]


def apply(automations: Sequence[AutomationCore]) -> int:
    """Make Prefect's automations of ours these. Idempotent; returns how many were added, changed or removed.

    One that somebody has switched off in the UI stays off.
    """
    changes = 0
    with get_client(sync_client=True) as client:
        known = {found.name: found for found in client.read_automations() if found.name.startswith(OURS)}
        for automation in automations:
            found = known.pop(automation.name, None)
            if found is None:
                client.create_automation(automation)
            elif _content(found) != _content(automation):
                client.update_automation(found.id, automation.model_copy(update={"enabled": found.enabled}))
            else:
                continue
            changes += 1
        for left in known.values():
            client.delete_automation(left.id)
            changes += 1
    return changes


def _content(automation: AutomationCore) -> dict[str, Any]:
    """What makes it what it is, without what Prefect adds."""
    content = automation.model_dump(mode="json", include={"description", "trigger", "actions"})
    content["trigger"] = {
        name: sorted(value) if isinstance(value, list) else value
        for name, value in content["trigger"].items()
        if name != "id"
    }
    return content
