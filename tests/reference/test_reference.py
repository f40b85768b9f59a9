"""The reference pages are what the code says today, and every reference to a rule can be followed."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

import pytest

import tasks.capture.errors
import tasks.partner_cases.errors
import tasks.signing.errors  # noqa: F401  (their classes are asked below)
from blocks.errors import SohoaError
from blocks.rules import HEADINGS, Rule, Source
from blocks.settings.sections import SECTIONS
from tests.reference import errors, rules, settings
from tests.reference.source import PRODUCT, ROOT, Unit, named_rules, product_units, python_files, reached

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs").glob("*/*.md"))]
TEXTS = [*PAGES, *python_files(*PRODUCT, "tests"), *sorted((ROOT / "deployments").rglob("*.html")), ROOT / "Makefile"]
OUTSIDE = re.compile(
    r"\.\./shared|/work/|(?<![\w-])(?:requirements|signing|prefect|platform)\.md\b|\bissue[ _#]\d", re.I
)


@pytest.mark.parametrize("made", [rules, errors, settings], ids=["rules.md", "errors.md", "settings.md"])
def test_the_page_is_current(made: ModuleType) -> None:
    assert made.PAGE.read_text(encoding="utf-8") == made.page(), "run `make docs-data`"


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("(CA05)", ["CA05"]),
        ("CA04-CA06 and P01", ["CA04", "CA05", "CA06", "P01"]),
        ("EXc–g", ["EXc", "EXd", "EXđ", "EXe", "EXg"]),
        ("EXa–EXc", ["EXa", "EXb", "EXc"]),
        ("CO01/02", ["CO01", "CO02"]),
        ("B3b/f", ["B3b", "B3f"]),
        ("KQ01-B4e", ["KQ01", "B4e"]),
        ("SC01–SC99", ["SC01", "SC99"]),
        ("test CA05 no false alarm", ["CA05"]),
        ("PAGE_B1X, SCA05, CA055, U+B1, p95", []),
    ],
)
def test_ids_and_ranges_are_found_in_texts(text: str, ids: list[str]) -> None:
    assert named_rules(text) == ids


def test_every_rule_that_is_named_exists() -> None:
    known = set(Rule)
    unknown = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in TEXTS
        if path != Path(__file__)
        for name in named_rules(path.read_text(encoding="utf-8").replace("_", " "))
        if name not in known
    }
    assert not unknown


def test_every_rule_stands_on_the_page_and_what_is_missing_names_rules() -> None:
    page = rules.PAGE.read_text(encoding="utf-8")
    assert [rule for rule in Rule if f"\n**{rule}** · " not in page] == []
    assert set(rules.missing()) <= set(Rule)
    assert [rule for rule, told in rules.missing().items() if not told["missing"]] == []


def test_what_only_tests_call_is_not_carried_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The chain of names itself: a function without callers isn't reached, one that a flow calls is."""
    units = product_units()
    live = reached(units)
    by_label = {unit.label: id(unit) in live for unit in units if unit.name}
    assert by_label["flows.dossier:dossier"] and by_label["tasks.capture.quality:measure_page"]
    uncalled = [Unit("tasks.nobody", "nobody_calls_me", range(1, 3), rules=["WH05"])]
    monkeypatch.setattr(rules, "product_units", lambda: [*units, *uncalled])
    rules.proofs.cache_clear()
    try:
        assert rules.status(Rule.WH05) == rules.CODE and rules.status(Rule.CA05) == rules.DONE
    finally:
        monkeypatch.undo()
        rules.proofs.cache_clear()


def test_articles_are_those_of_the_decisions() -> None:
    texts = {source: (ROOT / "docs/law" / source.file).read_text(encoding="utf-8") for source in Source}
    plain = {source: text.replace("*", "").replace("#", "") for source, text in texts.items()}
    for (source, article), heading in HEADINGS.items():
        assert f"Điều {article}. {heading}" in plain[source]
    without = [r for r in Rule if r.source in (Source.QD1333, Source.QD352) and not r.heading]
    assert without == []


def test_each_error_says_on_the_page_what_its_class_says() -> None:
    """The text reading and the live classes agree."""
    told = {one.where: one for one in errors.from_classes()}
    waiting, seen = [SohoaError], 0
    while waiting:
        one = waiting.pop()
        waiting += one.__subclasses__()
        entry = told.get(f"{one.__module__}:{one.__qualname__}")
        if entry is None:  # of a test, or private
            assert not one.__module__.startswith(PRODUCT) or one.__name__.startswith("_")
            continue
        seen += 1
        assert (entry.code, entry.remedy) == (one.code, one.remedy.value)
        if "{…}" not in entry.sentence:
            assert entry.sentence == one.message
        assert entry.rule in (one.rule, "{…}")
    assert seen > 60


def test_the_glossary_names_what_the_code_has() -> None:
    glossary = (ROOT / "docs/glossary.md").read_text(encoding="utf-8")
    code = "\n".join(path.read_text(encoding="utf-8") for path in python_files(*PRODUCT))
    rows = [line.split("|") for line in glossary.splitlines() if line.startswith("|") and "`" in line.split("|")[2]]
    names = {name for row in rows for name in re.findall(r"`([^`]+)`", row[2])}
    assert len(rows) > 60
    assert [name for name in sorted(names) if not re.search(rf"\b{name.split('.')[-1]}\b", code)] == []


def test_nothing_cites_a_file_outside_the_repository() -> None:
    cited = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in [*TEXTS, *sorted((ROOT / "blocks").rglob("*.yaml")), *sorted((ROOT / "tasks").rglob("*.yaml"))]
        if path != Path(__file__)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if OUTSIDE.search(line)
    ]
    assert cited == []


def test_every_variable_that_code_or_pages_name_stands_on_the_page_of_settings() -> None:
    pages = [ROOT / "README.md", *(path for path in (ROOT / "docs").rglob("*.md") if path != settings.PAGE)]
    product = [path for part in PRODUCT for path in (ROOT / part).rglob("*.py")]
    assert not settings.named([*pages, *product]) - settings.known()


def test_every_setting_says_what_it_is() -> None:
    for section in SECTIONS:
        assert section.__doc__ and all(field.description for field in section.model_fields.values()), section.__name__
