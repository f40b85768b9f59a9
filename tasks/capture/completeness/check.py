"""Validate a dossier by the suite and say the outcome: as problems for the flow, as Markdown for the officer.

One validation for a dossier, of components and pages together. Great Expectations is imported where the first one runs
(about 4 s of CPU and 200 MB; the warm worker has it already), and its context and suite are built once a process.
Its Data Docs are not built: docs/decisions/0015-completeness-by-great-expectations.md says why.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Sequence
from functools import cache
from typing import Any

from pydantic import BaseModel
from sqlmodel import Session, col, select

from blocks.errors import Problem, Remedy, SohoaError
from blocks.ids import DossierId
from blocks.records import RecordsDatabase
from blocks.records.queries import documents
from blocks.records.states import DocumentState
from blocks.records.tables import Decision
from tasks.capture.completeness.facts import Row, dossier_facts
from tasks.capture.completeness.suite import RULES, Rule
from tasks.capture.document import outcome as captured
from tasks.decisions.proofs import is_proven
from tasks.pauses.registry import ASK_AGAIN

_one_at_a_time = threading.Lock()  # Great Expectations keeps its context in module state
_COLUMNS = sorted(set().union(*(rule.columns for rule in RULES)))
_ROW = "row"  # the column by which a result names the rows that break it


class CompletenessReport(BaseModel):
    """ok: nothing is wrong; problems: by component and page; markdown: the report, without personal data."""

    ok: bool
    problems: list[Problem] = []
    markdown: str = ""


class DossierIncomplete(SohoaError):
    """Every component passed its capture, and yet the dossier as a whole does not hold: nothing goes on (CA04–CA10)."""

    code, rule = "DOSSIER_INCOMPLETE", "CA04"
    message = (
        "Hồ sơ chưa đạt yêu cầu kiểm tra tính đầy đủ ({codes}); vui lòng báo quản trị viên kiểm tra trước khi xử lý "
        "tiếp."
    )
    remedy = Remedy.OFFICER


class Checked(BaseModel):
    """One rule of the report and what it found. seen: rows of which something could be judged."""

    label: str
    rule: str
    seen: int
    problems: list[Problem] = []


def check_completeness(records: RecordsDatabase, dossier_id: DossierId) -> CompletenessReport:
    """Điều 8.2: every captured paper of the dossier by the suite. Reads only; the same facts, the same report.

    A dossier without any paper to capture is complete.
    """
    with records.session() as session:
        components, pages = dossier_facts(session, dossier_id)
    checked = validate([*components, *pages])
    problems = [problem for outcome in checked for problem in outcome.problems]
    return CompletenessReport(
        ok=not problems, problems=problems, markdown=_markdown(dossier_id, components, pages, checked)
    )


def validate(rows: Sequence[Row]) -> list[Checked]:
    """Each rule with what breaks it; nothing for no rows. Raises RuntimeError when a rule could not be evaluated."""
    if not rows:
        return []
    with _one_at_a_time:
        batches, suite = _prepared()
        import pandas as pd  # type: ignore[import-untyped]

        frame = pd.DataFrame(list(rows), columns=_COLUMNS).assign(**{_ROW: range(len(rows))})
        result = batches.get_batch({"dataframe": frame}).validate(
            suite, result_format={"result_format": "COMPLETE", "unexpected_index_column_names": [_ROW]}
        )
    found = {item.expectation_config.meta["number"]: item for item in result.results}
    return [_checked(rule, found[number], rows) for number, rule in enumerate(RULES)]


def prepare() -> None:
    """In a process that has Great Expectations: build what the first validation would."""
    if "great_expectations" in sys.modules:
        _prepared()


@cache
def _prepared() -> tuple[Any, Any]:
    """(batch definition, suite) in a context in memory that keeps no result."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("records").add_dataframe_asset("dossier")
    expectations = [
        getattr(gx.expectations, rule.kind)(**rule.arguments, meta={"number": number}, notes=rule.label)
        for number, rule in enumerate(RULES)
    ]
    suite = context.suites.add(gx.ExpectationSuite(name="dossier", expectations=expectations))
    return asset.add_batch_definition_whole_dataframe("whole"), suite


def _checked(rule: Rule, item: Any, rows: Sequence[Row]) -> Checked:
    if item.exception_info and item.exception_info.get("raised_exception", True):
        raise RuntimeError(f"expectation could not be evaluated: {item.expectation_config.type}")
    broken = [rows[entry[_ROW]] for entry in item.result.get("unexpected_index_list") or []]
    if item.success == bool(broken):
        raise RuntimeError(f"expectation contradicts itself: {item.expectation_config.type}")
    problems = {(row["component"], row.get("page")): _problem(rule, row, broken) for row in broken}
    seen = item.result["element_count"] - item.result["missing_count"]
    places = sorted(problems, key=str)
    return Checked(label=rule.label, rule=rule.error.rule, seen=seen, problems=[problems[place] for place in places])


def _problem(rule: Rule, row: Row, broken: Sequence[Row]) -> Problem:
    """What the officer reads of this row; `other` is the page or component that has the same."""
    twins = (twin for twin in broken if twin is not row and all(twin[name] == row[name] for name in rule.twins))
    other = next(twins, {}) if rule.twins else {}
    facts = {name: value for name, value in row.items() if name != "page"}  # the paper's page, not the file's
    error = rule.error(**facts, other=other.get("page", other.get("component")))
    return error.problem(component=row["component"], page=row.get("page"))


def _markdown(
    dossier_id: DossierId, components: Sequence[Row], pages: Sequence[Row], outcomes: Sequence[Checked]
) -> str:
    bad = sum(1 for outcome in outcomes if outcome.problems)
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
        places = "; ".join(_place(problem) for problem in outcome.problems) or "–"
        lines.append(f"| {outcome.rule} | {outcome.label} | {_verdict(outcome)} | {places} |")
    if not outcomes:
        lines.append("| – | Hồ sơ không có giấy tờ phải sao chụp | Đạt | – |")
    return "\n".join(lines) + "\n"


def _verdict(outcome: Checked) -> str:
    if outcome.problems:
        return "**Không đạt**"
    return "Đạt" if outcome.seen else "Không có dữ liệu để kiểm tra"


def _place(problem: Problem) -> str:
    return f"thành phần {problem.component}" + (f", trang {problem.page}" if problem.page is not None else "")


def is_over(session: Session, dossier_id: DossierId, round_: int) -> bool:
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


def _rescans(session: Session, dossier_id: DossierId) -> Sequence[Decision]:
    query = select(Decision).where(Decision.dossier_id == dossier_id, col(Decision.stage).startswith("rescan-"))
    return session.exec(query).all()


def require_complete(report: CompletenessReport) -> None:
    """Raise DossierIncomplete unless the report is without problems."""
    if not report.ok:
        raise DossierIncomplete(codes=", ".join(sorted({problem.code for problem in report.problems})))
