"""Commands for one dossier: hand in, see, scan again, supplement, export; and what a signed file is worth."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table
from sqlmodel import select

from blocks.catalog import Catalog
from blocks.catalog.staff import load_staff
from blocks.clock import VIET_NAM
from blocks.objects import ObjectStore
from blocks.orchestrator import Orchestrator
from blocks.records import RecordsDatabase
from blocks.records.queries import DossierUnknown, documents
from blocks.records.tables import Scan
from blocks.trust import RevocationUnavailable
from deployments.cli.app import app, console, find
from tasks.archive.export import export_dossier
from tasks.capture.rescan import hand_in_rescan
from tasks.desk_views.worklist import Item, first_items
from tasks.intake.begin import Ended, begin
from tasks.intake.hand_in import hand_in, whole_of
from tasks.intake.origin import by_command
from tasks.intake.public_status import status_of
from tasks.intake.receipt import receipt_pdf
from tasks.intake.separators import MOST as MOST_SHEETS
from tasks.intake.separators import separators_pdf
from tasks.results.views import read_results
from tasks.signing.report import lines, page_pdf
from tasks.signing.sandbox import verify_untrusted
from tasks.verification.review import FieldView, look


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
    whole = whole_of(records, ObjectStore.get(), submission)
    if whole and (kept := [place for place in whole.blank if f"{place}/BLANK" not in whole.left_out]):
        pages = ", ".join(f"tệp {place.replace('/', ' trang ')}" for place in kept)
        console.print(f"Có vẻ trắng, vẫn giữ: {pages}. Viên chức quyết định bỏ hay không ở bước Quét lại.")


@app.command()
def separators(
    target: Annotated[Path, typer.Argument(help="Tệp PDF sẽ được ghi", dir_okay=False)],
    procedure: Annotated[str | None, typer.Option(help="Mã thủ tục: mỗi giấy tờ của thủ tục một tờ")] = None,
    count: Annotated[int, typer.Option(help="Số tờ dùng cho giấy tờ bất kỳ", min=1, max=MOST_SHEETS)] = 1,
) -> None:
    """Ghi tờ ngăn (có mã QR) để đặt giữa các giấy tờ khi quét cả hồ sơ một lần; in hai mặt."""
    target.write_bytes(separators_pdf(Catalog.get(), procedure, count))
    console.print(f"Đã ghi {target}.")


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
    code: Annotated[str, typer.Argument(help="Mã hồ sơ hoặc mã lần tiếp nhận")],
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
    code: Annotated[str, typer.Argument(help="Mã lần tiếp nhận (hoặc mã hồ sơ)")],
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


LATER = (
    "CHƯA kết luận được: dịch vụ kiểm tra thu hồi chứng thư số (OCSP, CRL) chưa trả lời; "
    "tệp chưa bị coi là không hợp lệ, vui lòng kiểm tra lại sau."
)


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
    try:
        verdict = verify_untrusted(path, signature=signature, pdf=pdf, etsi=etsi)
    except RevocationUnavailable as error:
        if as_json:
            console.print_json(data={"valid": None, "code": error.code, "sentence": LATER})
        else:
            console.print(LATER, markup=False, highlight=False)
        raise typer.Exit(3) from error
    if as_json:
        console.print_json(verdict.model_dump_json())
    else:
        for line in lines(verdict):
            console.print(line, markup=False, highlight=False)
    if page:
        page.write_bytes(page_pdf(verdict))
    if not verdict.whole:
        raise typer.Exit(2)
