"""The Great Expectations suite over a dossier's facts: each rule breaks on its own and is told in the words of capture.

The report is readable and bare of personal data.
"""

from __future__ import annotations

from typing import Any

import pytest

from blocks.errors import IntegrityError
from blocks.objects import ObjectStore
from blocks.records import RecordsDatabase
from tasks.capture import errors, limits
from tasks.capture.completeness.check import check_completeness, validate
from tasks.capture.completeness.suite import RULES, Rule
from tasks.capture.document import capture
from tasks.capture.facts import MAX_SIDE_MM, MIN_DPI, MIN_SIDE_MM
from tasks.capture.quality import PageQuality
from tests.tasks.capture.pages_for_tests import jpeg, paper, scanned
from tests.tasks.capture.test_document import new_document, state

SHA, OTHER = "a" * 64, "b" * 64
COMPONENT: dict[str, Any] = {
    "component": 1,
    "captured": "YES",
    "typed": "YES",
    "files": 2,
    "refused_files": 0,
    "expected": 2,
    "found": 2,
    "dpi": 200,
    "built": "YES",
    "file_sha256": SHA,
}
PAGE: dict[str, Any] = {
    "component": 1,
    "page": 1,
    "dpi": 200,
    "in_order": "YES",
    "note_pair": "YES",
    "short_mm": 210.0,
    "long_mm": 297.0,
    "image_sha256": SHA,
    "ink_mm2": 900.0,
    "degrees": None,
    "edge_mm": 0.4,
    "cut_letters": 0,
    "cut_rules": 0,
    "cut_paper": 0,
}
Place = tuple[str, str, int | None, int | None]


def broken(rows: list[dict[str, Any]]) -> set[Place]:
    return {(p.rule, p.code, p.component, p.page) for checked in validate(rows) for p in checked.problems}


def test_CA05_CA06_CA08_CA09_CA10_each_component_rule_breaks_on_its_own_row() -> None:
    changes: list[tuple[dict[str, Any], tuple[str, str]]] = [
        ({"captured": "NO"}, ("CA05", "COMPONENT_NOT_CAPTURED")),
        ({"typed": "NO"}, ("EXa", "TYPE_UNKNOWN")),
        ({"files": 0}, ("CA06", "FILE_MISSING")),
        ({"refused_files": 1}, ("CA05", "FILE_REFUSED")),
        ({"found": 1}, ("CA06", "PAGES_MISSING")),
        ({"found": 3}, ("CA06", "PAGES_EXTRA")),
        ({"dpi": 150}, ("CA09", "DPI_LOW")),
        ({"built": "NO", "file_sha256": None}, ("CA10", "COMPONENT_FILES")),
        ({"file_sha256": "no hash"}, ("CA08", "INTEGRITY")),
    ]
    rows = [
        COMPONENT | {"component": n, "file_sha256": f"{n:064x}"} | change for n, (change, _) in enumerate(changes, 1)
    ]
    wanted = {(rule, code, n, None) for n, (_, (rule, code)) in enumerate(changes, 1)}
    assert broken(rows) == wanted


def test_CA10_two_components_with_one_file() -> None:
    rows = [COMPONENT, COMPONENT | {"component": 2}, COMPONENT | {"component": 3, "file_sha256": OTHER}]
    assert broken(rows) == {
        ("CA10", "COMPONENT_FILES", 1, None),
        ("CA10", "COMPONENT_FILES", 2, None),
    }


def test_CA05_CA06_CA07_CA09_each_page_rule_breaks_on_its_own_row() -> None:
    changes: list[tuple[dict[str, Any], tuple[str, str]]] = [
        ({"in_order": "NO"}, ("CA06", "PAGES_SWAPPED")),
        ({"note_pair": "NO"}, ("CA07", "NOTE_PAIR")),
        ({"image_sha256": "?"}, ("CA08", "INTEGRITY")),
        ({"dpi": 199}, ("CA09", "DPI_LOW")),
        ({"short_mm": 10.0}, ("CA09", "DPI_METADATA")),
        ({"long_mm": 900.0}, ("CA09", "DPI_METADATA")),
        ({"ink_mm2": 1.0}, ("CA05", "PAGE_BLANK")),
        ({"degrees": 3.5}, ("CA05", "PAGE_SKEWED")),
        ({"edge_mm": 0.9}, ("CA05", "PAGE_BLURRED")),
        ({"cut_letters": 9}, ("CA05", "PAGE_CROPPED")),
        ({"cut_rules": 4}, ("CA05", "PAGE_CROPPED")),
        ({"cut_paper": 1}, ("CA05", "PAGE_CROPPED")),
    ]
    rows = [PAGE | {"page": n, "image_sha256": f"{n:064x}"} | change for n, (change, _) in enumerate(changes, 1)]
    wanted = {(rule, code, 1, n) for n, (_, (rule, code)) in enumerate(changes, 1)}
    assert broken(rows) == wanted


def test_CA06_the_same_image_twice_in_one_component_only() -> None:
    rows = [PAGE, PAGE | {"component": 2}, PAGE | {"page": 2, "image_sha256": OTHER}]
    assert broken(rows) == set()
    assert {code for _, code, _, _ in broken([*rows, PAGE | {"page": 3}])} == {"PAGES_DUPLICATE"}


def test_CA04_CA10_a_real_dossier_and_its_report(records: RecordsDatabase, objects: ObjectStore) -> None:
    good = new_document(records, objects, [jpeg(scanned(paper(1))), jpeg(scanned(paper(2)))], pages=2)
    dossier_id = state(records, good).dossier_id
    assert capture(records, objects, good).ok
    report = check_completeness(records, dossier_id)
    assert report.ok and report.problems == [] and "**Đạt**" in report.markdown
    assert str(dossier_id) in report.markdown and "Nguyễn" not in report.markdown
    assert check_completeness(records, dossier_id) == report

    bad = new_document(records, objects, [b""], dossier_id=dossier_id, ordinal=2)
    assert not capture(records, objects, bad).ok
    report = check_completeness(records, dossier_id)
    assert {p.component for p in report.problems} == {2}
    assert "COMPONENT_NOT_CAPTURED" in {p.code for p in report.problems}
    assert "| CA05 | Thành phần đã sao chụp đạt yêu cầu | **Không đạt** | thành phần 2 |" in report.markdown


def test_CA05_CA06_CA09_CA10_one_validation_tells_components_and_pages_in_the_sentences_of_capture() -> None:
    rows = [
        COMPONENT | {"found": 1},
        COMPONENT | {"component": 2},
        PAGE,
        PAGE | {"page": 2, "image_sha256": OTHER, "degrees": 4.06},
        PAGE | {"page": 3, "dpi": 150},
    ]
    told = {(p.component, p.page, p.text) for checked in validate(rows) for p in checked.problems}
    assert told == {
        (1, None, errors.PagesMissing(expected=2, found=1).text),
        (1, None, errors.ComponentFiles(other=2).text),
        (2, None, errors.ComponentFiles(other=1).text),
        (1, 2, errors.PageSkewed(degrees=4.06).text),
        (1, 1, errors.PagesDuplicate(other=3).text),
        (1, 3, errors.PagesDuplicate(other=1).text),
        (1, 3, errors.DpiLow(dpi=150).text),
    }
    assert "nghiêng 4.1 độ" in errors.PageSkewed(degrees=4.06).text


@pytest.mark.parametrize(
    ("limit", "good", "bad"),
    [
        (limits.DPI, MIN_DPI, MIN_DPI - 1),
        (limits.SHORT_SIDE, MIN_SIDE_MM, MIN_SIDE_MM - 0.1),
        (limits.LONG_SIDE, MAX_SIDE_MM, MAX_SIDE_MM + 0.1),
        (limits.INK, 6.0, 5.9),
        (limits.SKEW, 3.0, 3.01),
        (limits.EDGE, 0.7, 0.701),
        (limits.CUT_LETTERS, 4, 5),
        (limits.CUT_RULES, 2, 3),
        (limits.CUT_PAPER, False, True),
    ],
    ids=lambda value: value.measure if isinstance(value, limits.Limit) else str(value),
)
def test_CA05_CA09_capture_and_suite_part_at_the_same_value(limit: limits.Limit, good: float, bad: float) -> None:
    assert not limit.broken_by(good) and limit.broken_by(bad) and not limit.broken_by(None)
    assert broken([COMPONENT, PAGE | {limit.measure: good}]) == set()
    assert broken([COMPONENT, PAGE | {limit.measure: bad}]) == {(limit.error.rule, limit.error.code, 1, 1)}
    if limit.measure in PageQuality.model_fields or limit is limits.SKEW:
        for value, codes in ((good, []), (bad, [limit.error.code])):
            page: dict[str, float] = {"width_mm": 210, "height_mm": 297, "ink_mm2": 900}
            page |= {"skew": -value} if limit is limits.SKEW else {limit.measure: value}
            assert [fault.code for fault in PageQuality.model_validate(page).problems()] == codes


def test_CA04_what_cannot_be_evaluated_is_no_pass() -> None:
    with pytest.raises(RuntimeError, match="could not be evaluated"):
        validate([COMPONENT | {"files": "two"}])


def test_CA04_a_dossier_of_refused_components_has_no_pages_to_judge() -> None:
    outcomes = {checked.label: checked for checked in validate([COMPONENT | {"captured": "NO"}])}
    assert outcomes[limits.INK.label].seen == 0 and outcomes[limits.DPI.label].seen == 1
    assert {p.code for checked in outcomes.values() for p in checked.problems} == {"COMPONENT_NOT_CAPTURED"}
    assert validate([]) == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.error.rule}-{rule.label}")
def test_every_rule_tells_what_to_do(rule: Rule) -> None:
    text = rule.error(
        **COMPONENT, **{k: v for k, v in PAGE.items() if k not in COMPONENT} | {"degrees": 3.5}, other=2
    ).text
    assert (
        rule.error.rule and rule.label and text.endswith(".") and ("vui lòng" in text or rule.error is IntegrityError)
    )
