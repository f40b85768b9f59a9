"""Setup step of the fault tests: the work pool and one tiny deployment, instead of all of deployments.setup."""

from __future__ import annotations

import os
from typing import Any

from blocks.orchestrator import Orchestrator
from blocks.settings import ROOT, load_stack_env
from infra.worker.admission import closed_template, worker_type


def main() -> None:
    load_stack_env()
    prefect = Orchestrator()
    pool = {"name": "sohoa", "type": worker_type(os.environ), "base_job_template": closed_template()}
    made = prefect.call("POST", "/work_pools/", pool)
    if made.status_code != 409:
        made.raise_for_status()
    flow = prefect.call("POST", "/flows/", {"name": "small"}).json()
    deployment: dict[str, Any] = {
        "name": "small",
        "flow_id": flow["id"],
        "work_pool_name": "sohoa",
        "entrypoint": "tests/faults/small_flow.py:small",
        "path": str(ROOT),
        "pull_steps": [{"prefect.deployments.steps.set_working_directory": {"directory": str(ROOT)}}],
        "parameter_openapi_schema": {"type": "object", "properties": {}},
    }
    prefect.call("POST", "/deployments/", deployment).raise_for_status()


if __name__ == "__main__":
    main()
