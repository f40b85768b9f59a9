"""The database and the state folder in a backup, and out of it again. Objects are blocks/copies.py's matter.

A backup folder holds `base/<time>` (pg_basebackup), `wal` (every change since, one file a piece of the log) and
`state` (what else lies in the state folder: the inbox, results of Prefect). Keys and secrets are never in it: they go
into an archive of their own, encrypted to a certificate or at least 0600, which the operator keeps elsewhere.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import pkcs7

from infra.local.installation import Installation
from infra.local.postgres import Postgres
from infra.local.process import StackError, need_space, write_secret

STAMP = "%Y%m%dT%H%M%SZ"  # UTC
WAL_DAYS = 7  # pieces of the log stay so long beside the database, for a second backup folder
# Of the state folder: what a start makes anew, and what is backed up by other means.
ANEW = {"postgres", "seaweed", "tmp", "run", "log", "parts", "prefect"}
DATA = {"inbox"}  # everything else counts as secret


def stamp(moment: datetime | None = None) -> str:
    """Name of a backup: when it began."""
    return (moment or datetime.now(UTC)).strftime(STAMP)


def private_folder(path: Path) -> Path:
    """Made with mode 0700: a backup holds personal data."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o700)
    return path


# -- database -----------------------------------------------------------------------------------------------------
def keep_wal(postgres: Postgres) -> None:
    """From now on every change is kept beside the database until it is copied away."""
    if not postgres.wal.exists():
        postgres.wal.mkdir()
        postgres._own(postgres.wal, 0o700)


def base_backup(postgres: Postgres, folder: Path) -> None:
    """All databases as of now into a folder that must not exist; checked by its manifest. Raises StackError."""
    keep_wal(postgres)
    half = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(half, ignore_errors=True)
    command: list[str | Path] = [postgres.binaries() / "pg_basebackup", "-D", half, "-Fp", "-X", "stream", "-c", "fast"]
    command += ["--manifest-checksums=SHA256", "-h", "127.0.0.1", "-p", str(postgres.port), "-U", postgres.user, "-w"]
    environment = {**postgres.env, "PGPASSWORD": postgres.password}
    _run(command, environment, "the database can't be copied")
    _run([postgres.binaries() / "pg_verifybackup", "-q", half], environment, "the copy of the database is not whole")
    half.rename(folder)


def copy_wal(postgres: Postgres, folder: Path) -> str:
    """Every finished piece of the log into `folder`; returns the name of the newest. Raises StackError.

    The piece that is being written is finished first: what was committed until now is in the copy.
    """
    private_folder(folder)
    with postgres.connect() as connection:
        connection.execute("SELECT pg_logical_emit_message(true, 'sohoa', 'backup')")  # a piece with nothing isn't kept
        row = connection.execute("SELECT pg_walfile_name(pg_switch_wal())").fetchone()
        assert row is not None
        last = str(row[0])
        deadline = time.monotonic() + 60
        while not (postgres.wal / f"{last}.gz").exists():
            if time.monotonic() > deadline:
                raise StackError(f"PostgreSQL does not hand out its log into {postgres.wal}; see {postgres.log}")
            time.sleep(0.1)
    for path in sorted(postgres.wal.glob("*.gz")):
        target = folder / path.name
        if not target.exists():
            half = target.with_suffix(".part")
            shutil.copyfile(path, half)
            half.rename(target)
        if time.time() - path.stat().st_mtime > WAL_DAYS * 86_400:
            path.unlink()
    return last


def restore_database(postgres: Postgres, base: Path, wal: Path, until: datetime | None, last: str) -> None:
    """The databases as they were at `until`, or at the end of the piece `last` of the log; leaves the server running.

    Raises StackError when there are data already, or the log doesn't reach so far.
    """
    if postgres.data.exists():
        raise StackError(f"{postgres.data} has a database already: restore into an empty SOHOA_HOME")
    need_space(postgres.place)
    half, kept = postgres.place / "data.restored", postgres.place / "wal.restored"
    for target in (half, kept):
        shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(base, half)
    # Later pieces may tell of objects that the chosen list doesn't have.
    later = shutil.ignore_patterns("*.part")
    shutil.copytree(wal, kept, ignore=later)
    for piece in kept.glob("*.gz"):
        if until is None and piece.name[: len(last)] > last:
            piece.unlink()
    (half / "recovery.signal").touch()
    for place in (half, kept):
        for path in (place, *place.rglob("*")):
            path.chmod(0o700 if path.is_dir() else 0o600)
            if postgres.account:
                os.chown(path, postgres.account.uid, postgres.account.gid)
    half.rename(postgres.data)
    postgres.recovery = {
        "restore_command": f"test -f '{kept}/%f.gz' && gunzip -c '{kept}/%f.gz' > %p",
        "recovery_target_action": "promote",
    }
    if until is not None:
        postgres.recovery["recovery_target_time"] = until.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f+00")
    try:
        postgres.start(timeout=600)
    finally:
        postgres.recovery = {}
        shutil.rmtree(kept, ignore_errors=True)
    keep_wal(postgres)


def _run(command: list[str | Path], environment: dict[str, str], what: str) -> None:
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise StackError(f"{what}: {done.stderr.strip().splitlines()[-1:]}")


# -- state and keys -----------------------------------------------------------------------------------------------
def pack_state(installation: Installation, path: Path) -> None:
    """Folder inbox, as tar. What runs have done stands in the records (tasks/journal.py)."""
    with _half(path) as half, tarfile.open(half, "w") as tar:
        for name in sorted(DATA):
            for place in sorted((installation.home / name).glob("*")):
                tar.add(place, f"{name}/{place.name}")


def pack_keys(installation: Installation, path: Path, recipient: Path | None) -> None:
    """Everything secret into one file (0600). recipient: X.509 certificate (PEM, RSA) that it is encrypted to (CMS)."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as tar:
        for place in sorted(installation.home.iterdir()):
            if place.name not in ANEW | DATA:
                tar.add(place, f"home/{place.name}")
        postgres = installation.postgres()
        for place in [postgres.place / "password", postgres.place / "roles"]:
            if place.exists():
                tar.add(place, f"postgres/{place.name}")
        tar.add(installation.home / "seaweed" / "secrets.json", "seaweed/secrets.json")
        entry = tarfile.TarInfo("home.path")
        entry.size = len(name := str(installation.home).encode())
        tar.addfile(entry, io.BytesIO(name))
    packed = data.getvalue()
    if recipient is not None:
        certificate = x509.load_pem_x509_certificate(recipient.read_bytes())
        envelope = pkcs7.PKCS7EnvelopeBuilder().set_data(packed).add_recipient(certificate)
        envelope = envelope.set_content_encryption_algorithm(_aes256())
        packed = envelope.encrypt(serialization.Encoding.DER, [pkcs7.PKCS7Options.Binary])
    path.parent.mkdir(parents=True, exist_ok=True)
    write_secret(path, packed)


def _aes256() -> type:
    from cryptography.hazmat.primitives.ciphers.algorithms import AES256

    return AES256


def unpack_keys(home: Path, path: Path, identity: Path | None) -> None:
    """Into an empty state folder. identity: certificate and private key (PEM).

    Raises StackError: the folder isn't empty, the key doesn't fit.
    """
    if home.exists() and any(home.iterdir()):
        raise StackError(f"{home} is not empty: restore into a new SOHOA_HOME")
    data = path.read_bytes()
    if identity is not None:
        pem = identity.read_bytes()
        try:
            certificate = x509.load_pem_x509_certificate(pem)
            key = serialization.load_pem_private_key(pem, None)
            assert isinstance(key, rsa.RSAPrivateKey)
            data = pkcs7.pkcs7_decrypt_der(data, certificate, key, [])
        except ValueError as error:
            raise StackError(f"{identity} does not open {path}") from error
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as tar:
            _unpack(tar, home / "unpacked")
    except tarfile.TarError as error:
        raise StackError(f"{path} is no archive of keys, or it is encrypted: name its key with --identity") from error
    unpacked = home / "unpacked"
    before = (unpacked / "home.path").read_text()
    for place in (unpacked / "home").iterdir():
        place.rename(home / place.name)
    (home / "seaweed").mkdir(mode=0o700)
    (unpacked / "seaweed" / "secrets.json").rename(home / "seaweed" / "secrets.json")
    # A software token's configuration names its folder (infra/local/token.py).
    named = [path for pattern in ("*.conf", "*.yml") for path in (home / "pki").rglob(pattern)]
    _move(home, before, [home / "stack.env", *(home / "secrets").glob("*.env"), *named])


def put_passwords(postgres: Postgres, unpacked: Path) -> None:
    """The database's passwords to where it lies on this machine."""
    for place in (unpacked / "postgres").iterdir():
        place.rename(postgres.place / place.name)
    shutil.rmtree(unpacked)


def unpack_state(home: Path, path: Path) -> None:
    with tarfile.open(path) as tar:
        _unpack(tar, home)


def _unpack(tar: tarfile.TarFile, folder: Path) -> None:
    """Files and folders only, below `folder`, ours, writable by nobody else. (Debian 12's tarfile has no filters.)"""
    for member in tar.getmembers():
        place = PurePosixPath(member.name)
        if place.is_absolute() or ".." in place.parts or not (member.isfile() or member.isdir()):
            raise tarfile.TarError(member.name)
        member.uid, member.gid, member.uname, member.gname = os.getuid(), os.getgid(), "", ""
        member.mode &= 0o755
    tar.extractall(folder)  # noqa: S202  (looked at above)


def _move(home: Path, before: str, paths: Iterable[Path]) -> None:
    """Nothing names the old folder any more."""
    for path in paths:
        if path.exists() and before.encode() in (data := path.read_bytes()):
            mode = path.stat().st_mode
            path.write_bytes(data.replace(before.encode(), str(home).encode()))
            path.chmod(mode)


class _half:
    """A file that appears when it is whole."""

    def __init__(self, path: Path) -> None:
        self.path, self.half = path, path.with_name(f"{path.name}.part")

    def __enter__(self) -> Path:
        self.half.unlink(missing_ok=True)
        self.half.touch(0o600)
        return self.half

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.half.rename(self.path)
        else:
            self.half.unlink(missing_ok=True)
