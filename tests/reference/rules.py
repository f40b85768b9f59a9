"""docs/rules.md: what each rule says, which code names it, which tests prove it, and whether users reach that code."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from functools import cache

import yaml

from blocks.rules import Rule, Source
from tests.reference.source import ROOT, Unit, named_rules, product_units, python_files, reached, said

PAGE = ROOT / "docs/rules.md"
MISSING = ROOT / "docs/rules-missing.yaml"
HOLDS = ("blocks.records.tables", "blocks.records.migrations")  # what they name is done elsewhere
KNOWN = set(Rule)
MANY = 8  # of places shown for one rule
DONE, PART, CODE, NOT = "carried out", "in part", "code only", "not yet"
HEAD = """# Rules

Made by `make docs-data` from `blocks/rules.py`, the code and the tests; don't edit it.

Each rule is a provision of a decision (kept as text in [docs/law](law)); "13.3b" is Điều 13, khoản 3, điểm b. [R] marks
this project's own reading where the text is silent. How the page is computed:

- **Code** names a rule where its id stands in a docstring, a comment or a string (`rule="CA05"`): shown is the
  function, class or constant around it. A range (`CA04-CA10`) counts for all between. Tables and migrations
  don't count.
- **Tests** name a rule in the test's name, docstring or comments; else in the docstring of their module.
- Code is **reached** when a chain of names leads to it from a flow, a route of the desk or the partners' interface, the
  command line, or a program's start. Names are compared as text, without types: the chain may be too long, never too
  short, so "code only" can be relied on and "carried out" is no proof. Tests are the proof.
- **carried out**: reached code names it. **in part**: the same, and people found something missing (said below it, from
  `docs/rules-missing.yaml`). **code only**: what names it is called by tests alone. **not yet**: no code names it, or
  what does isn't the rule.
"""


@dataclass
class Proof:
    """Where one rule stands. code: label → reached; tests: places."""

    code: dict[str, bool] = field(default_factory=dict)
    tests: list[str] = field(default_factory=list)


@cache
def proofs() -> dict[Rule, Proof]:
    """What code and tests name, for each rule."""
    found = {rule: Proof() for rule in Rule}
    units = product_units()
    live = reached(units)
    modules = {".".join(parts[: n + 1]) for parts in _modules(units, live) for n in range(len(parts))}
    for unit in units:
        if unit.module.startswith(HOLDS):
            continue
        is_reached = id(unit) in live if unit.name else unit.module in modules
        for rule in {Rule[name] for name in unit.rules if name in KNOWN}:
            found[rule].code[unit.label] = found[rule].code.get(unit.label, False) or is_reached
    for place, names in test_mentions():
        for rule in {Rule[name] for name in names if name in KNOWN}:
            found[rule].tests.append(place)
    return found


def _modules(units: list[Unit], live: set[int]) -> list[list[str]]:
    return [unit.module.split(".") for unit in units if id(unit) in live]


def test_mentions() -> list[tuple[str, list[str]]]:
    """(test, ids that it names); a module's docstring counts where none of its tests names the id."""
    told: list[tuple[str, list[str]]] = []
    for path in python_files("tests"):
        if not path.name.startswith("test_"):
            continue
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
        comments = [(line, words) for line, words in said(text) if words.startswith("#")]
        place = str(path.relative_to(ROOT))
        seen: set[str] = set()
        for node in ast.walk(tree):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or not node.name.startswith("test_"):
                continue
            begin = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            inside = [words for line, words in comments if begin <= line <= (node.end_lineno or node.lineno)]
            names = named_rules(" ".join([node.name.replace("_", " "), ast.get_docstring(node) or "", *inside]))
            if names:
                told.append((f"{place}::{node.name}", names))
                seen |= set(names)
        if rest := [name for name in named_rules(ast.get_docstring(tree) or "") if name not in seen]:
            told.append((place, rest))
    return told


@cache
def missing() -> dict[str, dict[str, object]]:
    """What people found missing, by id."""
    read: dict[str, dict[str, object]] = yaml.safe_load(MISSING.read_text(encoding="utf-8"))
    return read


def status(rule: Rule) -> str:
    """Of these four: carried out, in part, code only, not yet."""
    code, known = proofs()[rule].code, missing().get(rule.value)
    if not code or (known and known.get("whole")):
        return NOT
    if not any(code.values()):
        return CODE
    return PART if known else DONE


def page() -> str:
    """The whole page."""
    counts = {state: [rule for rule in Rule if status(rule) == state] for state in (DONE, PART, CODE, NOT)}
    parts = [HEAD, "| Status | Rules | |", "|---|---|---|"]
    parts += [f"| {state} | {len(rules)} | {', '.join(rules)} |" for state, rules in counts.items()]
    bare = [rule for rule in Rule if status(rule) in (DONE, PART) and not proofs()[rule].tests]
    parts += ["", f"Carried out, but no test names it: {', '.join(bare) or 'none'}.", ""]
    heading = ""
    for source in Source:
        parts += [f"## {source.title}", "", f"[Text](law/{source.file})", ""]
        for rule in sorted((r for r in Rule if r.source is source), key=_order):
            if rule.heading != heading and rule.heading:
                heading = rule.heading
                parts += [f"### Điều {rule.article.split('.')[0]}. {heading}", ""]
            parts += [_entry(rule), ""]
    return "\n".join([*parts, *_only_tests()]).rstrip() + "\n"


def _order(rule: Rule) -> tuple[int, int]:
    number = rule.article.split(".")[0]
    return (int(number) if number.isdigit() else 0, list(Rule).index(rule))


def _entry(rule: Rule) -> str:
    proof, known = proofs()[rule], missing().get(rule.value)
    reading = " [R]" if rule.reading else ""
    lines = [f"**{rule}** · {rule.citation} · *{status(rule)}*{reading}<br>", f"{rule.sentence}"]
    if known:
        lines += [f"- Missing: {known['missing']}."]
    if proof.code:
        order = sorted(proof.code, key=lambda label: (not proof.code[label], label))
        lines += [f"- Code: {_some([f'`{at}`' + ('' if proof.code[at] else ' (only tests)') for at in order])}"]
    lines += [f"- Tests: {_some([f'`{at}`' for at in sorted(set(proof.tests))])}"] if proof.tests else ["- Tests: none"]
    return "\n".join([*lines[:2], "", *lines[2:]])


def _some(items: list[str]) -> str:
    more = len(items) - MANY
    return ", ".join(items[:MANY]) + (f" and {more} more" if more > 0 else "")


def _only_tests() -> list[str]:
    rows: dict[str, list[str]] = {}
    for rule in Rule:
        for label, is_reached in proofs()[rule].code.items():
            if not is_reached:
                rows.setdefault(label, []).append(rule.value)
    listed = [f"- `{label}`: {', '.join(rules)}" for label, rules in sorted(rows.items())]
    return [
        "## Code that only tests call",
        "",
        "It names a rule, and nothing that users reach refers to it.",
        "",
        *listed,
    ]
