"""Attacks on the border between TEST and real: words that are nearly one, TEST keys and TEST roots in production."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pikepdf
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from pyhanko.keys import load_cert_from_pemder
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import signers

from blocks.settings import OF_OFFICE, ROOT, EnvironmentUnknown, in_production, read_env, settings
from blocks.signer import TestKeyRefused, agency_signer, signer_for
from blocks.trust import CertificateIssuer, Trust, run
from infra.local.pki import ensure_pki
from tasks.signing.verify import verify_pdf
from tests.attack.plugin import Attack
from tests.conftest import TestPki

PEM = serialization.Encoding.PEM


@pytest.fixture(autouse=True)
def fresh(pki: TestPki, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SOHOA_INBOX_DIR", str(tmp_path))
    settings.cache_clear()
    yield
    settings.cache_clear()


def up(home: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """What `make up` answers; it is refused before anything starts."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("SOHOA_")}
    return subprocess.run(
        [sys.executable, "-m", "infra.local", "up"],
        cwd=ROOT,
        env=env | {"SOHOA_HOME": str(home)} | variables,
        capture_output=True,
        text=True,
        timeout=60,
    )


def started(home: Path) -> list[str]:
    """What parts have made that were started: nothing."""
    return [name for name in ("postgres/data", "seaweed/data", "log", "prefect") if (home / name).exists()]


@pytest.mark.parametrize("word", ["Production", "prod", "PRODUCTION", "staging", "", " test", "test "])
def test_words_that_are_nearly_one(attack: Attack, tmp_path: Path, word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "stack.env").write_text(f"SOHOA_ENVIRONMENT={word}\n")
    with attack(f"a start with SOHOA_ENVIRONMENT={word!r}", watch=lambda: started(tmp_path)) as told:
        done = up(tmp_path)
        told.answered(done.stdout.strip())
        assert done.returncode == 1 and "neither `test` nor `production`" in done.stdout
    monkeypatch.setenv("SOHOA_ENVIRONMENT", word)
    signed: list[bytes] = []
    with attack(f"a signature with SOHOA_ENVIRONMENT={word!r}", watch=lambda: list(signed)) as told:
        with pytest.raises(EnvironmentUnknown) as caught:
            signed += run(signer_for("tnhs.01").sign_digests([bytes(32)]))
        told.answered(caught.value.text)


def test_production_with_what_only_a_test_has(attack: Attack, tmp_path: Path, pki: TestPki) -> None:
    """Step by step what an administrator puts right; each step before it is refused, and says what to do."""
    home, own = tmp_path / "home", tmp_path / "own"
    home.mkdir()
    lines = {"SOHOA_ENVIRONMENT": "production"}

    def refused(attempt: str, because: str) -> None:
        (home / "stack.env").write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
        with attack(f"production with {attempt}", watch=lambda: started(home)) as told:
            done = up(home)
            told.answered(done.stdout.strip())
            assert done.returncode == 1 and because in done.stdout.replace("\n", " "), done.stdout

    shutil.copytree(pki.folder, home / "pki")
    refused("the TEST PKI in its folder", "is of the TEST PKI")
    shutil.rmtree(home / "pki")
    refused("no folder of trust", "SOHOA_PKI_DIR is not set")
    (own / "anchors").mkdir(parents=True)
    lines |= {"SOHOA_PKI_DIR": str(own), "SOHOA_TSA_URL": "http://tsa.example.vn"}
    (own / "officers.yml").write_text("officers: {}\nagency: {kind: soft, key: keys/a.pem, certificate: a.pem}\n")
    shutil.copy(pki.folder / "certs" / "root.pem", own / "anchors" / "nothing-to-see.pem")
    refused("the TEST root under another file name", "is a TEST root")
    (own / "anchors" / "nothing-to-see.pem").write_bytes(_authority("Root CA")[0].public_bytes(PEM))
    refused("a soft key", "is a soft or TEST key")
    (own / "officers.yml").write_text("officers: {}\nagency: {kind: pkcs11, key: agency, certificate: a.pem}\n")
    shutil.copy(pki.folder / "keys" / "agency.pem", own / "old.txt")
    refused("a private key in a file", "is a private key in a file")
    (own / "old.txt").unlink()
    refused("no list of staff", "SOHOA_STAFF_FILE is not set")
    shutil.copy(ROOT / "blocks" / "catalog" / "data" / "staff-test.yaml", tmp_path / "staff.yaml")
    lines["SOHOA_STAFF_FILE"] = str(tmp_path / "staff.yaml")
    refused("a copy of the TEST list of staff", "is the TEST list of staff")
    (tmp_path / "staff.yaml").write_text("staff: []\n")
    refused("the TEST provider", "who signs officers in?")
    lines["SOHOA_OIDC_ISSUER"] = "https://login.example.vn"
    (home / "gateway").mkdir()
    (home / "gateway" / "client-secret").write_text("secret")
    lines["SOHOA_RETENTION_OVERRIDE_DAYS"] = "1"
    refused("a lock of one day", "shortens locks")
    del lines["SOHOA_RETENTION_OVERRIDE_DAYS"]
    refused("the TEST office's names on real results", "SOHOA_UNIT_ID")
    lines |= {f"SOHOA_{name.upper()}": "Của cơ quan" for name in OF_OFFICE}
    lines["SOHOA_S3_ENDPOINT"] = "http://s3.example.vn"
    refused("another machine's object store in plain text", "must begin with https://")
    del lines["SOHOA_S3_ENDPOINT"]
    lines["SOHOA_DATABASE_URL"] = "postgresql://sohoa_app:x@db.example.vn/sohoa?sslmode=require"
    refused("another machine's database whose name nobody checks", "sslmode=verify-full")


def test_environment_of_shell_and_file_differ(attack: Attack, tmp_path: Path) -> None:
    (tmp_path / "stack.env").write_text("SOHOA_ENVIRONMENT=production\n")
    with attack("make up with test in the shell and production in the file", watch=lambda: started(tmp_path)) as told:
        done = up(tmp_path, SOHOA_ENVIRONMENT="test")
        told.answered(done.stdout.strip())
        assert done.returncode == 1 and "in the shell" in done.stdout
        assert read_env(tmp_path / "stack.env")["SOHOA_ENVIRONMENT"] == "production"


def test_test_keys_in_production(attack: Attack, pki: TestPki, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOHOA_ENVIRONMENT", "production")
    assert in_production()
    for whose, signer in (("an officer's soft key", signer_for("tnhs.01")), ("the TEST agency key", agency_signer())):
        signed: list[bytes] = []
        with attack(f"{whose} in production", watch=lambda signed=signed: list(signed)) as told:
            with pytest.raises(TestKeyRefused) as caught:
                run(signer.open())
            told.answered(caught.value.text)


def _authority(name: str, issuer: x509.Certificate | None = None, signed_by: rsa.RSAPrivateKey | None = None):
    """(certificate, key) of an authority; without an issuer a root."""
    key = rsa.generate_private_key(65537, 2048)
    return _certify(name, key, issuer, signed_by or key, authority=True), key


def _certify(name, key, issuer, signed_by, *, authority):
    subject = x509.Name([x509.NameAttribute(NameOID.COUNTRY_NAME, "VN"), x509.NameAttribute(NameOID.COMMON_NAME, name)])
    day = timedelta(days=1)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - 30 * day)
        .not_valid_after(datetime.now(UTC) + 900 * day)
        .add_extension(x509.BasicConstraints(authority, None), True)
        .add_extension(
            x509.KeyUsage(not authority, not authority, False, False, False, authority, authority, False, False), True
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signed_by.public_key()), False)
    )
    return builder.sign(signed_by, hashes.SHA256())


def test_authority_without_the_word_under_the_test_root(
    attack: Attack, pki: TestPki, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has the TEST root's key certifies `Cơ quan chứng thực …`: TEST in test, worth nothing in production."""
    root = x509.load_pem_x509_certificate((pki.folder / "certs" / "root.pem").read_bytes())
    root_key = serialization.load_pem_private_key((pki.folder / "keys" / "root.pem").read_bytes(), None)
    assert isinstance(root_key, rsa.RSAPrivateKey)
    authority, authority_key = _authority("Co quan chung thuc chuyen dung Chinh phu", root, root_key)
    key = rsa.generate_private_key(65537, 2048)
    leaf = _certify("UBND phuong Ben Nghe", key, authority, authority_key, authority=False)
    for name, made in (("leaf", leaf), ("authority", authority)):
        (tmp_path / f"{name}.pem").write_bytes(made.public_bytes(PEM))
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    signer = signers.SimpleSigner.load(
        str(tmp_path / "key.pem"), str(tmp_path / "leaf.pem"), ca_chain_files=(str(tmp_path / "authority.pem"),)
    )
    pdf, blank = pikepdf.new(), io.BytesIO()
    pdf.add_blank_page(page_size=(595, 842))
    pdf.save(blank, min_version="1.7")
    blank.seek(0)
    writer = IncrementalPdfFileWriter(blank)
    signed = signers.sign_pdf(writer, signers.PdfSignatureMetadata(field_name="Sig1"), signer=signer)
    (tmp_path / "legal.pdf").write_bytes(signed.getvalue())

    def verdict():
        return verify_pdf(tmp_path / "legal.pdf", Trust(), stamped=False).signatures[0]

    assert verdict().test, "what the TEST root certified is TEST, whatever its name says"
    monkeypatch.setenv("SOHOA_ENVIRONMENT", "production")
    with attack("a sub-CA of the TEST root without the word TEST signs in production") as told:
        found = verdict()
        told.answered(f"valid={found.valid} {found.code} test={found.test}")
        told.proved("no anchor: the TEST root is trusted by nobody in production")
        assert not found.valid and not Trust().anchors and found.test
    with attack("the same certificate is to sign for the agency") as told:
        with pytest.raises(CertificateIssuer) as caught:
            run(Trust().check(load_cert_from_pemder(str(tmp_path / "leaf.pem"))))
        told.answered(caught.value.text)
        told.proved("refused before anything is signed")


def test_a_name_with_the_letters_of_test_is_no_test(pki: TestPki, tmp_path: Path) -> None:
    """The other way round: a real company may be called so."""
    (tmp_path / "anchors").mkdir()
    (tmp_path / "intermediates").mkdir()
    root, key = _authority("Testamente GmbH Root")
    (tmp_path / "anchors" / "root.pem").write_bytes(root.public_bytes(PEM))
    leaf = _certify("CONG TY TESTCO", rsa.generate_private_key(65537, 2048), root, key, authority=False)
    (tmp_path / "leaf.pem").write_bytes(leaf.public_bytes(PEM))
    assert not Trust(folder=tmp_path).is_test(load_cert_from_pemder(str(tmp_path / "leaf.pem")))


def test_a_test_pki_from_before_the_mark_is_known_by_its_fingerprint(pki: TestPki, tmp_path: Path) -> None:
    folder = tmp_path / "pki"
    for name in ("anchors", "intermediates", "certs"):
        (folder / name).mkdir(parents=True)
    root, key = _authority("Root CA")
    leaf = _certify("Nguyen Van A", rsa.generate_private_key(65537, 2048), root, key, authority=False)
    for name in ("anchors/root.pem", "certs/root.pem"):
        (folder / name).write_bytes(root.public_bytes(PEM))
    (tmp_path / "leaf.pem").write_bytes(leaf.public_bytes(PEM))
    certificate = load_cert_from_pemder(str(tmp_path / "leaf.pem"))
    assert not Trust(folder=folder).is_test(certificate)
    (folder / "pki.yml").write_text("external-url-prefix: http://127.0.0.1:9\n")
    (folder / "officers.yml").write_text("")
    ensure_pki(folder, "http://127.0.0.1:9")
    assert Trust(folder=folder).is_test(certificate)
