"""Trực vận hành: every five minutes, and at once when a run fails (deployments/automations.py)."""

from __future__ import annotations

from prefect import flow

from tasks.faults import look_after_runs
from tasks.notices import send_notices
from tasks.reminders import remind_officers


@flow(name="watch", persist_result=False)
def watch() -> str:
    """Remind officers of what waits, note what is wrong, send the messages. Returns what was done, in one line."""
    reminded = remind_officers()
    seen = look_after_runs()
    sent = send_notices(return_state=True)  # a mail server that is down is an incident (MAIL_STUCK), no failed run
    mail = sent.result().sent if sent.is_completed() else "–"
    return f"{reminded.reminded} + {reminded.escalated} · {seen.opened} − {seen.closed} · {mail}"
