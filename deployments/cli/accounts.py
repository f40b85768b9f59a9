"""`sohoa officer …` and `sohoa sessions`: which account is whose, who is signed in, and ending it (WH04)."""

from __future__ import annotations

import getpass
import os
import re
from typing import Annotated
from uuid import UUID

import typer
from rich.console import Console
from rich.table import Table
from sqlmodel import Session

from blocks.clock import VIET_NAM
from blocks.errors import Remedy, SohoaError
from blocks.records import RecordsDatabase, signins
from blocks.records.audit import audit
from tasks.pauses.form import OFFICER_ID

officer = typer.Typer(no_args_is_help=True, help="Tài khoản ở máy chủ định danh của viên chức nào.")
sessions = typer.Typer(invoke_without_command=True, help="Phiên làm việc đang mở; kết thúc phiên.")
console = Console()


class NoIssuer(SohoaError):
    """The issuer of an account is neither configured nor given."""

    code, rule = "NO_ISSUER", "WH04"
    message = "Chưa biết máy chủ định danh; vui lòng đặt SOHOA_OIDC_ISSUER hoặc dùng --issuer."
    remedy = Remedy.ADMINISTRATOR


class NoSession(SohoaError):
    """There is no such open session."""

    code, rule = "NO_SESSION", "WH04"
    message = "Không có phiên đang mở nào như vậy."
    remedy = Remedy.ADMINISTRATOR


Issuer = Annotated[str | None, typer.Option(help="Máy chủ định danh; mặc định theo SOHOA_OIDC_ISSUER")]
Id = Annotated[str, typer.Argument(help="Mã viên chức")]


def _issuer(named: str | None) -> str:
    issuer = named or os.environ.get("SOHOA_OIDC_ISSUER") or ""
    if not issuer:
        raise NoIssuer()
    return issuer.rstrip("/")


def _who() -> str:
    """Who types: an OS user, in the form that the audit trail takes."""
    return "os:" + re.sub(r"\S*[^A-Za-z0-9._-]\S*", "unknown", getpass.getuser())[:64]


def _officer(ident: str) -> str:
    if not re.fullmatch(OFFICER_ID, ident):
        raise typer.BadParameter("Mã viên chức chỉ gồm chữ thường, số, dấu chấm, gạch.")
    return ident


@officer.command()
def bind(
    ident: Id, sub: Annotated[str, typer.Argument(help="Mã chủ thể (sub) của tài khoản")], issuer: Issuer = None
) -> None:
    """Gắn một tài khoản với một viên chức; tài khoản khác dùng tên này sẽ bị từ chối."""
    with RecordsDatabase.get().session() as session:
        signins.bind(session, _issuer(issuer), sub, _officer(ident), _who())
    console.print(f"Đã gắn tài khoản với {ident}.")


@officer.command()
def unbind(ident: Id, issuer: Issuer = None) -> None:
    """Gỡ tài khoản của một viên chức và kết thúc các phiên của người đó."""
    with RecordsDatabase.get().session() as session:
        signins.unbind(session, _issuer(issuer), _officer(ident), _who())
        for row in signins.still_open(session, ident):
            signins.end(session, row.id, _who(), "UNBOUND")
    console.print(f"Đã gỡ tài khoản của {ident}; các phiên của người này kết thúc trong vòng một phút.")


@officer.command("list")
def bound() -> None:
    """Tài khoản nào đã gắn với viên chức nào, từ lúc nào, ai gắn."""
    table = Table("Viên chức", "Máy chủ định danh", "Tài khoản (sub)", "Gắn lúc", "Ai gắn")
    with RecordsDatabase.get().session() as session:
        for row in signins.bindings(session):
            at = f"{row.bound_at.astimezone(VIET_NAM):%d/%m/%Y %H:%M}"
            table.add_row(row.officer, row.issuer, row.sub, at, row.bound_by)
    console.print(table)


@sessions.callback()
def listed(context: typer.Context) -> None:
    """Các phiên làm việc đang mở."""
    if context.invoked_subcommand is not None:
        return
    table = Table("Phiên", "Viên chức", "Bắt đầu", "Dùng lần cuối")
    with RecordsDatabase.get().session() as session:
        for row in signins.still_open(session):
            began, seen = (f"{at.astimezone(VIET_NAM):%d/%m/%Y %H:%M}" for at in (row.began_at, row.seen_at))
            table.add_row(str(row.id), row.officer, began, seen)
    console.print(table)


@sessions.command()
def end(
    which: Annotated[str, typer.Argument(help="Mã phiên, hoặc mã viên chức: mọi phiên của người đó")],
) -> None:
    """Kết thúc một phiên, hoặc mọi phiên của một viên chức, trong vòng một phút."""
    with RecordsDatabase.get().session() as session:
        rows = [row for row in signins.still_open(session) if which in (str(row.id), row.officer)]
        if not rows:
            raise NoSession()
        for row in rows:
            _end(session, row.id, row.officer)
    console.print(f"Đã kết thúc {len(rows)} phiên; cổng đóng các phiên này trong vòng một phút.")


def _end(session: Session, ident: UUID, whose: str) -> None:
    signins.end(session, ident, _who(), "ENDED")
    audit(session, actor=_who(), action="end-session", rule="WH04", details={"officer": whose})
