"""The OS user of each part, when the stack is started by root: made once, owner of the part's own files alone.

Without root, or where other users can't read the program, all parts run as one user: that is told, and what one part
keeps, another could read (docs/en/administrators.md).
"""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from blocks.seals import PARTS as SEALERS
from blocks.settings import ROOT
from infra.local.process import Account, StackError

USERS = {
    "owner": "sohoa-setup",  # migrations
    "setup": "sohoa-setup",
    "seaweed": "sohoa-s3",
    "prefect": "sohoa-prefect",
    "worker": "sohoa-worker",
    "gateway": "sohoa-gateway",
    "metrics": "sohoa-metrics",
    "agent": "sohoa-worker",  # it lists the inbox, which is the worker's
    "pki": "sohoa-worker",  # the TEST PKI's server loads all its soft keys, which are the worker's
    "oidc": "sohoa-test",  # TEST sign-in
}
DATABASE_USER = "sohoa-db"  # data that exists keeps its owner (infra/local/postgres.py)


def account(part: str) -> Account | None:
    """The part's user; None: ours. Raises StackError when it was deleted."""
    name = USERS.get(part)
    if name is None or os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(name)
    except KeyError as error:
        raise StackError(f"the system user {name} is gone; `make down && make up` makes it again") from error
    return Account(entry.pw_uid, entry.pw_gid)


def prepare(home: Path) -> str | None:
    """Make the users. Returns None, or why all parts run as one user instead: a line to show."""
    if os.geteuid() != 0:
        return "not started by root: all parts run as this user, and each could read what the others keep"
    if closed := _closed_for_others(home):
        return f"other users may not enter {closed}: all parts run as root, and each could read what the others keep"
    if missing := make_users():
        return f"the system user {missing} can't be made: all parts run as root"
    # They can't keep compiled modules in our folder, and each start would compile the project anew.
    packages = [str(ROOT / name) for name in ("blocks", "tasks", "flows", "deployments", "infra")]
    subprocess.run([sys.executable, "-m", "compileall", "-q", *packages], check=False, capture_output=True)
    who = account("metrics")
    assert who is not None
    if not _can_run(who):
        return (
            f"other users can't run {sys.executable} in {ROOT}: all parts run as root, and each could read what the "
            "others keep (install under a folder that everybody may enter, with the system's own Python)"
        )
    return None


def make_users() -> str | None:
    """Make the users that aren't there. Returns the first that can't be made."""
    tool = shutil.which("useradd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") or "useradd"
    command = [tool, "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
    for name in sorted({DATABASE_USER, *USERS.values()}):
        try:
            pwd.getpwnam(name)
        except KeyError:
            try:
                subprocess.run([*command, "--shell", "/usr/sbin/nologin", name], check=True, capture_output=True)
            except (OSError, subprocess.CalledProcessError):
                return name
    return None


def _can_run(who: Account) -> bool:
    """Whether the program starts as that user."""
    command = [sys.executable, "-c", "import infra.worker.fork_server, blocks.settings, psycopg, sqlmodel"]
    env = {"PATH": os.environ.get("PATH", ""), "PYTHONPATH": str(ROOT), "HOME": "/nonexistent"}
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=env, user=who.uid, group=who.gid, extra_groups=[], capture_output=True
        )
    except OSError:
        return False
    return done.returncode == 0


def _closed_for_others(home: Path) -> Path | None:
    """The first folder on the way to the state folder that others may not pass; the state folder itself is opened."""
    return next((part for part in home.resolve().parents if not part.stat().st_mode & stat.S_IXOTH), None)


def hand_over(home: Path, references: Iterable[Path] = ()) -> None:
    """Give each part its own files, also those of an installation that was root's alone, and close them for others.

    references: files with secrets that settings name (`file:smtp.password`): the worker's, where they lie in `home`.
    """
    home.chmod(stat.S_IMODE(home.stat().st_mode) | 0o011)
    for folder in ("prefect", "parts", "secrets"):
        (home / folder).chmod(0o711)
    worker, gateway = account("worker"), account("gateway")
    for part in USERS:
        _own(home / "secrets" / f"{part}.env", account(part), 0o600)
        for name in ("home", "tmp"):
            _own(home / "parts" / part / name, account(part), 0o700)
    _own(home / "prefect" / "storage", worker, 0o700)
    _own(home / "inbox", worker, 0o700)
    _own(home / "tokens", worker, 0o700)
    for path in references:
        if path.is_file() and path.resolve().is_relative_to(home.resolve()):
            _own(path, worker, 0o600)
    if gateway:  # the folder stays ours: in one of the gateway's, root would follow links that the gateway has set
        os.chown(home / "gateway", 0, gateway.gid)
        (home / "gateway").chmod(0o750)
        for secret in ("decisions.key", "client-secret"):
            _own(home / "gateway" / secret, gateway, 0o600)
    if worker and (home / "signing").exists():  # the key that opens PINs (blocks/pins.py)
        os.chown(home / "signing", 0, worker.gid)
        (home / "signing").chmod(0o750)
        _own(home / "signing" / "pin.key", worker, 0o600)
    if (sealing := home / "sealing").exists():  # each part's own key; the public ones are everybody's (blocks/seals.py)
        sealing.chmod(0o711)
        for part in SEALERS:
            _own(sealing / f"{part}.key", account(part), 0o600)
    pki = home / "pki"
    if pki.exists():
        pki.chmod(0o755)
        _own(pki / "token", worker, 0o700)
        _own(pki / "agency.pin", worker, 0o600)
        _own(pki / "keys", worker, 0o700)


def _own(path: Path, who: Account | None, mode: int) -> None:
    if who is None or not path.exists():
        return
    if path.is_dir() and path.stat().st_uid != who.uid:
        for folder, names, files in os.walk(path):
            for name in (*names, *files):
                os.chown(Path(folder, name), who.uid, who.gid, follow_symlinks=False)
    os.chown(path, who.uid, who.gid)
    path.chmod(mode)


def adopt_inbox(inbox: Path, who: Account) -> int:
    """Give the worker what root has put into the inbox, so that it can take it. Returns how many entries.

    Only root's own files with one name: a link that somebody else set to a file of root's stays root's.
    """
    return sum(1 for _ in _adopted(inbox, who))


def _adopted(inbox: Path, who: Account) -> Iterator[None]:
    for _, folders, files, place in os.fwalk(inbox, follow_symlinks=False):
        for name in (*folders, *files):
            try:
                entry = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=place)
            except OSError:
                continue  # a link, a socket, or gone meanwhile
            try:
                status = os.fstat(entry)
                ours = status.st_uid == 0 and (
                    stat.S_ISDIR(status.st_mode) or (stat.S_ISREG(status.st_mode) and status.st_nlink == 1)
                )
                if ours:
                    os.fchown(entry, who.uid, who.gid)
                    yield
            finally:
                os.close(entry)


def clear_temporary(home: Path) -> None:
    """Temporary files (pages of papers) don't outlive the stack; each part has a folder of its own for them."""
    shutil.rmtree(home / "tmp", ignore_errors=True)  # where an earlier version had them
    for part in USERS:
        folder = home / "parts" / part
        shutil.rmtree(folder / "tmp", ignore_errors=True)
        for name in ("home", "tmp"):
            (folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
