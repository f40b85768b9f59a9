"""Finders for the layout of administrative papers (Nghị định 30/2020/NĐ-CP, phụ lục I).

Each takes the pages of one paper and gives what it found, or nothing. None guesses: a number without digits or a
date with a blank is missing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from statistics import median

from rapidfuzz import fuzz

from tasks.extraction.arrival import without_arrivals
from tasks.extraction.dates import find_dates
from tasks.extraction.found import Found, from_spans, whole
from tasks.extraction.labels import squeeze
from tasks.extraction.layout import BODY, LEFT, RIGHT, Page, Row
from tasks.extraction.letters import fold
from tasks.extraction.normalise import number_symbol
from tasks.extraction.words import AGENCY_HEADS, NOT_ISSUER

_NUMBER = re.compile(r"^\W{0,2}S[O06]\s*(?:[:.;,]+\s*|(?=[\d/]))(?P<v>.*)$")
_SUBJECT = re.compile(r"^\W{0,2}V\s?/\s?V\b[\s:.]*")
_ABOUT = re.compile(r"^(VE VIEC|V\s?/\s?V)\b")
_PLACE = re.compile(r"(?:[A-ZĐÂÔƠƯ]\w+\s?){1,4}")  # its comma lost
_BODY_START = re.compile(r"^(CAN CU|KINH GUI|THUC HIEN|DIEU \d|XET |THEO )")


def _ratio(a: str, b: str) -> float:
    return fuzz.ratio(squeeze(a)[0], squeeze(b)[0]) / 100


def number_row(page: Page) -> tuple[Row, int] | None:
    """The row `Số: …` of the head and where its value begins; rows of the left column first."""
    for row in without_arrivals(page, (*page.column(LEFT), *_upper_body(page))):
        match = _NUMBER.match(row.folded)
        if match and not row.red:
            return row, match.start("v")
    return None


def _upper_body(page: Page) -> list[Row]:
    return [row for row in page.column(BODY) if row.box[1] < 0.3 * page.height] if not page.head_end else []


def find_number(pages: Sequence[Page]) -> list[Found]:
    """Số, ký hiệu: under the issuing agency."""
    for page in pages[:1]:
        at = number_row(page)
        if at:
            row, start = at
            end = _before_place(row, start)
            if number_symbol(row.text[start:end]):
                return [from_spans([(row, start, end)], "decree30.number", 0.98)]
    return []


def _before_place(row: Row, start: int) -> int:
    """Where the number ends when the place and date were read into the same row."""
    match = re.search(r"\s+(?=[^\s/]+(\s[^\s/]+){0,4},\s*NGAY\b)|\s+(?=NGAY\b)", row.folded[start:])
    return start + match.start() if match else len(row.text)


def find_issuer(pages: Sequence[Page]) -> list[Found]:
    """Cơ quan ban hành: the last agency of the head's left column, not its parent above it."""
    if not pages:
        return []
    page = pages[0]
    rows = [row for row in page.column(LEFT) if not row.red and _is_head_text(row)]
    number = number_row(page)
    if number and number[0].column == LEFT:
        rows = [row for row in rows if row.box[1] < number[0].box[1] - 0.3 * row.height]
    groups: list[list[Row]] = []
    for row in rows:
        if groups and row.box[1] - groups[-1][-1].box[3] > 2.0 * row.height:
            break  # the agency's lines stand close together; what comes later is a stamp or the abstract
        if not groups or (_agency(row) and not _company_name(groups[-1][0], row)):
            groups.append([row])
        else:
            groups[-1].append(row)
    groups = [group for group in groups if _agency(group[0])]
    return [whole(groups[-1], "decree30.issuer", 0.97)] if groups else []


def _agency(row: Row) -> bool:
    """Whether the row begins with a word that names of agencies begin with."""
    text = re.sub(r"^\W+", "", row.folded)
    squeezed = squeeze(row.text)[0]
    for head in AGENCY_HEADS:
        folded = fold(head)
        if re.match(re.escape(folded) + r"(?![A-Z])", text) or (
            len(folded) >= 6 and squeezed.startswith(squeeze(head)[0])
        ):
            return True
    return False


def _company_name(first: Row, row: Row) -> bool:
    """Whether the row goes on a company's name, which may hold words like TRƯỜNG or HỘI; only its branches don't."""
    company = re.match(r"\W*(TONG )?(CONG TY|DOANH NGHIEP|HOP TAC XA|TAP DOAN)", first.folded)
    return bool(company) and not re.match(r"\W*(CHI NHANH|NHA MAY|XI NGHIEP|VAN PHONG|CONG TY)", row.folded)


def _is_head_text(row: Row) -> bool:
    """Names of agencies are in upper case; signature stamps, dirt and rules are not."""
    letters = [c for c in row.text if c.isalpha()]
    upper = sum(c.isupper() for c in letters)
    return len(letters) >= 2 and upper >= 0.7 * len(letters) and not any(w in row.folded for w in NOT_ISSUER)


def _after_gap(row: Row, end: int) -> int:
    """Where what stands just before `end` begins: behind the last gap as wide as two letters are high."""
    before = [piece for piece in row.pieces if piece.start < end]
    for earlier, later in reversed(list(pairwise(before))):
        if later.box[0] - earlier.box[2] > 2 * row.height:
            return later.start
    return 0


def find_place_date(pages: Sequence[Page], where: str = "head") -> list[Found]:
    """The date that follows the place, `Hà Nội, ngày …`: in the head, or above the signature (where: last)."""
    rows = [row for page in pages for row in without_arrivals(page, page.rows) if not row.red]
    if where == "head":
        heads = [(page, (*page.column(RIGHT), *page.column(LEFT), *_upper_body(page))) for page in pages[:1]]
        rows = [row for page, head in heads for row in without_arrivals(page, head)]
    found = []
    for row in rows:
        for date in find_dates(row.text):
            words = re.match(r"NG", fold(date.printed)) is not None
            lead = row.text[_after_gap(row, date.start) : date.start].rstrip()
            comma = lead.endswith((",", ".", ";")) or (
                where == "head" and row.column == RIGHT and _PLACE.fullmatch(lead)
            )
            placed = words and (comma or not lead) and len(lead) < 40
            if placed:
                found.append(from_spans([(row, date.start, date.end)], f"decree30.place_date.{where}", 0.98))
    return found[-1:] if where == "last" else found[:1]


def title_row(pages: Sequence[Page], titles: Sequence[str]) -> tuple[list[Row], str, float] | None:
    """Rows of the type's name, which of `titles` it is, and how alike they are (0..1)."""
    best: tuple[list[Row], str, float] | None = None
    for part in _title_candidates(pages[0]) if pages else ():
        text = " ".join(row.text for row in part)
        letters = [c for c in text if c.isalpha()]
        if len(letters) < 3 or sum(c.isupper() for c in letters) < 0.75 * len(letters):
            continue
        for title in titles:
            alike = _ratio(text, title)
            # Of two alike the upper one: `QUYẾT ĐỊNH:` stands once more above the articles.
            better = best is None or alike > best[2] + 0.005
            if best and not better and alike > best[2] - 0.005:
                better = part[-1].box[3] < best[0][0].box[1]
            if alike >= 0.82 and better:
                best = (part, title, alike)
    return best


def _title_candidates(page: Page) -> Iterator[list[Row]]:
    """One to three rows that follow each other in one column, and the single lines of rows."""
    for column in (BODY, RIGHT, LEFT):
        rows = [row for row in page.column(column) if row.box[1] < 0.55 * page.height]
        for i, row in enumerate(rows):
            yield from ([cell] for cell in row.cells)
            for count in (1, 2, 3):
                part = rows[i : i + count]
                if len(part) == count and part[-1].box[1] - row.box[3] < 4 * row.height:
                    yield part


def find_title(pages: Sequence[Page], titles: Sequence[str]) -> list[Found]:
    """Tên giấy tờ, in the spelling of the list of types when it is on it."""
    at = title_row(pages, titles)
    if at:
        rows, title, alike = at
        found = whole(rows, "decree30.title", min(1.0, 0.5 + alike / 2))
        # Agreement with the list is evidence of its own: a misread letter doesn't matter.
        sure = max(found.reading, 0.97 * alike)
        return [replace(found, reading=sure, canonical=title, listed=True)]
    return []  # a letter (công văn) prints no name of its type


def find_letter(pages: Sequence[Page], titles: Sequence[str]) -> list[Found]:
    """Công văn: the type that prints no name of its own (Nghị định 30/2020, Điều 7), told by `V/v …`. A proposal."""
    if not pages or title_row(pages, titles):
        return []
    rows = _subject_rows(pages[0])
    found = whole(rows[:1], "decree30.letter", 0.9) if rows else None
    return [replace(found, printed="Công văn", canonical="CÔNG VĂN", proposal=True)] if found else []


def _subject_rows(page: Page) -> list[Row]:
    """`V/v …` under the number of a letter, with the rows that go on."""
    rows = [row for row in page.rows if row.column in (LEFT, BODY) and row.box[1] < 0.45 * page.height]
    for i, row in enumerate(rows):
        if _SUBJECT.match(row.folded):
            taken = [row]
            for nxt in rows[i + 1 :]:
                far = nxt.box[1] - taken[-1].box[3] > 1.2 * row.height
                if far or nxt.column != row.column or _BODY_START.match(nxt.folded):
                    break
                taken.append(nxt)
            return taken
    return []


def find_abstract(pages: Sequence[Page], titles: Sequence[str]) -> list[Found]:
    """Trích yếu: centred under the type's name, or `V/v …` of a letter."""
    if not pages:
        return []
    at = title_row(pages, titles)
    if at is None:
        rows = _subject_rows(pages[0])
        if not rows:
            return []
        return [whole(rows, "decree30.subject", 0.97)]
    page, title = pages[0], at[0][-1]
    taken = _centred_below(page, title)
    return [whole(taken, "decree30.abstract", 0.96)] if taken else []


def _centred_below(page: Page, title: Row) -> list[Row]:
    """The rows under the title that are centred like it and evenly spaced; the body begins after a wider gap."""
    body = [row for row in page.rows if row.column == BODY and row.box[1] > title.box[1] + 0.5 * title.height]
    body = [row for row in body if not row.red and any(c.isalnum() for c in row.text)]
    wide = [row for row in body if row.box[2] - row.box[0] > 0.6 * page.width]
    edges = (min(row.box[0] for row in wide), max(row.box[2] for row in wide)) if wide else (0.0, page.width)
    centres = [title.middle, sum(edges) / 2]
    taken: list[Row] = []
    pitches: list[float] = []
    for row in body:
        pitch = row.box[1] - (taken[-1] if taken else title).box[1]
        usual = median(pitches) if pitches else 1.1 * row.height
        off = min(abs(row.middle - centre) for centre in centres)
        too_far = pitch > (1.45 if taken else 3.0) * usual
        # A photo's perspective moves centres; a first row that says what it is about needn't stand in the middle.
        near = 0.06 if not taken and _ABOUT.match(row.folded) else 0.018
        if too_far or off > near * page.width or _BODY_START.match(row.folded) or row.capital:
            break
        if taken:
            pitches.append(pitch)
        taken.append(row)
    return taken


def find_serial(pages: Sequence[Page]) -> list[Found]:
    """How many people a list names: its rows with a BHXH number, and its last serial number (STT).

    Where the two differ (a digit alone is easily overlooked) the greater stands, and the officer must look.
    """
    expected, named = 1, []
    for page in pages:
        for row in page.rows:
            if re.match(rf"^{expected}(?=[\s.)])", row.text):
                expected += 1
            number = re.search(r"(?<![\d/])\d{10}(?!\d)", row.text)
            if number and ":" not in row.text:
                at = next(piece.at for piece in row.pieces if piece.end > number.start())
                named.append((row, (at[0] + at[2]) / 2 / page.width))
    usual = median(x for _, x in named) if named else 0.0
    rows = [row for row, x in named if abs(x - usual) < 0.05]  # the tax code in a stamp stands elsewhere
    count = max(len(rows), expected - 1)
    if not count or not rows:
        return []
    found = whole(rows, "table.people", 0.97 if len(rows) == expected - 1 else 0.6)
    return [replace(found, canonical=str(count), printed=str(count))]
