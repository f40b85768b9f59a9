"""A small certificate authority whose services do what a test wants: answer, refuse, hang, vanish."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from asn1crypto import keys as asn1_keys
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID
from pyhanko.sign import signers
from pyhanko.sign.timestamps import DummyTimeStamper
from pyhanko_certvalidator.registry import SimpleCertificateStore

from blocks.testmark import PINS
from blocks.trust import Trust

DAY = timedelta(days=1)


@dataclass
class Holder:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

    @property
    def asn1(self) -> asn1_x509.Certificate:
        return asn1_x509.Certificate.load(self.certificate.public_bytes(serialization.Encoding.DER))

    @property
    def asn1_key(self) -> asn1_keys.PrivateKeyInfo:
        plain = serialization.NoEncryption()
        der = self.key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, plain)
        return asn1_keys.PrivateKeyInfo.load(der)

    def signer(self, known: tuple[asn1_x509.Certificate, ...] = ()) -> signers.SimpleSigner:
        return signers.SimpleSigner(self.asn1, self.asn1_key, SimpleCertificateStore.from_certs(known))  # type: ignore[no-untyped-call]

    def stamper(self, at: datetime | None = None) -> DummyTimeStamper:
        return DummyTimeStamper(self.asn1, self.asn1_key, fixed_dt=at)


@dataclass
class OwnPki:
    """A root in `folder`/anchors, certificates under it, and their services on this machine.

    status: HTTP status of each service by its path (0: it hangs); the services are `/crl` and `/ocsp`.
    """

    folder: Path
    port: int
    status: dict[str, int] = field(default_factory=dict)
    name: str = "Root (TEST)"

    def __post_init__(self) -> None:
        self.root = self._made(None, self.name, {"ca": True}, "", "")
        for place in ("anchors", "intermediates"):
            (self.folder / place).mkdir(parents=True, exist_ok=True)
        der = self.root.certificate.public_bytes(serialization.Encoding.DER)
        (self.folder / "anchors" / "root.der").write_bytes(der)
        (self.folder / PINS).write_text(hashlib.sha256(der).hexdigest())

    @property
    def trust(self) -> Trust:
        return Trust(folder=self.folder, tsa_url="http://127.0.0.1:9/none", timeout=1.0)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def issue(self, name: str = "Nguyễn Văn A (TEST)", **wanted: Any) -> Holder:
        """wanted: crl, ocsp: addresses ("" for none); begins: datetime; tsa: for time-stamps."""
        crl, answers = (wanted.pop(kind, self.url(f"/{kind}")) for kind in ("crl", "ocsp"))
        return self._made(self.root, name, wanted, crl, answers)

    def _made(self, issuer: Holder | None, name: str, wanted: dict[str, Any], crl: str, answers: str) -> Holder:
        # pyHanko's own time-stamper knows RSA only
        key = rsa.generate_private_key(65537, 2048) if wanted.get("tsa") else ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        begins, ca = wanted.get("begins", datetime.now(UTC) - 30 * DAY), bool(wanted.get("ca"))
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer.certificate.subject if issuer else subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(datetime.now(UTC) + 365 * DAY)
            .add_extension(x509.BasicConstraints(ca, None), True)
            .add_extension(x509.KeyUsage(True, not ca, False, False, False, ca, ca, False, False), True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        )
        if wanted.get("tsa"):
            made = made.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), True)
        if crl:
            point = x509.DistributionPoint([x509.UniformResourceIdentifier(crl)], None, None, None)
            made = made.add_extension(x509.CRLDistributionPoints([point]), False)
        if answers:
            where = x509.UniformResourceIdentifier(answers)
            access = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, where)
            made = made.add_extension(x509.AuthorityInformationAccess([access]), False)
        return Holder(made.sign((issuer.key if issuer else key), hashes.SHA256()), key)

    def crl(self) -> bytes:
        now = datetime.now(UTC)
        made = x509.CertificateRevocationListBuilder().issuer_name(self.root.certificate.subject)
        made = made.last_update(now - timedelta(hours=1)).next_update(now + DAY)
        return made.sign(self.root.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)

    def answer(self, request: bytes) -> bytes:
        """Good, whatever is asked."""
        asked, now = ocsp.load_der_ocsp_request(request), datetime.now(UTC)
        made = ocsp.OCSPResponseBuilder().add_response_by_hash(
            asked.issuer_name_hash, asked.issuer_key_hash, asked.serial_number, asked.hash_algorithm,
            ocsp.OCSPCertStatus.GOOD, now - timedelta(minutes=1), now + DAY, None, None,
        )  # fmt: skip
        made = made.responder_id(ocsp.OCSPResponderEncoding.HASH, self.root.certificate)
        for extension in asked.extensions:
            made = made.add_extension(extension.value, extension.critical)
        return made.sign(self.root.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


@contextmanager
def own_pki(folder: Path, name: str = "Root (TEST)") -> Iterator[OwnPki]:
    """The authority with its services running."""
    held: list[OwnPki] = []

    class Handler(BaseHTTPRequestHandler):
        def _told(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status = held[0].status.get(self.path, 200)
            if status == 0:
                time.sleep(3)  # longer than any test waits
                return
            data = held[0].answer(body) if self.path == "/ocsp" and status == 200 else held[0].crl()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = _told

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: requests are not news."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    held.append(OwnPki(folder, server.server_port, name=name))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield held[0]
    finally:
        server.shutdown()
        server.server_close()
