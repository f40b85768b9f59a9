"""Which certificates are trusted, and what has changed since the last look (Điều 8.1, 9.4; NĐ 30/2020, Điều 27).

A list that grows unseen is how a forged signature becomes valid, and one that shrinks is how good ones become invalid:
each change is an incident that a person closes after having compared it with what the authority published.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from asn1crypto import x509
from pydantic import BaseModel
from sqlmodel import Session, col, select

from blocks.records import RecordsDatabase
from blocks.records.audit import audit
from blocks.records.incidents import raise_incident
from blocks.records.tables import AuditEntry
from blocks.trust import Trust, clock

CHANGED = "TRUST_LIST_CHANGED"
SOON = timedelta(days=90)


class TrustedCertificate(BaseModel):
    """kind: anchor | intermediate; sha256: of the certificate; name: of the authority, no person."""

    kind: str
    sha256: str
    name: str
    not_after: datetime
    test: bool


class TrustListReport(BaseModel):
    """What is trusted now and how it differs from the last look; `added` and `removed` are SHA-256 fingerprints."""

    certificates: list[TrustedCertificate]
    first: bool = False  # there was no look before
    added: list[str] = []
    removed: list[str] = []
    expired: list[str] = []
    ending: list[str] = []  # within 90 days

    @property
    def changed(self) -> bool:
        return bool(self.added or self.removed) and not self.first


def review_trust_list(records: RecordsDatabase, trust: Trust, now: datetime | None = None) -> TrustListReport:
    """Compare the folders with the last look and note a difference: audit entry, and an incident unless it's the first.

    Asked twice it notes once. Raises TrustListUnreadable.
    """
    now = now or clock()
    found = [_entry("anchor", item, trust) for item in trust.anchors]
    found += [_entry("intermediate", item, trust) for item in trust.intermediates]
    have = {f"{item.kind}:{item.sha256}" for item in found}
    with records.session() as session:
        before = _last(session)
        report = TrustListReport(
            certificates=found,
            first=before is None,
            added=sorted(have - (before or set())),
            removed=sorted((before or set()) - have),
            expired=[item.sha256 for item in found if item.not_after < now],
            ending=[item.sha256 for item in found if now <= item.not_after < now + SOON],
        )
        if report.added or report.removed:
            details = {"list": sorted(have), "added": report.added, "removed": report.removed}
            audit(session, actor="system", action="trust_list", rule="CA01", details=details)
        if report.changed:
            counts = {"added": len(report.added), "removed": len(report.removed)}
            raise_incident(session, code=CHANGED, rule="CA01", details=counts)
    return report


def _entry(kind: str, certificate: x509.Certificate, trust: Trust) -> TrustedCertificate:
    return TrustedCertificate(
        kind=kind,
        sha256=certificate.sha256.hex(),
        name=certificate.subject.human_friendly,
        not_after=certificate.not_valid_after,
        test=trust.is_test(certificate),
    )


def _last(session: Session) -> set[str] | None:
    newest = select(AuditEntry).where(AuditEntry.action == "trust_list").order_by(col(AuditEntry.seq).desc()).limit(1)
    entry = session.exec(newest).first()
    return set(entry.details["list"]) if entry else None


def as_table(report: TrustListReport) -> str:
    """Markdown for operations: each certificate, and which are new, gone, expired or near their end."""
    marks = {**dict.fromkeys(report.ending, "sắp hết hạn"), **dict.fromkeys(report.expired, "ĐÃ HẾT HẠN")}
    lines = ["| Loại | Tổ chức | Hết hạn | SHA-256 | Ghi chú |", "|---|---|---|---|---|"]
    for item in report.certificates:
        new = "MỚI" if f"{item.kind}:{item.sha256}" in report.added and not report.first else ""
        note = ", ".join(filter(None, (new, marks.get(item.sha256), "thử nghiệm" if item.test else "")))
        name = item.name.replace("|", "/")
        lines.append(f"| {item.kind} | {name} | {item.not_after:%d/%m/%Y} | `{item.sha256[:16]}…` | {note} |")
    lines += [f"\nĐã bị bỏ: `{fingerprint}`" for fingerprint in report.removed]
    return "\n".join(lines)
