"""Whose certificate is it: the agency's, one of its officers', or somebody else's (Điều 8.1, 9.4).

The list is `officers.yml` of the trust folder, which also says with what each of them signs. It keeps the certificates
of former years, too, so that old records go on saying whose signature they bear::

    agency:
      certificate: certs/agency-2026.pem
      earlier:                                  # certificates that the agency used before
        - {certificate: certs/agency-2023.pem, until: 2026-05-01}
    officers:
      gq.01: {certificate: certs/gq.01.pem, …}
    former:                                     # officers who have left
      - {certificate: certs/gq.07.pem, since: 2024-01-01, until: 2026-03-31}

A certificate counts from `since` until the end of `until`, else as long as it is valid itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from asn1crypto import x509
from pydantic import BaseModel
from pyhanko.keys import load_cert_from_pemder

from blocks.errors import Remedy, SohoaError

AGENCY, OFFICER = "AGENCY", "OFFICER"
LISTING = "officers.yml"


class SignatoriesUnreadable(SohoaError):
    """`officers.yml` or a certificate that it names can't be read: whose signature it is can't be said."""

    code = "SIGNATORIES_UNREADABLE"
    message = "Không đọc được danh sách chứng thư của cơ quan và viên chức; vui lòng báo quản trị viên kiểm tra tệp."
    remedy = Remedy.ADMINISTRATOR


class Signatory(BaseModel):
    """One certificate. kind: AGENCY or OFFICER; sha256: of its DER; since, until: when it was used (None: always)."""

    kind: str
    sha256: str
    since: datetime | None = None
    until: datetime | None = None


def kind_of(certificate: x509.Certificate, listed: Iterable[Signatory], at: datetime) -> str | None:
    """AGENCY, OFFICER, or None for a certificate that wasn't one of ours at that time."""
    mark = certificate.sha256.hex()
    kinds = {
        item.kind
        for item in listed
        if item.sha256 == mark and (item.since or at) <= at <= (item.until or at)
    }  # fmt: skip
    return AGENCY if AGENCY in kinds else OFFICER if OFFICER in kinds else None


def signatories(folder: Path) -> tuple[Signatory, ...]:
    """Those of a trust folder; read again when the list changed; none where there is no list.

    Raises SignatoriesUnreadable.
    """
    try:
        stamp = (folder / LISTING).stat()
    except FileNotFoundError:
        return ()
    return _read(folder, stamp.st_mtime_ns, stamp.st_size)


@lru_cache(maxsize=16)
def _read(folder: Path, _changed: int, _size: int) -> tuple[Signatory, ...]:
    try:
        listing = yaml.safe_load((folder / LISTING).read_text(encoding="utf-8"))
        return tuple(_entries(folder, listing))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, yaml.YAMLError) as error:
        raise SignatoriesUnreadable() from error


def _entries(folder: Path, listing: dict[str, Any]) -> Iterator[Signatory]:
    agency = listing.get("agency")
    officers = list((listing.get("officers") or {}).values())
    for kind, entries in ((AGENCY, [agency] if agency else []), (OFFICER, officers)):
        for entry in entries:
            for one in (entry, *(entry.get("earlier") or ())):
                yield _entry(folder, kind, one)
    for entry in listing.get("former") or ():
        yield _entry(folder, OFFICER, entry)


def _entry(folder: Path, kind: str, entry: dict[str, Any]) -> Signatory:
    certificate = load_cert_from_pemder(str(folder / entry["certificate"]))  # type: ignore[no-untyped-call]
    return Signatory(
        kind=kind,
        sha256=certificate.sha256.hex(),
        since=_day(entry.get("since"), time.min),
        until=_day(entry.get("until"), time.max),
    )


def _day(value: Any, hour: time) -> datetime | None:
    if value is None:
        return None
    day = value if isinstance(value, date) else date.fromisoformat(str(value))
    return datetime.combine(day, hour, UTC)


def organisation_of(certificate: x509.Certificate) -> str:
    """Identifier of the organisation that a certificate was issued to (``MST:…``), "" for a person's.

    It stands in organizationIdentifier (ETSI EN 319 412-1) or, as Vietnamese CAs write it, in the user id; a person's
    user id begins with another word (CCCD, CMND, HC).
    """
    subject = certificate.subject.native
    for name in ("organization_identifier", "user_id"):
        values = subject.get(name) or ()
        for value in [values] if isinstance(values, str) else values:
            if re.fullmatch(r"(MST|MDDVQHNS|MNS|VATVN|NTRVN)[:-][0-9A-Za-z-]{1,40}", str(value)):
                return str(value)
    return ""
