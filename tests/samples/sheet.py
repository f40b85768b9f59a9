"""A sheet of paper in millimetres on which forms are printed; keeps every printed line as ground truth.

y is the baseline. Dotted leaders are drawn but are no part of the truth: scorers drop runs of dots.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from typing import Literal

from PIL import Image, ImageDraw, ImageFont

from tests.samples.look import Look, font

Align = Literal["l", "c", "r"]
BLACK = (0, 0, 0)
PENS = ((25, 40, 130), (20, 25, 60), (40, 70, 170), (70, 70, 80))
HAND_SIZE = 1.2  # of print
Pair = tuple[str, str | None]  # label, value


@dataclass
class Sheet:
    look: Look
    width: float = 210.0
    height: float = 297.0
    lines: list[str] = field(default_factory=list)  # printed lines, NFC
    boxes: list[tuple[float, float, float, float, str]] = field(default_factory=list)  # mm: x0, y0, x1, y1, text
    filled: list[tuple[float, float, float, str]] = field(default_factory=list)  # mm: x0, base line, x1, text

    def __post_init__(self) -> None:
        self.image = Image.new("RGB", (self.px(self.width), self.px(self.height)), (255, 255, 255))
        self.draw = ImageDraw.Draw(self.image)

    def px(self, mm: float) -> int:
        return round(mm * self.look.dpi / 25.4)

    def _font(
        self, size: float, bold: bool = False, italic: bool = False, family: str | None = None
    ) -> ImageFont.FreeTypeFont:
        by_hand = self.look.hand and family == self.look.fill
        size *= HAND_SIZE if by_hand else 1
        return font(family or self.look.family, bold, italic, round(size * self.look.dpi / 72))

    def measure(
        self, text: str, size: float, bold: bool = False, italic: bool = False, family: str | None = None
    ) -> float:
        """Width in mm."""
        return self._font(size, bold, italic, family).getlength(text) * 25.4 / self.look.dpi

    def put(
        self,
        x: float,
        y: float,
        text: str,
        size: float = 13,
        *,
        bold: bool = False,
        italic: bool = False,
        align: Align = "l",
        family: str | None = None,
        colour: tuple[int, int, int] = BLACK,
        underline: float = 0.0,
        record: bool = True,
    ) -> float:
        """Print one line; x is its left edge, centre or right edge. Returns its right edge in mm.

        underline: length of a rule under the text as a share of its width (0: none).
        """
        text = unicodedata.normalize("NFC", text)
        face = self._font(size, bold, italic, family)
        wide = face.getlength(text) * 25.4 / self.look.dpi
        left = x - {"l": 0.0, "c": wide / 2, "r": wide}[align]
        if family == self.look.fill and text.strip(" ."):
            if self.look.hand:
                colour, y = PENS[self.look.seed % len(PENS)], y + (self.look.seed // 7 + len(text)) % 12 / 10 - 0.8
            self.filled.append((left, y, left + wide, text))
        self.draw.text((self.px(left), self.px(y)), text, font=face, fill=colour, anchor="ls")
        if underline:
            half = wide * underline / 2
            self.rule(left + wide / 2 - half, y + 1.5, left + wide / 2 + half, y + 1.5, 0.25)
        if text.strip(" ."):
            self.boxes.append((left, y - size * 0.24, left + wide, y + size * 0.07, text))
        if record and text.strip():
            self.lines.append(text.strip())
        return left + wide

    def fitted(self, x: float, y: float, text: str, size: float, room: float, **style: object) -> float:
        """Like put, in a smaller size when the room (mm) is too narrow. Returns the right edge."""
        bold, italic = bool(style.get("bold")), bool(style.get("italic"))
        family = style.get("family")
        while size > 6 and self.measure(text, size, bold, italic, family if isinstance(family, str) else None) > room:
            size -= 0.5
        return self.put(x, y, text, size, **style)  # type: ignore[arg-type]

    def rule(self, x0: float, y0: float, x1: float, y1: float, thick: float = 0.2) -> None:
        self.draw.line([self.px(x0), self.px(y0), self.px(x1), self.px(y1)], fill=BLACK, width=max(1, self.px(thick)))

    def box(self, x: float, y: float, w: float, h: float, thick: float = 0.2) -> None:
        xy = [self.px(x), self.px(y), self.px(x + w), self.px(y + h)]
        self.draw.rectangle(xy, outline=BLACK, width=max(1, self.px(thick)))

    def wrap(
        self,
        text: str,
        size: float,
        room: float,
        *,
        first: float = 0.0,
        bold: bool = False,
        italic: bool = False,
        family: str | None = None,
    ) -> list[str]:
        """Break into lines no wider than room mm; the first is `first` mm shorter."""
        out: list[str] = []
        line = ""
        limit = room - first
        for word in text.split():
            trial = f"{line} {word}".strip()
            if line and self.measure(trial, size, bold, italic, family) > limit:
                out.append(line)
                line, limit = word, room
            else:
                line = trial
        return [*out, line] if line else out

    def para(
        self,
        x: float,
        y: float,
        w: float,
        text: str,
        size: float = 13,
        *,
        indent: float = 10.0,
        lead: float = 1.32,
        align: Literal["j", "l", "c"] = "j",
        bold: bool = False,
        italic: bool = False,
    ) -> float:
        """A paragraph from baseline y; returns the baseline of the next line."""
        text = unicodedata.normalize("NFC", text)
        step = size * 0.3528 * lead
        lines = self.wrap(text, size, w, first=indent, bold=bold, italic=italic)
        for n, line in enumerate(lines):
            left = x + (indent if n == 0 else 0)
            if align == "c":
                self.put(x + w / 2, y, line, size, bold=bold, italic=italic, align="c")
            elif align == "j" and n < len(lines) - 1:
                self._justified(left, y, w - (indent if n == 0 else 0), line, size, bold, italic)
            else:
                self.put(left, y, line, size, bold=bold, italic=italic)
            y += step
        return y

    def _justified(self, x: float, y: float, w: float, line: str, size: float, bold: bool, italic: bool) -> None:
        words = line.split()
        gap = (w - sum(self.measure(word, size, bold, italic) for word in words)) / max(1, len(words) - 1)
        for word in words:
            x = self.put(x, y, word, size, bold=bold, italic=italic, record=False) + gap
        self.lines.append(line)

    def _dots(self, x0: float, x1: float, y: float, size: float) -> None:
        step = self.measure(".", size) * 1.15
        count = int((x1 - x0) / step)
        if count > 1:
            self.put(x0, y + 0.35, "." * int(count * 1.15), size, record=False)

    def row(self, x: float, y: float, w: float, *pairs: Pair, size: float = 13, lead: float = 1.6) -> float:
        """One line of a form: labels with filled-in values; what doesn't fit goes on lines of its own, wrapped.

        Returns the next baseline. A value of None leaves the dots empty.
        """
        step = size * 0.3528 * lead
        need = [self._pair_width(pair, size) for pair in pairs]
        if sum(need) > w:
            if len(pairs) == 1:
                return self._wrapped(x, y, w, pairs[0], size, step)
            head = max(n for n in range(1, len(pairs)) if n == 1 or sum(need[:n]) <= w)
            y = self.row(x, y, w, *pairs[:head], size=size, lead=lead)
            return self.row(x, y, w, *pairs[head:], size=size, lead=lead)
        spare = (w - sum(need)) / len(pairs)
        texts = []
        for pair, width in zip(pairs, need, strict=True):
            self._pair(x, y, width + spare, pair, size)
            texts.append(f"{pair[0]} {pair[1] or ''}".strip())
            x += width + spare
        self.lines.append(unicodedata.normalize("NFC", "  ".join(texts)))
        return y + step

    def _value_style(self, size: float) -> tuple[float, bool, str]:
        return (size * (0.92 if self.look.fill == "Cousine" else 1.0), self.look.fill_bold, self.look.fill)

    def _pair_width(self, pair: Pair, size: float) -> float:
        vsize, bold, family = self._value_style(size)
        value = self.measure(pair[1], vsize, bold, False, family) if pair[1] else 12.0
        return self.measure(pair[0], size) + value + (5.0 if pair[1] != "" else 1.0)

    def _pair(self, x: float, y: float, w: float, pair: Pair, size: float) -> None:
        vsize, bold, family = self._value_style(size)
        end = self.put(x, y, pair[0], size, record=False) + 1.2
        right = x + w - 2.0
        if pair[1] == "":
            return
        if pair[1] is None:
            self._dots(end, right, y, size)
            return
        if self.look.leader == "under":
            self._dots(end, right, y + 0.5, size)
        end = self.put(end, y, pair[1], vsize, bold=bold, family=family, record=False)
        if self.look.leader == "after":
            self._dots(end + 0.8, right, y, size)

    def _wrapped(self, x: float, y: float, w: float, pair: Pair, size: float, step: float) -> float:
        vsize, bold, family = self._value_style(size)
        label = unicodedata.normalize("NFC", pair[0])
        value = unicodedata.normalize("NFC", pair[1] or "")
        start = self.put(x, y, label, size, record=False) + 1.2
        lines = self.wrap(value, vsize, w, first=start - x, bold=bold, family=family)
        for n, line in enumerate(lines):
            left = start if n == 0 else x
            if self.look.leader == "under":
                self._dots(left, x + w - 1, y + 0.5, size)
            end = self.put(left, y, line, vsize, bold=bold, family=family, record=False)
            if self.look.leader == "after":
                self._dots(end + 0.8, x + w - 2, y, size)
            self.lines.append(f"{label} {line}" if n == 0 else line)
            y += step
        return y

    def table(
        self,
        x: float,
        y: float,
        widths: list[float],
        rows: list[list[str]],
        *,
        size: float = 10,
        head: int = 1,
        centre: tuple[int, ...] = (),
        pad: float = 1.0,
    ) -> float:
        """A ruled table with its top at y; cells wrap. The first `head` rows are bold and centred.

        A row of one cell spans the whole table. Returns the bottom edge in mm.
        """
        step = size * 0.3528 * 1.25
        total = sum(widths)
        for number, cells in enumerate(rows):
            bold = number < head or len(cells) == 1
            spans = widths if len(cells) > 1 else [total]
            family = self.look.family if bold else self.look.fill
            texts = [
                self._cell_lines(cell, size, span - 2 * pad, bold, family)
                for cell, span in zip(cells, spans, strict=True)
            ]
            height = max(len(t) for t in texts) * step + 1.6
            left = x
            for column, (lines, span) in enumerate(zip(texts, spans, strict=True)):
                self.box(left, y, span, height)
                middle = number < head or (column in centre and len(cells) > 1)
                top = y + (height - len(lines) * step) / 2 + step * 0.78
                for n, line in enumerate(lines):
                    at = left + span / 2 if middle else left + pad
                    self.put(at, top + n * step, line, size, bold=bold, family=family, align="c" if middle else "l")
                left += span
            y += height
        return y

    def _cell_lines(self, cell: str, size: float, room: float, bold: bool, family: str) -> list[str]:
        return [
            line for part in cell.split("\n") for line in self.wrap(part, size, room, bold=bold, family=family)
        ] or [""]
