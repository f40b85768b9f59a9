"""What the source text says, read without importing it: units of code, the rules they name, what refers to what."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from blocks.rules import Rule

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("blocks", "tasks", "flows", "deployments", "infra")
APART = ("infra.training",)  # a tool of developers: not reached from the product, and needs nothing of it

_ID = r"(?:(?:SC|WH|ST|CA|EX|CO|LU|KQ|CT|KH|GD)\d{2}|EX[a-lđ]|B[1-5][a-h]?|P\d{2})"
_TOKEN = re.compile(rf"(?<![A-Za-z0-9#/+=.-])({_ID})(?:(/|\s?[–-]\s?)({_ID}|\d{{2}}|[a-lđ]))?(?![A-Za-zĐđ0-9])")
_ORDER = [rule.value for rule in Rule]


def named_rules(text: str) -> list[str]:
    """Ids of rules in a text, in order; ranges (``CA04-CA10``, ``EXa–l``, ``B3b/f``) with what lies between.

    An id that is no rule is given back as well: a test wants them all to exist.
    """
    found: list[str] = []
    for first, sign, second in _TOKEN.findall(text):
        last = second
        if second and not re.fullmatch(_ID, second):
            last = first[: -len(second)] + second if second.isdigit() or len(first) == 3 else first + second
        family = re.match(r"EX(?=[a-zđ])|B|[A-Z]+", first)
        same = last and family and last.startswith(family.group()) and {first, last} <= set(_ORDER)
        if same and sign.strip() != "/":
            low, high = sorted((_ORDER.index(first), _ORDER.index(last)))
            found += _ORDER[low : high + 1]
        else:
            found += [first, last] if last else [first]
    return found


@dataclass
class Unit:
    """A function, method, class, constant, or what else stands in a module.

    name: its own name; rules: those that its text names; refers: names that it uses; starts: the outside begins here.
    """

    module: str
    name: str
    lines: range
    owner: str = ""
    rules: list[str] = field(default_factory=list)
    refers: set[str] = field(default_factory=set)
    starts: bool = False

    @property
    def label(self) -> str:
        if not self.name:
            return self.module
        return f"{self.module}:{self.owner + '.' if self.owner else ''}{self.name}"


def python_files(*folders: str) -> Iterator[Path]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "__pycache__" not in path.parts:
                yield path


def module_name(path: Path) -> str:
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    return name.removesuffix(".__init__")


def product_modules() -> Iterator[tuple[str, str]]:
    """(module, source text) of the product, what stands apart left out."""
    for path in python_files(*PRODUCT):
        name = module_name(path)
        if not any(name == apart or name.startswith(apart + ".") for apart in APART):
            yield name, path.read_text(encoding="utf-8")


REGISTERS = {"get", "post", "put", "delete", "patch", "route", "api_route", "websocket", "exception_handler", "flow"}
REGISTERS |= {"middleware", "on_event", "command", "callback", "listens_for", "register"}
HARMLESS = {
    "property",
    "cached_property",
    "staticmethod",
    "classmethod",
    "contextmanager",
    "overload",
    "abstractmethod",
}
# Bases that call none of their subclasses' methods by themselves.
PLAIN = {"object", "BaseModel", "SQLModel", "StrEnum", "Enum", "IntEnum", "NamedTuple", "Protocol", "ABC", "Generic"}
PLAIN |= {"Exception", "RuntimeError", "ValueError", "BaseException", "BaseSettings", "TypedDict"}


def _last(node: ast.expr) -> str:
    node = node.func if isinstance(node, ast.Call) else node
    node = node.value if isinstance(node, ast.Subscript) else node
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _names(*nodes: ast.AST) -> set[str]:
    """Names that these nodes use; also the last part of ``module:name`` in a string, as programs are named."""
    found: set[str] = set()
    for node in (inner for outer in nodes for inner in ast.walk(outer)):
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.Constant) and (match := re.fullmatch(r"[\w.]+:(\w+)", str(node.value))):
            found.add(match[1])
    return found


def _registers(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> bool:
    return any(_last(decorator) in REGISTERS for decorator in node.decorator_list)


def units_of(module: str, text: str, classes: set[str]) -> list[Unit]:
    """The units of one module with the rules they name. classes: names of all classes of the product."""
    tree = ast.parse(text)
    first = Unit(module, "", range(0, 0), starts=False)
    units = [first]
    aliases: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom | ast.Import):
            aliases |= {a.asname: a.name.split(".")[-1] for a in node.names if a.asname}
    for node in tree.body:
        lines = range(min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))]), _end(node) + 1)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            units.append(Unit(module, node.name, lines, refers=_names(node), starts=_registers(node)))
        elif isinstance(node, ast.ClassDef):
            units += _class_units(module, node, lines, classes)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            name = next(iter(_names(*targets)), "")
            units.append(Unit(module, name, lines, refers=_names(node) - {name}))
        elif not isinstance(node, ast.Import | ast.ImportFrom) and not _is_text(node):
            units.append(Unit(module, "", lines, refers=_names(node), starts=True))
    for unit in units:
        unit.refers |= {aliases[name] for name in unit.refers & aliases.keys()}
        unit.starts |= ".migrations." in module and bool(unit.name)
    for line, words in said(text):
        inside = [unit for unit in units if line in unit.lines]
        after = [unit for unit in units if unit.lines.start == line + 1]
        unit = min(inside, key=lambda u: len(u.lines)) if inside else after[0] if after else first
        unit.rules += named_rules(words)
    return units


def _class_units(module: str, node: ast.ClassDef, lines: range, classes: set[str]) -> list[Unit]:
    bases = {_last(base) for base in node.bases}
    hooked = bool(bases - classes - PLAIN)  # a framework's base: it calls the methods
    whole = Unit(module, node.name, lines, starts=_registers(node))
    units = [whole]
    whole.refers |= _names(*node.bases, *node.decorator_list, *(k.value for k in node.keywords))
    for item in node.body:
        if not isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef):
            whole.refers |= _names(item)
            continue
        begin = min([item.lineno, *(d.lineno for d in item.decorator_list)])
        method = Unit(module, item.name, range(begin, _end(item) + 1), node.name, refers=_names(item))
        units.append(method)
        called = item.name.startswith("__") or {_last(d) for d in item.decorator_list} - HARMLESS
        if hooked or called or item.name == "model_post_init":
            whole.refers |= {f"{node.name}.{item.name}"}
    return units


def _end(node: ast.stmt) -> int:
    return node.end_lineno or node.lineno


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def said(text: str) -> Iterator[tuple[int, str]]:
    """(line, text) of comments and strings, line by line."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if (
            token.type == tokenize.COMMENT
            or token.type == tokenize.STRING
            or token.type == getattr(tokenize, "FSTRING_MIDDLE", -1)
        ):
            for offset, line in enumerate(token.string.splitlines()):
                yield token.start[0] + offset, line


@cache
def product_units() -> list[Unit]:
    """All units of the product."""
    modules = list(product_modules())
    classes = {n.name for _, text in modules for n in ast.walk(ast.parse(text)) if isinstance(n, ast.ClassDef)}
    units = [unit for module, text in modules if module != "blocks.rules" for unit in units_of(module, text, classes)]
    scripts = set(
        re.findall(r'^sohoa = "([\w.]+(?::\w+)?)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.M)
    )
    for unit in units:  # console scripts; a plug-in names a module, whose classes the host looks for
        unit.starts |= unit.label in scripts or (unit.module in scripts and bool(unit.name) and not unit.owner)
    return units


def reached(units: Iterable[Unit]) -> set[int]:
    """Ids (of objects) of the units that a chain of names leads to from where the outside begins.

    By name alone: two things of one name count as one, so too much is reached rather than too little.
    """
    units = list(units)
    by_name: dict[str, list[Unit]] = {}
    for unit in units:
        if unit.name:
            by_name.setdefault(unit.name, []).append(unit)
            if unit.owner:
                by_name.setdefault(f"{unit.owner}.{unit.name}", []).append(unit)
    waiting = [unit for unit in units if unit.starts]
    seen = {id(unit) for unit in waiting}
    while waiting:
        for name in waiting.pop().refers:
            for unit in by_name.get(name, ()):
                if id(unit) not in seen:
                    seen.add(id(unit))
                    waiting.append(unit)
    return seen
