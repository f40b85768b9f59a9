"""A process counts as ended only when it has let go of what the next start needs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from blocks.settings import ROOT
from infra.local.process import StackError, alive, explain, free_port, need_port, spawn, wait_gone

LISTENER = """
import socket, sys, threading, time
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("127.0.0.1", int(sys.argv[1])))
listener.listen()
memory = bytearray(200 << 20)
for _ in range(40):
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
print("listening", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("attempt", range(5))
def test_the_ports_of_a_killed_process_are_free_once_it_counts_as_gone(attempt: int) -> None:
    """The first thread ends before the others, which still hold the port for some 20 ms."""
    port = free_port()
    with subprocess.Popen([sys.executable, "-c", LISTENER, str(port)], stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdout.readline()
        with pytest.raises(StackError, match="in use"):
            need_port("listener", port, "PORT")
        os.kill(process.pid, signal.SIGKILL)  # not waited for: it stays a zombie, as those of a killed supervisor may
        wait_gone(process.pid)
        assert not alive(process.pid)
        need_port("listener", port, "PORT")


def test_what_a_command_of_ours_says_at_its_end_is_shown(tmp_path: Path) -> None:
    log = tmp_path / "migrate.log"
    command = [sys.executable, "-m", "blocks.records", "migrate", "--url-env", "SOHOA_TEST_NOT_SET"]
    assert spawn(command, log=log, cwd=ROOT, env=os.environ).wait(60) == 1
    assert explain(log).startswith("[RECORDS_NOT_CONFIGURED] ") and "SOHOA_TEST_NOT_SET" in explain(log)
    log.write_text("[RECORDS_NOT_CONFIGURED] before\nthen something else\n")
    assert explain(log) == f"see {log}"
