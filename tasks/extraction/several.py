"""Several papers on one image: two certificates on the glass, two people's papers on A3, two pages of a list.

A page that holds two papers, or two pages, is read as if it were one: labels of one find values of the other. So each
sign of a second paper makes every value of the page doubtful; which value is whose only an officer can see.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations

from rapidfuzz import fuzz

from blocks.ocr.types import Box
from tasks.extraction.labels import squeeze
from tasks.extraction.layout import HEAD_PHRASES, Page, Row
from tasks.extraction.letters import fold
from tasks.extraction.profiles import GENERAL, profiles

ALIKE = 85.0  # of 100: how much a line must be like the national title
TITLE = 93.0  # likewise like the title of a type: `BẢO HIỂM XÃ HỘI` of a head or a seal is no `SỔ BẢO HIỂM XÃ HỘI`
APART = 0.2  # of the page's height or width: a second paper begins at least so far from the first
LEVEL = 0.08  # of its height: headings beside each other stand level within this
ABOVE, MARGIN = 8, 2  # heights of a heading: so far above it, a paper's upper margin of so much is looked for
SAME_SHIFT = 0.03  # of the page's larger side: labels of two copies of a form are all shifted alike, within this
SHIFTED = 4  # so many different texts that are shifted alike are two copies of a form
TELLING = 10  # letters of a heading in capitals that a form doesn't repeat
LABEL = 6  # letters that a text must have to count
GUTTER = 0.05  # of the width of a sheet: what stays free between two pages beside each other
LINES = 6  # that each of them must have
TABLE = 0.9  # share of lines that stand level with one beyond the gutter from which it is a column of a table
SPREAD = 1.2  # width by height from which a sheet may hold two pages


def holds_several(page: Page) -> bool:
    """Whether more than one paper, or page of one, seems to lie on this image."""
    return _two_national_titles(page) or _two_titles(page) or _two_copies(page) or _two_pages(page)


def _apart(a: Box, b: Box, page: Page) -> bool:
    """Whether two headings can't be of one paper: beside each other, or far below where a margin is left free."""
    first, second = sorted((a, b), key=lambda box: box[1])
    if second[1] - first[1] > APART * page.height:
        return _begins(second, page)
    beside = max(a[0] - b[2], b[0] - a[2]) > 0.02 * page.width
    return beside and second[1] - first[1] < LEVEL * page.height


def _begins(heading: Box, page: Page) -> bool:
    """Whether a paper may begin there: within some lines above it, nothing stands across the page."""
    high = heading[3] - heading[1]
    above = [row.box for row in page.parts if heading[1] - ABOVE * high < row.box[3] and row.box[1] < heading[1]]
    ends = sorted([heading[1] - ABOVE * high, *(box[3] for box in above if box[3] < heading[1])])
    starts = [min((box[1] for box in [*above, heading] if box[3] > end + 1), default=end) for end in ends]
    return any(start - end > MARGIN * high for end, start in zip(ends, starts, strict=True))


def _two_national_titles(page: Page) -> bool:
    for phrase in HEAD_PHRASES:
        wanted = squeeze(phrase)[0]
        found = []
        for row in page.parts:
            text = squeeze(row.text)[0]
            if text.count(wanted) > 1:
                return True
            if len(text) < 1.4 * len(wanted) and fuzz.ratio(wanted, text) >= ALIKE:
                found.append(row.box)
        if any(_apart(a, b, page) for a, b in combinations(found, 2)):
            return True
    return False


def _two_titles(page: Page) -> bool:
    """Titles of forms, which stand once on a paper; `QUYẾT ĐỊNH` stands twice on each decision."""
    titles = [t for p in profiles().values() if p.type != GENERAL for t in p.title]
    wanted = [text for text in (squeeze(t)[0] for t in titles) if len(text) >= TELLING]
    found = [box for text, box in _headings(page) if any(fuzz.ratio(t, text) >= TITLE for t in wanted)]
    return any(_apart(a, b, page) for a, b in combinations(found, 2))


def _headings(page: Page) -> Iterator[tuple[str, Box]]:
    """Lines in capitals, alone and with the one below."""
    rows = [row for row in page.parts if row.capital and not row.red]
    for row in rows:
        text = squeeze(row.text)[0]
        yield text, row.box
        for other in rows:
            if 0 < other.box[1] - row.box[1] < 2 * row.height and abs(other.middle - row.middle) < row.height:
                yield text + squeeze(other.text)[0], row.box


def _labels(page: Page) -> Iterator[tuple[str, Row]]:
    """What a form prints: the words before each colon, and lines without one."""
    for row in page.parts:
        text = squeeze(row.text.partition(":")[0])[0]
        if len(text) >= LABEL and not text.isdigit():
            yield text, row


def _two_copies(page: Page) -> bool:
    """The same printed texts once more, all shifted alike, a heading in capitals among them."""
    places: dict[str, list[Row]] = defaultdict(list)
    for text, row in _labels(page):
        places[text].append(row)
    shifts = [
        (text, b.box[0] - a.box[0], b.box[1] - a.box[1], a.capital and len(text) >= TELLING)
        for text, rows in places.items()
        for a, b in combinations(sorted(rows, key=lambda row: (row.box[1], row.box[0])), 2)
        if abs(b.box[0] - a.box[0]) > 2 * APART * page.width or b.box[1] - a.box[1] > APART * page.height
    ]
    near = SAME_SHIFT * max(page.width, page.height)
    for _, dx, dy, heading in shifts:
        if heading:
            alike = {text for text, x, y, _ in shifts if abs(abs(x) - abs(dx)) < near and abs(abs(y) - abs(dy)) < near}
            if len(alike) >= SHIFTED:
                return True
    return False


def _two_pages(page: Page) -> bool:
    """A broad sheet whose middle no line crosses; a table's title does, and rows of one stand level on both sides."""
    if page.width < SPREAD * page.height:
        return False
    rows = [row for row in page.parts if not row.red and any(c.isalnum() for c in fold(row.text))]
    for gutter in _gutters(rows, page):
        left = [row for row in rows if row.box[2] <= gutter[0]]
        right = [row for row in rows if row.box[0] >= gutter[1]]
        whole = len(left) + len(right) == len(rows) and min(len(left), len(right)) >= LINES
        if whole and max(_level(left, right), _level(right, left)) < TABLE:
            return True
    return False


def _level(rows: Sequence[Row], others: Sequence[Row]) -> float:
    """How many of the rows stand level with another, as the cells of a table do; 0 to 1."""
    middles = [(row.box[1] + row.box[3]) / 2 for row in others]
    level = [any(abs((r.box[1] + r.box[3]) / 2 - y) < 0.3 * r.height for y in middles) for r in rows]
    return sum(level) / len(rows)


def _gutters(rows: Sequence[Row], page: Page) -> Iterator[tuple[float, float]]:
    """Bands in the middle third, from top to bottom, in which nothing stands."""
    ends = [row.box[2] for row in rows if row.box[2] < 0.62 * page.width]
    for left in sorted(set(ends), reverse=True):
        right = min((row.box[0] for row in rows if row.box[0] > left), default=page.width)
        crossed = any(row.box[0] < right and row.box[2] > left + 1 for row in rows)
        if right > 0.38 * page.width and right - left > GUTTER * page.width and not crossed:
            yield left, right
