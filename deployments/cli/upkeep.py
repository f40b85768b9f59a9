"""Commands for who looks after an installation: anchors, disposal, health, backup and restore."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from blocks.catalog.staff import Role, load_staff
from blocks.clock import VIET_NAM, vietnam_day
from blocks.objects import ObjectStore
from blocks.records import RecordsDatabase
from blocks.trust import Trust
from deployments.cli.app import app, console


@app.command()
def anchor() -> None:
    """Kiểm tra toàn bộ nhật ký rồi lập mốc neo: ký số, đóng dấu thời gian và khóa ngoài cơ sở dữ liệu."""
    from tasks.monitoring.audit_anchor import anchor_trail
    from tasks.monitoring.audit_trail import check_trail

    records, objects, trust = RecordsDatabase.get(), ObjectStore.get(), Trust.get()
    check_trail(records, "system", objects, trust)
    head = anchor_trail(records, objects, trust, "system")
    console.print(f"Đã lập mốc neo số {head.serial}: nhật ký có {head.seq} dòng, mã băm {head.hash}.")


@app.command()
def person(
    officer: Annotated[str, typer.Option(help="Mã lãnh đạo lập báo cáo (ghi vào nhật ký)")],
    path: Annotated[Path, typer.Argument(help="Tệp JSON mới để ghi báo cáo (có dữ liệu cá nhân)")],
) -> None:
    """Báo cáo mọi dữ liệu đang lưu về một người; số định danh được hỏi khi chạy, không ghi vào dòng lệnh."""
    from tasks.monitoring.personal_data import held_about

    owner_id = typer.prompt("Số định danh", hide_input=True, err=True) if sys.stdin.isatty() else sys.stdin.readline()
    units = sorted(
        {unit for one in load_staff().of(officer, vietnam_day()) if Role.LEAD in one.roles for unit in one.units}
    )
    report = held_about(RecordsDatabase.get(), owner_id.strip(), officer, units)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(report, file, ensure_ascii=False, indent=1)
    console.print(f"Đã ghi {len(report['dossiers'])} hồ sơ vào {path} (chỉ bạn đọc được).")


@app.command()
def dispose(
    operator: Annotated[str, typer.Option(help="Mã người thực hiện (ghi vào nhật ký và biên bản)")],
) -> None:
    """Xóa các bản lưu hết thời hạn mà hai người đã quyết định tiêu hủy; cần khóa S3 riêng của việc tiêu hủy."""
    from tasks.archive.destruction import destroy_ordered

    count = destroy_ordered(RecordsDatabase.get(), ObjectStore.get(), operator)
    console.print(f"Đã tiêu hủy {count} bản lưu; biên bản được ký trong đêm bảo quản kế tiếp.")


@app.command()
def doctor(as_json: Annotated[bool, typer.Option("--json", help="In kết quả cho phần mềm (JSON)")] = False) -> None:
    """Kiểm tra từng bộ phận có làm việc được không, và phải làm gì khi không. Mã thoát 1: có bộ phận lỗi."""
    from deployments.cli.doctor import need_set_up
    from tasks.monitoring.checks.finding import State
    from tasks.monitoring.checks.registry import examine

    need_set_up()

    found = []
    table = Table("Thành phần hệ thống", "Trạng thái", "Kết quả kiểm tra", "Việc cần làm")
    for item in examine():
        found.append(item)
        table.add_row(item.part, item.state.value, item.seen, item.advice)
    if as_json:
        console.print_json(json.dumps([asdict(item) for item in found], ensure_ascii=False))
    else:
        console.print(table)
    if any(item.state is State.BAD for item in found):
        raise typer.Exit(1)


@app.command()
def backup(
    folder: Annotated[Path, typer.Argument(help="Thư mục sao lưu (ổ đĩa khác); chạy lại thì chỉ thêm phần mới")],
    keys: Annotated[Path, typer.Option(help="Tệp chứa khóa và mật khẩu; cất riêng, không để cùng bản sao lưu")],
    recipient: Annotated[
        Path | None, typer.Option(help="Chứng thư X.509 (PEM, RSA) để mã hóa tệp khóa", exists=True, dir_okay=False)
    ] = None,
    keep: Annotated[int, typer.Option(help="Số bản sao lưu được giữ lại", min=1)] = 30,
    whole: Annotated[
        bool, typer.Option("--whole", help="Sao chép toàn bộ cơ sở dữ liệu ngay, không đợi đủ 24 giờ")
    ] = False,
) -> None:
    """Sao lưu cơ sở dữ liệu, mọi phiên bản tệp kèm khóa lưu trữ, hộp nhận; khóa bí mật ra tệp riêng."""
    from deployments.cli.backup import backup as run

    with _plain():
        done = run(folder, keys, recipient=recipient, keep=keep, whole=whole)
    size = f"{done.new_bytes / 1e6:.1f} MB".replace(".", ",")
    console.print(f"Đã sao lưu {done.name}: {done.versions} phiên bản tệp, mới {done.new} ({size}); khóa ở {keys}")


@app.command()
def restore(
    folder: Annotated[Path, typer.Argument(help="Thư mục sao lưu", exists=True, file_okay=False)],
    keys: Annotated[Path, typer.Option(help="Tệp khóa của bản sao lưu", exists=True, dir_okay=False)],
    identity: Annotated[
        Path | None, typer.Option(help="Chứng thư và khóa riêng (PEM) mở tệp khóa", exists=True, dir_okay=False)
    ] = None,
    until: Annotated[str | None, typer.Option(help="Thời điểm cần trở về, ví dụ 2026-11-30T09:15:00+07:00")] = None,
) -> None:
    """Khôi phục vào SOHOA_HOME mới (đường dẫn, máy, cổng khác đều được), rồi đối chiếu mã băm của mọi tệp."""
    from deployments.cli.backup import restore as run

    moment = datetime.fromisoformat(until) if until else None
    if moment is not None and moment.tzinfo is None:
        moment = moment.replace(tzinfo=VIET_NAM)
    with _plain():
        found = run(folder, keys, identity=identity, until=moment)
    console.print(f"Đã khôi phục; {found.checked} tệp đúng mã băm, {found.dropped} bản sao đã xóa theo quy định.")
    for place in found.missing:
        console.print(f"[red]Thiếu[/] {place}", highlight=False)
    for place in found.different:
        console.print(f"[red]Sai mã băm[/] {place}", highlight=False)
    for bucket, count in found.unknown.items():
        console.print(f"Ngoài hồ sơ: {count} tệp trong kho {bucket}")
    if not found.whole:
        raise typer.Exit(1)
    console.print("Bước tiếp theo: make up")


@contextmanager
def _plain() -> Iterator[None]:
    """What the stack's own parts say is for administrators: one line, no traceback."""
    from infra.local.process import StackError

    try:
        yield
    except StackError as error:
        Console(stderr=True).print(f"[red]{error}[/]", soft_wrap=True)
        raise typer.Exit(3) from error
