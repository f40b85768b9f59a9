"""How often Prefect's server looks round on one machine (prefect 3.8.8), where stack.env says nothing else.

Its defaults look each five seconds for what happens here once a day, and write each event of a run by itself: with
those, one core in ten goes to a stack that has nothing to do, and task runs show tens of seconds late.
"""

from __future__ import annotations

SERVICES = "PREFECT_SERVER_SERVICES_"

SERVER = {
    # Events and states of task runs in lots, each second.
    f"{SERVICES}TASK_RUN_RECORDER_READ_BATCH_SIZE": "100",
    f"{SERVICES}TASK_RUN_RECORDER_BATCH_SIZE": "100",
    f"{SERVICES}TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    f"{SERVICES}EVENT_PERSISTER_READ_BATCH_SIZE": "100",
    f"{SERVICES}EVENT_PERSISTER_BATCH_SIZE": "100",
    f"{SERVICES}TRIGGERS_READ_BATCH_SIZE": "100",
    # What waits too long shows within half a minute; the watch looks each five.
    f"{SERVICES}LATE_RUNS_LOOP_SECONDS": "15",
    f"{SERVICES}FOREMAN_LOOP_SECONDS": "30",
    # A pause ends after 45 days, a slot of a run that died after minutes.
    f"{SERVICES}PAUSE_EXPIRATIONS_LOOP_SECONDS": "300",
    f"{SERVICES}REPOSSESSOR_LOOP_SECONDS": "30",
    f"{SERVICES}CLEANUP_RECONCILER_LOOP_SECONDS": "60",
    f"{SERVICES}CANCELLATION_CLEANUP_LOOP_SECONDS": "60",
    f"{SERVICES}SCHEDULER_RECENT_DEPLOYMENTS_LOOP_SECONDS": "60",
    # No automation here waits for something that does not happen (deployments/automations.py).
    "PREFECT_SERVER_EVENTS_PROACTIVE_GRANULARITY": "PT60S",
}
