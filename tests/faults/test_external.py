"""A PostgreSQL and an object store of the office's own: named in stack.env, used by all parts, ours not started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import certifi
import psycopg
import pytest

from blocks.objects import ObjectStore
from blocks.settings import ROOT, read_env
from infra.local import roles
from infra.local.keys import read_part
from infra.local.postgres import Postgres
from infra.local.process import free_port
from infra.local.seaweed import Seaweed
from infra.local.seaweed_access import ADMIN, make_certificates
from tests.faults.stack import make_stack
from tests.faults.tls import TlsFront


@dataclass
class Second:
    """Another PostgreSQL server, reached over TLS only."""

    server: Postgres
    front: TlsFront
    authority: Path

    def url(self, database: str, role: str) -> str:
        plain = self.server.url(database, role).replace(f":{self.server.port}/", f":{self.front.port}/")
        return f"{plain}?sslmode=verify-full&sslrootcert={self.authority}"


@pytest.fixture(scope="module")
def second(home: Path) -> Iterator[Second]:
    server = Postgres(
        home / "postgres-second", free_port(), ("sohoa", "prefect"), durable=False, parent_death=signal.SIGQUIT
    )
    authority, certificate, key = (home / f"second-{name}.pem" for name in ("ca", "cert", "key"))
    make_certificates(authority, certificate, key)
    authority.chmod(0o644)
    server.start()
    front = TlsFront(free_port(), server.port, certificate, key)
    try:
        yield Second(server, front, authority)
    finally:
        front.stop()
        server.stop()


@pytest.fixture(scope="module")
def store(second: Second, seaweed: Seaweed, home: Path) -> Iterator[TlsFront]:
    """Another object store, reached over TLS only, with a certificate of the same authority."""
    front = TlsFront(free_port(), seaweed.ports[0], home / "second-cert.pem", home / "second-key.pem", asked=False)
    try:
        yield front
    finally:
        front.stop()


def store_and_read(told: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """An object is stored and read by a process with these settings."""
    program = (
        "from blocks.objects import Bucket, ObjectStore\n"
        "kept = ObjectStore().put_once(Bucket.WORKING, 'tls/probe', b'over TLS', content_type='text/plain')\n"
        "print(ObjectStore().read(Bucket.WORKING, kept.key, version=kept.version, sha256=kept.sha256).decode())\n"
    )
    env = os.environ | told
    return subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=env, capture_output=True, text=True)


def test_what_stack_env_names_is_used_and_ours_is_not_started(
    second: Second, store: TlsFront, seaweed: Seaweed, objects: ObjectStore, home: Path
) -> None:
    endpoint = f"https://127.0.0.1:{store.port}"
    lines = {
        "SOHOA_CA_BUNDLE": str(second.authority),
        "SOHOA_ENVIRONMENT": "test",
        "SOHOA_DATABASE_URL": second.url("sohoa", roles.APP),
        "SOHOA_DATABASE_OWNER_URL": second.url("sohoa", roles.OWNER),
        "SOHOA_DATABASE_GATEWAY_URL": second.url("sohoa", roles.GATEWAY),
        "SOHOA_DATABASE_READER_URL": second.url("sohoa", roles.READER),
        "SOHOA_PREFECT_DATABASE_URL": second.url("prefect", roles.PREFECT),
        "SOHOA_S3_ENDPOINT": endpoint,
    }
    for who, prefix in (("worker", ""), ("gateway", "GATEWAY_"), (ADMIN, "ADMIN_")):
        access, secret = seaweed.keys[who]
        lines |= {f"SOHOA_S3_{prefix}ACCESS_KEY": access, f"SOHOA_S3_{prefix}SECRET_KEY": secret}
    with make_stack(home / "external") as stack:
        (stack.home / "stack.env").write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
        assert "moved from stack.env" in stack.up()
        assert not (stack.home / "postgres" / "data").exists() and not (stack.home / "seaweed" / "data").exists()
        run = stack.start_run()
        stack.wait_state(run, "Completed")
        with second.server.connect("prefect") as superuser:
            known = superuser.execute("SELECT count(*) FROM flow_run WHERE id = %s", [run]).fetchone()
            assert known == (1,), "Prefect's own database is the office's"
        with second.server.connect("sohoa") as superuser:
            migrated = superuser.execute("SELECT tableowner FROM pg_tables WHERE tablename = 'auditentry'").fetchone()
            assert migrated == (roles.OWNER,)
        assert second.front.encrypted > 3 and second.front.refused == 0
        stored = store_and_read(read_part(stack.home, "worker"))
        assert stored.stdout == "over TLS\n", stored.stderr
        assert store.encrypted > 0
        told = read_env(stack.home / "stack.env")
        assert told["SOHOA_S3_ENDPOINT"] == endpoint
        assert not [name for name in told if name.endswith(("DATABASE_URL", "_ACCESS_KEY", "_SECRET_KEY"))]
        assert stack.command("status")[0] == 0
        assert stack.command("down")[0] == 0
        known_again = read_part(stack.home, "worker")
        stack.up()  # and again, from secrets/external.env
        assert read_part(stack.home, "worker") == known_again
        assert os.environ.get("SOHOA_DATABASE_URL", "") not in known_again.values()


def test_a_server_whose_certificate_is_another_authoritys_is_refused(second: Second, tmp_path: Path) -> None:
    make_certificates(tmp_path / "ca.pem", tmp_path / "cert.pem", tmp_path / "key.pem")
    url = second.url("sohoa", roles.APP).replace("+psycopg", "")
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT current_user").fetchone() == (roles.APP,)
    with pytest.raises(psycopg.OperationalError, match="SSL error"):
        psycopg.connect(url.replace(str(second.authority), str(tmp_path / "ca.pem")))
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url.partition("?")[0] + "?sslmode=disable")


def test_an_object_store_is_reached_over_tls_of_the_named_authority_only(
    second: Second, store: TlsFront, objects: ObjectStore, tmp_path: Path
) -> None:
    """As each part reaches it: SOHOA_CA_BUNDLE is what its S3 client trusts."""
    make_certificates(tmp_path / "ca.pem", tmp_path / "cert.pem", tmp_path / "key.pem")

    def put(authority: Path, scheme: str = "https") -> subprocess.CompletedProcess[str]:
        told = {"SOHOA_S3_ENDPOINT": f"{scheme}://127.0.0.1:{store.port}", "AWS_CA_BUNDLE": str(authority)}
        return store_and_read(told)

    assert put(second.authority).stdout == "over TLS\n"
    for refused in (put(tmp_path / "ca.pem"), put(Path(certifi.where()))):
        assert refused.returncode == 1 and "OBJECT_STORE_UNAVAILABLE" in refused.stderr
    plain = put(second.authority, "http")
    assert plain.returncode == 1 and "over TLS" not in plain.stdout


@pytest.mark.parametrize("left_out", ["SOHOA_DATABASE_OWNER_URL", "SOHOA_S3_GATEWAY_SECRET_KEY"])
def test_half_a_server_is_refused_in_one_line(home: Path, tmp_path: Path, left_out: str) -> None:
    lines = {"SOHOA_ENVIRONMENT": "test"}
    if "DATABASE" in left_out:
        lines["SOHOA_DATABASE_URL"] = "postgresql://sohoa_app:x@127.0.0.1:1/sohoa"
    else:
        lines |= {"SOHOA_S3_ENDPOINT": "http://127.0.0.1:1", "SOHOA_S3_ACCESS_KEY": "a", "SOHOA_S3_SECRET_KEY": "s"}
    with make_stack(tmp_path / "half") as stack:
        (stack.home / "stack.env").write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
        status, text = stack.command("up")
        assert status == 1 and "names a server of your own" in text and left_out in text.replace("\n", "")
