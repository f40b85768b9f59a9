"""Carrying out the rules of a profile on the pages of one paper."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from tasks.extraction import decree30, signatures
from tasks.extraction.found import Found, from_spans
from tasks.extraction.labels import Hit, find_labels
from tasks.extraction.layout import BODY, LEFT, RIGHT, Page, Row
from tasks.extraction.letters import fold
from tasks.extraction.normalise import before_item, tidy
from tasks.extraction.profiles import Profile, Rule


@dataclass(frozen=True)
class Labelled:
    """A row with the labels that stand in it."""

    row: Row
    hits: tuple[Hit, ...]


class Paper:
    """The pages of one paper with the labels of one profile found in them."""

    def __init__(self, pages: Sequence[Page], profile: Profile) -> None:
        self.pages, self.profile = list(pages), profile
        labels = profile.labels
        self.rows = [Labelled(row, tuple(find_labels(row, labels))) for page in pages for row in page.rows]

    def candidates(self, rule: Rule) -> Iterator[Found]:
        """What the rule finds, in the order it stands on the paper."""
        if rule.code:
            yield from self._by_code(rule.code, rule.quality)
        elif rule.find:
            yield from self._by_finder(rule)
        elif rule.label:
            yield from self._by_label(rule)
        else:
            yield from self._by_pattern(rule)

    def _by_code(self, pattern: str, quality: float) -> Iterator[Found]:
        """In the barcodes: they are decoded exactly or not at all, so the value is as sure as a listed one."""
        for page in self.pages:
            for code in page.codes:
                if match := re.search(pattern, code.text):
                    yield Found(match["v"], 1.0, page.number, code.box, "code", quality, code.box[1], listed=True)

    def _by_finder(self, rule: Rule) -> list[Found]:
        titles = self.profile.title
        match rule.find:
            case "issuer":
                found = decree30.find_issuer(self.pages)
            case "number":
                found = decree30.find_number(self.pages)
            case "place_date":
                found = decree30.find_place_date(self.pages, "last" if rule.where == "last" else "head")
                if not found and rule.where != "last":
                    found = decree30.find_place_date(self.pages, "any")
            case "title":
                found = decree30.find_title(self.pages, titles)
            case "letter":
                found = decree30.find_letter(self.pages, titles)
            case "abstract":
                found = decree30.find_abstract(self.pages, titles)
            case "signer":
                found = signatures.find_signer(self.pages)
            case "recipients":
                found = signatures.find_recipients(self.pages)
            case _:
                found = decree30.find_serial(self.pages)
        return [replace(f, score=min(f.score, rule.quality)) for f in found]

    def scope(self, rule: Rule) -> list[int]:
        """Rows in which the rule looks: between the sections that it names."""
        first = 0
        last = len(self.rows)
        for i, item in enumerate(self.rows):
            names = {hit.label for hit in item.hits}
            if rule.after and names & set(rule.after) and not first:
                first = i + 1
            if rule.before and names & set(rule.before):
                last = min(last, i)
        if rule.after and not first:
            return []
        wanted = {"head": (LEFT, RIGHT), "body": (BODY,)}.get(rule.where, (LEFT, RIGHT, BODY))
        rows = range(first, last)
        if rule.where == "head":
            return [i for i in rows if self.rows[i].row.column in wanted or self._upper(self.rows[i].row)]
        return [i for i in rows if self.rows[i].row.column in wanted]

    def _upper(self, row: Row) -> bool:
        page = next(p for p in self.pages if p.number == row.page)
        return not page.head_end and row.box[1] < 0.25 * page.height

    def _by_label(self, rule: Rule) -> Iterator[Found]:
        wanted = set(rule.label)
        for i in self.scope(rule):
            item = self.rows[i]
            for k, hit in enumerate(item.hits):
                if hit.label in wanted and not item.row.red:
                    spans = self._value(i, k, rule)
                    if spans:
                        found = from_spans(spans, f"label:{fold(hit.label).lower()}", rule.quality * hit.score)
                        yield _within(found, rule.pattern)

    def _value(self, i: int, k: int, rule: Rule) -> list[tuple[Row, int, int]]:
        """Parts of rows that hold the value of label k of row i; empty when nothing is filled in."""
        item = self.rows[i]
        start = item.hits[k].value
        end = item.hits[k + 1].start if k + 1 < len(item.hits) else len(item.row.text)
        if k + 1 < len(item.hits):
            end = start + len(before_item(item.row.text[start:end]))
        spans = [(item.row, start, end)] if tidy(item.row.text[start:end]) else []
        last_of_row = k + 1 == len(item.hits)
        more = rule.lines - 1 if spans else (rule.lines if rule.below else 0)
        previous = item.row
        for nxt in self._following(i, rule)[:more] if last_of_row or rule.below else []:
            gap = nxt.row.box[1] - previous.box[3]
            if nxt.row.page != previous.page or gap > 1.3 * item.row.height or _ends(nxt, rule.below):
                break
            if nxt.row.column != item.row.column:
                break
            stop = nxt.hits[0].start if nxt.hits else len(nxt.row.text)
            row = _beneath(nxt.row, item.row) if rule.below else nxt.row
            stop = len(row.text) if row is not nxt.row else stop
            if tidy(row.text[:stop]):
                spans.append((row, 0, stop))
            if nxt.hits:
                break
            previous = nxt.row
        return spans

    def _following(self, i: int, rule: Rule) -> list[Labelled]:
        """The rows after row i; for a value below its label without those that stand left of it."""
        label = self.rows[i].row
        after = self.rows[i + 1 : i + 1 + rule.lines + 3]
        return [item for item in after if not rule.below or item.row.box[2] > label.box[0] + label.height]

    def _by_pattern(self, rule: Rule) -> Iterator[Found]:
        """The pattern in the text of the body, over the ends of rows."""
        assert rule.pattern
        for page in self.pages:
            text, starts = "", []
            for row in page.rows:
                starts.append(len(text))
                text += row.text + "\n"
            flat = fold(text.replace("\n", " ") if not rule.pattern.startswith("^") else text)
            for match in re.finditer(fold_pattern(rule.pattern), flat, re.MULTILINE):
                spans = [
                    (row, max(0, match.start("v") - at), min(len(row.text), match.end("v") - at))
                    for row, at in zip(page.rows, starts, strict=True)
                    if at < match.end("v") and at + len(row.text) > match.start("v")
                ]
                if spans:
                    found = from_spans(spans, "pattern", rule.quality)
                    found = replace(found, proposal=found.proposal or rule.proposal)
                    if rule.value:  # one of a closed list: marks that were misread don't matter
                        found = replace(found, canonical=rule.value, listed=True, reading=max(found.reading, 0.97))
                    yield found


def fold_pattern(pattern: str) -> str:
    """The pattern for text without marks in upper case; escapes and names of groups stay as they are."""
    parts = re.split(r"(\\.|\(\?P<\w+>|\(\?[:=!])", pattern)
    return "".join(part if k % 2 else fold(part) for k, part in enumerate(parts))


def _beneath(row: Row, label: Row) -> Row:
    """The cells of the row that stand below the label, not those left of it."""
    cells = [cell for cell in row.cells if cell.box[0] > label.box[0] - 2 * label.height]
    return cells[0] if len(cells) == 1 and len(row.cells) > 1 else row


def _ends(item: Labelled, below: bool) -> bool:
    """A row that begins with a label or a numbered heading isn't the going on of a value."""
    if item.hits and item.hits[0].start <= 6 and not (below and item.row.cells):
        return True
    return bool(re.match(r"^([IVX]{1,4}|\d{1,2}|[a-z])[.)]\s|^\[\d|^[-–+]\s", item.row.text)) or item.row.red


def _within(found: Found, pattern: str | None) -> Found:
    match = re.search(pattern, found.printed, re.IGNORECASE) if pattern else None
    return replace(found, printed=match["v"]) if match else found
