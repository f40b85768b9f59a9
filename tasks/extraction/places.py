"""Where a form has a field, whatever stands there: a hand may have written what no reader reads.

The place goes from the field's label to the next label, or as far as the form's lines go. What is filled in below its
label is looked for there.
"""

from __future__ import annotations

from blocks.ocr.types import Box
from tasks.extraction.layout import Page
from tasks.extraction.profiles import FieldSpec, Rule
from tasks.extraction.rules import Paper

PLACE = "place"  # the rule of a field without a value whose place is known
UP, DOWN = 0.5, 0.4  # hands write larger than print: room above and below the label, of its height
NARROWEST = 1.5  # of its height: less is no place to write in


def place_of(paper: Paper, spec: FieldSpec) -> tuple[int, Box] | None:
    """Page and box on its stored image; None where no label of the field is read."""
    for rule in spec.rules:
        if rule.label and (found := _by_label(paper, rule)):
            return found
    return None


def _by_label(paper: Paper, rule: Rule) -> tuple[int, Box] | None:
    pages = {page.number: page for page in paper.pages}
    for i in paper.scope(rule):
        item = paper.rows[i]
        for k, hit in enumerate(item.hits):
            if hit.label not in rule.label or item.row.red:
                continue
            page, last = pages[item.row.page], [p for p in item.row.pieces if p.start < hit.end][-1]
            following = item.hits[k + 1].start if k + 1 < len(item.hits) else len(item.row.text)
            x0, y0, x1, y1 = last.at
            end = hit.end + (item.row.text[hit.end : hit.end + 1] == ":")
            left = x0 + (x1 - x0) * min(1.0, (end - last.start) / (last.end - last.start))
            right = min((p.at[0] for p in item.row.pieces if p.end > following), default=_edge(page))
            high = y1 - y0
            if right - left >= NARROWEST * high:
                return page.number, page.stored((left, y0 - UP * high, right, y1 + DOWN * high))
            first = next(p for p in item.row.pieces if p.end > hit.start)
            below = (first.at[0], y1, max(right, x1), y1 + (1.5 + DOWN) * high)
            return page.number, page.stored(below)
    return None


def _edge(page: Page) -> float:
    """How far to the right the page's lines go."""
    return max((row.box[2] for row in page.rows), default=page.width)
