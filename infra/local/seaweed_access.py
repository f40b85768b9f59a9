"""Who may do what in SeaweedFS: one S3 identity a part, with the rights that the part's work needs, and mutual TLS.

S3 is the only door that opens with a key. Master, filer and admin take nobody without the certificate of this store, on
HTTP and on gRPC alike. The volume server wants it on gRPC; on HTTP it wants a token for each file, which only master
and filer can make (over TLS, SeaweedFS 4.48 can't read back what it encrypted in several pieces). Without a token it
tells how full the disk is, how many files each bucket has, nothing else.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from infra.local.process import write_secret

PREFIX = "sohoa-"  # of the buckets' names
INCOMING, COPIES, RECORDS = ("inbox",), ("inbox", "intake", "working"), ("records",)
ALL = (*COPIES, *RECORDS)
LOOK = ("GetObject", "GetObjectVersion")
FIND = ("ListBucket", "ListBucketVersions", "GetBucketVersioning", "GetBucketObjectLockConfiguration")
ADMIN = "admin"  # makes buckets (setup); the only one with rights on buckets, and on everything else
# What each part may do: (actions on objects, the buckets' last names). None may change a bucket.
RIGHTS: dict[str, tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]] = {
    # Officers look at everything and hand in; nothing that was handed in is changed or deleted.
    "gateway": ((LOOK, ALL), (("PutObject",), INCOMING)),
    # Carries out the procedure. Locks are made and lengthened; a record is never deleted.
    "worker": (
        ((*LOOK, "PutObject"), ALL),
        (("DeleteObject", "DeleteObjectVersion"), COPIES),
        (("GetObjectRetention", "PutObjectRetention"), RECORDS),
    ),
    "backup": (((*LOOK, "GetObjectRetention"), ALL),),
    # What two persons ordered after the years of retention; the lock holds against this one, too.
    "disposal": ((LOOK, ALL), (("DeleteObject", "DeleteObjectVersion"), RECORDS)),
}
COMPONENTS = ("volume", "master", "filer", "s3", "client", "admin", "worker", "mq")
HTTPS = ("master", "filer", "admin")


def identities(keys: Mapping[str, tuple[str, str]]) -> bytes:
    """The file of `-s3.config`. keys: access and secret key of the administrator and of each part."""

    def identity(name: str, **rights: Any) -> dict[str, Any]:
        access, secret = keys[name]
        return {"name": name, "credentials": [{"accessKey": access, "secretKey": secret}], **rights}

    listed = [identity(ADMIN, actions=["Admin", "Read", "Write", "List"])]
    listed += [identity(name, actions=[], policyNames=[name]) for name in RIGHTS]
    policies = [{"name": name, "content": json.dumps(_policy(name))} for name in RIGHTS]
    return json.dumps({"identities": listed, "policies": policies}).encode()


def _policy(part: str) -> dict[str, Any]:
    found = [_allow(FIND, [f"{PREFIX}{name}" for name in ALL])]
    found += [_allow(actions, [f"{PREFIX}{name}/*" for name in names]) for actions, names in RIGHTS[part]]
    return {"Version": "2012-10-17", "Statement": found}


def _allow(actions: tuple[str, ...], places: list[str]) -> dict[str, Any]:
    resources = [f"arn:aws:s3:::{place}" for place in places]
    return {"Effect": "Allow", "Action": [f"s3:{action}" for action in actions], "Resource": resources}


def security(authority: Path, certificate: Path, key: Path) -> bytes:
    """security.toml: each side of each connection shows its certificate."""
    ours = [f'cert = "{certificate}"', f'key = "{key}"']
    lines = ["[grpc]", f'ca = "{authority}"']
    for component in COMPONENTS:
        lines += [f"[grpc.{component}]", *ours]
    for component in HTTPS:
        lines += [f"[https.{component}]", *ours, f'ca = "{authority}"']
    return "\n".join(lines).encode()


def make_certificates(authority: Path, certificate: Path, key: Path) -> None:
    """An own authority, used once and forgotten, and one certificate that all parts of this store share."""
    root_key, leaf_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sohoa seaweedfs authority")])
    leaf_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sohoa seaweedfs")])
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])

    def certify(name: x509.Name, public: ec.EllipticCurvePublicKey, is_authority: bool) -> x509.Certificate:
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(root_name).public_key(public)
        builder = builder.serial_number(x509.random_serial_number())
        now = datetime.now(UTC)
        builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=3650))
        builder = builder.add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        if not is_authority:
            builder = builder.add_extension(here, critical=False)
        return builder.sign(root_key, hashes.SHA256())

    pem = serialization.Encoding.PEM
    write_secret(authority, certify(root_name, root_key.public_key(), True).public_bytes(pem))
    private = leaf_key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    write_secret(key, private)
    write_secret(certificate, certify(leaf_name, leaf_key.public_key(), False).public_bytes(pem))
