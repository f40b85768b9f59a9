"""Profiles: what a type of paper looks like and which rule finds which field, as data.

Each YAML file in `forms/` is one type; a new one needs no code. Rules of a field are tried in order, the best found
value wins (see `extract.py`).
"""

from __future__ import annotations

import re
import unicodedata
from functools import cached_property, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, model_validator

from blocks.records.states import OwnerKind
from tasks.extraction.fields import LABELS
from tasks.extraction.normalise import COMMON, KINDS
from tasks.extraction.words import TYPES

FORMS = Path(__file__).with_name("forms")
ROWS = "special.rows."  # fields of a table's rows: special.rows.001.full_name
GENERAL = "LOCAL:VAN-BAN-HANH-CHINH"
Finder = Literal["issuer", "number", "place_date", "title", "letter", "abstract", "signer", "recipients", "serial"]


class Rule(BaseModel):
    """One way to find a field: by its printed label, a finder of the page's layout, a pattern, or in a barcode."""

    model_config = ConfigDict(extra="forbid")
    label: list[str] = []  # printed labels; a label that ends with ":" counts only with its colon
    find: Finder | None = None
    pattern: str | None = None  # alone: searched in every row; with a label: in what stands after it. Group v is taken
    code: str | None = None  # searched in the text of the QR codes on the page; group v is taken
    value: str | None = None  # with a pattern: the value, in right spelling, wherever the pattern stands
    kind: str | None = None  # normal form, if other than the field's
    lines: int = 1  # of a value that may go on in the rows below
    below: bool = False  # the value may stand in the row below its label
    where: Literal["any", "head", "body", "last"] = "any"  # last: the last match counts (signature blocks)
    after: list[str] = []  # only below a row with one of these labels
    before: list[str] = []  # only above such a row
    quality: float = 0.98
    proposal: bool = False  # what it finds is never sure: the words may speak of something else than this paper

    @model_validator(mode="after")
    def _one_way(self) -> Rule:
        if not (self.label or self.find or self.pattern or self.code):
            raise ValueError("a rule needs label, find, pattern or code")
        return self


class FieldSpec(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    vi: str = ""  # label for officers; fields of Điều 9.2 have theirs in fields.py
    kind: str = ""
    rules: list[Rule]
    confirm: list[Rule] = []  # find the same value printed once more, as in words: it proves or disproves the field

    @model_validator(mode="after")
    def _known(self) -> FieldSpec:
        self.kind = self.kind or COMMON.get(self.name, "text")
        if self.name not in LABELS and not (self.name.startswith("special.") and self.vi):
            raise ValueError(f"{self.name}: not a field of Điều 9.2, nor special.<name> with a Vietnamese label")
        for kind in (self.kind, *(rule.kind for rule in (*self.rules, *self.confirm) if rule.kind)):
            if kind not in KINDS:
                raise ValueError(f"{self.name}: unknown kind {kind}")
        return self


class Column(BaseModel):
    """A column of a table; one without a name only tells where its neighbours end."""

    model_config = ConfigDict(extra="forbid")
    label: list[str]  # the printed heading, any of them
    name: str = ""  # the field is special.rows.<row>.<name>
    vi: str = ""
    kind: str = "text"

    @model_validator(mode="after")
    def _known(self) -> Column:
        if self.kind not in KINDS or (self.name and not self.vi):
            raise ValueError(f"column {self.name}: unknown kind {self.kind}, or no Vietnamese label")
        return self


class TableSpec(BaseModel):
    """A list whose rows are data of the paper: its columns from left to right."""

    model_config = ConfigDict(extra="forbid")
    columns: list[Column]


class Profile(BaseModel):
    model_config = ConfigDict(extra="forbid")
    type: str
    name: str
    source: str  # where the layout is published
    owner: OwnerKind = OwnerKind.PERSON
    title: list[str]  # as printed, any of them
    phrases: list[str] = []  # tell this type from others
    stops: list[str] = []  # further labels: a value ends before them
    fields: list[FieldSpec]
    compose: list[str] = []  # abstracts of papers that print none, with {fields}; the first that is complete counts
    table: TableSpec | None = None

    @model_validator(mode="after")
    def _composable(self) -> Profile:
        unknown = {n for text in self.compose for n in re.findall(r"{([\w.]+)}", text)} - {s.name for s in self.fields}
        if unknown:
            raise ValueError(f"{self.type}: an abstract is composed of unknown fields {sorted(unknown)}")
        return self

    @property
    def labels(self) -> tuple[str, ...]:
        """Every label of the form: a value ends where the next one begins."""
        found = [
            text
            for spec in self.fields
            for rule in (*spec.rules, *spec.confirm)
            for text in (*rule.label, *rule.after, *rule.before)
        ]
        shared = [text for name, texts in _sets().items() if name != "types" for text in texts]
        return tuple(dict.fromkeys([*found, *self.stops, *shared]))

    @cached_property
    def _printed(self) -> tuple[frozenset[str], frozenset[tuple[str, str]]]:
        """The words that the form prints, and which of them stand beside each other."""
        texts = [_words(text) for text in (*self.labels, *self.phrases, *self.title)]
        return frozenset(w for text in texts for w in text), frozenset(p for text in texts for p in pairwise(text))

    def prints(self, value: str) -> bool:
        """Whether the form says this itself: `hàng Người bán hàng` isn't the name of a person, `Hồ Công Thành` is,
        though each of these words stands on some form."""
        words, (known, beside) = _words(value), self._printed
        return known.issuperset(words) and not beside.isdisjoint(pairwise(words))


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", unicodedata.normalize("NFC", text).lower())


@lru_cache
def _sets() -> dict[str, list[str]]:
    """Label sets that many forms share (`_labels.yaml`)."""
    loaded: dict[str, list[str]] = yaml.safe_load((FORMS / "_labels.yaml").read_text("utf-8"))
    return {**loaded, "types": list(TYPES)}


def _expand(value: object) -> object:
    """Replace "@name" in lists of labels by the set of that name. Raises KeyError for an unknown one."""
    if isinstance(value, dict):
        return {key: _expand(item) for key, item in value.items()}
    if isinstance(value, list):
        return [
            text
            for item in value
            for text in (_sets()[item[1:]] if isinstance(item, str) and item.startswith("@") else [_expand(item)])
        ]
    return value


def _load(path: Path) -> Profile:
    """The profile with the fields that any paper may carry (`_common.yaml`), unless it says itself where they stand."""
    raw = yaml.safe_load(path.read_text("utf-8"))
    own = {item["name"] for item in raw["fields"]}
    common = yaml.safe_load((FORMS / "_common.yaml").read_text("utf-8"))
    raw["fields"] += [item for item in common if item["name"] not in own]
    return Profile.model_validate(_expand(raw))


@lru_cache
def profiles() -> dict[str, Profile]:
    """All profiles by type code."""
    loaded = [_load(path) for path in sorted(FORMS.glob("[!_]*.yaml"))]
    by_type = {profile.type: profile for profile in loaded}
    assert len(by_type) == len(loaded), "two profiles of one type"
    return by_type


def prepare() -> None:
    """Read them now rather than at the first paper."""
    _special()


def profile_of(type_code: str) -> Profile:
    """The profile of the declared type; without one, that of administrative papers in general."""
    return profiles().get(type_code) or profiles()[GENERAL]


@lru_cache
def _special() -> dict[str, tuple[str, str]]:
    """Kind and Vietnamese label of each special field and of each column of a table."""
    found = {s.name: (s.kind, s.vi) for p in profiles().values() for s in p.fields if s.name not in LABELS}
    columns = [c for p in profiles().values() if p.table for c in p.table.columns if c.name]
    return found | {f"{ROWS}{c.name}": (c.kind, c.vi) for c in columns}


def row_field(row: int, column: str) -> str:
    """Name of a field in a table; rows count from 1."""
    return f"{ROWS}{row:03d}.{column}"


def _row_of(name: str) -> tuple[str, str]:
    """`special.rows.003.full_name`: the column's name without the row, and the row."""
    found = re.fullmatch(rf"{re.escape(ROWS)}(\d+)\.(\w+)", name)
    return (f"{ROWS}{found[2]}", found[1]) if found else (name, "")


def special_kind(name: str) -> str:
    """Kind of a special field."""
    return _special().get(_row_of(name)[0], ("text", ""))[0]


def field_label(name: str) -> str:
    """The Vietnamese label that officers see."""
    if name in LABELS:
        return LABELS[name][1]
    plain, row = _row_of(name)
    label = _special().get(plain, ("", name))[1]
    return f"Danh sách, dòng {int(row)}: {label}" if row else label
