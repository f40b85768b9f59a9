"""Who signs: one interface for soft keys (tests), tokens (PKCS#11) and remote services (CSC).

A signer is found by the officer's id in `officers.yml` of the PKI folder; the file names keys and certificates by path.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import yaml
from asn1crypto import x509
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from prefect.blocks.core import Block
from pyhanko.keys import load_cert_from_pemder
from pyhanko.sign import signers
from pyhanko_certvalidator.registry import SimpleCertificateStore
from pyhanko_certvalidator.util import get_pyca_cryptography_hash

from blocks.errors import SohoaError
from blocks.settings import settings
from blocks.trust import certificates


class SignerUnknown(SohoaError):
    """No key is registered for this officer id."""

    code, rule = "SIGNER_UNKNOWN", "WH01"
    message = "Viên chức chưa được đăng ký khóa ký số; vui lòng liên hệ quản trị viên để đăng ký."


class TestKeyRefused(SohoaError):
    """A soft key or a TEST certificate while SOHOA_ENVIRONMENT says production."""

    __test__ = False
    code, rule = "TEST_KEY_REFUSED", "CA01"
    message = (
        "Không được ký bằng khóa thử nghiệm trong môi trường vận hành; vui lòng cấu hình thiết bị hoặc dịch vụ ký số."
    )


class KeyUnreadable(SohoaError):
    """Key or certificate missing, damaged, or readable by other users of the machine."""

    code = "KEY_UNREADABLE"
    message = "Không đọc được khóa ký số hoặc tệp khóa không được bảo vệ; vui lòng báo quản trị viên."


class KeyMismatch(SohoaError):
    """The key does not belong to the certificate."""

    code, rule = "KEY_MISMATCH", "CA01"
    message = "Khóa ký không khớp với chứng thư số; vui lòng báo quản trị viên kiểm tra cấu hình."


@runtime_checkable
class Signer(Protocol):
    """A person or the agency who can sign. Implementations: SoftKeySigner; PKCS#11 and CSC fit here.

    `open` runs on the signing loop (blocks.trust.run) and may talk to a token or a service; what it returns is kept for
    all signatures of the process. It raises SohoaErrors; a wrong PIN must never be retried.
    """

    @property
    def certificate(self) -> x509.Certificate: ...

    @property
    def name(self) -> str:
        """Common name of the certificate, NFC."""
        ...

    @property
    def test(self) -> bool:
        """Signatures are marked TEST and never claimed to be legal."""
        ...

    async def open(self) -> signers.Signer:
        """What pyHanko signs with, certificate chain included."""
        ...


class SoftKeySigner(Block):
    """A key in a file (0600), for tests only; refused in production. Nothing secret in the block but paths."""

    _block_type_name = "Sohoa soft key (TEST)"
    _block_type_slug = "sohoa-soft-key"

    key_path: Path
    certificate_path: Path
    chain_folder: Path | None = None  # intermediate certificates that go into the signature

    @property
    def certificate(self) -> x509.Certificate:
        return _certificate(self.certificate_path)

    @property
    def name(self) -> str:
        return unicodedata.normalize("NFC", str(self.certificate.subject.native["common_name"]))

    @property
    def test(self) -> bool:
        return True

    async def open(self) -> signers.Signer:
        """Raises TestKeyRefused, KeyUnreadable, KeyMismatch."""
        if settings().environment == "production":
            raise TestKeyRefused()
        return _opened(self.key_path, self.certificate_path, self.chain_folder)


class LoadedKey(signers.Signer):
    """pyHanko's signer with the key loaded and checked once: SimpleSigner checks it again at every signature."""

    def __init__(
        self, key: RSAPrivateKey | EllipticCurvePrivateKey, certificate: x509.Certificate, store: SimpleCertificateStore
    ) -> None:
        self._key = key
        super().__init__(signing_cert=certificate, cert_registry=store)

    async def async_sign_raw(self, data: bytes, digest_algorithm: str, dry_run: bool = False) -> bytes:
        hashing = get_pyca_cryptography_hash(digest_algorithm)
        if isinstance(self._key, RSAPrivateKey):
            return self._key.sign(data, PKCS1v15(), hashing)
        return self._key.sign(data, ECDSA(hashing))


@lru_cache
def _certificate(path: Path) -> x509.Certificate:
    try:
        return load_cert_from_pemder(str(path))  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise KeyUnreadable() from error


@lru_cache
def _opened(key_path: Path, certificate_path: Path, chain_folder: Path | None) -> signers.Signer:
    certificate = _certificate(certificate_path)
    try:
        if key_path.stat().st_mode & 0o077:
            raise KeyUnreadable()
        key = load_pem_private_key(key_path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise KeyUnreadable() from error
    if not isinstance(key, RSAPrivateKey | EllipticCurvePrivateKey):
        raise KeyUnreadable()
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if public != certificate.public_key.dump():
        raise KeyMismatch()
    store = SimpleCertificateStore()  # type: ignore[no-untyped-call]
    store.register_multiple(certificates(chain_folder) if chain_folder else [])
    return LoadedKey(key, certificate, store)


def _listing(folder: Path) -> dict[str, Any]:
    return dict(yaml.safe_load((folder / "officers.yml").read_text()))


def _signer(folder: Path, entry: dict[str, Any]) -> Signer:
    kind = entry.get("kind", "soft")
    if kind != "soft":
        raise SignerUnknown(f"Chưa hỗ trợ loại khóa ký {kind}; vui lòng báo quản trị viên.")
    return SoftKeySigner(
        key_path=folder / entry["key"],
        certificate_path=folder / entry["certificate"],
        chain_folder=folder / "intermediates",
    )


def signer_for(officer_id: str, folder: Path | None = None) -> Signer:
    """The signer of an officer (Điều 8.1: chữ ký số cá nhân). Raises SignerUnknown.

    folder: PKI folder with officers.yml; None: that of the settings.
    """
    folder = folder or settings().pki_dir
    entry = _listing(folder)["officers"].get(officer_id)
    if entry is None:
        raise SignerUnknown()
    return _signer(folder, entry)


def agency_signer(folder: Path | None = None) -> Signer:
    """The signer of the agency (Điều 9.4: chữ ký số cơ quan). Raises SignerUnknown."""
    folder = folder or settings().pki_dir
    entry = _listing(folder).get("agency")
    if entry is None:
        raise SignerUnknown()
    return _signer(folder, entry)
