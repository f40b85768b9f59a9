"""Work pool type ``warm-process``: Prefect's process worker, but flow runs are forked from a warm process.

The worker of `infra.worker.process_worker` starts a new Python for each flow run and imports everything again (10-20 s
here); all else is the same, but that this one leaves its runs Running when it is told to stop: they go on after that.

Registered by the entry point ``prefect.collections``: ``prefect worker start --type warm-process --pool NAME``.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import psutil
from prefect.client.schemas.objects import FlowRun
from prefect.runner._flow_run_executor import FlowRunExecutorContext
from prefect.runner._process_manager import ProcessHandle
from prefect.settings import get_current_settings
from prefect.utilities.processutils import sanitize_subprocess_env

from blocks.settings import ROOT
from infra.worker.admission import WARM
from infra.worker.process_worker import OwnFlowsWorker
from infra.worker.rescue import run_name

PRELOAD = (
    "prefect.main prefect.flow_engine prefect.task_engine prefect.engine prefect.deployments.steps.pull "
    "prefect.workers.process prefect.input.run_input prefect.runner.storage prefect.server.schemas.core "
    "prefect.artifacts prefect.utilities.visualization rich._emoji_codes encodings.utf_8_sig numpy cv2 PIL.Image "
    "PIL.PngImagePlugin PIL.JpegImagePlugin scipy.ndimage pymupdf pikepdf pikepdf.pdfa img2pdf segno "
    "fontTools.ttLib fontTools.subset uharfbuzz pyhanko.sign pyhanko.sign.signers pyhanko.sign.validation "
    "pyhanko.sign.timestamps pyhanko.stamp pyhanko.pdf_utils.font.opentype pyhanko.pdf_utils.metadata.xmp_xml "
    "pyhanko.sign.pkcs11 xsdata.formats.dataclass.serializers "
    "pyhanko_certvalidator sqlmodel sqlalchemy.dialects.postgresql.psycopg psycopg alembic boto3.s3.inject "
    "botocore.session botocore.httpsession s3transfer.manager httpx yaml rapidfuzz pydantic_settings "
    "great_expectations paddleocr blocks.signer.token flows.dossier flows.inbox flows.watch flows.partners "
    "flows.preservation flows.deadlines"
)  # the environment variable SOHOA_PRELOAD replaces this list
PROJECT = ("flows", "tasks", "blocks", "infra")


@dataclass
class Child:
    """A forked flow run. `returncode` like subprocess's: None while it runs, negative = signal."""

    pid: int
    returncode: int | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def end(self, returncode: int) -> None:
        self.returncode = returncode
        self.ended.set()


class WarmProcess:
    """The worker's end of the fork server; starts another when it has died or a file of the project has changed."""

    def __init__(self, modules: list[str]) -> None:
        self.modules = modules
        self.current: ForkServerProcess | None = None
        self.retired: list[ForkServerProcess] = []
        self.starting = asyncio.Lock()

    @property
    def ready(self) -> dict[str, Any]:
        """Seconds until it was warm, and its threads."""
        return self.current.ready if self.current else {}

    async def start(self) -> ForkServerProcess:
        """One that runs the files as they are now; returns when it is warm."""
        async with self.starting:
            stamp = project_stamp()
            self.retired = [old for old in self.retired if not old.retire()]
            if self.current is not None and (not self.current.alive or self.current.stamp != stamp):
                if not self.current.retire():
                    self.retired.append(self.current)
                self.current = None
            if self.current is None:
                self.current = await ForkServerProcess.start(self.modules, stamp)
            return self.current

    async def fork(self, env: dict[str, str], cwd: Path, name: str) -> Child:
        """One more child with exactly this environment and working folder."""
        return await (await self.start()).fork(env, cwd, name)

    def abandon(self) -> None:
        """Kill the runs and let nobody report it: they stay Running and go on after the next start.

        Not SIGTERM, on which the engine reports Crashed; and the exit counts as clean, or the executor would.
        """
        for server in self._all():
            for child in server.children.values():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child.pid, signal.SIGKILL)
                child.end(0)
            server.children = {}

    def close(self) -> None:
        """End the fork servers (their end of the socket closes); children are the worker's business."""
        for server in self._all():
            server.close()

    def _all(self) -> list[ForkServerProcess]:
        return [*self.retired, *([self.current] if self.current else [])]


class ForkServerProcess:
    """One process of `infra.worker.fork_server` and what it has forked."""

    def __init__(self, process: subprocess.Popen[bytes], stamp: str) -> None:
        self.process, self.stamp = process, stamp
        self.children: dict[int, Child] = {}
        self.waiting: dict[int, asyncio.Future[Child]] = {}
        self.numbers = count()
        self.ready: dict[str, Any] = {}

    @classmethod
    async def start(cls, modules: list[str], stamp: str) -> ForkServerProcess:
        """Raises RuntimeError when it ends before it is warm."""
        ours, theirs = socket.socketpair()
        with theirs:
            environment = {**os.environ, **get_current_settings().to_environment_variables(exclude_unset=True)}
            environment |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
            process = subprocess.Popen(
                [sys.executable, "-m", "infra.worker.fork_server", str(theirs.fileno()), *modules],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                cwd=ROOT,
                env=environment,
                start_new_session=True,
            )
        server = cls(process, stamp)
        server.reader, server.writer = await asyncio.open_connection(sock=ours, limit=1 << 20)
        line = await server.reader.readline()
        if not line:
            raise RuntimeError(f"the warm process ended while starting ({process.wait()})")
        server.ready = json.loads(line)
        server.listening = asyncio.create_task(server._listen())
        return server

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    listening: asyncio.Task[None]

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    async def fork(self, env: dict[str, str], cwd: Path, name: str) -> Child:
        number = next(self.numbers)
        answer: asyncio.Future[Child] = asyncio.get_running_loop().create_future()
        self.waiting[number] = answer
        order = {"id": number, "env": env, "cwd": str(cwd), "name": name}
        self.writer.write(json.dumps(order).encode() + b"\n")
        await self.writer.drain()
        return await asyncio.wait_for(answer, 30)

    async def _listen(self) -> None:
        while line := await self.reader.readline():
            message = json.loads(line)
            if "id" in message:
                child = self.children[message["pid"]] = Child(message["pid"])
                if not (answer := self.waiting.pop(message["id"])).done():
                    answer.set_result(child)
            elif child_or_none := self.children.pop(message["pid"], None):
                child_or_none.end(message["exit"])
        # The fork server is gone. Its children go on; their exit status is lost, their end is not.
        for answer in self.waiting.values():
            if not answer.done():
                answer.set_exception(RuntimeError("the warm process ended"))
        self.waiting.clear()
        orphans, self.children = list(self.children.values()), {}
        await asyncio.gather(*(self._watch(child) for child in orphans))

    async def _watch(self, child: Child) -> None:
        while psutil.pid_exists(child.pid):
            await asyncio.sleep(0.5)
        child.end(0)  # the engine has reported the run's state, or the next recovery finds it lost

    def retire(self) -> bool:
        """End it once nothing of it runs any more. Whether that is so."""
        if self.alive and (self.children or self.waiting):
            return False
        self.close()
        return True

    def close(self) -> None:
        if self.alive:
            self.writer.close()
            self.process.terminate()
            self.process.wait(10)


def project_stamp() -> str:
    """Changes with each change of a file of the project: what was imported and read before it is old then."""
    seen = hashlib.blake2b(digest_size=16)
    for package in PROJECT:
        for folder, folders, names in os.walk(ROOT / package):
            folders[:] = sorted(name for name in folders if name != "__pycache__")
            for name in sorted(names):
                found = os.stat(os.path.join(folder, name))
                seen.update(f"{folder}/{name} {found.st_mtime_ns} {found.st_size}".encode())
    return seen.hexdigest()


class ForkStarter:
    """A `ProcessStarter` of Prefect's executor: like EngineCommandStarter, with a fork instead of a command."""

    def __init__(self, warm: WarmProcess, context: FlowRunExecutorContext, entrypoint: str):
        self.warm, self.context, self.entrypoint = warm, context, entrypoint

    async def start(
        self, flow_run: FlowRun, task_status: anyio.abc.TaskStatus[ProcessHandle] = anyio.TASK_STATUS_IGNORED
    ) -> None:
        """Fork, tell the handle, wait for the end."""
        child = await self.warm.fork(self._environment(flow_run), ROOT, run_name(flow_run.id))
        task_status.started(ProcessHandle(child))  # type: ignore[arg-type]  # has pid and returncode, as it asks for
        await child.ended.wait()

    def _environment(self, flow_run: FlowRun) -> dict[str, str]:
        """In the order of EngineCommandStarter: worker, settings, run; nothing that the run brings along."""
        environment: dict[str, str | None] = {**os.environ}
        environment |= get_current_settings().to_environment_variables(exclude_unset=True)
        environment |= {
            "PREFECT__FLOW_RUN_ID": str(flow_run.id),
            "PREFECT__FLOW_ENTRYPOINT": self.entrypoint,  # the engine then doesn't ask the deployment for it again
            "PREFECT__ENABLE_CANCELLATION_AND_CRASHED_HOOKS": "false",
        }
        with contextlib.suppress(RuntimeError):  # no control channel: cancelling kills without notice
            port, token = self.context.control_channel.register(flow_run.id)
            environment |= {"PREFECT__CONTROL_PORT": str(port), "PREFECT__CONTROL_TOKEN": token}
        return sanitize_subprocess_env(environment)


class WarmProcessWorker(OwnFlowsWorker):
    """See the module."""

    type = WARM
    _display_name = "Warm process"
    _description = "Execute flow runs as processes forked from one that has imported the heavy packages already."

    def starter(self, entrypoint: str) -> ForkStarter:
        return ForkStarter(self.warm, self.executors, entrypoint)

    async def setup(self) -> None:
        # Warm first: the first heartbeat then says that runs start at once.
        self.warm = WarmProcess(os.environ.get("SOHOA_PRELOAD", PRELOAD).split())
        self._exit_stack.callback(self.warm.close)
        await self.warm.start()
        self._logger.info("Warm after %(ready)s s, %(threads)s thread(s)", self.warm.ready)
        await super().setup()
        self._exit_stack.callback(self.warm.abandon)  # the first thing that happens when the worker stops
