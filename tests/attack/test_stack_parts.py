"""On a running stack: which process holds whose secrets, and what it may write where."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from blocks.settings import read_env
from infra.local.accounts import USERS
from infra.local.installation import OS_USERS
from infra.local.keys import PARTS
from infra.local.process import marked
from tests.attack.plugin import Attack
from tests.faults.stack import Stack, make_stack

RUNNING = ("prefect", "worker", "gateway", "metrics", "agent", "pki", "oidc", "seaweed")


@pytest.fixture(scope="module")
def stack(home: Path) -> Iterator[Stack]:
    with make_stack(home / "stack-parts") as stack:
        stack.up()
        yield stack


def secrets_of(stack: Stack, part: str) -> set[str]:
    return {value for name, value in read_env(stack.home / "secrets" / f"{part}.env").items() if len(value) > 12}


def environ(pid: int) -> dict[str, str]:
    entries = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace").split("\0")
    return dict(entry.partition("=")[::2] for entry in entries if entry)


def test_no_process_holds_anothers_secrets(attack: Attack, stack: Stack) -> None:
    told_by = {pid: environ(pid) for pid in marked(stack.home)}
    kept = {part: secrets_of(stack, part) for part in PARTS}
    seen = set()
    for part in RUNNING:
        others = set().union(*(kept[name] for name in PARTS if name != part)) - kept.get(part, set())
        mine = {pid: env for pid, env in told_by.items() if env.get("SOHOA_PART") == part or pid == stack.pid(part)}
        with attack(f"the environment of {part} is read for secrets of other parts") as told:
            assert mine, f"no process of {part}"
            for env in mine.values():
                assert not [name for name, value in env.items() if value in others]
            seen |= mine.keys()
            told.answered(f"{len(mine)} processes")
            told.proved(f"none of {len(others)} secrets of others in it")
    key = (stack.home / "gateway" / "decisions.key").read_text()
    assert not [pid for pid, env in told_by.items() if key.strip() in "".join(env.values())]
    private = [pid for pid, env in told_by.items() if "SOHOA_GATEWAY_PRIVATE_KEY_FILE" in env]
    assert set(private) <= {pid for pid in seen if told_by[pid].get("SOHOA_PART") == "gateway"}


def test_each_part_runs_as_its_own_user(stack: Stack) -> None:
    if read_env(stack.home / "stack.env")[OS_USERS] != "parts":
        pytest.skip("other users can't run this python, or we aren't root: all parts run as one user")
    for part in RUNNING:
        assert Path(f"/proc/{stack.pid(part)}").stat().st_uid == pwd.getpwnam(USERS[part]).pw_uid
    assert Path(f"/proc/{stack.pid('postgres')}").stat().st_uid not in {0, os.getuid()}


def test_a_part_reads_another_part_of_the_running_stack(attack: Attack, stack: Stack) -> None:
    if read_env(stack.home / "stack.env")[OS_USERS] != "parts":
        pytest.skip("all parts run as one user")
    for part, other in (("worker", "gateway"), ("gateway", "worker"), ("prefect", "gateway"), ("metrics", "worker")):
        entry = pwd.getpwnam(USERS[part])
        for what in ("environ", "mem", "maps"):
            with attack(f"{part}'s user reads /proc/…/{what} of {other}") as told:
                done = subprocess.run(
                    ["head", "-c", "1", f"/proc/{stack.pid(other)}/{what}"],
                    user=entry.pw_uid, group=entry.pw_gid, extra_groups=[], capture_output=True,
                )  # fmt: skip
                told.answered(done.stderr.decode().strip().rpartition(":")[2].strip() or "nothing")
                told.proved("no byte came")
                assert not done.stdout
