"""What `make up` registers in Prefect: blocks, work pool and queues, deployments, automations. Safe to run again.

Blocks hold references only (names of environment variables, folders), never a secret.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

from blocks.catalog import Catalog
from blocks.objects import ObjectStore
from blocks.orchestrator import DEPLOYED, LOOK_AFTER, POOL, Orchestrator
from blocks.records import RecordsDatabase
from blocks.settings import ROOT, load_stack_env
from blocks.settings.sections import MachineSettings
from deployments import automations
from infra.worker.admission import closed_template, worker_type

DEPLOYMENTS = Path(__file__).with_name("prefect.yaml")
QUEUES = {"watch": 1, "counter": 2, "background": 10}


def register_pool(prefect: Orchestrator, limit: int) -> None:
    """The work pool with its queues; people at the desk come before the backlog. Its jobs take no variables."""
    told: dict[str, Any] = {"concurrency_limit": limit, "base_job_template": closed_template()}
    body = {"name": POOL, "type": worker_type(os.environ)} | told
    made = prefect.call("POST", "/work_pools/", body)
    if made.status_code == 409:
        prefect.call("PATCH", f"/work_pools/{POOL}", told).raise_for_status()
    else:
        made.raise_for_status()
    for name, priority in QUEUES.items():
        answer = prefect.call("POST", f"/work_pools/{POOL}/queues", {"name": name, "priority": priority})
        if answer.status_code not in (201, 409):
            answer.raise_for_status()


def apply_deployments(prefect: Orchestrator) -> None:
    """prefect.yaml as it stands and the automations; the parameter schemas are closed: Prefect accepts unknown
    parameters otherwise."""
    environment = {**os.environ, "SOHOA_ROOT": str(ROOT)}
    subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file", str(DEPLOYMENTS)],
        cwd=ROOT,
        env=environment,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    _forget_former(prefect)
    for name in DEPLOYED:
        deployment = prefect.call("GET", f"/deployments/name/{name}").json()
        schema = {**deployment["parameter_openapi_schema"], "additionalProperties": False}
        prefect.call(
            "PATCH", f"/deployments/{deployment['id']}", {"parameter_openapi_schema": schema}
        ).raise_for_status()
    automations.apply(automations.wanted(UUID(prefect.call("GET", f"/deployments/name/{LOOK_AFTER}").json()["id"])))


def _forget_former(prefect: Orchestrator) -> None:
    """Deployments of our flows under names that they no longer have; their runs go on, which no longer need them."""
    names = {name.partition("/")[2] for name in DEPLOYED}
    for deployment in prefect.call("POST", "/deployments/filter", {"limit": 200}).raise_for_status().json():
        if deployment["entrypoint"].startswith("flows/") and deployment["name"] not in names:
            prefect.call("DELETE", f"/deployments/{deployment['id']}")


def main() -> None:
    load_stack_env()
    prefect = Orchestrator()
    ObjectStore.get().ensure_buckets()
    Catalog.get().load_into(RecordsDatabase.get())
    register_pool(
        prefect,
        MachineSettings().worker_limit or os.cpu_count() or 2,
    )
    apply_deployments(prefect)


if __name__ == "__main__":
    main()
