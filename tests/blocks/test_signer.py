"""Keys, certificates and time-stamps: every wrong one is refused before anything is signed (CA01, CA02)."""

from __future__ import annotations

import http.server
import os
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from blocks.settings import settings
from blocks.signer import (
    KeyMismatch,
    KeyUnreadable,
    Signer,
    SignerUnknown,
    SoftKeySigner,
    TestKeyRefused,
    agency_signer,
    signer_for,
)
from blocks.trust import (
    CertificateExpired,
    CertificateIssuer,
    CertificateNotYetValid,
    CertificateRefused,
    CertificateRevoked,
    CertificateUsage,
    RevocationUnavailable,
    TimestampClock,
    TimestampRefused,
    TimestampUnavailable,
    Trust,
    run,
)
from infra.local.pki import ARCHITECTURE, _architecture, ensure_pki
from tests.conftest import TestPki

NAMES = ("SOHOA_DATABASE_URL", "SOHOA_S3_ENDPOINT", "SOHOA_S3_ACCESS_KEY", "SOHOA_S3_SECRET_KEY", "SOHOA_INBOX_DIR")


@pytest.fixture(autouse=True)
def signing_settings(pki: TestPki, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SOHOA_PKI_DIR", str(pki.folder))
    for name in NAMES:
        monkeypatch.setenv(name, os.environ.get(name, "unused"))
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.fixture
def trust(pki: TestPki) -> Trust:
    return Trust(folder=pki.folder, tsa_url=pki.tsa, timeout=5)


# -- keys ---------------------------------------------------------------------------------------------------------


def test_officers_and_agency_have_their_own_marked_keys() -> None:
    officers = [signer_for(name) for name in ("tnhs.01", "tnhs.02", "gq.01", "gq.02", "leader.01")]
    signers: list[Signer] = [*officers, agency_signer()]
    assert len({signer.certificate.serial_number for signer in signers}) == len(signers)
    assert all(signer.test and "TEST" in signer.name and isinstance(signer, Signer) for signer in signers)
    assert all(run(signer.open()) is run(signer.open()) for signer in signers), "a key is loaded once"


def test_WH01_unknown_officer() -> None:
    with pytest.raises(SignerUnknown):
        signer_for("nobody.99")


def test_soft_key_is_refused_in_production(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOHOA_ENVIRONMENT", "production")
    settings.cache_clear()
    with pytest.raises(TestKeyRefused) as caught:
        run(signer_for("tnhs.01").open())
    assert "môi trường vận hành" in caught.value.text


def test_CA01_key_that_does_not_fit() -> None:
    with pytest.raises(KeyMismatch):
        run(signer_for("wrong-key").open())


def test_key_that_others_can_read(pki: TestPki, tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_bytes((pki.folder / "keys" / "tnhs.01.pem").read_bytes())
    key.chmod(0o644)
    certificate = pki.folder / "certs" / "tnhs.01.pem"
    with pytest.raises(KeyUnreadable):
        run(SoftKeySigner(key_path=key, certificate_path=certificate).open())
    with pytest.raises(KeyUnreadable):
        run(SoftKeySigner(key_path=tmp_path / "none.pem", certificate_path=certificate).open())


# -- certificates -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("who", "refusal"),
    [
        ("expired", CertificateExpired),
        ("not-yet-valid", CertificateNotYetValid),
        ("revoked", CertificateRevoked),
        ("wrong-usage", CertificateUsage),
        ("unknown-issuer", CertificateIssuer),
    ],
)
def test_CA01_certificates_that_must_not_sign(who: str, refusal: type[CertificateRefused], trust: Trust) -> None:
    with pytest.raises(refusal) as caught:
        run(trust.check(signer_for(who).certificate))
    assert type(caught.value) is refusal


def test_CA01_good_certificate(trust: Trust) -> None:
    run(trust.check(signer_for("gq.01").certificate))


def test_CA01_no_answer_about_revocation_is_no_answer(pki: TestPki, tmp_path: Path) -> None:
    """OCSP and CRL are down: hard-fail, and to be tried again."""
    shutil.copytree(pki.folder, tmp_path / "pki")
    ensure_pki(tmp_path / "pki", f"http://127.0.0.1:{_closed_port()}")
    trust = Trust(folder=tmp_path / "pki", tsa_url="http://127.0.0.1:1/", timeout=1)
    with pytest.raises(RevocationUnavailable) as caught:
        run(trust.check(signer_for("tnhs.01", tmp_path / "pki").certificate))
    assert caught.value.remedy == "RETRY"


def test_CA01_revocation_service_hangs(pki: TestPki, tmp_path: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        shutil.copytree(pki.folder, tmp_path / "pki")
        ensure_pki(tmp_path / "pki", f"http://127.0.0.1:{silent.getsockname()[1]}")
        trust = Trust(folder=tmp_path / "pki", tsa_url=pki.tsa, timeout=1)
        with pytest.raises(RevocationUnavailable):
            run(trust.check(signer_for("tnhs.01", tmp_path / "pki").certificate))


# -- time-stamps --------------------------------------------------------------------------------------------------


def _closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _stamp(url: str) -> Any:
    return run(Trust(tsa_url=url, timeout=0.5).timestamper().async_timestamp(b"\0" * 32, "sha256"))


@contextmanager
def _answering(status: int, kind: str, body: bytes) -> Iterator[tuple[str, list[int]]]:
    asked: list[int] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(1)
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", asked
    finally:
        server.shutdown()
        server.server_close()


def test_CA02_time_stamp_of_the_real_service(pki: TestPki) -> None:
    token = _stamp(pki.tsa)
    told = token["content"]["encap_content_info"]["content"].parsed["gen_time"].native
    assert abs(told - datetime.now(UTC)) < timedelta(seconds=5)


def test_CA02_service_refuses_the_connection() -> None:
    with pytest.raises(TimestampUnavailable) as caught:
        _stamp(f"http://127.0.0.1:{_closed_port()}/")
    assert caught.value.remedy == "RETRY"


def test_CA02_service_hangs() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        with pytest.raises(TimestampUnavailable):
            _stamp(f"http://127.0.0.1:{silent.getsockname()[1]}/")


def test_CA02_service_is_overloaded() -> None:
    with _answering(503, "text/plain", b"later") as (url, asked), pytest.raises(TimestampUnavailable):
        _stamp(url)
    assert len(asked) == 3


@pytest.mark.parametrize(
    ("status", "kind", "body"),
    [
        (200, "text/html", b"<html>login</html>"),
        (404, "text/html", b"no such page"),
        (403, "text/plain", b"no"),
        (200, "application/timestamp-reply", b"<html>"),
        (200, "application/timestamp-reply", b""),
    ],
)
def test_CA02_nonsense_is_never_asked_for_again(status: int, kind: str, body: bytes) -> None:
    with _answering(status, kind, body) as (url, asked), pytest.raises(TimestampRefused) as caught:
        _stamp(url)
    assert len(asked) == 1
    assert caught.value.remedy == "ADMINISTRATOR"


def test_CA02_service_that_lies_about_the_time(pki: TestPki) -> None:
    """A real time-stamp service whose clock is an hour wrong."""
    from certomancer.integrations.animator import Animator, AnimatorArchStore
    from certomancer.registry import ArchLabel
    from werkzeug.serving import make_server

    architectures = AnimatorArchStore({ArchLabel(ARCHITECTURE): _architecture(pki.folder)})
    wrong = Animator(architectures, at_time=datetime.now(UTC) - timedelta(hours=1), with_web_ui=False)
    server = make_server("127.0.0.1", 0, wrong)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with pytest.raises(TimestampClock):
            _stamp(f"http://127.0.0.1:{server.server_port}/{ARCHITECTURE}/tsa/tsa")
    finally:
        server.shutdown()


# -- the PKI itself -----------------------------------------------------------------------------------------------


def test_pki_is_made_once_and_issued_again_for_another_address(pki: TestPki, tmp_path: Path) -> None:
    folder = tmp_path / "pki"
    shutil.copytree(pki.folder / "keys", folder / "keys")
    ensure_pki(folder, "http://127.0.0.1:9123")

    def content() -> dict[str, bytes]:
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    first = content()
    ensure_pki(folder, "http://127.0.0.1:9123/")
    assert content() == first
    ensure_pki(folder, "http://127.0.0.1:9124")
    second = content()
    assert second["keys/tnhs.01.pem"] == first["keys/tnhs.01.pem"]
    assert second["certs/tnhs.01.pem"] != first["certs/tnhs.01.pem"]
    assert all((folder / name).stat().st_mode & 0o777 == 0o600 for name in first if name.startswith("keys/"))
    ensure_pki(folder, "http://127.0.0.1:9123")
    assert content() == first
