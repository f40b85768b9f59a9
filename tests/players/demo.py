"""`make demo`: hands the samples in, plays the officers, and shows what became of every dossier.

Exit status 0 only if every dossier reached the state that its truth expects. A second run finds the same
submissions and adds nothing.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from sqlmodel import col, select

from blocks.errors import SohoaError
from blocks.objects import ObjectStore
from blocks.orchestrator import Orchestrator
from blocks.records import RecordsDatabase
from blocks.records.queries import file_of
from blocks.records.tables import Document, Dossier, Page, Signature
from blocks.settings import gateway_url, load_stack_env
from blocks.trust import Trust
from tasks.intake.public_status import status_of
from tasks.signing.verify import verify_pdf
from tests.players.officers import Officers, Sample

ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
# Where the output is no terminal (CI, a pipe) rich would assume 80 columns and cut the codes.
console = Console(width=None if sys.stdout.isatty() else 130)


@dataclass
class Outcome:
    """One row of the closing table."""

    name: str
    state: str
    expected: str
    code: str
    pages: int
    seconds: float
    signatures: str

    @property
    def right(self) -> bool:
        return self.state == self.expected


def play(
    officers: Officers, samples: list[Sample], *, timeout: float, patience: float = float("inf")
) -> dict[str, str]:
    """Drive all samples to their end, at most `timeout` seconds and `patience` without news.

    Returns the state type of each flow run by its id.
    """
    by_run = {sample.run_id: sample for sample in samples if sample.run_id}
    in_inbox = [sample for sample in samples if sample.inbox and not sample.run_id]
    states = dict.fromkeys(by_run, "")
    news = time.monotonic()
    deadline = news + timeout
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("hồ sơ", total=len(states) + len(in_inbox))
        while time.monotonic() < min(deadline, news + patience):
            answers = []
            for sample in [one for one in in_inbox if officers.collected(one)]:
                in_inbox.remove(sample)
                if sample.run_id:
                    by_run[sample.run_id], states[sample.run_id], news = sample, "", time.monotonic()
            open_runs = [run_id for run_id, state in states.items() if state not in ENDED]
            # One call for all, and only what is news: the server has other work.
            news_of = {"type": {"any_": ["PAUSED", *sorted(ENDED)]}}
            for run in officers.prefect.runs(id={"any_": open_runs}, state=news_of) if open_runs else ():
                if run["state_type"] != states[run["id"]]:
                    news = time.monotonic()
                states[run["id"]] = run["state_type"]
                sample = by_run[run["id"]]
                if run["state_type"] == "PAUSED" and (stage := officers.answer(sample, run)):
                    answers.append(f"{sample.name}: {stage}")
            ended = sum(state in ENDED for state in states.values())
            progress.update(bar, completed=ended)
            if answers:
                news = time.monotonic()
            for line in answers:
                progress.console.print(f"  viên chức trả lời · {line}", style="dim")
            if ended == len(states) and not in_inbox:
                break
            time.sleep(1)
    return states


def outcome(sample: Sample, officers: Officers, states: dict[str, str]) -> Outcome:
    """What became of one sample, read from the records and from the stored files themselves."""
    expected = str(sample.truth["expected_state"])
    if sample.refused:
        return Outcome(sample.name, "REFUSED", expected, sample.refused, 0, 0.0, "–")
    if not sample.submission:
        return Outcome(sample.name, "HỘP NHẬN", expected, "", 0, 0.0, "–")
    run = officers.prefect.run(sample.run_id) if sample.run_id else {}  # none: it had ended, Prefect has forgotten it
    dossier, ran = officers.dossier(sample), states.get(sample.run_id, "COMPLETED")
    if dossier is None:
        return Outcome(sample.name, f"LƯỢT {ran}", expected, "", 0, 0.0, "–")
    state = dossier.state.value if ran == "COMPLETED" else f"{dossier.state.value}/{ran}"
    with officers.records.session() as session:
        pages = len(
            session.exec(
                select(Page.id)
                .join(Document, col(Document.id) == col(Page.document_id))
                .where(Document.dossier_id == dossier.id, Page.attempt == Document.attempt)
            ).all()
        )
    return Outcome(
        sample.name,
        state,
        expected,
        dossier.code or "",
        pages,
        float(run.get("total_run_time") or 0),
        signature_verdicts(officers, dossier),
    )


def signature_verdicts(officers: Officers, dossier: Dossier) -> str:
    """Verify the stored files anew: personal (cá nhân) and agency (cơ quan) signatures that are valid, of all."""
    trust, good, total = Trust.get(), dict.fromkeys(("OFFICER", "AGENCY"), 0), 0
    with officers.records.session() as session:
        rows = session.exec(
            select(Signature, Document)
            .join(Document, Document.id == Signature.document_id)  # type: ignore[arg-type]
            .where(Document.dossier_id == dossier.id, Signature.attempt == Document.attempt)
        ).all()
        files = {d.id: file_of(d) for _, d in rows}
    for stored in files.values():
        total += 1
        if stored is None:
            continue
        data = officers.objects.read(stored.bucket, stored.key, version=stored.version, sha256=stored.sha256)
        for item in verify_pdf(data, trust).signatures:
            if item.valid:
                role = "OFFICER" if item.role == "SIGNER" else item.role  # of an issued result
                good[role] = good.get(role, 0) + 1
    if not total:
        return "–"
    return f"{good['OFFICER']}/{total} · {good['AGENCY']}/{total}"


def closing_table(outcomes: list[Outcome]) -> Table:
    table = Table(title="Sohoa · kết quả", caption="Chữ ký hợp lệ, kiểm tra lại trên tệp đã lưu: cá nhân · cơ quan")
    for title in ("Bộ mẫu", "Trạng thái", "Mã hồ sơ", "Trang", "Giây", "Chữ ký", ""):
        table.add_column(title, no_wrap=True, justify="right" if title in ("Trang", "Giây") else "left")
    for row in outcomes:
        mark = "[green]✓[/]" if row.right else f"[red]✗ mong đợi {row.expected}[/]"
        table.add_row(row.name, row.state, row.code, str(row.pages), f"{row.seconds:.1f}", row.signatures, mark)
    return table


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("samples", type=Path, help="folder made by `python -m tests.samples`")
    parser.add_argument("--set", default="demo", choices=["demo", "defects", "all"])
    parser.add_argument("--timeout", type=float, default=3600.0, help="seconds in all")
    parser.add_argument("--patience", type=float, default=300.0, help="seconds without any dossier going on")
    arguments = parser.parse_args()
    load_stack_env()
    officers = Officers(RecordsDatabase.get(), ObjectStore.get(), Orchestrator())
    samples = [Sample(folder) for folder in sorted(arguments.samples.iterdir()) if (folder / "truth.json").is_file()]
    samples = [s for s in samples if arguments.set in ("all", s.truth.get("set", "demo"))]
    if not samples:
        console.print(f"[red]Không có bộ mẫu trong {arguments.samples}.[/]")
        return 2
    console.print(f"Nộp {len(samples)} bộ hồ sơ mẫu …")
    for sample in samples:
        try:
            officers.hand_in(sample)
        except SohoaError as error:
            sample.refused = error.code
    states = play(officers, samples, timeout=arguments.timeout, patience=arguments.patience)
    outcomes = [outcome(sample, officers, states) for sample in samples]
    console.print(closing_table(outcomes))
    right = sum(row.right for row in outcomes)
    console.print(f"{right}/{len(outcomes)} hồ sơ đạt đúng trạng thái mong đợi.")
    if open_runs := sum(state not in ENDED for state in states.values()):
        console.print(f"{open_runs} hồ sơ chưa xong: chúng vẫn chạy tiếp, gõ lại lệnh này để xem và trả lời tiếp.")
    example = next((row.code for row in outcomes if row.code), None)
    if example:
        shown = " · ".join(str(value) for value in status_of(officers.records, example).values() if value)
        console.print(f"Tra cứu: .venv/bin/sohoa status {example} → {shown}")
    console.print(f"Cổng viên chức: [bold]{gateway_url()}[/]  (TEST: chọn người đăng nhập, không hỏi mật khẩu)")
    console.print(
        f"Giao diện Prefect: [bold]{os.environ['PREFECT_API_URL'].removesuffix('/api')}[/]  (mật khẩu: make password)"
    )
    return 0 if right == len(outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
