"""Attacks as the OS users of the parts: what one part keeps, no other reads. As root only, like these users."""

from __future__ import annotations

import hashlib
import os
import pwd
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from blocks.identity import replace_keys
from blocks.seals import PARTS as SEALERS
from blocks.settings import read_env
from infra.local.accounts import USERS, adopt_inbox, hand_over, make_users
from infra.local.installation import OS_USERS, Installation, load_installation
from infra.local.keys import PARTS
from infra.local.pki import ensure_pki
from infra.local.process import Account
from infra.local.production import choose_environment
from tests.attack.plugin import Attack

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root starts each part as a user of its own")
EVERYBODY = (*sorted(set(USERS.values())), "nobody")


@pytest.fixture(scope="module")
def installation(home: Path) -> Iterator[Installation]:
    """The files of an installation whose parts have users; nothing runs."""
    assert make_users() is None
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOHOA_HOME", str(home / "accounts"))
        patch.setenv("SOHOA_PORT_BASE", "25400")
        installation = load_installation()
        choose_environment(installation.known, os.environ, installation.env_file)
        installation.known[OS_USERS] = "parts"
        installation.write()
        assert installation.postgres().password
        ensure_pki(installation.home / "pki", "http://127.0.0.1:25401")
        (installation.home / "inbox" / "paper.pdf").write_text("paper")
        (installation.home / "prefect" / "storage" / "result").write_text("{}")
        hand_over(installation.home)
        yield installation


def as_user(name: str, *command: str | Path) -> subprocess.CompletedProcess[bytes]:
    entry = pwd.getpwnam(name)
    arguments = [str(part) for part in command]
    return subprocess.run(
        arguments, user=entry.pw_uid, group=entry.pw_gid, extra_groups=[], capture_output=True, cwd="/"
    )


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"


KEPT: dict[str, tuple[Callable[[Path], Path], str]] = {  # what: (where, the only user)
    "the key that attests decisions": (lambda home: home / "gateway" / "decisions.key", "sohoa-gateway"),
    "the key that opens PINs": (lambda home: home / "signing" / "pin.key", "sohoa-worker"),
    **{
        f"the key that seals what the {part} writes": (
            lambda home, part=part: home / "sealing" / f"{part}.key",
            USERS.get(part, ""),
        )
        for part in SEALERS
    },
    "an officer's soft key": (lambda home: home / "pki" / "keys" / "tnhs.01.pem", "sohoa-worker"),
    "the TEST root's key": (lambda home: home / "pki" / "keys" / "root.pem", "sohoa-worker"),
    "papers in the inbox": (lambda home: home / "inbox" / "paper.pdf", "sohoa-worker"),
    "kept results of steps": (lambda home: home / "prefect" / "storage" / "result", "sohoa-worker"),
    "all S3 keys": (lambda home: home / "seaweed" / "secrets.json", ""),
    "the superuser's password": (lambda home: home / "postgres" / "password", ""),
    "the owner's password": (lambda home: home / "postgres" / "roles" / "sohoa_owner", ""),
    **{
        f"the secrets of {part}": (lambda home, part=part: home / "secrets" / f"{part}.env", USERS.get(part, ""))
        for part in PARTS
    },
}


@pytest.mark.parametrize("what", KEPT)
def test_what_one_part_keeps(attack: Attack, installation: Installation, what: str) -> None:
    where, only = KEPT[what]
    path = where(installation.home)
    assert path.exists()
    for user in EVERYBODY:
        if user == only:
            assert as_user(user, "cat", path).returncode == 0, "its own user works with it"
            continue
        with attack(f"{user} reads {what}", watch=lambda: digest(path)) as told:
            done = as_user(user, "cat", path)
            told.answered(done.stderr.decode().strip().rpartition(":")[2].strip())
            assert done.returncode != 0 and not done.stdout


def test_what_one_part_keeps_is_not_replaced(attack: Attack, installation: Installation) -> None:
    """In a folder of its own a user could put a link that root follows at the next start."""
    for path, user in {
        installation.home / "gateway" / "decisions.key": "sohoa-gateway",
        installation.home / "public" / "decisions.pub": "sohoa-gateway",
        installation.home / "sealing" / "gateway.key": "sohoa-gateway",
        installation.home / "sealing" / "worker.pub": "sohoa-worker",
        installation.home / "seaweed" / "secrets.json": "sohoa-s3",
        installation.home / "secrets" / "gateway.env": "sohoa-gateway",
        installation.home / "parts" / "worker" / "tmp": "sohoa-worker",
        installation.home / "stack.env": "sohoa-worker",
    }.items():
        with attack(f"{user} puts a link in the place of {path.name}", watch=lambda path=path: digest(path)) as told:
            done = as_user(user, "ln", "-sfn", "/etc/passwd", path.with_name("link"))
            moved = as_user(user, "mv", "-T", "-f", path, path.with_name("away"))
            told.answered(done.stderr.decode().strip().rpartition(":")[2].strip())
            assert done.returncode != 0 and moved.returncode != 0


def test_everybody_checks_seals_without_a_secret(installation: Installation) -> None:
    """Also with a key that was replaced, and that the next start gives to its part."""
    folder = installation.home / "sealing"
    replace_keys(folder, "gateway")
    installation.write()
    (past,) = (folder / "gateway.past").iterdir()
    for user in EVERYBODY:
        assert as_user(user, "ls", past.parent).stdout.decode().split() == [past.name]
        for path in (past, *(folder / f"{part}.pub" for part in SEALERS)):
            assert as_user(user, "cat", path).stdout == path.read_bytes()
    assert as_user("sohoa-gateway", "cat", folder / "gateway.key").returncode == 0


def test_stack_env_tells_no_secret(attack: Attack, installation: Installation) -> None:
    with attack("nobody reads stack.env") as told:
        text = as_user("nobody", "cat", installation.env_file).stdout.decode()
        assert "SOHOA_ENVIRONMENT=test" in text, "all parts read it"
        kept = {value for part in PARTS for value in read_env(installation.home / "secrets" / f"{part}.env").values()}
        assert len(kept) > 10 and not [value for value in kept if value in text]
        told.answered("settings, addresses and ports")
        told.proved(f"none of {len(kept)} secrets is in it")


def test_secrets_of_an_earlier_version_leave_stack_env(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All secrets stood there; the superuser's address is forgotten, the others go where they are needed."""
    folder = home / "before"
    folder.mkdir()
    old = {
        "SOHOA_ENVIRONMENT": "test",
        "SOHOA_PORT_BASE": "25500",
        "SOHOA_PORT_POSTGRES": "25500",
        "SOHOA_DATABASE_URL": "postgresql+psycopg://sohoa:old-password@127.0.0.1:25500/sohoa",
        "SOHOA_S3_ENDPOINT": "http://127.0.0.1:25510",
        "SOHOA_S3_ACCESS_KEY": "old-access",
        "SOHOA_S3_SECRET_KEY": "old-secret",
        "PREFECT_SERVER_API_AUTH_STRING": "sohoa:kept-password",
        "PREFECT_API_AUTH_STRING": "sohoa:kept-password",
        "SOHOA_PORTAL_TOKEN": "portal-token",
        "SOHOA_SMTP_PASSWORD": "file:smtp.password",
    }
    (folder / "stack.env").write_text("".join(f"{name}={value}\n" for name, value in old.items()))
    monkeypatch.setenv("SOHOA_HOME", str(folder))
    installation = load_installation()
    assert installation.own_postgres and installation.own_seaweed
    assert installation.write() == ["SOHOA_PORTAL_TOKEN"]
    text = (folder / "stack.env").read_text()
    assert not [word for word in ("old-", "kept-password", "portal-token") if word in text]
    assert "SOHOA_SMTP_PASSWORD=file:smtp.password" in text  # a reference is no secret
    worker = read_env(folder / "secrets" / "worker.env")
    assert worker["SOHOA_PORTAL_TOKEN"] == "portal-token" and "sohoa_app:" in worker["SOHOA_DATABASE_URL"]
    assert worker["PREFECT_API_AUTH_STRING"] == "sohoa:kept-password"
    installation = load_installation()
    assert installation.write() == [] and read_env(folder / "secrets" / "worker.env") == worker


def test_links_in_the_inbox_make_nothing_the_workers(attack: Attack, tmp_path: Path) -> None:
    inbox, secret = tmp_path / "inbox", tmp_path / "shadow"
    (inbox / "tnhs.01" / "d").mkdir(parents=True)
    (inbox / "tnhs.01" / "d" / "paper.pdf").write_text("paper")
    secret.write_text("root's own")
    os.link(secret, inbox / "tnhs.01" / "hard")
    (inbox / "tnhs.01" / "soft").symlink_to(secret)
    entry = pwd.getpwnam("nobody")
    with attack("a link to a file of root's lies in the inbox, whose files become the worker's",
                watch=lambda: (secret.stat().st_uid, secret.read_text())) as told:  # fmt: skip
        count = adopt_inbox(inbox, Account(entry.pw_uid, entry.pw_gid))
        told.answered(f"{count} entries handed over, neither link")
        assert count == 3 and (inbox / "tnhs.01" / "d" / "paper.pdf").stat().st_uid == entry.pw_uid
