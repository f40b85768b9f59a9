"""From the read pages of one paper to its fields (Điều 9.2). Pure: no database, no objects."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial

from rapidfuzz import fuzz

from blocks.clock import vietnam_day
from blocks.ocr.types import PageText
from blocks.records.states import FieldSource
from tasks.extraction.calibration import CELL, LISTED, calibrated, maybe_by_hand, measured
from tasks.extraction.checks import DOUBT, cross_check, weighed
from tasks.extraction.classify import Likeness, classify
from tasks.extraction.fields import PROPOSAL, Extracted
from tasks.extraction.found import Found
from tasks.extraction.layout import Page, read_page
from tasks.extraction.letters import fold
from tasks.extraction.namesakes import namesakes
from tasks.extraction.normalise import KINDS, name, text, unlikely
from tasks.extraction.page_knowledge import resolved
from tasks.extraction.places import PLACE, place_of
from tasks.extraction.profiles import FieldSpec, Profile, Rule, profile_of, row_field
from tasks.extraction.restore import company, restore, unfinished
from tasks.extraction.rules import Paper
from tasks.extraction.second_reading import SECOND, second_reading
from tasks.extraction.settings import CONFIDENCE_THRESHOLD
from tasks.extraction.several import holds_several
from tasks.extraction.tables import Cell, read_table

UNLIKE = 0.25  # by so much another type must look likelier before the declared one is doubted
HIGHEST_PROPOSAL = CONFIDENCE_THRESHOLD - 0.05
POOR = "!page"  # likewise: its page was read worse than those of which confidences were measured
FAINT = "!faint"  # likewise: a number that a hand may have written
SEVERAL = "!several"  # likewise: a page of this paper seems to hold another paper, too


@dataclass(frozen=True)
class Extraction:
    fields: dict[str, Extracted]
    likely: tuple[Likeness, ...]  # types by likeness, the likeliest first
    declared_score: float
    several: tuple[int, ...] = ()  # pages that seem to hold more than one paper, or more than one page of it

    @property
    def type_doubted(self) -> bool:
        """Another type is clearly likelier than the declared one: the officer should look."""
        return bool(self.likely) and self.likely[0].score - self.declared_score > UNLIKE


def extract(pages: Sequence[tuple[int, PageText]], type_code: str, today: date | None = None) -> Extraction:
    """Fields of a paper of the declared type.

    pages: number in the PDF (1-based) and text of each page that is to be extracted. A field that isn't found has
    the value None; nothing is guessed. today: no paper was issued after it (default: Viet Nam's day). Where a page
    seems to hold two papers no field is sure: nobody but an officer can tell which value is whose.
    """
    today = today or vietnam_day()
    readable = [(number, page) for number, page in pages if page.readable]
    read = [read_page(number, page) for number, page in resolved(readable, today)]
    profile = profile_of(type_code)
    likely = tuple(classify(read)) if read else ()
    paper = Paper(read, profile)
    fields = {spec.name: _by_hand(_field(paper, spec, profile), paper, spec) for spec in profile.fields}
    fields = cross_check(namesakes(fields, read) | _table(paper, profile))
    poor = {page.number for page in read if not measured(page.legibility, page.engine)}
    fields = {name: _honest(item, today, poor) for name, item in fields.items()}
    several = tuple(page.number for page in read if holds_several(page))
    if several:
        fields = {name: _whose(item) for name, item in fields.items()}
    score = next((item.score for item in likely if item.type_code == profile.type), 0.0)
    return Extraction(fields, likely, score, several)


def empty(type_code: str) -> dict[str, Extracted]:
    """All fields of the profile without values, for manual entry (EX02)."""
    return {
        spec.name: Extracted(spec.name, None, rule="EX02", source=FieldSource.MANUAL)
        for spec in profile_of(type_code).fields
    }


def _field(paper: Paper, spec: FieldSpec, profile: Profile) -> Extracted:
    """The first rule that finds a value of the field's form wins; a value found again elsewhere is surer."""
    for n, rule in enumerate(spec.rules):
        good = _good(paper, spec, rule)
        if good:
            chosen, value = good[-1] if rule.where == "last" else good[0]
            item = _extracted(spec.name, spec.kind, chosen, value, [v for _, v in good], paper)
            return _confirmed(
                _against_print(item, paper, spec, spec.rules[n + 1 :]) if rule.code else item, paper, spec
            )
    return _by_words(paper, spec) or _unread(paper, spec)


def _unread(paper: Paper, spec: FieldSpec) -> Extracted:
    """Without a value, but with its place where the form shows it: the officer looks there, whoever wrote in it."""
    place = place_of(paper, spec)
    page, box = place if place else (None, None)
    return Extracted(spec.name, None, page=page, box=box, rule=PLACE if place else "", engine=_engine(paper.pages))


def _by_hand(item: Extracted, paper: Paper, spec: FieldSpec) -> Extracted:
    """What the reader of digits sees in the field's place, where nothing was read or only of what a hand wrote."""
    if item.box is None or (item.value is not None and PROPOSAL not in item.rule.split(";")):
        return item
    page = next(page for page in paper.pages if page.number == item.page)
    read = second_reading(page, item.box, spec.kind)
    if read is None or read.value == item.value:
        return item
    return replace(
        item,
        value=read.value,
        printed=read.value,
        confidence=min(read.probability, HIGHEST_PROPOSAL),
        box=read.box,
        rule=f"{item.rule.split(';')[0]};{SECOND};{PROPOSAL}",
        kind=spec.kind,
        reading=read.probability,
    )


def _by_words(paper: Paper, spec: FieldSpec) -> Extracted | None:
    """An amount whose groups were misread (`3.961900`): its digits are those that the paper says in words."""
    for proof in spec.confirm:
        words = {value for _, value in _good(paper, spec, proof)}
        for rule in spec.rules:
            for found in paper.candidates(rule):
                value = re.sub(r"\D", "", found.printed)
                if value in words:
                    return _confirmed(_extracted(spec.name, spec.kind, found, value, [value], paper), paper, spec)
    return None


def _table(paper: Paper, profile: Profile) -> dict[str, Extracted]:
    """The rows of the profile's list."""
    rows = read_table(paper.pages, profile.table) if profile.table else {}
    return {
        (name := row_field(n, cell.column.name)): _extracted(name, _kind(cell), cell.found, cell.value, [], paper)
        for n, cells in rows.items()
        for cell in cells
    }


def _kind(cell: Cell) -> str:
    """Text of cells proves itself otherwise than that of fields: whole lines get lost in narrow columns."""
    return CELL if cell.column.kind == "text" else cell.column.kind


def _good(paper: Paper, spec: FieldSpec, rule: Rule) -> list[tuple[Found, str]]:
    """What the rule finds that has the field's form, with the normal form."""
    kind = KINDS[rule.kind or spec.kind]
    found = [(f, f.canonical or kind(f.printed)) for f in map(partial(_restored, spec), paper.candidates(rule))]
    named = (rule.kind or spec.kind) == "name"
    return [(f, value) for f, value in found if value and not (named and paper.profile.prints(value))]


def _against_print(item: Extracted, paper: Paper, spec: FieldSpec, rules: Sequence[Rule]) -> Extracted:
    """A value from a barcode beside the same field in print: where they differ, an officer must look."""
    alike = 85 if spec.kind in ("text", "name", "agency") else 100  # a misread letter of small print is no difference
    wanted = fold(item.value or "")
    printed = [fold(value) for rule in rules for _, value in _good(paper, spec, rule)]
    if not printed or any(fuzz.ratio(wanted, value) >= alike for value in printed):
        return item
    return replace(item, confidence=round(item.confidence * DOUBT, 4), rule=f"{item.rule};!print")


def _confirmed(item: Extracted, paper: Paper, spec: FieldSpec) -> Extracted:
    """A value that the paper prints once more, as amounts in words."""
    again = [value for rule in spec.confirm for _, value in _good(paper, spec, rule)]
    return weighed(item, item.value in again, "words") if again else item


def _restored(spec: FieldSpec, found: Found) -> Found:
    """Names of agencies get the marks of the closed lists; made of known words only, they are as sure as a list."""
    if spec.kind != "agency" or found.listed:
        return found
    value, complete = restore(text(found.printed) or "")
    if unfinished(value):
        return replace(found, canonical=value or None, score=found.score * DOUBT)
    complete = complete and not company(value)  # a company has a name of its own: without it, the rest was lost
    return replace(found, canonical=value or None, listed=complete, reading=max(found.reading, 0.95 * complete))


def _extracted(field: str, kind: str, found: Found, value: str, seen: Sequence[str], paper: Paper) -> Extracted:
    """seen: all values that the rule found, this one among them."""
    reading = found.confidence
    same = sum(v == value for v in seen)
    if same > 1:
        reading = 1 - (1 - reading) * 0.5
    elif len(set(seen)) > 1:
        reading *= 0.93  # the same label has other values elsewhere on the paper
    proposal = found.proposal or (not found.listed and unlikely(kind, value))
    kind = LISTED if found.listed else kind
    return Extracted(
        field,
        value,
        printed=text(found.printed) or name(found.printed) or value,
        confidence=calibrated(reading, kind, _engine(paper.pages)),
        page=found.page,
        box=found.box,
        rule=f"{found.rule};{PROPOSAL}" if proposal else found.rule,
        engine=_engine(paper.pages),
        kind=kind,
        reading=round(reading, 4),
    )


def _honest(item: Extracted, today: date, poor: Collection[int]) -> Extracted:
    """What is only proposed stays below the threshold, whatever else speaks for it; no paper is of tomorrow.

    poor: pages that were read worse than those of the calibration; there only barcodes are sure.
    """
    proposal = PROPOSAL in item.rule.split(";")
    if item.page in poor and item.value and not item.rule.startswith("code"):
        item, proposal = replace(item, rule=f"{item.rule};{POOR}"), True
    if item.value and not proposal and _hand_written(item):
        item, proposal = replace(item, rule=f"{item.rule};{FAINT}"), True
    if item.name == "issue_date" and item.value and item.value > today.isoformat():
        if proposal:  # then one of its digits is certainly read wrong
            return replace(item, value=None, confidence=0.0, rule=f"{item.rule};!future")
        item, proposal = replace(item, rule=f"{item.rule};!future"), True
    return replace(item, confidence=min(item.confidence, HIGHEST_PROPOSAL)) if proposal else item


def _hand_written(item: Extracted) -> bool:
    """Whether a hand may have written this number, and nothing else proves it.

    Lists are printed; in the head a reader of its own tells print from hands; what agrees with another field was read
    right, but for ids, of which a birth date proves three digits only.
    """
    told_apart = item.rule.startswith(("table", "code", "decree30"))
    proven = re.search(r";\+(?!id-)", item.rule) or (";+id-" in item.rule and not item.name.endswith("_id"))
    return not told_apart and not proven and maybe_by_hand(item.reading, item.kind)


def _whose(item: Extracted) -> Extracted:
    """A value that may be of the other paper on the image."""
    confidence = round(min(item.confidence, HIGHEST_PROPOSAL) * DOUBT, 4)
    return replace(item, confidence=confidence, rule=f"{item.rule};{SEVERAL}") if item.value else item


def _engine(pages: Sequence[Page]) -> str:
    return pages[0].engine if pages else ""
