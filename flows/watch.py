"""Trực vận hành: every five minutes, and at once when a run fails (deployments/automations.py)."""

from __future__ import annotations

from prefect import flow
from prefect.client.schemas.objects import State

from blocks.results import KIND
from tasks.monitoring.steps import look_after_parts, look_after_runs, remind_officers, send_notices


@flow(name="watch", result_serializer=KIND, persist_result=False)
def watch() -> str:
    """Remind officers of what waits, note what is wrong, send the messages. Returns what was done, in one line."""
    reminding: State = remind_officers(return_state=True)  # what stops one of the four doesn't stop the others
    looking: State = look_after_runs(return_state=True)
    at_parts: State = look_after_parts(return_state=True)
    sending: State = send_notices(return_state=True)  # a mail server that is down is an incident, no failed run
    reminded, looks = reminding.result(), (looking.result(), at_parts.result())
    opened, closed = (sum(counts) for counts in zip(*((look.opened, look.closed) for look in looks), strict=True))
    mail = sending.result().sent if sending.is_completed() else "–"
    return f"{reminded.reminded} + {reminded.escalated} · {opened} − {closed} · {mail}"
