"""docs/errors.md: every code that officers, partners and operations may meet, with its sentence and who can help."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from functools import cache
from itertools import groupby
from typing import Any

from blocks.rules import Rule
from tasks.monitoring.incidents import KINDS
from tests.reference.source import ROOT, product_modules

PAGE = ROOT / "docs/errors.md"
BASE = "SohoaError"
HELP = {
    "RETRY": "nobody: it is tried again",
    "RESCAN": "counter officer: scan again",
    "OFFICER": "officer: correct or decide",
    "ADMINISTRATOR": "administrator",
}
HEAD = """# Errors

Made by `make docs-data` from the error classes and refusals; don't edit it.

A refusal has a code that stays, the rule that it comes from ([rules.md](rules.md)) and one Vietnamese sentence that
says what to do; neither holds personal data. `{…}` is a number, a page or a code put in. **Who helps** decides what the
flow does: it tries again by itself, asks for new scans, asks the officer, or stops until an administrator has mended
it.
"""


@dataclass
class Told:
    """One code. status: of HTTP, in the partners' interface."""

    code: str
    rule: str
    sentence: str
    remedy: str
    where: str
    status: str = ""


@dataclass
class Definition:
    """A class of the product, as far as its text says."""

    module: str
    name: str
    bases: list[str]
    values: dict[str, ast.expr] = field(default_factory=dict)
    about: str = ""


class Values:
    """What an expression of the text is worth: texts, names of constants, members of Remedy."""

    def __init__(self) -> None:
        self.constants: dict[tuple[str, str], ast.expr] = {}
        self.imports: dict[tuple[str, str], tuple[str, str]] = {}

    def of(self, node: ast.expr | None, module: str) -> str:
        match node:
            case ast.Constant(value=value):
                return str(value)
            case ast.JoinedStr(values=parts):
                return "".join(self.of(part, module) for part in parts)
            case ast.FormattedValue(value=ast.Name() as named):
                return self.of(named, module)
            case ast.BinOp(left=left, right=right):
                return self.of(left, module) + self.of(right, module)
            case ast.Attribute(attr=name):
                return name
            case ast.Name(id=name):
                place = self.imports.get((module, name), (module, name))
                known = self.constants.get(place)
                return self.of(known, place[0]) if known is not None else "{…}"
            case _:
                return "{…}"


@cache
def read() -> tuple[Values, dict[str, list[Definition]], list[tuple[str, ast.AST]]]:
    """Constants, classes by name, and the modules' trees."""
    values, trees = Values(), list[tuple[str, ast.AST]]()
    found: dict[str, list[Definition]] = {}
    for module, text in product_modules():
        tree = ast.parse(text)
        trees.append((module, tree))
        for node in tree.body:
            for name, value in _assigned(node):
                values.constants[module, name] = value
            if isinstance(node, ast.ImportFrom):
                for taken in node.names:
                    values.imports[module, taken.asname or taken.name] = (node.module or "", taken.name)
            if isinstance(node, ast.ClassDef):
                bases = [base.id if isinstance(base, ast.Name) else getattr(base, "attr", "") for base in node.bases]
                told = dict(pair for item in node.body for pair in _assigned(item))
                about = (ast.get_docstring(node) or "").split("\n\n")[0].replace("\n", " ")
                found.setdefault(node.name, []).append(Definition(module, node.name, bases, told, about))
    return values, found, trees


def _assigned(node: ast.stmt) -> list[tuple[str, ast.expr]]:
    """(name, value) of an assignment, also of ``a, b = 1, 2``."""
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
        return [(node.target.id, node.value)]
    if not isinstance(node, ast.Assign) or len(node.targets) != 1:
        return []
    target = node.targets[0]
    if isinstance(target, ast.Name):
        return [(target.id, node.value)]
    if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
        pairs = zip(target.elts, node.value.elts, strict=True)
        return [(name.id, value) for name, value in pairs if isinstance(name, ast.Name)]
    return []


def _chain(one: Definition) -> list[Definition]:
    """The class and its bases up to the root of all errors; [] when it isn't one."""
    if one.name == BASE:
        return [one]
    _, classes, _ = read()
    for base in one.bases:
        known = classes.get(base, [])
        near = [other for other in known if other.module == one.module] or known
        if near and (above := _chain(near[0])):
            return [one, *above]
    return []


def from_classes() -> list[Told]:
    """Of each error class what it says, its own or inherited."""
    values, classes, _ = read()
    told = []
    for one in (one for several in classes.values() for one in several):
        if not (chain := _chain(one)) or one.name.startswith("_"):
            continue

        def value(name: str, chain: list[Definition] = chain) -> str:
            holder = next((above for above in chain if name in above.values), None)
            return values.of(holder.values[name], holder.module) if holder else ""

        where = f"{one.module}:{one.name}"
        told.append(Told(value("code"), value("rule"), value("message"), value("remedy"), where, value("status")))
    return told


def from_calls() -> list[Told]:
    """Problems and verdicts that are made without a class: ``Problem(code="…", text=…)``."""
    values, _, trees = read()
    told = []
    for module, tree in trees:
        for function in (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)):
            local = {name: value for n in ast.walk(function) if isinstance(n, ast.stmt) for name, value in _assigned(n)}
            for call in (n for n in ast.walk(function) if isinstance(n, ast.Call)):
                given: dict[str, Any] = {word.arg: word.value for word in call.keywords if word.arg}
                positions = [argument for argument in call.args if isinstance(argument, ast.expr)]
                if getattr(call.func, "id", "") == "problem" and len(positions) >= 3:
                    given = {"status": positions[0], "code": positions[1], "text": positions[2]}
                if getattr(call.func, "id", "") == "verdict_of" and len(positions) >= 3:
                    given = {"code": positions[1], "text": positions[2]}
                text = given.get("text", given.get("sentence"))
                text = local.get(text.id, text) if isinstance(text, ast.Name) else text
                code = given.get("code")
                if text is None or not (isinstance(code, ast.Constant) and code.value and code.value != "OK"):
                    continue
                remedy = values.of(given["remedy"], module) if "remedy" in given else "OFFICER"
                status = values.of(given["status"], module) if "status" in given else ""
                rule = values.of(given["rule"], module) if "rule" in given else ""
                where = f"{module}:{function.name}"
                told.append(Told(str(code.value), rule, values.of(text, module), remedy, where, status))
    return list({(one.code, one.where): one for one in told}.values())


def catalogue() -> list[Told]:
    """All of them, by code."""
    told = [one for one in (*from_classes(), *from_calls()) if one.sentence.strip("{…} ")]
    return sorted(told, key=lambda one: (one.code, one.sentence, one.where))


def page() -> str:
    """The whole page."""
    rows = catalogue()
    parts = [HEAD, f"{len({one.code for one in rows})} codes.", ""]
    parts += ["| Code | Rule | Sentence | Who helps | Where |", "|---|---|---|---|---|"]
    for said, alike in groupby(rows, key=lambda one: (one.code, one.rule, one.sentence, one.remedy, one.status)):
        code, rule, sentence, remedy, status = said
        http = f" (HTTP {status})" if status.isdigit() else ""
        where = ", ".join(f"`{place}`" for place in dict.fromkeys(one.where for one in alike))
        cells = (f"`{code}`{http}", rule if rule in set(Rule) else "", sentence, HELP[remedy], where)
        parts.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    parts += ["", "## Incidents", "", "Raised for operations and leaders; who may close them stands last.", ""]
    parts += ["| Code | Name | What to do | Who closes |", "|---|---|---|---|"]
    for code, kind in sorted(KINDS.items()):
        closer = kind.closer.value if kind.closer else "closes by itself"
        parts.append(f"| `{code}` | {kind.name} | {kind.advice} | {closer} |")
    return "\n".join(parts) + "\n"
