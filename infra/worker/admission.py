"""What the worker lets run: flows of this checkout, and nothing that a run or a deployment brings along.

Whoever has Prefect's password may create deployments and runs and change both. So nothing in Prefect's database says
what is executed: no command, environment, folder or pull step of a job, deployment or work pool is used, and a run that
carries one is refused before a process is made for it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from blocks.settings import ROOT
from infra.local.process import StackError

WARM, PLAIN = "warm-process", "process"  # types of worker: infra/worker/warm_worker.py, process_worker.py
FLOWS = ROOT / "flows"
ENTRYPOINT = re.compile(r"(?P<folder>[a-z_]+(?:/[a-z_]+)*)/(?P<file>[a-z_]+\.py):(?P<name>[a-z_]+)")
STEP = "prefect.deployments.steps.set_working_directory"
HERE = {str(ROOT), "{{ $SOHOA_ROOT }}"}  # as prefect.yaml writes it, and as `prefect deploy` fills it in
REFUSED = "Refused"  # name of the state of a run that wasn't let in; tasks/monitoring/run_faults.py looks for it


class NotAdmitted(Exception):
    """The worker doesn't execute this run. The text tells what is not allowed, without its value."""


def flows_folder() -> Path:
    """Where flows may come from: ``flows/``; the worker of a test names another folder (SOHOA_FLOWS_DIR)."""
    return Path(os.environ.get("SOHOA_FLOWS_DIR") or FLOWS)


def admit(run: Any, deployment: Any | None) -> str:
    """The entrypoint (absolute path and flow's name) that this run may execute. Raises NotAdmitted.

    run, deployment: as Prefect's client reads them; a run without a deployment is nobody's.
    """
    if deployment is None:
        raise NotAdmitted("it belongs to no deployment")
    if run.job_variables:
        raise NotAdmitted("job variables of the run")
    if deployment.job_variables:
        raise NotAdmitted("job variables of the deployment")
    if deployment.storage_document_id is not None:
        raise NotAdmitted("storage block of the deployment")
    if deployment.path not in (None, "", ".", str(ROOT)):
        raise NotAdmitted("path of the deployment")
    if any(step not in ({STEP: {"directory": here}} for here in HERE) for step in deployment.pull_steps or []):
        raise NotAdmitted("pull steps of the deployment")
    return _own_flow(deployment.entrypoint or "")


def _own_flow(entrypoint: str) -> str:
    """A file of the flows' folder itself, not a link to elsewhere."""
    folder, parts = flows_folder(), ENTRYPOINT.fullmatch(entrypoint)
    if parts is None or ROOT / parts["folder"] != folder:
        raise NotAdmitted("entrypoint of the deployment")
    file = folder / parts["file"]
    if not file.is_file() or file.resolve() != folder.resolve() / parts["file"]:
        raise NotAdmitted("entrypoint of the deployment")
    return f"{file}:{parts['name']}"


def worker_type(environment: Mapping[str, str]) -> str:
    """SOHOA_WORKER_TYPE, or the default. Raises StackError for one that wouldn't ask us."""
    chosen = environment.get("SOHOA_WORKER_TYPE") or WARM
    if chosen not in (WARM, PLAIN):
        raise StackError(f"SOHOA_WORKER_TYPE={chosen}: there is {WARM} (the default) and {PLAIN}")
    return chosen


def closed_template() -> dict[str, Any]:
    """Base job template of the work pool: no variable, and none may be added.

    Our workers don't look at it; one that runs without this package executes nothing by it.
    """
    return {
        "job_configuration": {"command": "false"},
        "variables": {"type": "object", "properties": {}, "additionalProperties": False},
    }
