"""`sohoa partner`: the administrator's register of partners. Every change is in the audit trail."""

from __future__ import annotations

import getpass
import json
import re
from datetime import timedelta
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from sqlmodel import col, func, select

from blocks.clock import VIET_NAM
from blocks.records import RecordsDatabase
from blocks.records.partners import (
    SCOPES,
    Partner,
    PartnerCase,
    PartnerSecret,
    add_partner,
    change_partner,
    revoke,
    rotate,
)
from blocks.records.tables import now
from blocks.webhooks import ENTRY
from tasks.partner_cases.callbacks import again, dead

app = typer.Typer(no_args_is_help=True, help="Đối tác: hệ thống khác được phép chuyển hồ sơ đến.")
console = Console(width=160)
ID = Annotated[str, typer.Argument(help="Mã đối tác: chữ thường, số, gạch nối")]


def _check(name: str, pattern: str, values: list[str]) -> None:
    if any(not re.fullmatch(pattern, value) for value in values):
        raise typer.BadParameter(f"giá trị không hợp lệ của {name}")


@app.command()
def add(
    partner: ID,
    name: Annotated[str, typer.Option(help="Tên hệ thống")],
    unit: Annotated[list[str], typer.Option(help="Đơn vị được chuyển hồ sơ đến; lặp lại cho nhiều đơn vị")],
    procedure: Annotated[list[str], typer.Option(help="Mã thủ tục; lặp lại cho nhiều thủ tục")],
    officer: Annotated[list[str], typer.Option(help="Viên chức chịu trách nhiệm bản chụp và ký số (Điều 8.1)")],
    callback_host: Annotated[
        list[str] | None, typer.Option(help="Máy chủ nhận thông báo: host, host:port, host:port=địa chỉ nội bộ")
    ] = None,
    scope: Annotated[list[str] | None, typer.Option(help=f"Phạm vi: {', '.join(SCOPES)}; mặc định là tất cả")] = None,
    open_limit: Annotated[int, typer.Option(help="Số hồ sơ chưa kết thúc nhiều nhất", min=1)] = 200,
    minute_limit: Annotated[int, typer.Option(help="Số yêu cầu mỗi phút nhiều nhất", min=1)] = 600,
) -> None:
    """Thêm một đối tác; mật khẩu chỉ hiện một lần."""
    _check("mã đối tác", r"[a-z0-9][a-z0-9-]{1,31}", [partner])
    _check("--callback-host", ENTRY.pattern, callback_host or [])
    _check("--scope", "|".join(SCOPES), scope or [])
    row = Partner(
        id=partner,
        name=name,
        units=unit,
        procedures=procedure,
        officers=officer,
        scopes=scope or list(SCOPES),
        hosts=callback_host or [],
        open_limit=open_limit,
        minute_limit=minute_limit,
    )
    with RecordsDatabase.get().session() as session:
        secret = add_partner(session, row, _actor())
    _show(partner, secret)


@app.command()
def change(
    partner: ID,
    unit: Annotated[list[str] | None, typer.Option(help="Thay danh sách đơn vị")] = None,
    procedure: Annotated[list[str] | None, typer.Option(help="Thay danh sách thủ tục")] = None,
    officer: Annotated[list[str] | None, typer.Option(help="Thay danh sách viên chức")] = None,
    callback_host: Annotated[list[str] | None, typer.Option(help="Thay danh sách máy chủ nhận thông báo")] = None,
    scope: Annotated[list[str] | None, typer.Option(help="Thay phạm vi")] = None,
    open_limit: Annotated[int | None, typer.Option(help="Số hồ sơ chưa kết thúc nhiều nhất", min=1)] = None,
    minute_limit: Annotated[int | None, typer.Option(help="Số yêu cầu mỗi phút nhiều nhất", min=1)] = None,
) -> None:
    """Thay phạm vi của một đối tác; có hiệu lực ngay, trừ phạm vi của mã truy cập đã cấp (nhiều nhất 15 phút)."""
    _check("--callback-host", ENTRY.pattern, callback_host or [])
    _check("--scope", "|".join(SCOPES), scope or [])
    told: dict[str, Any] = {"units": unit, "procedures": procedure, "officers": officer}
    told |= {"scopes": scope, "hosts": callback_host}
    told |= {"open_limit": open_limit, "minute_limit": minute_limit}
    with RecordsDatabase.get().session() as session:
        change_partner(session, partner, {name: value for name, value in told.items() if value}, _actor())
    console.print(f"Đã thay đổi đối tác {partner}.")


@app.command(name="rotate")
def rotate_secret(
    partner: ID, days: Annotated[int, typer.Option(help="Mật khẩu cũ còn dùng được bao nhiêu ngày", min=0, max=90)] = 7
) -> None:
    """Cấp mật khẩu mới; mật khẩu đang dùng hết hiệu lực sau số ngày này."""
    with RecordsDatabase.get().session() as session:
        secret = rotate(session, partner, timedelta(days=days), _actor())
    _show(partner, secret)


@app.command(name="revoke")
def revoke_partner(partner: ID) -> None:
    """Thu hồi: mọi mật khẩu và mã truy cập của đối tác hết hiệu lực ngay. Hồ sơ đã nộp vẫn được giải quyết."""
    with RecordsDatabase.get().session() as session:
        revoke(session, partner, _actor())
    console.print(f"Đã thu hồi đối tác {partner}.")


@app.command(name="list")
def list_partners(as_json: Annotated[bool, typer.Option("--json", help="In cho phần mềm (JSON)")] = False) -> None:
    """Các đối tác, phạm vi, số hồ sơ đang mở, mật khẩu còn hiệu lực, thông báo không gửi được."""
    stuck = [row.payload["partner"] for row in dead(RecordsDatabase.get())]
    rows: list[dict[str, Any]] = []
    with RecordsDatabase.get().session() as session:
        for row in session.exec(select(Partner).order_by(Partner.id)):
            opened = select(func.count()).where(PartnerCase.partner_id == row.id, col(PartnerCase.ended_at).is_(None))
            valid = select(PartnerSecret).where(
                PartnerSecret.partner_id == row.id,
                col(PartnerSecret.ends_at).is_(None) | (col(PartnerSecret.ends_at) > now()),
            )
            ends = [secret.ends_at for secret in session.exec(valid)]
            rows.append(
                {
                    "id": row.id,
                    "name": row.name,
                    "units": row.units,
                    "procedures": row.procedures,
                    "officers": row.officers,
                    "revoked": row.revoked_at is not None,
                    "open": session.exec(opened).one(),
                    "secrets": [f"{end.astimezone(VIET_NAM):%d/%m/%Y %H:%M}" if end else "" for end in ends],
                    "callback": row.callback_url,
                    "dead": stuck.count(row.id),
                }
            )
    if as_json:
        print(json.dumps(rows, ensure_ascii=False))
        return
    table = Table("Mã", "Tên", "Đơn vị", "Thủ tục", "Viên chức", "Đang mở", "Mật khẩu (hết hạn)", "Thông báo lỗi")
    for told in rows:
        secrets = "đã thu hồi" if told["revoked"] else "; ".join(end or "không hạn" for end in told["secrets"])
        lists = [", ".join(told[name]) for name in ("units", "procedures", "officers")]
        table.add_row(told["id"], told["name"], *lists, str(told["open"]), secrets, str(told["dead"]))
    console.print(table)


@app.command()
def resend(partner: ID) -> None:
    """Gửi lại các thông báo mà hệ thống của đối tác không nhận sau mọi lần thử."""
    console.print(f"Sẽ gửi lại {again(RecordsDatabase.get(), partner)} thông báo.")


def _actor() -> str:
    return getpass.getuser()


def _show(partner: str, secret: str) -> None:
    """Once: nobody can read it again."""
    console.print(f"client_id: {partner}", highlight=False)
    console.print(f"client_secret: {secret}", highlight=False, markup=False, soft_wrap=True)
    console.print("Mật khẩu này không xem lại được; vui lòng chuyển cho đối tác qua kênh an toàn.")
