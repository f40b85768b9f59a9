"""Files that no scanner should deliver, made from good scans. Same input, same bytes."""

from __future__ import annotations

import asyncio
import hashlib
import io
import struct
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pikepdf
from asn1crypto import keys as asn1_keys
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign.fields import SigFieldSpec
from pyhanko.sign.signers import SignatureObject, SimpleSigner
from pyhanko.sign.signers.cms_embedder import PdfCMSEmbedder, SigIOSetup, SigObjSetup
from pyhanko.sign.signers.pdf_cms import PdfCMSSignedAttributes
from pyhanko_certvalidator.registry import SimpleCertificateStore

from tests.samples.scan import pdf_document

MOMENT = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


def truncated(jpeg: bytes) -> bytes:
    """A JPEG that ends in the middle: its head is right."""
    return jpeg[: len(jpeg) * 6 // 10]


def office_file() -> bytes:
    """An office document that was renamed to .jpg."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_STORED) as archive:
        for name in ("[Content_Types].xml", "word/document.xml"):
            archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), '<?xml version="1.0"?><document/>')
    return data.getvalue()


def bomb(jpeg: bytes) -> bytes:
    """A small JPEG whose header claims 65,000 × 65,000 pixels (12 GB when decoded)."""
    at = 2
    while jpeg[at + 1] not in (0xC0, 0xC1, 0xC2):
        at += 2 + struct.unpack(">H", jpeg[at + 2 : at + 4])[0]
    return jpeg[: at + 5] + struct.pack(">HH", 65000, 65000) + jpeg[at + 9 :]


def _save(pdf: pikepdf.Pdf, path: Path, **options: object) -> None:
    if "encryption" not in options:
        options["deterministic_id"] = True
    pdf.save(path, force_version="1.4", **options)  # type: ignore[arg-type]


def encrypted(path: Path, jpegs: list[bytes]) -> None:
    """Asks for a password to open."""
    encryption = pikepdf.Encryption(owner="chu-so-huu", user="mat-khau", R=3, aes=False, metadata=False)
    _save(pdf_document(jpegs), path, encryption=encryption, static_id=True)


def zero_pages(path: Path) -> None:
    _save(pikepdf.new(), path)


def active(path: Path, jpegs: list[bytes]) -> None:
    """Runs JavaScript when it is opened."""
    pdf = pdf_document(jpegs)
    script = pikepdf.Dictionary(S=pikepdf.Name.JavaScript, JS=pikepdf.String("app.alert('Xin chào');"))
    pdf.Root.OpenAction = pdf.make_indirect(script)
    _save(pdf, path)


def attachments(path: Path, jpegs: list[bytes]) -> None:
    pdf = pdf_document(jpegs)
    pdf.attachments["ghi-chu.txt"] = pikepdf.AttachedFileSpec(pdf, b"noi dung dinh kem", filename="ghi-chu.txt")
    _save(pdf, path)


def damaged(path: Path, jpegs: list[bytes]) -> None:
    """Begins as a PDF; then the catalogue and the table of objects are gone."""
    data = io.BytesIO()
    pdf_document(jpegs).save(data, force_version="1.4", deterministic_id=True)
    path.write_bytes(data.getvalue()[:2000] + b"\n%%EOF\n")


def signed(path: Path, jpegs: list[bytes]) -> None:
    """Carries a real digital signature of a throw-away Ed25519 key, at a fixed time."""
    base = io.BytesIO()
    pdf_document(jpegs).save(base, force_version="1.4", deterministic_id=True)
    writer = IncrementalPdfFileWriter(base)
    ident = hashlib.sha256(base.getvalue()).digest()[:16]
    writer._document_id = generic.ArrayObject([generic.ByteStringObject(ident)] * 2)
    writer._update_meta = lambda: None  # it would write the time of the run
    step = PdfCMSEmbedder(new_field_spec=SigFieldSpec("Signature1")).write_cms("Signature1", writer)
    next(step)
    step.send(SigObjSetup(sig_placeholder=SignatureObject(timestamp=MOMENT, bytes_reserved=8192)))
    digest, _output = step.send(SigIOSetup(md_algorithm="sha512", in_place=True))
    attributes = PdfCMSSignedAttributes(signing_time=MOMENT)
    cms = asyncio.run(_signer().async_sign(digest.document_digest, "sha512", signed_attr_settings=attributes))
    step.send(cms)
    path.write_bytes(base.getvalue())


def _signer() -> SimpleSigner:
    key = Ed25519PrivateKey.from_private_bytes(b"sohoa-samples-not-a-real-key-000")
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "TEST - chu ky mau")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, MOMENT, MOMENT + timedelta(days=3650))
    certificate = builder.sign(key, None)
    der = key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return SimpleSigner(
        signing_cert=asn1_x509.Certificate.load(certificate.public_bytes(serialization.Encoding.DER)),
        signing_key=asn1_keys.PrivateKeyInfo.load(der),
        cert_registry=SimpleCertificateStore(),
    )
