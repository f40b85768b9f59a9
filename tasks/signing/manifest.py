"""The extracted data that the agency signs (Điều 9.4): canonical JSON with the SHA-256 of the signed PDF.

The data come after the officer's signature, so they can't be embedded in the PDF; a detached CAdES signature over the
exact bytes binds them to it. Canonical: UTF-8, NFC, keys sorted, no spaces, no floats: RFC 8785 for such content.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from pyhanko.sign.signers.pdf_cms import PdfCMSSignedAttributes

from blocks.records.states import FieldSource
from blocks.records.tables import Document, Dossier, FieldValue
from blocks.signer import Signer
from blocks.trust import Trust, clock, run
from tasks.signing.cades import archive
from tasks.signing.errors import FieldsUnconfirmed

MANIFEST, MANIFEST_SIGNATURE = "manifest.json", "manifest.p7s"
VERSION = 1


def canonical(value: Any) -> bytes:
    """The bytes that are signed. Raises TypeError for floats and other types that have no one spelling."""
    return json.dumps(_plain(value), ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {unicodedata.normalize("NFC", str(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, str):
        return unicodedata.normalize("NFC", str(value))
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    if value is None or isinstance(value, bool | int):
        return value
    raise TypeError(f"a manifest can't hold {type(value).__name__}")


def build(dossier: Dossier, document: Document, fields: Sequence[FieldValue], *, test: bool) -> bytes:
    """The manifest of a document as it stands in the records database: same rows, same bytes.

    Raises FieldsUnconfirmed (WH03) where a value was extracted or typed but not confirmed by an officer.
    """
    open_ = [
        row for row in fields if row.value is not None and row.source is not FieldSource.SYSTEM and not row.confirmed_by
    ]
    if open_:
        raise FieldsUnconfirmed(count=len(open_))
    return canonical(
        {
            "version": VERSION,
            "test": test,
            "dossier": {"id": str(dossier.id), "code": dossier.code, "procedure": dossier.procedure_code},
            "document": {
                "id": str(document.id),
                "ordinal": document.ordinal,
                "type_code": document.type_code,
                "code": document.code,
                "owner_id_source": document.owner_id_source,
                "pages": document.page_count,
                "captured_at": document.captured_at,
                "captured_at_source": document.captured_at_source,  # FILE | DECLARED | RECEIVED
            },
            "pdf": {"sha256": document.file_sha256},
            "fields": [_field(row) for row in sorted(fields, key=lambda row: row.name)],
        }
    )


def _field(row: FieldValue) -> dict[str, Any]:
    return {
        "name": row.name,
        "value": row.value,
        "printed": row.printed,
        "page": row.page,
        "source": row.source.value,
        "attested_absent": row.attested_absent,
        "confirmed_by": row.confirmed_by,
        "confirmed_at": row.confirmed_at,
        "extracted_at": row.extracted_at,
    }


def named_pdf(data: bytes) -> str | None:
    """The SHA-256 of the PDF that a manifest names; None where it names none."""
    try:
        found = json.loads(data)["pdf"]["sha256"]
    except (ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, str) else None


async def sign_detached(data: bytes, signer: Signer, trust: Trust, *, long_term: bool = True) -> bytes:
    """CAdES-B-LTA over `data` (long_term: False: B-T), DER.

    Raises like the other signatures: CertificateRefused, TimestampUnavailable …
    """
    await trust.check(signer.certificate)
    tool = await signer.open()
    content = await tool.async_sign_general_data(
        data,
        "sha256",
        detached=True,
        use_cades=True,
        timestamper=trust.timestamper(),
        signed_attr_settings=PdfCMSSignedAttributes(signing_time=clock()),
    )
    if long_term:
        content = await archive(content, data, trust)
    return bytes(content.dump())


def sign_statement(kind: str, data: bytes, signer: Signer, trust: Trust) -> bytes:
    """A JSON file of what the agency states outside a dossier, e.g. an anchor: the exact text, and its signature."""
    token = run(sign_detached(data, signer, trust))
    return json.dumps({kind: data.decode(), "cades": token.hex()}).encode()


def open_statement(kind: str, body: bytes) -> tuple[bytes, bytes]:
    """(text, signature) of such a file, unverified. Raises ValueError, KeyError, TypeError for another."""
    told = json.loads(body)
    return str(told[kind]).encode(), bytes.fromhex(told["cades"])
