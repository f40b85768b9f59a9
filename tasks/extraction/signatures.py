"""Who signed, and for whom the paper is: the two columns at its end (Nghị định 30/2020/NĐ-CP, phụ lục I, 7–9)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rapidfuzz import fuzz

from tasks.extraction.found import Found, whole
from tasks.extraction.labels import squeeze
from tasks.extraction.layout import BODY, Page, Row
from tasks.extraction.words import SIGNING_FORMS

RECIPIENTS = "Nơi nhận"


def signature_block(pages: Sequence[Page]) -> tuple[list[Row], Row | None]:
    """Rows of the signer's office (`KT. GIÁM ĐỐC`, `PHÓ GIÁM ĐỐC`) and the row of the name below."""
    for page in reversed(pages):
        parts = page.parts  # `Nơi nhận` stands beside
        rows = [r for r in parts if r.column == BODY and r.box[0] > 0.4 * page.width and not r.red]
        offices = [r for r in rows if _office(r) and r.capital]
        if offices:
            last = offices[-1]
            first = next(r for r in offices if last.box[1] - r.box[1] < 6 * last.height)
            block = [r for r in offices if first.box[1] <= r.box[1] <= last.box[1]]
            names = [r for r in rows if r.box[1] > last.box[3] and _person(r.text)]
            names = [r for r in names if abs(r.middle - last.middle) < 0.12 * page.width]
            return block, names[0] if names else None
    return [], None


def _office(row: Row) -> bool:
    text, letters = re.sub(r"^\W+", "", row.folded), squeeze(row.text)[0]
    for form in SIGNING_FORMS:
        if form.endswith("."):  # `Q. GIÁM ĐỐC`, but not `QUYẾT ĐỊNH`
            if re.match(rf"{form[:-1]}(?![A-Z])", text):
                return True
        elif letters.startswith(squeeze(form)[0]):
            return True
    return False


def _person(text: str) -> bool:
    """The signer's name is in lower case (Decree 30, appendix I, 7); pieces of a stamp are in capitals."""
    words = re.sub(r"^\W+", "", text).split()
    named = 2 <= len(words) <= 7 and all(w[0].isupper() and (len(w) == 1 or w[1:].islower()) for w in words)
    return named and not any(c.isdigit() for c in text)


def find_signer(pages: Sequence[Page]) -> list[Found]:
    offices, name = signature_block(pages)
    if name:
        return [whole([name], "decree30.signer", 0.93)]
    name = None if offices else _beside_recipients(pages)  # a stamp may hide the office
    return [whole([name], "decree30.signer.alone", 0.6)] if name else []


def _beside_recipients(pages: Sequence[Page]) -> Row | None:
    """The only name to the right of `Nơi nhận`, not above it."""
    for page in reversed(pages):
        parts = page.parts
        left = [r for r in parts if r.box[0] < 0.4 * page.width and _recipients(r)]
        if left:
            rows = [r for r in parts if r.box[0] > 0.4 * page.width and r.box[1] > left[-1].box[1] and not r.red]
            names = [r for r in rows if _person(r.text)]
            return names[0] if len(names) == 1 else None
    return None


def find_recipients(pages: Sequence[Page]) -> list[Found]:
    """Nơi nhận: the rows below it that begin with a dash."""
    for page in reversed(pages):
        parts = page.parts  # the signer stands beside
        rows = [r for r in parts if r.box[0] < 0.5 * page.width]
        for i, row in enumerate(rows):
            if _recipients(row):
                taken = []
                for nxt in rows[i + 1 :]:
                    if not re.match(r"^[-–+•.]|^(NHU|LUU|BAN|CAC|VAN)", nxt.folded):
                        break
                    taken.append(nxt)
                return [whole(taken, "decree30.recipients", 0.9)] if taken else []
    return []


def _recipients(row: Row) -> bool:
    return fuzz.ratio(squeeze(row.text)[0], squeeze(RECIPIENTS)[0]) >= 80
