"""A key in a file, for tests only."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from asn1crypto import x509
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from prefect.blocks.core import Block
from pyhanko.sign import signers
from pyhanko_certvalidator.registry import SimpleCertificateStore
from pyhanko_certvalidator.util import get_pyca_cryptography_hash

from blocks.signer.base import (
    HeldCertificate,
    KeyMismatch,
    KeyUnreadable,
    load_certificate,
    refuse_test_keys,
    store,
)
from blocks.trust import certificates


class SoftKeySigner(HeldCertificate, Block):
    """A key in a file (0600), for tests only; refused in production. Nothing secret in the block but paths."""

    _block_type_name = "Sohoa soft key (TEST)"
    _block_type_slug = "sohoa-soft-key"

    key_path: Path
    certificate_path: Path
    chain_folder: Path | None = None  # intermediate certificates that go into the signature

    @property
    def test(self) -> bool:
        return True

    async def open(self) -> LoadedKey:
        """Raises TestKeyRefused, KeyUnreadable, KeyMismatch."""
        refuse_test_keys(self.certificate, soft=True)
        return _opened(self.key_path, self.certificate_path, self.chain_folder)

    async def sign_digests(self, digests: list[bytes]) -> list[bytes]:
        key = await self.open()
        return [key.sign_digest(digest) for digest in digests]


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

    def sign_digest(self, digest: bytes) -> bytes:
        """Sign what was hashed elsewhere (SHA-256)."""
        hashing = Prehashed(get_pyca_cryptography_hash("sha256"))
        if isinstance(self._key, RSAPrivateKey):
            return self._key.sign(digest, PKCS1v15(), hashing)
        return self._key.sign(digest, ECDSA(hashing))


@lru_cache
def _opened(key_path: Path, certificate_path: Path, chain_folder: Path | None) -> LoadedKey:
    certificate = load_certificate(certificate_path)
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
    return LoadedKey(key, certificate, store(certificates(chain_folder) if chain_folder else []))
