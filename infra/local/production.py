"""What must be so before a stack starts in production: real authorities, real staff, nothing of the TEST kind here.

Each refusal is one line that says what to do. Nothing is deleted for the administrator: TEST records may hang on it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import get_args
from urllib.parse import urlsplit

import yaml
from asn1crypto import pem, x509

from blocks.settings import OF_OFFICE, ROOT, Environment
from blocks.settings.sections import is_loopback
from blocks.testmark import PINS, leads_to_test, pinned
from infra.local.process import StackError

TEST_STAFF = ROOT / "blocks" / "catalog" / "data" / "staff-test.yaml"
WORD = "SOHOA_ENVIRONMENT"


def choose_environment(known: dict[str, str], shell: Mapping[str, str], file: Path) -> str | None:
    """Settle on test or production in `known` (the lines of stack.env). Returns the line to show, or None.

    At the first start the shell may say it; without a word it is test, and that is told. Raises StackError for any
    other word, and when shell and file differ.
    """
    said, asked = known.get(WORD), shell.get(WORD)
    for word, where in ((said, str(file)), (asked, "the shell")):
        if word is not None and word not in get_args(Environment):
            raise StackError(f"{WORD}={word!r} in {where} is neither `test` nor `production`: set one of the two")
    if said and asked and said != asked:
        raise StackError(f"{WORD} is {asked} in the shell and {said} in {file}: unset it, or change the file")
    if known and not said and not asked:
        raise StackError(f"{WORD} is missing in {file}: add {WORD}=test or {WORD}=production")
    known[WORD] = said or asked or "test"
    if said or asked:
        return None
    return f"{WORD}=test: TEST keys, nothing has legal value (for real papers: {WORD}=production in {file})"


def require_real(home: Path, known: Mapping[str, str]) -> None:
    """Nothing of the TEST kind is used or lies on this machine. Raises StackError naming the first that does.

    Called in production only; known: the lines of stack.env.
    """
    _require_no_test_pki(home)
    _require_trust(_named_folder(known), known)
    _require_staff(known)
    _require_provider(home, known)
    _require_office(known)
    for name, value in known.items():
        require_encrypted(name, value)


def require_encrypted(name: str, value: str) -> None:
    """Raises StackError for an address of another machine that is spoken to in plain text.

    Time-stamps, OCSP and CRLs may be fetched in plain text: they are signed, and hold nothing secret.
    """
    encrypted = {"SOHOA_S3_ENDPOINT": "https", "SOHOA_OIDC_ISSUER": "https", "SOHOA_GATEWAY_URL": "https",
                 "SOHOA_PORTAL_URL": "https", "PREFECT_API_URL": "https"}  # fmt: skip
    url = urlsplit(value)
    if is_loopback(url.hostname):
        return
    if name in encrypted and url.scheme != encrypted[name]:
        raise StackError(f"{name} is another machine in plain text; in production it must begin with https://")
    if url.scheme.startswith("postgresql") and not verifies_server(value):
        raise StackError(
            f"{name} is another machine; in production it needs ?sslmode=verify-full&sslrootcert=/path/of/ca.pem"
        )


def verifies_server(url: str) -> bool:
    """Whether a PostgreSQL address insists on TLS and on the server's name."""
    return "sslmode=verify-full" in urlsplit(url).query.split("&")


def _require_no_test_pki(home: Path) -> None:
    pki = home / "pki"
    for name in ("pki.yml", PINS, "keys", "token", "agency.pin"):
        if (pki / name).exists():
            raise StackError(
                f"{pki / name} is of the TEST PKI; production starts in a SOHOA_HOME without it (choose a new one; "
                "records made with TEST keys stay with the old)"
            )


def _named_folder(known: Mapping[str, str]) -> Path:
    for name, what in (("SOHOA_PKI_DIR", "the folder with anchors/, intermediates/ and officers.yml"),
                       ("SOHOA_TSA_URL", "the time-stamp service")):  # fmt: skip
        if not known.get(name):
            raise StackError(f"{name} is not set: production needs {what}, see docs/en/administrators.md")
    return Path(known["SOHOA_PKI_DIR"])


def _require_trust(folder: Path, known: Mapping[str, str]) -> None:
    try:
        files = sorted(path for path in (folder / "anchors").iterdir() if path.is_file())
        listed = yaml.safe_load((folder / "officers.yml").read_text(encoding="utf-8"))
        keys = {**listed.get("officers", {}), "agency": listed["agency"]}
    except (OSError, KeyError, AttributeError, yaml.YAMLError) as error:
        raise StackError(f"SOHOA_PKI_DIR={folder} needs anchors/ and officers.yml with the agency's key") from error
    anchors = {path: _certificate(path) for path in files}
    if not anchors:
        raise StackError(f"{folder / 'anchors'} is empty: put the roots there that the law trusts")
    for path, certificate in anchors.items():
        if certificate is None:
            raise StackError(f"{path} is no certificate (PEM or DER)")
        if leads_to_test(certificate, [item for item in anchors.values() if item], pinned(folder)):
            raise StackError(f"{path} is a TEST root: never trusted in production, take it away")
    for officer, entry in keys.items():
        if entry.get("kind", "soft") == "soft" or entry.get("test"):
            raise StackError(
                f"{folder / 'officers.yml'}: the key of {officer} is a soft or TEST key; use kind pkcs11 or csc"
            )
        if officer != "agency" and entry.get("pin") not in (None, "", "ask"):
            raise StackError(
                f"{folder / 'officers.yml'}: the PIN of {officer} is stored; a person types it when signing, take "
                "`pin` away (Điều 8.1)"
            )
    for path in _private_keys(folder):
        raise StackError(f"{path} is a private key in a file; in production keys lie on a token or at a service")


def _certificate(path: Path) -> x509.Certificate | None:
    data = path.read_bytes()
    try:
        found = x509.Certificate.load(pem.unarmor(data)[2] if pem.detect(data) else data, strict=True)
        found.native  # noqa: B018  (parsed to the end)
    except (ValueError, TypeError):
        return None
    return found


def _private_keys(folder: Path) -> list[Path]:
    small: Callable[[Path], bool] = lambda path: path.is_file() and path.stat().st_size < 100_000  # noqa: E731
    return [path for path in sorted(folder.rglob("*")) if small(path) and b"PRIVATE KEY-----" in path.read_bytes()]


def _require_staff(known: Mapping[str, str]) -> None:
    named = known.get("SOHOA_STAFF_FILE")
    if not named or not Path(named).is_file():
        raise StackError("SOHOA_STAFF_FILE is not set or no file: production needs the office's own list of staff")
    if _digest(Path(named)) == _digest(TEST_STAFF):
        raise StackError(f"SOHOA_STAFF_FILE={named} is the TEST list of staff: write the office's own")


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _require_provider(home: Path, known: Mapping[str, str]) -> None:
    if not known.get("SOHOA_OIDC_ISSUER"):
        raise StackError(
            f"who signs officers in? set SOHOA_OIDC_ISSUER (and client id, secret) in {home / 'stack.env'}"
        )
    if urlsplit(known["SOHOA_OIDC_ISSUER"]).scheme != "https":
        raise StackError("SOHOA_OIDC_ISSUER must begin with https:// in production: the TEST provider is refused there")
    if not (home / "gateway" / "client-secret").exists():
        raise StackError(f"{home / 'gateway' / 'client-secret'} (0600) is missing: the secret of the provider's client")
    if known.get("SOHOA_RETENTION_OVERRIDE_DAYS"):
        raise StackError("SOHOA_RETENTION_OVERRIDE_DAYS shortens locks: only in test; take the line away")


def _require_office(known: Mapping[str, str]) -> None:
    left = [name for field in OF_OFFICE if not known.get(name := f"SOHOA_{field.upper()}")]
    if left:
        raise StackError(f"{', '.join(left)} not set: the names of the TEST office stand on no real result")
