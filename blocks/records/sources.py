"""Where what was handed in came from, and what it was: way in, who answers for it, SHA-256 of each file (Điều 8.1).

One row for each hand-in of a submission: its first (``r1``), each supplement (``r2`` …), each rescan
(``rescan/<component>/<attempt>/<time>``). A row is written once and kept. What has no row was not handed in.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from sqlalchemy.exc import IntegrityError as Duplicate
from sqlmodel import Session, col, select

from blocks.errors import Remedy, SohoaError
from blocks.records.tables import Source

FIRST = "r1"


class SourceKind(StrEnum):
    SESSION = "SESSION"  # at the desk, by an officer who was signed in
    INBOX = "INBOX"  # a folder of the inbox that is bound to an officer
    PARTNER = "PARTNER"  # another system, by its own identity
    COMMAND = "COMMAND"  # `sohoa submit` and its like, by an OS user


class SourceConflict(SohoaError):
    """The same papers were handed in before by somebody else or in another way."""

    code, rule = "SOURCE_CONFLICT", "CO06"
    message = (
        "Hồ sơ này đã được nộp trước đó qua đường khác hoặc bởi người khác; vui lòng mở hồ sơ đã có thay vì nộp lại."
    )
    remedy = Remedy.OFFICER


class SourceUnknown(SohoaError):
    """Nobody is known who handed this in: it is not taken (fail closed)."""

    code, rule = "SOURCE_UNKNOWN", "CA01"
    message = (
        "Không rõ ai đã nộp hồ sơ này nên không thể tiếp nhận; "
        "vui lòng nộp lại qua cổng viên chức, hộp nhận hoặc lệnh sohoa."
    )
    remedy = Remedy.OFFICER


def record_source(
    session: Session,
    *,
    submission: str,
    kind: SourceKind,
    source: str,
    officer: str,
    part: str = FIRST,
    files: Mapping[str, str] | None = None,
    proof: str = "",
) -> None:
    """Note where a hand-in came from. Idempotent; raises SourceConflict when another one is noted.

    source: session's officer id, inbox folder's name, partner's id, OS user. officer: who must sign the scans; empty
    where the way in binds nobody, then the declaration says. files: INBOX name below the submission → SHA-256 (hex);
    None: compare nothing. proof: the gateway's attestation of a SESSION (blocks/identity.py).
    """
    if (known := source_of(session, submission, part)) is None:
        row = Source(
            submission=submission,
            part=part,
            kind=kind.value,
            source=source,
            officer=officer,
            files=dict(files or {}),
            proof=proof,
        )
        try:
            with session.begin_nested():
                session.add(row)
            return
        except Duplicate:  # another process was faster
            known = source_of(session, submission, part)
    assert known is not None
    same = (known.kind, known.source, known.officer) == (kind.value, source, officer)
    if not same or (files is not None and dict(files) != known.files):
        raise SourceConflict()


def source_of(session: Session, submission: str, part: str = FIRST) -> Source | None:
    """Where one hand-in came from; None: it never was."""
    return session.exec(select(Source).where(Source.submission == submission, Source.part == part)).first()


def sources_of(session: Session, submission: str, prefix: str = "") -> list[Source]:
    """All hand-ins of a submission whose part begins so, the oldest first."""
    query = select(Source).where(Source.submission == submission, col(Source.part).startswith(prefix, autoescape=True))
    return list(session.exec(query.order_by(col(Source.at), col(Source.part))))


def require_source(session: Session, submission: str, part: str = FIRST) -> Source:
    """Like source_of. Raises SourceUnknown."""
    if (found := source_of(session, submission, part)) is None:
        raise SourceUnknown()
    return found
