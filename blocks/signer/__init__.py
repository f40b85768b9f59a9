"""Who signs: one interface for tokens (PKCS#11), remote services (CSC) and soft keys (tests).

A signer is found by the officer's id in `officers.yml` of the PKI folder. Each entry names its kind and where things
are, by path or reference, never a secret::

    {kind: pkcs11, module: /usr/lib/softhsm/libsofthsm2.so, token: bhxh, key: agency, pin: "file:agency.pin",
     certificate: certs/agency.pem, environment: {SOFTHSM2_CONF: token/softhsm2.conf}}
    {kind: csc, url: "https://…", credential: "…", token: "env:SOHOA_CSC_TOKEN", certificate: certs/gq.01.pem}
    {kind: soft, key: keys/gq.01.pem, certificate: certs/gq.01.pem}

A person's PIN is typed by that person (``pin`` missing, or ``pin: ask``) or the signature is confirmed on a phone (csc
without ``pin``); a stored one is for tests only. The agency's key is no person's and keeps its reference.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from blocks.settings import in_production, settings
from blocks.signer.base import (
    ASK,
    KeyMismatch,
    KeyUnreadable,
    PinLocked,
    PinNeeded,
    PinRefused,
    RemoteRefused,
    RemoteUnavailable,
    SignatureDeclined,
    SignaturePending,
    Signer,
    SignerUnknown,
    SoleControlMissing,
    StoredPinRefused,
    TestKeyRefused,
    TokenKeyMissing,
    TokenUnavailable,
)
from blocks.signer.soft import SoftKeySigner

__all__ = [
    "KeyMismatch",
    "KeyUnreadable",
    "PinLocked",
    "PinNeeded",
    "PinRefused",
    "RemoteRefused",
    "RemoteUnavailable",
    "SignatureDeclined",
    "SignaturePending",
    "Signer",
    "SignerUnknown",
    "SoftKeySigner",
    "SoleControlMissing",
    "StoredPinRefused",
    "TestKeyRefused",
    "TokenKeyMissing",
    "TokenUnavailable",
    "agency_signer",
    "picture",
    "signer_for",
    "stored_pins",
]


def _listing(folder: Path) -> dict[str, Any]:
    return dict(yaml.safe_load((folder / "officers.yml").read_text()))


def _reference(folder: Path, reference: str) -> str:
    """A file's reference counts from the PKI folder."""
    kind, _, place = reference.partition(":")
    return f"file:{folder / place}" if kind == "file" else reference


def _signer(folder: Path, entry: dict[str, Any], *, person: bool) -> Signer:
    certificate, chain = folder / entry["certificate"], folder / "intermediates"
    match entry.get("kind", "soft"):
        case "soft":
            return SoftKeySigner(key_path=folder / entry["key"], certificate_path=certificate, chain_folder=chain)
        case "pkcs11":
            from blocks.signer.token import TokenSigner  # late: its library is loaded only where a token is used

            environment = {name: str(folder / value) for name, value in entry.get("environment", {}).items()}
            return TokenSigner(
                module=Path(entry["module"]),
                token=entry["token"],
                key=entry["key"],
                pin=_reference(folder, entry.get("pin") or ""),
                certificate_path=certificate,
                chain_folder=chain,
                environment=environment,
            )
        case "csc":
            from blocks.signer.remote import RemoteSigner

            return RemoteSigner(
                url=entry["url"],
                credential=entry["credential"],
                token=_reference(folder, entry.get("token", "")),
                pin=_reference(folder, entry.get("pin", "")),
                certificate_path=certificate,
                chain_folder=chain,
                batch=entry.get("batch", 10),
                sole_control=person,
            )
        case kind:
            raise SignerUnknown(f"Chưa hỗ trợ loại khóa ký {kind}; vui lòng báo quản trị viên.")


def signer_for(officer_id: str, folder: Path | None = None) -> Signer:
    """The signer of an officer (Điều 8.1: chữ ký số cá nhân). Raises SignerUnknown, StoredPinRefused.

    folder: PKI folder with officers.yml; None: that of the settings.
    """
    folder = folder or settings().pki_dir
    entry = _listing(folder)["officers"].get(officer_id)
    if entry is None:
        raise SignerUnknown()
    if in_production() and entry.get("pin") not in (None, "", ASK):
        raise StoredPinRefused(officer=officer_id)
    return _signer(folder, entry, person=True)


def stored_pins(folder: Path | None = None) -> list[str]:
    """Ids of the officers whose PIN is stored: for tests only (Điều 8.1)."""
    entries = _listing(folder or settings().pki_dir)["officers"]
    return sorted(officer for officer, entry in entries.items() if entry.get("pin") not in (None, "", ASK))


def picture(name: str, folder: Path | None = None) -> Path | None:
    """Picture (PNG) of an officer's signature or of the seal (``agency``) for issued documents; None: there is none."""
    path = (folder or settings().pki_dir) / "pictures" / f"{name}.png"
    return path if path.is_file() else None


def agency_signer(folder: Path | None = None) -> Signer:
    """The signer of the agency (Điều 9.4: chữ ký số cơ quan). Raises SignerUnknown.

    It needs its PIN: the leader has decided at the pause, and a digest that is asked for anew would be signed twice.
    """
    folder = folder or settings().pki_dir
    entry = _listing(folder).get("agency")
    if entry is None:
        raise SignerUnknown()
    signer = _signer(folder, entry, person=False)
    if signer.is_deferred or signer.asks_pin:
        raise SignerUnknown("Khóa ký số của cơ quan chưa có mã PIN; vui lòng báo quản trị viên cấu hình.")
    return signer
