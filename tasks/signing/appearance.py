"""What the two signatures look like on page 1 (Điều 8.1, 13.3b; Decree 30/2020, articles 25–27 and appendix I).

Top left the officer: name and time of capture. Top right the agency: "SAO Y", name, time; Times-metric, upright, 10 pt,
black, no picture of a seal. Text is measured and the box made for it; it is wrapped, never shrunk; on a page too small
for that the signature is invisible (and the report says so).
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from pathlib import Path

import numpy as np
from pyhanko.pdf_utils import generic, layout
from pyhanko.pdf_utils.content import ResourceType
from pyhanko.pdf_utils.font.opentype import GlyphAccumulator
from pyhanko.pdf_utils.generic import pdf_name
from pyhanko.pdf_utils.images import PdfImage
from pyhanko.pdf_utils.writer import BasePdfFileWriter
from pyhanko.stamp.base import BaseStamp, BaseStampStyle

from blocks import fonts
from blocks.clock import vietnam_time
from tasks.signing.errors import CharacterMissing
from tasks.signing.geometry import MM, Rect, SeenPage
from tasks.signing.ink import EDGE, InkMap

MARGIN = 7 * MM  # from the edges of the page as seen, and between the boxes
PADDING = 2.0  # points between text and box
LEADING = 1.15  # of the font size
OFFICER_SIZE = 9.0
AGENCY_SIZE = 10.0  # Decree 30/2020
TEST_MARK = "TEST – không có giá trị pháp lý"


@dataclass(frozen=True)
class Lines:
    """Text that fits its box. size, width, height in points; width and height include the padding."""

    lines: tuple[str, ...]
    size: float
    width: float
    height: float


@dataclass(frozen=True)
class Placement:
    """Both boxes of page 1 in user space; None: the page is too small, that signature is invisible."""

    page: SeenPage
    officer: Rect | None
    officer_lines: Lines | None
    agency: Rect | None
    moved: tuple[str, ...] = ()  # officer, agency: not at the usual place, because something is printed there
    overlapping: tuple[str, ...] = ()  # whose corner is full, so that the box lies on print


def officer_text(name: str, captured_at: datetime, *, test: bool, known: str = "") -> list[str]:
    """Lines of the officer's signature (CA02). known: how the time is known, as a reader understands it.

    Raises CharacterMissing.
    """
    lines = [f"Người sao chụp: {name}", f"Thời gian sao chụp: {vietnam_time(captured_at)}"]
    return _checked([*lines, f"({known})"] if known else lines, test)


def agency_text(name: str, signed_at: datetime, *, test: bool) -> list[str]:
    """Lines of the agency's signature (Decree 30/2020, appendix I). Raises CharacterMissing."""
    return _checked(["SAO Y", name, vietnam_time(signed_at)], test)


def with_picture(path: Path, test: bool) -> tuple[list[str], PdfImage, layout.SimpleBoxLayoutRule]:
    """What stands in the box of a signature or seal with a picture: it fills the box; a test one is marked."""
    middle, whole = layout.AxisAlignment.ALIGN_MID, layout.InnerScaling.STRETCH_TO_FIT
    rule = layout.SimpleBoxLayoutRule(middle, middle, layout.Margins(), whole)
    return [TEST_MARK] if test else [], PdfImage(str(path), writer=None), rule


def signer_text(name: str, signed_at: datetime | None, *, test: bool) -> list[str]:
    """Lines of who signs an issued result, where a picture of the signature would stand. Raises CharacterMissing.

    signed_at: None where the person confirms later: the signature and its time-stamp alone tell when.
    """
    when = [f"Thời gian ký: {vietnam_time(signed_at)}"] if signed_at else []
    return _checked([f"Ký bởi: {name}", *when], test)


def issuer_text(name: str, signed_at: datetime, *, test: bool) -> list[str]:
    """Lines of the issuing agency, where a picture of its seal would stand. Raises CharacterMissing."""
    return _checked([name, vietnam_time(signed_at)], test)


def _checked(lines: list[str], test: bool) -> list[str]:
    lines = [unicodedata.normalize("NFC", line) for line in (*lines, TEST_MARK) if test or line is not TEST_MARK]
    if fonts.missing("".join(lines)):
        raise CharacterMissing()
    return lines


def fit(lines: list[str], size: float, width: float | None = None) -> Lines | None:
    """Wrap at spaces so that the box is at most `width` points wide; None where a word alone is wider."""
    wrapped: list[str] = []
    room = float("inf") if width is None else width - 2 * PADDING
    for line in lines:
        current = ""
        for word in line.split():
            longer = f"{current} {word}".strip()
            if fonts.text_width(longer, size) <= room:
                current = longer
            elif not current or fonts.text_width(word, size) > room:
                return None
            else:
                wrapped.append(current)
                current = word
        wrapped.append(current)
    widest = max(fonts.text_width(line, size) for line in wrapped)
    return Lines(tuple(wrapped), size, widest + 2 * PADDING, len(wrapped) * size * LEADING + 2 * PADDING)


def place(page: SeenPage, officer: list[str], agency: list[str], ink: InkMap | None = None) -> Placement:
    """Boxes for both signatures in the top corners, off what is printed; narrower and wrapped on narrow pages.

    ink: of the page; None: as if it were blank.
    """
    left, right = fit(officer, OFFICER_SIZE), fit(agency, AGENCY_SIZE)
    if not left or not right or left.width + right.width + 3 * MARGIN > page.width:
        half = (page.width - 3 * MARGIN) / 2
        left, right = fit(officer, OFFICER_SIZE, half), fit(agency, AGENCY_SIZE, half)
    highest = page.height - 2 * MARGIN
    left = left if left and left.height <= highest else None
    right = right if right and right.height <= highest else None
    ink = ink or InkMap(np.zeros((1, 1), np.bool_), page.width)
    # Neither leaves its half, and the upper third stays the top of the page.
    middle, bottom = page.width / 2, max(page.height / 3, MARGIN + max(t.height for t in (left, right, _NOTHING) if t))
    wide_left, wide_right = (text.width if text else 0.0 for text in (left, right))
    border = min(max(middle, MARGIN + wide_left + MARGIN / 2), page.width - MARGIN - wide_right - MARGIN / 2)
    spots = {
        name: ink.spot((at, MARGIN), (text.width, text.height), room)
        for name, text, at, room in (
            ("officer", left, MARGIN, (EDGE, border - MARGIN / 2, bottom)),
            ("agency", right, page.width - MARGIN - wide_right, (border + MARGIN / 2, page.width - EDGE, bottom)),
        )
        if text
    }
    return Placement(
        page,
        page.rect(spots["officer"].left, spots["officer"].top, left.width, left.height) if left else None,
        left,
        page.rect(spots["agency"].left, spots["agency"].top, right.width, right.height) if right else None,
        tuple(name for name, spot in spots.items() if spot.moved),
        tuple(name for name, spot in spots.items() if spot.overlaps),
    )


_NOTHING = Lines((), 0, 0, 0)


@dataclass(frozen=True)
class LinesStyle(BaseStampStyle):
    """pyHanko's style for `Lines`; rotation: of the page, so that the text stands upright as seen."""

    text: Lines | None = None
    rotation: int = 0

    def create_stamp(
        self,
        writer: BasePdfFileWriter,
        box: layout.BoxConstraints,
        text_params: dict[str, str],
    ) -> LinesStamp:
        return LinesStamp(writer, self)


class LinesStamp(BaseStamp):
    """Draws lines from the top, left-aligned. Its box has the size as seen; the viewer maps it onto the field."""

    def __init__(self, writer: BasePdfFileWriter, style: LinesStyle) -> None:
        assert style.text is not None
        self.text = style.text
        super().__init__(writer, style, layout.BoxConstraints(width=style.text.width, height=style.text.height))

    def _render_inner_content(self) -> list[bytes]:
        text = self.text
        assert self.writer is not None
        if not text.lines:
            return []
        together = self.writer.prepare_object_stream() if self.writer.stream_xrefs else None  # type: ignore[no-untyped-call]
        engine = GlyphAccumulator(self.writer, BytesIO(fonts.SIGNATURE.read_bytes()), font_size=10, obj_stream=together)
        self.set_resource(category=ResourceType.FONT, name=pdf_name("/F1"), value=engine.as_resource())
        baseline = text.height - PADDING - fonts.vertical()[0] * text.size
        commands = [b"0 g BT /F1 %g Tf" % text.size]
        for number, line in enumerate(text.lines):
            commands.append(b"1 0 0 1 %g %g Tm" % (PADDING, baseline - number * text.size * LEADING))
            commands.append(engine.shape(line).graphics_ops)
        return [*commands, b"ET"]

    def as_form_xobject(self) -> generic.StreamObject:
        form = super().as_form_xobject()
        # pyHanko cuts the box to whole points, which would clip and stretch the text
        form[pdf_name("/BBox")] = _numbers((0, 0, round(self.text.width, 3), round(self.text.height, 3)))
        turned = {90: (0, 1, -1, 0, 0, 0), 180: (-1, 0, 0, -1, 0, 0), 270: (0, -1, 1, 0, 0, 0)}
        if self.style.rotation:
            form[pdf_name("/Matrix")] = _numbers(turned[self.style.rotation])
        return form


def _numbers(values: tuple[float, ...]) -> generic.ArrayObject:
    return generic.ArrayObject(generic.FloatObject(value) for value in values)  # type: ignore[no-untyped-call]
