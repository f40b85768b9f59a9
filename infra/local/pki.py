"""The TEST PKI of a local stack, made from `pki.yml` by certomancer: never for real papers.

`ensure_pki` makes keys and certificates once; `python -m infra.local.pki serve --dir DIR --port PORT` answers OCSP,
CRL, certificate and time-stamp requests on loopback. Layout of the folder (0700, keys 0600):

    pki.yml               what certomancer reads: dates and URLs filled in
    keys/<label>.pem      PKCS#8, without a passphrase: TEST keys
    certs/<label>.pem     certificates
    anchors/*.pem         what Trust believes; intermediates/*.pem: what it builds paths with
    token/, agency.pin    the agency's key on a software token, where SoftHSM is installed (infra/local/token.py)
    test-roots.sha256     fingerprints of the roots: what they certify is TEST (blocks/testmark.py)
    officers.yml          officer id → name, key, certificate; the agency's; all with `test: true`
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import signal
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from filelock import FileLock

from blocks.testmark import PINS, TEST_POLICY
from infra.local import token

SPECIFICATION = Path(__file__).with_name("pki.yml")
ARCHITECTURE = "test"
_RELATIVE = re.compile(r"now([+-]\d+)d")


def tsa_url(base_url: str) -> str:
    """Where the time-stamp service of the PKI at `base_url` answers (RFC 3161 over HTTP)."""
    return f"{base_url.rstrip('/')}/{ARCHITECTURE}/tsa/tsa"


def ensure_pki(pki_dir: Path, base_url: str) -> None:
    """Make the PKI in `pki_dir`, or leave it as it is. Idempotent, also between processes.

    base_url: root of the server (e.g. ``http://127.0.0.1:9123``); it stands in the certificates, so with another one
    the certificates are issued again (same keys, names and dates). Raises ValueError for a URL without a port.
    """
    base_url = base_url.rstrip("/")
    if urlsplit(base_url).port is None:
        raise ValueError("the URL of the test PKI needs a port")
    pki_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    with FileLock(pki_dir / ".lock", fallback_to_soft=False):
        finished = pki_dir / "officers.yml"  # written last
        if finished.exists():  # also where the certificates are from before they had a mark
            _pin(pki_dir)
        if finished.exists() and served_url(pki_dir) == base_url:
            return
        finished.unlink(missing_ok=True)
        specification = yaml.safe_load(SPECIFICATION.read_text())
        extra = specification.pop("sohoa")
        _make_keys(pki_dir / "keys", extra["keys"])
        _render(specification, extra, pki_dir, base_url)
        _issue(pki_dir, extra)


def served_url(pki_dir: Path) -> str | None:
    """The root URL that the certificates in `pki_dir` name, or None where there is no PKI yet."""
    path = pki_dir / "pki.yml"
    return str(yaml.safe_load(path.read_text())["external-url-prefix"]) if path.exists() else None


def _write(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Whole or not at all, also when the machine stops in the middle."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".new")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(handle, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    beside.replace(path)


def _make_keys(folder: Path, wanted: dict[str, list[str]]) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    makers: dict[str, Callable[[], rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey]] = {
        "rsa2048": lambda: rsa.generate_private_key(65537, 2048),
        "rsa3072": lambda: rsa.generate_private_key(65537, 3072),
        "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    }
    folder.mkdir(mode=0o700, exist_ok=True)
    for kind, labels in wanted.items():
        for label in labels:
            path = folder / f"{label}.pem"
            if not path.exists():
                pem = makers[kind]().private_bytes(
                    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
                )
                _write(path, pem, 0o600)


def _render(specification: dict[str, Any], extra: dict[str, Any], pki_dir: Path, base_url: str) -> None:
    """Fill in keys, URL and dates. The day of creation is kept, so that issuing again gives the same certificates."""
    path = pki_dir / "pki.yml"
    today = datetime.now(UTC).date()
    created = yaml.safe_load(path.read_text())["created"] if path.exists() else today
    midnight = datetime(created.year, created.month, created.day, tzinfo=UTC)
    labels = [label for group in extra["keys"].values() for label in group]
    mark = {"id": "certificate_policies", "value": [{"policy_identifier": TEST_POLICY}]}
    for certificate in specification["pki-architectures"][ARCHITECTURE]["certs"].values():
        if "template" not in certificate:
            certificate["extensions"] = [*certificate.get("extensions", []), mark]
    specification["keysets"][ARCHITECTURE]["keys"] = {label: {"path": f"{label}.pem"} for label in labels}
    text = yaml.safe_dump(
        {"created": created, "external-url-prefix": base_url, **specification}, allow_unicode=True, sort_keys=False
    )
    text = _RELATIVE.sub(lambda found: f"'{(midnight + timedelta(days=int(found[1]))).isoformat()}'", text)
    _write(path, text.encode())


def _architecture(pki_dir: Path) -> Any:
    from certomancer.registry import ArchLabel, CertomancerConfig

    config = CertomancerConfig.from_file(str(pki_dir / "pki.yml"), key_search_dir=str(pki_dir))
    return config.get_pki_arch(ArchLabel(ARCHITECTURE))


def _issue(pki_dir: Path, extra: dict[str, Any]) -> None:
    """Write the certificates and the list of officers."""
    from asn1crypto import pem
    from certomancer.registry import CertLabel

    architecture = _architecture(pki_dir)
    labels = list(yaml.safe_load((pki_dir / "pki.yml").read_text())["pki-architectures"][ARCHITECTURE]["certs"])
    certificates = {label: architecture.get_cert(CertLabel(label)) for label in labels}
    armoured = {label: pem.armor("CERTIFICATE", cert.dump()) for label, cert in certificates.items()}
    for label, data in armoured.items():
        _write(pki_dir / "certs" / f"{label}.pem", data)
    for kind in ("anchors", "intermediates"):
        for label in extra[kind]:
            _write(pki_dir / kind / f"{label}.pem", armoured[label])

    def entry(label: str, key: str) -> dict[str, Any]:
        return {
            "name": certificates[label].subject.native["common_name"],
            "key": f"keys/{key}.pem",
            "certificate": f"certs/{label}.pem",
            "test": True,
        }

    agency = entry(extra["agency"], extra["agency"])
    if held := _on_token(pki_dir, extra["agency"]):
        agency |= {**held, "key": extra["agency"]}

    officers = {label: entry(label, label) for label in extra["officers"]}
    officers |= {label: entry(label, "bad") for label in extra["bad"]}
    # a key that doesn't belong to the certificate
    officers["wrong-key"] = entry(extra["officers"][0], "bad")
    listing = {"officers": officers, "agency": agency}
    text = "# TEST keys: signatures made with them have no legal value.\n" + yaml.safe_dump(
        listing, allow_unicode=True, sort_keys=False
    )
    _pin(pki_dir)
    _write(pki_dir / "officers.yml", text.encode())


def _pin(pki_dir: Path) -> None:
    """Keep the fingerprints of the roots: what they certify is TEST for ever, whatever its names say."""
    from asn1crypto import pem

    roots = sorted(path for path in (pki_dir / "certs").glob("*root.pem"))
    prints = [hashlib.sha256(pem.unarmor(path.read_bytes())[2]).hexdigest() for path in roots]
    _write(pki_dir / PINS, "\n".join(prints).encode())


def _on_token(pki_dir: Path, label: str) -> dict[str, Any]:
    """The agency's key lies on a token where SoftHSM is installed, as in production; else it is a file."""
    library = token.module()
    if library is None:
        return {}
    token.make_token(pki_dir / "token", pki_dir / "agency.pin", {label: pki_dir / "keys" / f"{label}.pem"})
    return {
        "kind": "pkcs11",
        "module": str(library),
        "token": token.LABEL,
        "pin": "file:agency.pin",
        "environment": {"SOFTHSM2_CONF": "token/softhsm2.conf"},
    }


def serve(pki_dir: Path, port: int) -> None:
    """Answer on 127.0.0.1:`port` until SIGTERM or SIGINT. SystemExit with one line when that can't work."""
    from certomancer.integrations.animator import Animator, AnimatorArchStore
    from certomancer.registry import ArchLabel
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"  # clients keep their connection
        disable_nagle_algorithm = True  # else every answer waits 40 ms for an acknowledgement

        def log(self, type: str, message: str, *args: Any) -> None:
            """Nothing: requests are not news."""

    url = served_url(pki_dir)
    if url is None:
        sys.exit(f"No test PKI in {pki_dir}: call ensure_pki first.")
    if urlsplit(url).port != port:
        sys.exit(f"The certificates in {pki_dir} name {url}, not port {port}: call ensure_pki with the new URL.")
    architectures = AnimatorArchStore({ArchLabel(ARCHITECTURE): _architecture(pki_dir)})
    # without its web pages: they hand out private keys
    application = Animator(architectures, with_web_ui=False, allow_time_override=False)
    server = make_server("127.0.0.1", port, application, threaded=True, request_handler=Quiet)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m infra.local.pki", description="TEST PKI of the local stack")
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("make", help="make keys and certificates where they are missing")
    make.add_argument("--dir", type=Path, required=True)
    make.add_argument("--url", required=True)
    run = commands.add_parser("serve", help="answer OCSP, CRL and time-stamp requests on loopback")
    run.add_argument("--dir", type=Path, required=True)
    run.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    if arguments.command == "make":
        ensure_pki(arguments.dir, arguments.url)
    else:
        serve(arguments.dir, arguments.port)


if __name__ == "__main__":
    main()
