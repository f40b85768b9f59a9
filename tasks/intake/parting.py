"""An officer parts one scan of a whole dossier: where papers begin, what is turned, moved or left out (Điều 13.3b).

What the separator sheets say is the first proposal; blank pages are proposed to be left out and stay until a person
says so. The outcome is a `Parted`, which is handed in with the files as they came.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from blocks.errors import Remedy, SohoaError
from tasks.capture.facts import SEPARATOR, PageLook
from tasks.intake.parted import LeftOut, Parted

UNNAMED = "?"  # a paper begins, its type is chosen with the declaration
TURNS = (0, 90, 180, 270)


class NotParted(SohoaError):
    """What was marked doesn't make papers yet."""

    code, rule = "SCAN_NOT_PARTED", "CA06"
    message = "Chưa tách xong: {why}."
    remedy = Remedy.OFFICER


@dataclass(frozen=True)
class Leaf:
    """One image of the scan. number: its place as it came, 1-based over all files; file, page: where it lies.

    start: type of the paper that begins with it, or UNNAMED; "" where the paper before goes on.
    """

    number: int
    file: int
    page: int
    look: PageLook = field(default_factory=PageLook)
    start: str = ""
    turn: int = 0
    out: LeftOut | None = None

    @property
    def place(self) -> str:
        return f"{self.file}/{self.page}"

    @property
    def may_be_blank(self) -> bool:
        return self.look.blank or self.look.faint


@dataclass(frozen=True)
class Part:
    """A paper as it was marked."""

    type: str
    leaves: tuple[Leaf, ...]

    @property
    def images(self) -> str:
        """Which images of the scan, as 1–3, 7."""
        runs: list[list[int]] = []
        for leaf in self.leaves:
            if runs and runs[-1][1] == leaf.number - 1:
                runs[-1][1] = leaf.number
            else:
                runs.append([leaf.number, leaf.number])
        return ", ".join(str(first) if first == last else f"{first}–{last}" for first, last in runs)


def proposed(leaves: Sequence[Leaf], types: Sequence[str]) -> list[Leaf]:
    """The first marks: sheets are left out and part, the papers are those of the procedure in its order.

    types: of the procedure's papers. Nothing else is left out.
    """
    found, following, sheet, begins = [], list(types), "", True
    for leaf in leaves:
        if leaf.look.code:
            named = leaf.look.code.removeprefix(SEPARATOR).removeprefix(":")
            sheet, begins = named or sheet, True
            found.append(replace(leaf, out=LeftOut.SHEET))
            continue
        start = ""
        if begins:
            start = sheet if sheet else following[0] if following else UNNAMED
            if start in following:
                following.remove(start)
            sheet, begins = "", False
        found.append(replace(leaf, start=start))
    return found


def marked(leaves: Sequence[Leaf], form: Mapping[str, Any], types: Sequence[str]) -> list[Leaf]:
    """The leaves as a form marks them, in its order: start.N, turn.N, out.N, at.N; what isn't said stays.

    types: that may be chosen. at.N: the place at which the image is wanted, from 1; the others make room.
    """
    wanted = []
    for place, leaf in enumerate(leaves, 1):
        name = leaf.number
        start, turn = str(form.get(f"start.{name}", leaf.start)), str(form.get(f"turn.{name}", leaf.turn))
        out = form.get(f"out.{name}", leaf.out or "")
        at = str(form.get(f"at.{name}", place)).strip()
        to = int(at) if at.isdecimal() and len(at) <= 6 else place
        changed = replace(
            leaf,
            start=start if start in {"", UNNAMED, *types} else leaf.start,
            turn=int(turn) if turn in map(str, TURNS) else leaf.turn,
            out=LeftOut(out) if out in set(LeftOut) else None,
        )
        wanted.append(((to, (to > place) - (to < place), place), changed))
    return [leaf for _, leaf in sorted(wanted, key=lambda item: item[0])]


def without_blanks(leaves: Sequence[Leaf]) -> list[Leaf]:
    """All pages that are proposed as blank are left out: what an officer asks for with one button."""
    return [replace(leaf, out=LeftOut.BLANK) if leaf.look.blank and leaf.out is None else leaf for leaf in leaves]


def parts(leaves: Sequence[Leaf]) -> list[Part]:
    """Papers in their order; a mark on a page that is left out counts for the next one that stays.

    Pages before the first mark are a part without a type: `require_parted` refuses it.
    """
    found: list[Part] = []
    start = ""
    for leaf in leaves:
        start = leaf.start or start
        if leaf.out is not None:
            continue
        if start or not found:
            found.append(Part(start, ()))
        found[-1] = replace(found[-1], leaves=(*found[-1].leaves, leaf))
        start = ""
    return found


def require_parted(leaves: Sequence[Leaf]) -> Parted:
    """What is handed in with the scan. Raises NotParted with what an officer can do."""
    found = parts(leaves)
    if not found:
        raise NotParted(why="mọi ảnh đều bị bỏ ra; vui lòng giữ lại ảnh của giấy tờ")
    if not found[0].type:
        first = found[0].leaves[0].number
        raise NotParted(why=f"ảnh {first} chưa thuộc giấy tờ nào; vui lòng chọn giấy tờ bắt đầu từ ảnh này")
    full = [leaf.number for leaf in leaves if leaf.out is LeftOut.BLANK and not leaf.may_be_blank]
    if full:
        which = ", ".join(map(str, full[:10]))
        raise NotParted(
            why=f"ảnh {which} không trắng; vui lòng giữ lại, hoặc chọn đúng lý do bỏ ra (quét trùng, không thuộc hồ sơ)"
        )
    kept = [leaf for part in found for leaf in part.leaves]
    return Parted(
        cut=[f"{number}/{leaf.place}" for number, part in enumerate(found, 1) for leaf in part.leaves],
        left_out=[f"{leaf.place}/{leaf.out.value}" for leaf in leaves if leaf.out is not None],
        turned=[f"{leaf.place}/{leaf.turn}" for leaf in kept if leaf.turn],
        blank=[leaf.place for leaf in leaves if leaf.look.blank],
    )
