"""Ai nộp, bằng đường nào: who answers for what was handed in (Điều 8.1), and that it is still that (CA08).

Each way in names its origin; `register` and capture take only what has one, with the hashes that it had then.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlmodel import Session

from blocks.errors import Remedy, SohoaError
from blocks.records import RecordsDatabase
from blocks.records.sources import SourceConflict, SourceKind, record_source, require_source, sources_of
from blocks.records.tables import Source


class NotTheCapturer(SohoaError):
    """The declaration names another officer than the one to whom the way in is bound (Điều 8.1)."""

    code, rule = "NOT_THE_CAPTURER", "CA01"
    message = (
        "Tờ khai ghi người sao chụp khác với viên chức được gắn với nơi nộp; "
        "vui lòng bỏ mục captured_by hoặc để chính người đó nộp."
    )
    remedy = Remedy.OFFICER


class HandInAltered(SohoaError):
    """A file in the inbox is no longer the one that was handed in."""

    code, rule = "HAND_IN_ALTERED", "CA08"
    message = (
        "Tệp trong hộp nhận đã bị thay đổi sau khi nộp nên không được tiếp nhận; "
        "vui lòng báo quản trị viên kiểm tra sự cố toàn vẹn dữ liệu."
    )


@dataclass(frozen=True)
class Origin:
    """Who hands in. officer: who must sign the scans; empty: whom the declaration names, who is asked before.

    attested: makes the gateway's proof of (submission, part, file → SHA-256); None: the way in has none.
    """

    kind: SourceKind
    source: str
    officer: str = ""
    attested: Callable[[str, str, Mapping[str, str]], str] | None = None

    def capturer(self, declared: str | None) -> str:
        """Who captured, by the way in and the declaration; "" when neither says. Raises NotTheCapturer."""
        if self.officer and declared and self.officer != declared:
            raise NotTheCapturer()
        return self.officer or declared or ""

    def note(self, records: RecordsDatabase, submission: str, part: str, files: Mapping[str, str]) -> None:
        """Record it with the hashes of its files: from now on they are handed in. Raises SourceConflict."""
        proof = self.attested(submission, part, files) if self.attested else ""
        with records.session() as session:
            record_source(
                session,
                submission=submission,
                kind=self.kind,
                source=self.source,
                officer=self.officer,
                part=part,
                files=files,
                proof=proof,
            )

    def require(self, records: RecordsDatabase, submission: str, part: str) -> None:
        """Raises SourceConflict when somebody else handed it in, SourceUnknown when nobody did."""
        with records.session() as session:
            known = require_source(session, submission, part)
            if (known.kind, known.source, known.officer) != (self.kind.value, self.source, self.officer):
                raise SourceConflict()


def by_command() -> Origin:
    """Whoever types a command on this machine: the user of the operating system."""
    return Origin(SourceKind.COMMAND, pwd.getpwuid(os.getuid()).pw_name)


def expected(session: Session, submission: str, prefix: str = "") -> dict[str, str]:
    """INBOX name below the submission → SHA-256, of all hand-ins whose part begins so."""
    return {name: sha256 for row in sources_of(session, submission, prefix) for name, sha256 in row.files.items()}


def told(row: Source) -> dict[str, str]:
    """The origin for the audit trail."""
    return {"kind": row.kind, "source": row.source}
