"""Work pool type ``process``: Prefect's own process worker, which runs only what `infra.worker.admission` lets in.

As Prefect's own does, it starts a new Python for each flow run: its pid is the infrastructure id, cancelling kills it,
a non-zero exit is reported as Crashed. But the process is always `infra.worker.engine`, with the entrypoint that was
looked at; and lost runs are scheduled again (`infra.worker.rescue`).

It takes the place of Prefect's class wherever this package is installed (entry point ``prefect.collections``), so that
``prefect worker start --type process --pool NAME`` means this one.
"""

from __future__ import annotations

import asyncio
import sys
import warnings
from typing import Any
from uuid import UUID

import anyio
import anyio.abc
import httpx
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun, State, WorkPool
from prefect.exceptions import ObjectNotFound
from prefect.runner._flow_run_executor import FlowRunExecutorContext, ProcessStarter
from prefect.runner._process_manager import ProcessHandle
from prefect.runner._starter_engine import EngineCommandStarter
from prefect.states import Failed
from prefect.utilities.processutils import command_to_string
from prefect.workers.process import ProcessJobConfiguration, ProcessWorker, ProcessWorkerResult

from blocks.settings import ROOT
from infra.worker.admission import REFUSED, NotAdmitted, admit
from infra.worker.rescue import Rescue
from infra.worker.run_listener import RunListener

ENGINE = command_to_string([sys.executable, "-m", "infra.worker.engine"])
ONE_THREAD: dict[str, str | None] = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # runs share the machine
# Prefect warns that its class is replaced, which is what is meant.
warnings.filterwarnings("ignore", message=r"Type 'OwnFlowsWorker'", category=UserWarning)


class FixedJob(ProcessJobConfiguration):
    """The same for every run: neither the work pool's template nor job variables are looked at."""

    @classmethod
    async def resolve_for_flow_run(
        cls,
        flow_run: FlowRun,
        *,
        client: PrefectClient,
        work_pool: WorkPool,
        worker_name: str,
        worker_id: UUID | None = None,
        deployment: Any | None = None,
    ) -> FixedJob:
        job = cls()
        job.prepare_for_flow_run(flow_run, deployment, None, work_pool, worker_name, worker_id)
        return job


class NoHooks:
    """Hooks of Prefect's executor: it would load the deployment's code into the worker itself. Our flows have none."""

    async def run_cancellation_hooks(self, flow_run: FlowRun, state: State[Any]) -> None:
        """Nothing."""

    async def run_crashed_hooks(self, flow_run: FlowRun, state: State[Any]) -> None:
        """Nothing."""


class OwnFlowsWorker(ProcessWorker):
    """See the module. Its work pools take no job variables."""

    type = "process"
    job_configuration = FixedJob

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.mine: set[UUID] = set()  # runs that this process takes care of
        self.admitted: dict[UUID, str] = {}  # entrypoints of runs that are being started
        self.looking = asyncio.Lock()
        self.listener = RunListener(self.get_and_submit_flow_runs, self._logger)

    async def run(
        self,
        flow_run: FlowRun,
        configuration: ProcessJobConfiguration,
        task_status: anyio.abc.TaskStatus[int] | None = None,
    ) -> ProcessWorkerResult:
        """Run to its end what was let in."""
        starter = self.starter(self.admitted[flow_run.id])
        self.mine.add(flow_run.id)
        try:
            executor = self.executors.create_executor(
                flow_run, starter, hook_runner=NoHooks(), propose_submitting=False
            )
            async with anyio.create_task_group() as group:
                results: list[Any] = []

                async def execute(*, task_status: anyio.abc.TaskStatus[ProcessHandle]) -> None:
                    results.append(await executor.submit(task_status=task_status))

                handle = await group.start(execute)
                if task_status is not None:
                    task_status.started(handle.pid)
            result = results[0]
        finally:
            self.mine.discard(flow_run.id)
            self.listener.notify()  # there is room for another
        if result is None or result.status_code is None:
            raise RuntimeError("Failed to start flow run process.")
        return ProcessWorkerResult(status_code=result.status_code, identifier=str(handle.pid))

    async def get_and_submit_flow_runs(self) -> list[FlowRun]:
        """In rounds, and when told; one after the other."""
        async with self.looking:
            return await super().get_and_submit_flow_runs()

    async def _submit_scheduled_flow_runs(self, flow_run_response: list[Any]) -> list[FlowRun]:
        """Leave for the next poll a run whose last process is just ending.

        An officer may resume within the second that the suspended process takes to leave; Prefect's base worker then
        asks its limiter twice on behalf of one run, which raises and ends the worker.
        """
        leaving = set(self._limiter.statistics().borrowers) if self._limiter else set()
        return await super()._submit_scheduled_flow_runs(
            [entry for entry in flow_run_response if entry.flow_run.id not in leaving]
        )

    async def _submit_run(self, flow_run: FlowRun) -> None:
        """Look first whether it may run at all; what was looked at is what will run, whatever is changed meanwhile."""
        try:
            found = flow_run.deployment_id and await self.client.read_deployment(flow_run.deployment_id)
            self.admitted[flow_run.id] = admit(flow_run, found or None)
        except NotAdmitted as reason:
            self._logger.error("Flow run '%s' is refused: %s", flow_run.id, reason)
            message = f"Not executed: {reason}. Only the deployments of this installation run; `make up` restores them."
            await self.client.set_flow_run_state(flow_run.id, Failed(name=REFUSED, message=message), force=True)
            return self._let_go(flow_run)
        except ObjectNotFound:
            pass  # a deployment that was deleted: Prefect's own worker cancels the run
        except httpx.HTTPError as error:
            self._logger.warning("Flow run '%s' waits: its deployment can't be read (%s)", flow_run.id, error)
            return self._let_go(flow_run)
        try:
            await super()._submit_run(flow_run)
        finally:
            self.admitted.pop(flow_run.id, None)

    def _let_go(self, flow_run: FlowRun) -> None:
        """It isn't started now."""
        self._release_limit_slot(flow_run.id)
        self._submitting_flow_run_ids.discard(flow_run.id)
        if self._cancelling_observer is not None:
            self._cancelling_observer.remove_in_flight_flow_run_id(flow_run.id)

    async def _submit_adhoc_run(self, *args: Any, **kwargs: Any) -> None:
        """Code that is handed over instead of deployed: never here."""
        raise NotAdmitted("only deployments of this installation run")

    def starter(self, entrypoint: str) -> ProcessStarter:
        """What makes the process of one run; nothing that the run brings along is in its environment."""
        return EngineCommandStarter(
            command=ENGINE,
            entrypoint=entrypoint,  # the engine then doesn't ask the deployment for it again
            cwd=ROOT,
            env=ONE_THREAD,
            control_channel=self.executors.control_channel,
        )

    async def setup(self) -> None:
        await super().setup()
        self.executors = await self._exit_stack.enter_async_context(FlowRunExecutorContext())
        rescue = Rescue(self.client, self._work_pool_name, self.name, self._cares_for, self._logger)
        await self._exit_stack.enter_async_context(rescue.going_on())
        await self._exit_stack.enter_async_context(self.listener.open())

    def _cares_for(self, flow_run_id: UUID) -> bool:
        return flow_run_id in self.mine or flow_run_id in self._submitting_flow_run_ids
