"""Tokens (SoftHSM through PKCS#11) and a remote signing service (CSC): real parts, with their faults."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from blocks.secrets import SecretMissing, secret
from blocks.settings import settings
from blocks.signer import (
    KeyMismatch,
    PinRefused,
    RemoteRefused,
    RemoteUnavailable,
    SignatureDeclined,
    SignaturePending,
    Signer,
    TestKeyRefused,
    TokenKeyMissing,
    TokenUnavailable,
    agency_signer,
    signer_for,
)
from blocks.signer.base import require_fits
from blocks.trust import run
from infra.local import token
from infra.local.process import free_port
from tests.conftest import ROOT, TestPki
from tests.support.csc_server import MULTISIGN, PIN, control, serving

DATA = b"du lieu can ky"
pytestmark = pytest.mark.usefixtures("folder")


@pytest.fixture
def folder(pki: TestPki, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the PKI's folder with a token of its own, so that faults stay in the test."""
    copy = tmp_path / "pki"
    shutil.copytree(pki.folder, copy, ignore=shutil.ignore_patterns("token", "agency.pin", ".lock"))
    monkeypatch.setenv("SOHOA_HOME", str(tmp_path))
    for name, value in {"SOHOA_PKI_DIR": str(copy), "SOHOA_INBOX_DIR": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    for name in ("SOHOA_DATABASE_URL", "SOHOA_S3_ENDPOINT", "SOHOA_S3_ACCESS_KEY", "SOHOA_S3_SECRET_KEY"):
        monkeypatch.setenv(name, os.environ.get(name, "unused"))
    settings.cache_clear()
    yield copy
    settings.cache_clear()


def listing(folder: Path, officer: str, **entry: Any) -> None:
    path = folder / "officers.yml"
    known = yaml.safe_load(path.read_text())
    known["officers"][officer] = {**known["officers"]["tnhs.01"], **entry}
    path.write_text(yaml.safe_dump(known, allow_unicode=True))


def fits(signer: Signer, data: bytes, signature: bytes) -> bool:
    require_fits(signer.certificate, data, signature)
    return True


# -- tokens -------------------------------------------------------------------------------------------------------
@pytest.fixture
def on_token(folder: Path) -> Signer:
    library = token.module()
    assert library, "SoftHSM is missing: apt-get install softhsm2 (make test does)"
    keys = {
        name: folder / f"keys/{key}.pem" for name, key in {"tnhs.01": "tnhs.01", "other": "bad", "ec": "tsa"}.items()
    }
    token.make_token(folder / "token", folder / "agency.pin", keys, label=folder.parent.name)
    place = {
        "kind": "pkcs11", "module": str(library), "token": folder.parent.name, "pin": "file:agency.pin",
        "environment": {"SOFTHSM2_CONF": "token/softhsm2.conf"},
    }  # fmt: skip
    listing(folder, "held", key="tnhs.01", **place)
    listing(folder, "misfit", key="other", **place)
    listing(folder, "missing", key="nobody", **place)
    listing(folder, "ec", key="ec", **{**place, "certificate": "certs/tsa.pem"})
    return signer_for("held")


def in_process(officer: str) -> str:
    """What a fresh process says: a PKCS#11 library reads its configuration once a process."""
    code = f"""
import asyncio, hashlib
from blocks.signer import signer_for
from blocks.signer.base import require_fits
from blocks.trust import run
from blocks.errors import SohoaError
signer = signer_for({officer!r})
try:
    opened = run(signer.open())
    async def many():
        return await asyncio.gather(*(opened.async_sign_raw({DATA!r}, "sha256") for _ in range(20)))
    for signature in run(many()):
        require_fits(signer.certificate, {DATA!r}, signature)
    digest = hashlib.sha256({DATA!r}).digest()
    require_fits(signer.certificate, {DATA!r}, run(signer.sign_digests([digest]))[0])
    print("SIGNED")
except SohoaError as error:
    print(error.code)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("officer", ["held", "ec"])
def test_token_signs_many_at_once_and_digests(on_token: Signer, officer: str) -> None:
    assert in_process(officer) == "SIGNED"


def test_CA01_token_with_another_key_under_the_label(on_token: Signer) -> None:
    assert in_process("misfit") == KeyMismatch.code
    assert in_process("missing") == TokenKeyMissing.code


def test_wrong_pin_is_sent_once_whatever_process_asks(on_token: Signer, folder: Path) -> None:
    right = (folder / "agency.pin").read_text()
    (folder / "agency.pin").write_text("00000001")
    assert in_process("held") == PinRefused.code
    (mark,) = (folder.parent / "tokens").iterdir()
    written = mark.stat().st_mtime_ns
    assert in_process("held") == PinRefused.code  # refused without the token
    assert mark.stat().st_mtime_ns == written
    assert "00000001" not in mark.read_text()
    assert mark.stat().st_mode & 0o077 == 0
    (folder / "agency.pin").write_text(right)
    assert in_process("held") == "SIGNED"
    assert not mark.exists()


def test_token_removed_in_the_middle_and_put_back(on_token: Signer, folder: Path) -> None:
    code = """
import shutil, sys
from pathlib import Path
from blocks.signer import signer_for
from blocks.trust import run
from blocks.errors import SohoaError
store = Path(sys.argv[1]) / "token/store"
signer = signer_for("held")
def sign():
    try:
        return "SIGNED" if run(run(signer.open()).async_sign_raw(b"x", "sha256")) else ""
    except SohoaError as error:
        return f"{error.code}:{error.remedy}"
print(sign())
shutil.move(store, store.with_name("away")); store.mkdir()
print(sign()); print(sign())
shutil.rmtree(store); shutil.move(store.with_name("away"), store)
print(sign())
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    gone = f"{TokenUnavailable.code}:RETRY"
    assert done.stdout.split() == ["SIGNED", gone, gone, "SIGNED"], done.stderr


def test_no_token_at_all(on_token: Signer, folder: Path) -> None:
    listing(
        folder, "held", **{**yaml.safe_load((folder / "officers.yml").read_text())["officers"]["held"], "token": "x"}
    )
    assert in_process("held") == TokenUnavailable.code


def test_the_agencys_key_lies_on_a_token_where_softhsm_is_installed() -> None:
    entry = yaml.safe_load((settings().pki_dir / "officers.yml").read_text())["agency"]
    assert entry["kind"] == "pkcs11"
    assert agency_signer().test


def test_secrets_are_references(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "pin"
    path.write_text("1234\n")
    path.chmod(0o600)
    monkeypatch.setenv("A_PIN", "5678")
    assert secret("file:pin", tmp_path).get_secret_value() == "1234"
    assert secret("env:A_PIN").get_secret_value() == "5678"
    path.chmod(0o644)
    for wrong in (f"file:{path}", "file:/nowhere", "env:NOT_SET", "1234", ""):
        with pytest.raises(SecretMissing) as caught:
            secret(wrong)
        assert "1234" not in str(caught.value)


# -- remote signing -----------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def csc(pki: TestPki, home: Path) -> Iterator[str]:
    with serving(pki.folder, home / "csc.log") as url:
        yield url


@pytest.fixture
def remote(csc: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Signer:
    monkeypatch.setenv("CSC_TOKEN", "access")
    monkeypatch.setenv("CSC_PIN", PIN)
    control(csc, mode="ok", pin=PIN, reset=True)
    listing(folder, "remote", kind="csc", url=csc, credential="test/tnhs.01", token="env:CSC_TOKEN", pin="env:CSC_PIN")
    return signer_for("remote")


async def gather(signer: Signer, count: int) -> list[bytes]:
    opened: Any = await signer.open()
    await opened.enter(count)

    async def one(number: int) -> bytes:
        try:
            return bytes(await opened.async_sign_raw(DATA + bytes([number]), "sha256"))
        finally:
            await opened.leave()

    return list(await asyncio.gather(*map(one, range(count))))


def test_remote_service_signs_hashes(remote: Signer) -> None:
    digest = hashlib.sha256(DATA).digest()
    assert fits(remote, DATA, run(remote.sign_digests([digest]))[0])
    assert not remote.is_deferred


def test_many_signatures_with_one_authorisation(remote: Signer, csc: str) -> None:
    signatures = run(gather(remote, 25))
    assert all(fits(remote, DATA + bytes([n]), signature) for n, signature in enumerate(signatures))
    counts = control(csc)
    assert counts["authorize"] == counts["sign"] == -(-25 // MULTISIGN)


@pytest.mark.parametrize(
    ("mode", "refusal"),
    [
        ("pending", SignaturePending), ("declined", SignatureDeclined), ("html", RemoteRefused),
        ("down", RemoteUnavailable), ("hang", RemoteUnavailable), ("wrong", RemoteRefused),
    ],
)  # fmt: skip
def test_faults_of_the_remote_service(remote: Signer, csc: str, mode: str, refusal: type[Exception]) -> None:
    control(csc, mode=mode)
    object.__setattr__(remote, "timeout", 1.0)
    with pytest.raises(refusal):
        run(remote.sign_digests([hashlib.sha256(DATA).digest()]))


def test_remote_service_is_gone(remote: Signer, folder: Path) -> None:
    listing(folder, "gone", kind="csc", url=f"http://127.0.0.1:{free_port()}", credential="test/tnhs.01")
    with pytest.raises(RemoteUnavailable):
        run(signer_for("gone").sign_digests([bytes(32)]))


def test_CA01_remote_credential_of_somebody_else(remote: Signer, csc: str, folder: Path) -> None:
    listing(folder, "swapped", kind="csc", url=csc, credential="test/tnhs.02")
    with pytest.raises(KeyMismatch):
        run(signer_for("swapped").sign_digests([bytes(32)]))


def test_remote_pin_is_sent_once(remote: Signer, csc: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CSC_PIN", "11111111")
    before = control(csc)["pins"]
    for _ in range(2):
        with pytest.raises(PinRefused):
            run(remote.sign_digests([bytes(32)]))
    assert control(csc)["pins"] == before + 1  # sent once
    monkeypatch.setenv("CSC_PIN", PIN)
    assert run(remote.sign_digests([bytes(32)]))


def test_test_certificates_are_refused_in_production(
    remote: Signer, on_token: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOHOA_ENVIRONMENT", "production")
    settings.cache_clear()
    for signer in (remote, on_token):
        with pytest.raises(TestKeyRefused):
            run(signer.open())
