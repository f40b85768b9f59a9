"""The PostgreSQL supervisor: killed, stale, and as root in a folder that other users may not enter."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local import postgres as module
from infra.local.postgres import Postgres
from infra.local.process import StackError, alive, free_port


@pytest.fixture
def server(home: Path, tmp_path: Path) -> Iterator[Postgres]:
    made = Postgres(home / f"pg-{tmp_path.name}", free_port(), parent_death=signal.SIGKILL)
    made.start()
    yield made
    made.stop()


def count(server: Postgres) -> int:
    with server.connect("sohoa") as connection:
        row = connection.execute("SELECT count(*) FROM kept").fetchone()
    return int(row[0]) if row else -1


def test_every_acknowledged_commit_survives_kill_9(server: Postgres) -> None:
    with server.connect("sohoa") as connection:
        connection.execute("CREATE TABLE kept (n int)")
    for number in range(1, 4):
        with server.connect("sohoa") as connection:
            connection.execute("INSERT INTO kept VALUES (%s)", [number])
            assert server.process
            server.process.kill()
            server.process.wait()
        server.start()
        assert count(server) == number


def test_a_second_supervisor_ends_what_the_first_left(server: Postgres) -> None:
    assert server.process
    other = Postgres(server.folder, server.port, parent_death=signal.SIGKILL)
    other.start()
    try:
        assert server.process.wait(5) is not None
        assert other.password == server.password
    finally:
        other.stop()


def test_a_stale_pid_file_that_names_a_living_program_is_no_obstacle(server: Postgres) -> None:
    server.stop()
    lines = [str(os.getppid()), str(server.data), "1", str(server.port), "", "127.0.0.1", "0 0", "ready"]
    (server.data / "postmaster.pid").write_text("\n".join(lines))
    server.start()
    assert alive(os.getppid())


def test_the_secret_is_private_and_needed(server: Postgres) -> None:
    assert (server.place / "password").stat().st_mode & 0o777 == 0o600
    assert server.place.stat().st_mode & 0o077 == 0
    url = f"postgresql://sohoa:wrong@127.0.0.1:{server.port}/sohoa"
    done = subprocess.run([server.binaries() / "psql", url, "-c", "select 1"], capture_output=True, text=True)
    assert "password authentication failed" in done.stderr


def test_logs_hold_no_values(server: Postgres) -> None:
    with server.connect("sohoa") as connection:
        connection.execute("CREATE TABLE person (name text PRIMARY KEY)")
        for _ in range(2):
            try:
                connection.execute("INSERT INTO person VALUES ('Nguyen Van Bi Mat')")
            except Exception:
                continue
    text = server.log.read_text()
    assert "person_pkey" in text and "Bi Mat" not in text


def test_a_taken_port_is_named(server: Postgres, home: Path) -> None:
    other = Postgres(home / "pg-other", server.port)
    with pytest.raises(StackError, match=f"port {server.port} is in use"):
        other.start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as somebody else")
def test_as_root_in_a_private_folder(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkout under /root: data and binaries go where the other user may enter; a second start finds them."""
    outside, private = home / "outside", home / "private"
    private.mkdir(mode=0o700)
    monkeypatch.setattr(module, "OUTSIDE", outside)
    monkeypatch.setattr(module, "_may_enter", lambda folder: False)
    port = free_port()
    for _ in range(2):
        server = Postgres(private / "postgres", port, durable=False, parent_death=signal.SIGKILL)
        server.start()
        try:
            server.probe()
            assert server.process
            assert Path(f"/proc/{server.process.pid}/exe").resolve().is_relative_to(outside)
            assert Path(f"/proc/{server.process.pid}").stat().st_uid != 0
        finally:
            server.stop()
    assert len(list(outside.glob("postgres-*"))) == 1
