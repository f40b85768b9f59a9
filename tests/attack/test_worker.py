"""Who holds Prefect's password can stop and delay work, but not have anything executed that isn't in this checkout."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from blocks.orchestrator import Orchestrator
from blocks.settings import ROOT
from infra.local.process import StackError, spawn, stop
from infra.worker.admission import PLAIN, REFUSED, WARM, NotAdmitted, admit, closed_template, worker_type
from tests.attack.conftest import PrefectServer
from tests.attack.plugin import Attack
from tests.faults.stack import PRELOAD, until

SHELL = "prefect.deployments.steps.run_shell_script"
OPEN = {  # what a stock worker's pool lets jobs set
    "job_configuration": {"command": "{{ command }}", "env": "{{ env }}", "working_dir": "{{ working_dir }}"},
    "variables": {"type": "object", "properties": {name: {} for name in ("command", "env", "working_dir")}},
}


@dataclass
class Stack:
    """Prefect's server and our worker, as the stack starts them; `log`: what the worker wrote."""

    prefect: Orchestrator
    env: dict[str, str]
    log: Path


@pytest.fixture(scope="module", params=[WARM, PLAIN])
def stack(
    request: pytest.FixtureRequest, prefect_server: PrefectServer, new_database: Callable[[], str]
) -> Iterator[Stack]:
    env = prefect_server.env | {"SOHOA_FLOWS_DIR": str(ROOT / "tests" / "faults"), "SOHOA_PRELOAD": PRELOAD}
    env |= {"SOHOA_DATABASE_URL": new_database()}
    made = Stack(prefect_server.prefect, env, prefect_server.folder / "worker.log")
    python = [sys.executable, "-m"]
    subprocess.run([*python, "tests.faults.small_setup"], env=env, cwd=ROOT, check=True, timeout=60)
    start = [*python, "prefect", "worker", "start", "--pool", "sohoa", "--type", request.param, "--limit", "4"]
    worker = spawn(start, log=made.log, cwd=ROOT, env=env, parent_death=signal.SIGKILL)
    try:
        until(lambda: made.prefect.call("POST", "/work_pools/sohoa/workers/filter", {}).json())
        yield made
    finally:
        stop(worker)


@pytest.fixture
def loot(tmp_path: Path) -> Path:
    """A file that exists when the attacker's code ran."""
    return tmp_path / "loot"


@pytest.fixture
def deployment(stack: Stack) -> Iterator[dict[str, Any]]:
    """The one deployment of the stack; afterwards it and the pool are as they were."""
    found = stack.prefect.call("GET", "/deployments/name/small/small").json()
    yield found
    kept = {name: found[name] for name in ("entrypoint", "path", "pull_steps", "job_variables")}
    patch(stack, "/work_pools/sohoa", base_job_template=OPEN)  # else what was changed can't be changed back
    patch(stack, f"/deployments/{found['id']}", **kept)
    patch(stack, "/work_pools/sohoa", base_job_template=closed_template())


def patch(stack: Stack, address: str, **body: Any) -> None:
    stack.prefect.call("PATCH", address, body).raise_for_status()


def create(stack: Stack, deployment: dict[str, Any], **body: Any) -> httpx.Response:
    return stack.prefect.call("POST", f"/deployments/{deployment['id']}/create_flow_run", body)


def outcome(stack: Stack, run: str) -> str:
    """Name and message of the state in which it ended."""
    until(lambda: stack.prefect.run(run)["state_type"] in {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"})
    state = stack.prefect.run(run)["state"]
    return f"{state['name']}: {state['message']}"


def test_a_run_with_a_command_is_refused(attack: Attack, stack: Stack, deployment: dict[str, Any], loot: Path) -> None:
    body = {"job_variables": {"command": f"touch {loot}"}}
    with attack("Prefect's password: create_flow_run with job_variables.command", watch=loot.exists) as told:
        answer = create(stack, deployment, **body)
        told.answered(f"HTTP {answer.status_code} (the pool takes no variables)")
        assert answer.status_code == 422
    with attack("the same, after the pool's template was opened for it", watch=loot.exists) as told:
        patch(stack, "/work_pools/sohoa", base_job_template=OPEN)
        run = create(stack, deployment, **body).json()["id"]
        told.answered(said := outcome(stack, run))
        assert said.startswith(f"{REFUSED}: ") and "job variables of the run" in said


def test_a_command_in_the_pools_template_is_not_looked_at(
    attack: Attack, stack: Stack, deployment: dict[str, Any], loot: Path, tmp_path: Path
) -> None:
    with attack("a command and a folder written into the pool's template", watch=loot.exists) as told:
        template = OPEN | {"job_configuration": {"command": f"touch {loot}", "working_dir": "/tmp"}}
        patch(stack, "/work_pools/sohoa", base_job_template=template)
        run = create(stack, deployment, parameters={"folder": str(tmp_path)}).json()["id"]
        told.answered(said := outcome(stack, run))
        assert said.startswith("Completed") and (tmp_path / "first").exists()


def test_a_deployment_with_an_environment_is_refused(
    attack: Attack, stack: Stack, deployment: dict[str, Any], tmp_path: Path
) -> None:
    with attack("environment in the deployment's job variables", watch=lambda: list(tmp_path.iterdir())) as told:
        patch(stack, "/work_pools/sohoa", base_job_template=OPEN)
        patch(stack, f"/deployments/{deployment['id']}", job_variables={"env": {"PYTHONSTARTUP": "/tmp/x.py"}})
        run = create(stack, deployment, parameters={"folder": str(tmp_path)}).json()["id"]
        told.answered(said := outcome(stack, run))
        assert said.startswith(f"{REFUSED}: ") and "job variables of the deployment" in said


@pytest.mark.parametrize(
    "attempt, change",
    [
        ("another entrypoint in the deployment", lambda evil, loot: {"entrypoint": f"{evil}:small"}),
        ("an entrypoint that climbs out", lambda evil, loot: {"entrypoint": f"tests/faults/../../..{evil}:small"}),
        ("a module as entrypoint", lambda evil, loot: {"entrypoint": "this.evil"}),
        ("a shell script as pull step", lambda evil, loot: {"pull_steps": [{SHELL: {"script": f"touch {loot}"}}]}),
        (
            "another folder as pull step",
            lambda evil, loot: {
                "pull_steps": [{"prefect.deployments.steps.set_working_directory": {"directory": str(evil.parent)}}]
            },
        ),
        ("another path of the code", lambda evil, loot: {"pull_steps": [], "path": str(evil.parent)}),
    ],
)
def test_foreign_code_is_refused(
    attack: Attack,
    stack: Stack,
    deployment: dict[str, Any],
    loot: Path,
    tmp_path: Path,
    attempt: str,
    change: Callable[[Path, Path], dict[str, Any]],
) -> None:
    evil = tmp_path / "evil.py"
    evil.write_text(f"open({str(loot)!r}, 'w')\nfrom prefect import flow\n@flow\ndef small(): ...\n")
    with attack(f"Prefect's password: {attempt}", watch=loot.exists) as told:
        patch(stack, f"/deployments/{deployment['id']}", **change(evil, loot))
        run = create(stack, deployment).json()["id"]
        told.answered(said := outcome(stack, run))
        assert said.startswith(f"{REFUSED}: ") and "make up" in said
    assert str(evil) not in said  # no value of the attacker's is shown


def test_a_new_deployment_of_foreign_code_is_refused(
    attack: Attack, stack: Stack, deployment: dict[str, Any], loot: Path
) -> None:
    with attack("a deployment of one's own with a shell script", watch=loot.exists) as told:
        body = {
            "name": "evil",
            "flow_id": deployment["flow_id"],
            "work_pool_name": "sohoa",
            "entrypoint": "tests/faults/small_flow.py:small",
            "pull_steps": [{SHELL: {"script": f"touch {loot}"}}],
            "enforce_parameter_schema": False,
        }
        made = stack.prefect.call("POST", "/deployments/", body).json()
        told.answered(said := outcome(stack, create(stack, made).json()["id"]))
        assert said.startswith(f"{REFUSED}: ")


def test_code_is_not_loaded_into_the_worker_when_a_run_is_cancelled(
    attack: Attack, stack: Stack, deployment: dict[str, Any], loot: Path, tmp_path: Path
) -> None:
    """Prefect's own worker loads the deployment's code to look for hooks."""
    run = create(stack, deployment, parameters={"folder": str(tmp_path), "seconds": 60}).json()["id"]
    until(lambda: (tmp_path / "first").exists())
    with attack("a pull step put in while a run goes on, then cancelled", watch=loot.exists) as told:
        patch(stack, f"/deployments/{deployment['id']}", pull_steps=[{SHELL: {"script": f"touch {loot}"}}])
        state = {"state": {"type": "CANCELLING", "name": "Cancelling"}}
        stack.prefect.call("POST", f"/flow_runs/{run}/set_state", state).raise_for_status()
        told.answered(outcome(stack, run))
        time.sleep(2)  # hooks come after the state
    assert "evil" not in stack.log.read_text()


BARE = """
import asyncio
from prefect.workers.process import ProcessWorker
asyncio.run(ProcessWorker("bare").start(run_once=True))
"""


def test_a_worker_without_our_package_executes_nothing(
    attack: Attack, stack: Stack, deployment: dict[str, Any], tmp_path: Path
) -> None:
    """It looks at the pool's template: the one that we write has nothing executed."""
    pool = {"name": "bare", "type": PLAIN, "base_job_template": closed_template()}
    stack.prefect.call("POST", "/work_pools/", pool)
    kept = ("flow_id", "entrypoint", "path", "pull_steps")
    body = {name: deployment[name] for name in kept} | {"name": "bare", "work_pool_name": "bare"}
    made = stack.prefect.call("POST", "/deployments/", body).raise_for_status().json()
    with attack("Prefect's own class of worker polls the pool", watch=lambda: list(tmp_path.iterdir())) as told:
        run = create(stack, made, parameters={"folder": str(tmp_path)}).json()["id"]
        subprocess.run([sys.executable, "-c", BARE], env=stack.env, cwd=ROOT, check=True, timeout=120)
        told.answered(said := outcome(stack, run))
        assert said.startswith("Crashed")


def block(stack: Stack, slug: str, kind: dict[str, Any], data: dict[str, Any], name: str = "sohoa") -> str:
    """A block document as somebody with Prefect's password writes it; its id."""
    call = stack.prefect.call
    call("POST", "/block_types/", {"name": slug, "slug": slug})
    made = call("GET", f"/block_types/slug/{slug}").json()
    schema = {"block_type_id": made["id"], "fields": kind, "capabilities": ["get-directory", "read-path", "write-path"]}
    checksum = call("POST", "/block_schemas/", schema).json()["id"]
    old = call("GET", f"/block_types/slug/{slug}/block_documents/name/{name}")
    if old.status_code == 200:  # of the same attack on the other type of worker
        call("DELETE", f"/block_documents/{old.json()['id']}").raise_for_status()
    body = {"name": name, "data": data, "block_type_id": made["id"], "block_schema_id": checksum}
    return str(call("POST", "/block_documents/", body).json()["id"])


def test_a_block_document_changes_nothing(attack: Attack, stack: Stack, tmp_path: Path) -> None:
    """As older installations have them: trust, object store, records database."""
    text = (
        "from blocks.trust import Trust; from blocks.objects import ObjectStore; from blocks.records import "
        "RecordsDatabase\nprint(Trust.get().folder, Trust.get().tsa_url, ObjectStore.get().prefix, "
        "ObjectStore.get().endpoint_env, RecordsDatabase.get().url_env)"
    )

    def used() -> str:
        done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, env=stack.env, cwd=ROOT)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    fields = {"type": "object", "properties": {"folder": {"type": "string"}, "url_env": {"type": "string"}}}
    with attack("block sohoa-trust PATCHed with another folder of anchors", watch=used) as told:
        made = block(stack, "sohoa-trust", fields, {"folder": "/anchors/of/mine"})
        patch(stack, f"/block_documents/{made}", data={"folder": str(tmp_path)})
        block(stack, "sohoa-object-store", fields, {"prefix": "mine"})
        block(stack, "sohoa-records-database", fields, {"url_env": "MINE"})
        told.answered("written to Prefect, read by nobody")
        assert used() == "None None sohoa SOHOA_S3_ENDPOINT SOHOA_DATABASE_URL"


def test_no_block_is_made_of_a_parameter(
    attack: Attack, stack: Stack, deployment: dict[str, Any], tmp_path: Path
) -> None:
    made = block(stack, "local-file-system", {"type": "object", "title": "LocalFileSystem", "properties": {}}, {})
    reference = {"$ref": {"block_document_id": made}}
    with attack("a block document as parameter", watch=lambda: list(tmp_path.iterdir())) as told:
        run = create(stack, deployment, parameters={"folder": reference}, enforce_parameter_schema=False)
        told.answered(said := outcome(stack, run.json()["id"]))
        assert said.startswith("Failed") and "not loaded" in said


def test_no_result_goes_where_prefects_server_says(
    attack: Attack, stack: Stack, deployment: dict[str, Any], tmp_path: Path
) -> None:
    """Prefect's server may name a default place for results: who writes it would read and replace them."""
    outside, inside = tmp_path / "mine", tmp_path / "marks"
    outside.mkdir()
    inside.mkdir()
    made = block(
        stack,
        "local-file-system",
        {"type": "object", "title": "LocalFileSystem", "properties": {"basepath": {"type": "string"}}},
        {"basepath": str(outside)},
        "results",
    )
    with attack("the server's default result storage pointed elsewhere", watch=lambda: os.listdir(outside)) as told:
        named = stack.prefect.call("PUT", "/admin/storage", {"default_result_storage_block_id": made})
        run = create(stack, deployment, parameters={"folder": str(inside)}).json()["id"]
        told.answered(f"HTTP {named.status_code}; the run: {outcome(stack, run)}"[:110])
        assert named.status_code < 300 and (inside / "last").exists()
    stack.prefect.call("DELETE", "/admin/storage")


def test_admission_knows_links_and_missing_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flows = tmp_path / "flows"
    flows.mkdir()
    monkeypatch.setattr("infra.worker.admission.ROOT", tmp_path)
    monkeypatch.setattr("infra.worker.admission.FLOWS", flows)
    (tmp_path / "evil.py").write_text("")
    (flows / "linked.py").symlink_to(tmp_path / "evil.py")
    (flows / "own.py").write_text("")
    run = SimpleNamespace(job_variables={})
    of: dict[str, Any] = {"job_variables": {}, "storage_document_id": None, "path": None, "pull_steps": None}
    assert admit(run, SimpleNamespace(**of, entrypoint="flows/own.py:own")) == f"{flows}/own.py:own"
    for entrypoint in ("flows/linked.py:x", "flows/none.py:x", "evil.py:x", "flows/own.py", "", "flows/own.py:a;b"):
        with pytest.raises(NotAdmitted):
            admit(run, SimpleNamespace(**of, entrypoint=entrypoint))
    with pytest.raises(NotAdmitted):
        admit(run, None)


def test_no_worker_starts_that_would_not_ask_us() -> None:
    assert worker_type({}) == worker_type({"SOHOA_WORKER_TYPE": ""}) == WARM
    assert worker_type({"SOHOA_WORKER_TYPE": "process"}) == PLAIN
    with pytest.raises(StackError, match="SOHOA_WORKER_TYPE"):
        worker_type({"SOHOA_WORKER_TYPE": "docker"})
