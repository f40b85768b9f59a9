"""The `sohoa` command: hand in, look up, review, decide, verify. Everything an officer sees is Vietnamese.

Exit status: 0 done, 2 refused with a code and a sentence (bad input), 3 an outside part doesn't answer.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from sqlmodel import select

from blocks.catalog import Catalog
from blocks.catalog.staff import Role, load_staff
from blocks.clock import VIET_NAM, vietnam_day
from blocks.errors import Remedy, SohoaError
from blocks.objects import ObjectStore
from blocks.orchestrator import Orchestrator
from blocks.records import RecordsDatabase
from blocks.records.queries import DossierUnknown, documents
from blocks.records.tables import Dossier, Scan
from blocks.settings import load_stack_env
from blocks.trust import Trust
from deployments.cli import accounts
from deployments.partners.commands import app as partner
from tasks.archive.export import export_dossier
from tasks.capture.rescan import hand_in_rescan
from tasks.desk_views.worklist import Item, first_items
from tasks.intake.begin import Ended, begin
from tasks.intake.origin import by_command
from tasks.intake.public_status import status_of
from tasks.intake.receipt import receipt_pdf
from tasks.intake.submission import hand_in
from tasks.results.views import read_results
from tasks.signing.report import lines, page_pdf
from tasks.signing.sandbox import verify_untrusted
from tasks.verification.review import FieldView, look

app = typer.Typer(no_args_is_help=True, add_completion=False)
app.add_typer(partner, name="partner")
app.add_typer(accounts.officer, name="officer")
app.add_typer(accounts.sessions, name="sessions")
# Not cut at 80 columns where the output is no terminal: codes and ids are there to be copied.
console = Console(width=None if sys.stdout.isatty() else 160)


def _told_version(wanted: bool) -> None:
    if wanted:
        console.print(f"sohoa {version('sohoa')}")
        raise typer.Exit()


@app.callback()
def command(
    _: Annotated[bool, typer.Option("--version", callback=_told_version, is_eager=True, help="In phiên bản")] = False,
) -> None:
    """Sohoa – số hóa hồ sơ thủ tục hành chính BHXH."""


def find(code: str) -> Dossier:
    """A dossier by its code, or by its submission id while it has no code. Raises DossierUnknown."""
    with RecordsDatabase.get().session() as session:
        row = session.exec(select(Dossier).where((Dossier.code == code) | (Dossier.submission == code))).first()
        if row is None:
            raise DossierUnknown()
        session.expunge(row)
        return row


@app.command()
def submit(
    folder: Annotated[Path, typer.Argument(help="Thư mục hồ sơ có tệp dossier.yaml", exists=True, file_okay=False)],
) -> None:
    """Nộp một thư mục hồ sơ và bắt đầu xử lý; nộp lại cùng nội dung không tạo hồ sơ mới."""
    records = RecordsDatabase.get()
    submission = hand_in(records, ObjectStore.get(), folder, by_command())
    begun = begin(records, Orchestrator(), submission, tags=["cli"])
    if isinstance(begun, Ended):
        console.print(begun.text)
    else:
        console.print(f"Đã nhận lần nộp [bold]{submission}[/], lượt xử lý {begun}")


@app.command()
def status(code: Annotated[str, typer.Argument(help="Mã hồ sơ")]) -> None:
    """Tra cứu tình trạng giải quyết (không hiển thị dữ liệu cá nhân)."""
    view = status_of(RecordsDatabase.get(), code)
    for name, value in view.items():
        console.print(f"{name}: [bold]{value if value is not None else '–'}[/]")


@app.command()
def waiting(
    officer: Annotated[str | None, typer.Option(help="Mã viên chức: chỉ việc mà người này được quyết định")] = None,
) -> None:
    """Các hồ sơ đang chờ viên chức quyết định, hạn trả kết quả gần nhất đứng trước."""
    table = Table("Hồ sơ", "Chờ bước", "Từ lúc", "Hạn trả", "Còn (ngày làm việc)", "Lượt xử lý")
    staff = load_staff() if officer else None
    for item in first_items(RecordsDatabase.get(), Catalog.get(), officer=officer, staff=staff):
        since = item.since.astimezone(VIET_NAM)
        due = f"{item.due:%d/%m/%Y}" if item.due else "–"
        table.add_row(item.code, item.step, f"{since:%d/%m/%Y %H:%M}", due, _left(item), str(item.flow_run_id))
    console.print(table)


def _left(item: Item) -> str:
    if item.left is None:
        return "–"
    if item.left < 0:
        return f"[red]quá hạn {-item.left}, báo lãnh đạo[/]"
    if item.escalated:
        return "[red]hết hạn hôm nay, báo lãnh đạo[/]"
    return f"[yellow]{item.left}, sắp đến hạn[/]" if item.near else str(item.left)


@app.command()
def review(
    code: Annotated[str, typer.Argument(help="Mã hồ sơ")],
    officer: Annotated[str, typer.Argument(help="Mã viên chức xem hồ sơ; mỗi lần xem đều được ghi nhật ký")],
) -> None:
    """Xem dữ liệu bóc tách để đối chiếu với bản giấy; trường cần kiểm tra đứng trên cùng (có dữ liệu cá nhân)."""
    seen = look(RecordsDatabase.get(), Catalog.get(), find(code).id, officer, grants=None)
    console.print(f"Hồ sơ [bold]{seen.code}[/] · {seen.state} · {seen.originals} bản giấy đã khai", highlight=False)
    for part in seen.components:
        table = Table("Cần xem", "Trường", "Mã trường", "Giá trị", "Dữ liệu đã có", "Tin cậy", "Trang", "Nguồn")
        table.title = f"{part.ordinal}. {part.kind} · {part.state_label} · {part.images}/{part.expected} ảnh"
        for field in part.fields:
            row = [_why(field), field.label, field.name, _value(field), field.shared or "", f"{field.confidence:.2f}"]
            table.add_row(*map(escape, row), str(field.page or ""), field.source.value)
        console.print(table)
        for mark in part.signatures:
            verdict = "hợp lệ" if mark.valid else "KHÔNG hợp lệ"
            test = " · TEST, không có giá trị pháp lý" if mark.test else ""
            console.print(f"   {mark.label}: {verdict}, {mark.level}{test}", highlight=False)
    for event in seen.history:
        at = event.at.astimezone(VIET_NAM)
        by = f" ({event.article})" if event.article else ""
        console.print(f"{at:%d/%m/%Y %H:%M} · {event.actor} · {event.sentence}{by}", highlight=False)


def _why(field: FieldView) -> str:
    notes = [("còn trống", field.missing), ("tin cậy thấp", field.doubtful), ("khác dữ liệu đã có", field.differs)]
    return ", ".join(text for text, holds in notes if holds)


def _value(field: FieldView) -> str:
    if field.absent:
        return "(không có trên giấy tờ)"
    value = field.value or ""
    if field.printed and field.printed != field.value:
        value += f" (in: {field.printed})"
    if field.extracted:
        value += f" (máy đọc: {field.extracted}; sửa vì {field.corrected_because})"
    return value


@app.command()
def result(
    code: Annotated[str, typer.Argument(help="Mã hồ sơ")],
    officer: Annotated[str, typer.Argument(help="Mã viên chức xem kết quả; mỗi lần xem đều được ghi nhật ký")],
    target: Annotated[Path, typer.Argument(help="Tệp PDF sẽ được ghi (có dữ liệu cá nhân)", dir_okay=False)],
) -> None:
    """Ghi văn bản kết quả ra tệp: bản đã phát hành, hoặc dự thảo chưa có số và chữ ký."""
    found = read_results(RecordsDatabase.get(), ObjectStore.get(), Catalog.get(), code, officer, grants=None)
    for number, data in enumerate(found, 1):
        path = target if number == 1 else target.with_stem(f"{target.stem}-{number}")
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
            stream.write(data)
        console.print(f"Đã ghi {path}.")
    if not found:
        console.print("Thủ tục này không có văn bản kết quả do hệ thống phát hành.")


@app.command()
def rescan(
    code: Annotated[str, typer.Argument(help="Mã hồ sơ hoặc mã lần nộp")],
    component: Annotated[int, typer.Argument(help="Thành phần số", min=1)],
    files: Annotated[list[Path], typer.Argument(help="Các tệp quét lại, theo thứ tự", exists=True, dir_okay=False)],
    page: Annotated[int | None, typer.Option(help="Chỉ thay các trang từ trang này, mỗi tệp một trang", min=1)] = None,
    insert: Annotated[int | None, typer.Option(help="Chèn thành các trang từ trang này", min=1)] = None,
) -> None:
    """Nộp bản quét lại của một thành phần hoặc một số trang; sau đó xác nhận DA_QUET_LAI tại bước đang chờ."""
    if page is not None and insert is not None:
        raise typer.BadParameter("Chỉ dùng một trong hai: --page hoặc --insert.")
    dossier = find(code)
    with RecordsDatabase.get().session() as session:
        document = next((d for d in documents(session, dossier.id) if d.ordinal == component), None)
        if document is None:
            raise DossierUnknown()
        attempt = document.attempt + 1
    hand_in_rescan(
        RecordsDatabase.get(),
        ObjectStore.get(),
        by_command(),
        dossier.submission,
        component,
        attempt,
        files if page is None and insert is None else [],
        replaced=dict(enumerate(files, page)) if page is not None else None,
        inserted=dict(enumerate(files, insert)) if insert is not None else None,
    )
    console.print(f"Đã nhận {len(files)} tệp quét lại của thành phần {component}.")


@app.command()
def supplement(
    code: Annotated[str, typer.Argument(help="Mã lần nộp (hoặc mã hồ sơ)")],
    folder: Annotated[Path, typer.Argument(help="Thư mục hồ sơ đã bổ sung", exists=True, file_okay=False)],
) -> None:
    """Bổ sung hồ sơ trước khi tiếp nhận; sau đó xác nhận DA_BO_SUNG tại bước đang chờ."""
    dossier = find(code)
    services, revision = (RecordsDatabase.get(), ObjectStore.get()), dossier.revision + 1
    hand_in(*services, folder, by_command(), submission=dossier.submission, revision=revision)
    console.print("Đã nhận hồ sơ bổ sung.")


@app.command()
def receipt(
    code: Annotated[str, typer.Argument(help="Mã hồ sơ")],
    output: Annotated[Path, typer.Argument(help="Tệp PDF để ghi phiếu")],
) -> None:
    """Xuất Phiếu tiếp nhận hồ sơ và hẹn trả kết quả."""
    output.write_bytes(receipt_pdf(RecordsDatabase.get(), Catalog.get(), find(code).id))
    console.print(f"Đã ghi {output}")


@app.command()
def originals(code: Annotated[str, typer.Argument(help="Mã hồ sơ")]) -> None:
    """Danh sách tệp gốc đã lưu và mã băm SHA-256 của từng tệp."""
    dossier = find(code)
    table = Table("Thành phần", "Lần quét", "Tệp", "SHA-256", "Byte", "Lỗi")
    with RecordsDatabase.get().session() as session:
        for document in documents(session, dossier.id):
            for scan in session.exec(select(Scan).where(Scan.document_id == document.id)):
                table.add_row(
                    str(document.ordinal),
                    str(scan.attempt),
                    str(scan.ordinal),
                    scan.sha256,
                    str(scan.size),
                    scan.refused_code or "",
                )
    console.print(table)


@app.command()
def export(
    code: Annotated[str, typer.Argument(help="Mã hồ sơ")],
    folder: Annotated[Path, typer.Argument(help="Thư mục mới để ghi gói nộp lưu")],
    officer: Annotated[str, typer.Option(help="Mã viên chức xuất hồ sơ (ghi vào nhật ký)")],
) -> None:
    """Xuất gói nộp lưu của một hồ sơ đã lưu trữ (có dữ liệu cá nhân): tệp đã ký, dữ liệu đặc tả, mã băm."""
    report = export_dossier(RecordsDatabase.get(), ObjectStore.get(), Catalog.get(), code, folder, officer)
    console.print(f"Đã ghi {report.documents} thành phần, {report.files} tệp vào {folder}")
    for place in report.shortened:
        console.print(f"Đã rút gọn theo Phụ lục VI (nội dung đầy đủ trong manifest.json): {place}")


@app.command()
def verify(
    path: Annotated[
        Path, typer.Argument(help="Tệp cần kiểm tra: PDF, hoặc dữ liệu kèm --signature", exists=True, dir_okay=False)
    ],
    signature: Annotated[
        Path | None, typer.Option(help="Chữ ký rời (p7s) trên tệp", exists=True, dir_okay=False)
    ] = None,
    pdf: Annotated[
        Path | None,
        typer.Option(help="Bản sao PDF mà dữ liệu phải mô tả (cùng với --signature)", exists=True, dir_okay=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="In kết quả cho phần mềm (JSON)")] = False,
    page: Annotated[Path | None, typer.Option(help="Ghi kết quả thành một trang PDF")] = None,
    etsi: Annotated[Path | None, typer.Option(help="Ghi báo cáo ETSI TS 119 102-2 (XML) vào thư mục này")] = None,
) -> None:
    """Kiểm tra mọi chữ ký số trong một tệp PDF, hoặc chữ ký rời trên tệp dữ liệu (và bản sao PDF của nó)."""
    if pdf and not signature:
        raise typer.BadParameter("--pdf chỉ dùng cùng với --signature")
    verdict = verify_untrusted(path, signature=signature, pdf=pdf, etsi=etsi)
    if as_json:
        console.print_json(verdict.model_dump_json())
    else:
        for line in lines(verdict):
            console.print(line, markup=False, highlight=False)
    if page:
        page.write_bytes(page_pdf(verdict))
    if not verdict.whole:
        raise typer.Exit(2)


@app.command()
def anchor() -> None:
    """Kiểm tra toàn bộ nhật ký rồi lập mốc neo: ký số, đóng dấu thời gian và khóa ngoài cơ sở dữ liệu."""
    from tasks.monitoring.audit_anchor import anchor_trail
    from tasks.monitoring.audit_trail import check_trail

    records, objects, trust = RecordsDatabase.get(), ObjectStore.get(), Trust.get()
    check_trail(records, "system", objects, trust)
    made = anchor_trail(records, objects, trust, "system")
    console.print(f"Đã lập mốc neo số {made.serial}: nhật ký có {made.seq} dòng, mã băm {made.hash}.")


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
    told = held_about(RecordsDatabase.get(), owner_id.strip(), officer, units)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(told, file, ensure_ascii=False, indent=1)
    console.print(f"Đã ghi {len(told['dossiers'])} hồ sơ vào {path} (chỉ bạn đọc được).")


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
    table = Table("Bộ phận", "Kết quả", "Nhận thấy", "Việc cần làm")
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
        made = run(folder, keys, recipient=recipient, keep=keep, whole=whole)
    size = f"{made.new_bytes / 1e6:.1f} MB".replace(".", ",")
    console.print(f"Đã sao lưu {made.name}: {made.versions} phiên bản tệp, mới {made.new} ({size}); khóa ở {keys}")


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


def main() -> None:
    # Tables that flows have no right to; the S3 key of disposal (secrets/disposal.env).
    for command, part in (("officer", "gateway"), ("sessions", "gateway"), ("dispose", "disposal")):
        if sys.argv[1:2] == [command]:
            os.environ.setdefault("SOHOA_PART", part)
    load_stack_env()
    try:
        app(standalone_mode=True)
    except SohoaError as error:
        Console(stderr=True).print(f"[red]{error.code}[/]: {error.text}")
        sys.exit(3 if error.remedy is Remedy.RETRY else 2)


if __name__ == "__main__":
    main()
