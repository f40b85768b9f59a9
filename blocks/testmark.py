"""Which certificates are TEST: by their path to the root of a TEST PKI (infra/local/pki.py), never by their names.

A TEST root is known by its mark, a certificate policy of our own that every certificate of a TEST PKI carries, and by
its fingerprint, which is kept beside the TEST PKI. Whatever a TEST root certified, directly or not, is TEST.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from asn1crypto import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509 import load_der_x509_certificate

TEST_POLICY = "2.25.315740339783466933685167795674979275152"  # of this project, from a UUID (ITU-T X.667)
PINS = "test-roots.sha256"  # in the folder of a TEST PKI: fingerprints of its roots, one hex line each


def marked(certificate: x509.Certificate) -> bool:
    """Made by a TEST PKI, as the certificate itself says."""
    policies = certificate.certificate_policies_value
    return any(item["policy_identifier"].dotted == TEST_POLICY for item in policies or ())


def pinned(folder: Path) -> frozenset[str]:
    """Fingerprints (SHA-256, hex) of the roots of the TEST PKI in `folder`; none where there is no TEST PKI."""
    path = folder / PINS
    return frozenset(path.read_text().split()) if path.exists() else frozenset()


def leads_to_test(
    certificate: x509.Certificate, known: Iterable[x509.Certificate], pins: frozenset[str] = frozenset()
) -> bool:
    """Whether a path of verified signatures leads from it to a TEST root. known: where issuers may be found."""
    issuers: dict[str, list[x509.Certificate]] = {}
    for item in known:
        issuers.setdefault(item.subject.hashable, []).append(item)
    waiting, seen = [certificate], set()
    while waiting:
        current = waiting.pop()
        if marked(current) or current.sha256.hex() in pins:
            return True
        if current.sha256 not in seen:
            seen.add(current.sha256)
            waiting += [one for one in issuers.get(current.issuer.hashable, ()) if issued(one.dump(), current.dump())]
    return False


@lru_cache(maxsize=256)
def issued(issuer: bytes, certificate: bytes) -> bool:
    """Whether the one (DER) has signed the other, whatever their dates and revocation."""
    try:
        load_der_x509_certificate(certificate).verify_directly_issued_by(load_der_x509_certificate(issuer))
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        return False
    return True
