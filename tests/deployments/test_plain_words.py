"""What officers read holds no state codes and no shell commands, and days are typed and shown as dd/mm/yyyy."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from blocks.records.state_names import STATES
from blocks.records.states import DocumentState, DossierState
from deployments.desk.forms import iso_day, shown
from tasks.pauses.registry import pauses

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = ROOT / "deployments/desk/templates"
READ = ("tasks/pauses", "tasks/desk_views", "tasks/verification", "tasks/intake", "tasks/capture", "deployments/desk")
VIETNAMESE = re.compile("[ăâđêôơưĂÂĐÊÔƠƯ\u1ea0-\u1ef9]")
COMMAND = re.compile(r"`?\bsohoa [a-z]{2,}|--[a-z]{3,}")
DECISIONS = {choice.value for pause in pauses().values() for choice in pause.choices}
CODES = re.compile(rf"\b({'|'.join(sorted({*DECISIONS, *DocumentState, *DossierState}, key=len, reverse=True))})\b")


def sentences(path: Path) -> Iterator[tuple[int, str]]:
    """(line, text) of Vietnamese strings of a module, without docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    own = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        told = isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in own
        if told and VIETNAMESE.search(node.value):  # type: ignore[attr-defined]
            yield node.lineno, node.value  # type: ignore[attr-defined]


@pytest.mark.parametrize("folder", READ)
def test_sentences_hold_no_codes_and_no_commands(folder: str) -> None:
    found = [
        (str(path.relative_to(ROOT)), line, text)
        for path in sorted((ROOT / folder).rglob("*.py"))
        for line, text in sentences(path)
        if COMMAND.search(text) or CODES.search(text)
    ]
    assert not found


def test_templates_hold_no_commands_and_no_fields_that_show_days_in_the_browsers_language() -> None:
    for path in sorted(TEMPLATES.rglob("*.html")):
        text = path.read_text(encoding="utf-8")
        assert not COMMAND.search(text) and 'type="date"' not in text and "datetime-local" not in text, path.name


def test_every_state_has_words_and_none_is_a_code() -> None:
    assert set(STATES) == {*DossierState, *DocumentState}
    assert not [text for text in STATES.values() if re.search(r"[A-Z]{2,}(?<!OCR)", text)]


@pytest.mark.parametrize(
    ("typed", "iso"),
    [
        ("05/03/1990", "1990-03-05"),
        (" 5/3/1990 ", "1990-03-05"),
        ("5.3.1990", "1990-03-05"),
        ("1990-03-05", "1990-03-05"),
        ("31/02/1990", "1990-02-31"),  # refused by who reads it as a day
        ("hôm qua", "hôm qua"),
        ("", ""),
    ],
)
def test_days_are_typed_and_shown_as_ddmmyyyy(typed: str, iso: str) -> None:
    assert iso_day(typed) == iso
    assert iso != "1990-03-05" or shown(iso) == "05/03/1990"
