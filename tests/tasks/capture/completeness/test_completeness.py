"""Great Expectations suites over a dossier's facts: each rule breaks on its own, the report is readable and bare of
personal data."""

from __future__ import annotations

from typing import Any

import pytest

from blocks.objects import ObjectStore
from blocks.records import RecordsDatabase
from tasks.capture.completeness.check import check_completeness, run_suite
from tasks.capture.completeness.suites import COMPONENTS, PAGES, Rule
from tasks.capture.document import capture
from tests.tasks.capture.pages_for_tests import jpeg, paper, scanned
from tests.tasks.capture.test_document import new_document, state

SHA, OTHER = "a" * 64, "b" * 64
COMPONENT: dict[str, Any] = {
    "component": 1,
    "captured": "YES",
    "type_code": "LOCAL:GIAY-RA-VIEN",
    "files": 2,
    "refused_files": 0,
    "expected_images": 2,
    "images": 2,
    "scan_dpi": 200,
    "file_sha256": SHA,
}
PAGE: dict[str, Any] = {
    "component": 1,
    "page": 1,
    "number": 1,
    "dpi": 200,
    "in_order": "YES",
    "note_pair": "YES",
    "short_mm": 210.0,
    "long_mm": 297.0,
    "image_sha256": SHA,
    "ink_mm2": 900.0,
    "skew": None,
    "edge_mm": 0.4,
    "cut_letters": 0,
    "cut_rules": 0,
    "cut_paper": "NO",
}


def broken(name: str, rules: tuple[Rule, ...], rows: list[dict[str, Any]]) -> set[tuple[str, str, int, int | None]]:
    return {(r.rule, r.code, c, p) for r, outcome in run_suite(name, rules, rows) for c, p in outcome.failed}


def test_CA05_CA06_CA08_CA09_CA10_each_component_rule_breaks_on_its_own_row() -> None:
    changes: list[tuple[dict[str, Any], tuple[str, str]]] = [
        ({"captured": "NO"}, ("CA05", "COMPONENT_NOT_CAPTURED")),
        ({"type_code": None}, ("EXa", "TYPE_UNKNOWN")),
        ({"files": 0}, ("CA06", "FILE_MISSING")),
        ({"refused_files": 1}, ("CA05", "FILE_REFUSED")),
        ({"images": 3}, ("CA06", "PAGES_MISSING")),
        ({"scan_dpi": 150}, ("CA09", "DPI_LOW")),
        ({"file_sha256": None}, ("CA10", "COMPONENT_FILES")),
        ({"file_sha256": "no hash"}, ("CA08", "INTEGRITY")),
    ]
    rows = [
        COMPONENT | {"component": n, "file_sha256": f"{n:064x}"} | change for n, (change, _) in enumerate(changes, 1)
    ]
    wanted = {(rule, code, n, None) for n, (_, (rule, code)) in enumerate(changes, 1)}
    assert broken("components", COMPONENTS, rows) == wanted


def test_CA10_two_components_with_one_file() -> None:
    rows = [COMPONENT, COMPONENT | {"component": 2}, COMPONENT | {"component": 3, "file_sha256": OTHER}]
    assert broken("components", COMPONENTS, rows) == {
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
        ({"skew": 3.5}, ("CA05", "PAGE_SKEWED")),
        ({"edge_mm": 0.9}, ("CA05", "PAGE_BLURRED")),
        ({"cut_letters": 9}, ("CA05", "PAGE_CROPPED")),
        ({"cut_rules": 4}, ("CA05", "PAGE_CROPPED")),
        ({"cut_paper": "YES"}, ("CA05", "PAGE_CROPPED")),
    ]
    rows = [PAGE | {"page": n, "image_sha256": f"{n:064x}"} | change for n, (change, _) in enumerate(changes, 1)]
    wanted = {(rule, code, 1, n) for n, (_, (rule, code)) in enumerate(changes, 1)}
    assert broken("pages", PAGES, rows) == wanted


def test_CA06_the_same_image_twice_in_one_component_only() -> None:
    rows = [PAGE, PAGE | {"component": 2}, PAGE | {"page": 2, "image_sha256": OTHER}]
    assert broken("pages", PAGES, rows) == set()
    assert {code for _, code, _, _ in broken("pages", PAGES, [*rows, PAGE | {"page": 3}])} == {"PAGES_DUPLICATE"}


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


@pytest.mark.parametrize("rule", [*COMPONENTS, *PAGES], ids=lambda r: f"{r.rule}-{r.code}")
def test_every_rule_tells_what_to_do(rule: Rule) -> None:
    assert rule.rule and rule.label and rule.text.endswith(".") and "vui lòng" in rule.text
