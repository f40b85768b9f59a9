"""Run the suites over a dossier and say the outcome: as problems for the flow, as Markdown for the officer."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from sqlmodel import Session, col, select

from blocks.errors import Problem, Remedy, SohoaError
from blocks.records import RecordsDatabase
from blocks.records.queries import documents
from blocks.records.states import DocumentState
from blocks.records.tables import Decision
from tasks.capture.completeness.facts import Row, dossier_facts
from tasks.capture.completeness.suites import COMPONENTS, PAGES, Rule
from tasks.capture.document import outcome as captured
from tasks.decisions.proofs import is_proven
from tasks.pauses.registry import ASK_AGAIN

_one_at_a_time = threading.Lock()  # Great Expectations keeps its context in module state


class CompletenessReport(BaseModel):
    """ok: nothing is wrong; problems: by component and page; markdown: the report, without personal data."""

    ok: bool
    problems: list[Problem] = []
    markdown: str = ""


class DossierIncomplete(SohoaError):
    """Every component passed its capture, and yet the dossier as a whole does not hold: nothing goes on (CA04–CA10)."""

    code, rule = "DOSSIER_INCOMPLETE", "CA04"
    message = "Hồ sơ chưa đạt kiểm tra đầy đủ ({codes}); vui lòng báo quản trị viên kiểm tra trước khi xử lý tiếp."
    remedy = Remedy.OFFICER


class Checked(BaseModel):
    """One rule and the (component, page) pairs that break it."""

    label: str
    rule: str
    failed: list[tuple[int, int | None]]


def check_completeness(records: RecordsDatabase, dossier_id: UUID) -> CompletenessReport:
    """Điều 8.2: every captured paper of the dossier against both suites. Reads only; the same facts, the same report.

    A dossier without any paper to capture is complete.
    """
    with records.session() as session:
        components, pages = dossier_facts(session, dossier_id)
    checked: list[tuple[Rule, Checked]] = []
    for name, rules, rows in (("components", COMPONENTS, components), ("pages", PAGES, pages)):
        if rows:
            checked += run_suite(name, rules, rows)
    problems = [
        Problem(code=rule.code, rule=rule.rule, text=rule.text, remedy=rule.remedy, component=component, page=page)
        for rule, outcome in checked
        for component, page in outcome.failed
    ]
    outcomes = [outcome for _, outcome in checked]
    return CompletenessReport(
        ok=not problems, problems=problems, markdown=_markdown(dossier_id, components, pages, outcomes)
    )


def run_suite(name: str, rules: Sequence[Rule], rows: Sequence[Row]) -> list[tuple[Rule, Checked]]:
    """Each rule with the rows that break it. rows: dicts with the columns that the rules name."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    with _one_at_a_time:
        import great_expectations as gx
        import pandas as pd  # type: ignore[import-untyped]
        from great_expectations.data_context.types.base import ProgressBarsConfig

        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = ProgressBarsConfig(globally=False)
        asset = context.data_sources.add_pandas("dossier").add_dataframe_asset(name)
        suite = gx.ExpectationSuite(name=name)
        for number, rule in enumerate(rules):
            meta = {"rule": rule.rule, "code": rule.code, "number": number}
            suite.add_expectation(getattr(gx.expectations, rule.kind)(**rule.arguments, meta=meta, notes=rule.label))
        definition = gx.ValidationDefinition(
            name=name, data=asset.add_batch_definition_whole_dataframe("whole"), suite=context.suites.add(suite)
        )
        frame = pd.DataFrame(list(rows)).assign(row=range(len(rows)))
        result = definition.run(
            batch_parameters={"dataframe": frame},
            result_format={"result_format": "COMPLETE", "unexpected_index_column_names": ["row"]},
        )
    outcomes: dict[int, list[tuple[int, int | None]]] = {}
    for item in result.results:
        config: Any = item.expectation_config
        outcomes[config.meta["number"]] = _failed(item, rows)
    return [
        (rule, Checked(label=rule.label, rule=rule.rule, failed=outcomes[number])) for number, rule in enumerate(rules)
    ]


def _failed(item: Any, rows: Sequence[Row]) -> list[tuple[int, int | None]]:
    if item.success:
        return []
    if item.exception_info and item.exception_info.get("raised_exception"):
        raise RuntimeError(f"expectation could not be evaluated: {item.expectation_config.type}")
    broken = {int(entry["row"]) for entry in item.result.get("unexpected_index_list") or []}
    return sorted({(rows[index]["component"], rows[index].get("page")) for index in broken}, key=str)


def _markdown(dossier_id: UUID, components: Sequence[Row], pages: Sequence[Row], outcomes: Sequence[Checked]) -> str:
    bad = sum(1 for outcome in outcomes if outcome.failed)
    verdict = "**Đạt**" if not bad else f"**Chưa đạt**: {bad} tiêu chí"
    lines = [
        "## Kết quả kiểm tra bản sao chụp (Điều 8 Quyết định 1333/QĐ-BHXH)",
        "",
        f"Hồ sơ `{dossier_id}` · {len(components)} thành phần · {len(pages)} ảnh · {verdict}",
        "",
        "| Quy tắc | Nội dung kiểm tra | Kết quả | Vị trí |",
        "|---|---|---|---|",
    ]
    for outcome in outcomes:
        places = "; ".join(_place(component, page) for component, page in outcome.failed) or "–"
        lines.append(
            f"| {outcome.rule} | {outcome.label} | {'**Không đạt**' if outcome.failed else 'Đạt'} | {places} |"
        )
    if not outcomes:
        lines.append("| – | Hồ sơ không có giấy tờ phải sao chụp | Đạt | – |")
    return "\n".join(lines) + "\n"


def _place(component: int, page: int | None) -> str:
    return f"thành phần {component}" + (f", trang {page}" if page is not None else "")


def is_over(session: Session, dossier_id: UUID, round_: int) -> bool:
    """Whether papers were asked for again after this round of capture: what is there now is of a later one.

    Each round but the first follows a decision to scan again; a paper in CHUP_LAI that was captured well is one that
    the resolving officer has sent back, after the last round.
    """
    asked = sum(kept.decision != ASK_AGAIN and is_proven(session, kept) for kept in _rescans(session, dossier_id))
    if asked >= round_:
        return True
    waiting = documents(session, dossier_id, [DocumentState.CHUP_LAI])
    judged = [captured(session, document.id, document.attempt) for document in waiting]
    return any(report is not None and report.ok for report in judged)


def _rescans(session: Session, dossier_id: UUID) -> Sequence[Decision]:
    query = select(Decision).where(Decision.dossier_id == dossier_id, col(Decision.stage).startswith("rescan-"))
    return session.exec(query).all()


def insist_complete(report: CompletenessReport) -> None:
    """Raise DossierIncomplete unless the report is without problems."""
    if not report.ok:
        raise DossierIncomplete(codes=", ".join(sorted({problem.code for problem in report.problems})))
