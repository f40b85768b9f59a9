"""The pages of one component together: count, order, duplicates (CA06) and sticky-note pairs (CA07)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy.typing as npt

from blocks.errors import Problem
from tasks.capture import errors
from tasks.capture.compare import View, alike, check_note_pair, comparable, fingerprint, load_view, same_page, sketch
from tasks.capture.facts import PageFacts
from tasks.capture.guard import measure_guarded
from tasks.capture.quality import PageQuality, ink_mask, load_grey, measure_page

MAX_LOOKS, MAX_CLOSE_LOOKS = 2000, 100  # pairs of pages whose sketches, whose images are laid over each other


@dataclass(frozen=True)
class Slot:
    """Which page of the paper an image shows; with_note: the image with the sticky note on it."""

    paper_page: int
    with_note: bool


@dataclass(frozen=True)
class ScannedPage:
    """One image in the order of input. file: ordinal of its file; sequence: its place by the names, 0 unknown."""

    facts: PageFacts
    file: int
    sequence: int
    quality: PageQuality
    print_: npt.NDArray[Any]
    sketch: npt.NDArray[Any]

    @property
    def path(self) -> Path:
        assert self.facts.path is not None
        return Path(self.facts.path)

    def view(self, scan_dpi: int) -> View:
        """The page itself, for a close look."""
        return load_view(self.path, (self.facts.width, self.facts.height), scan_dpi)


def measure(facts: PageFacts, scan_dpi: int, file: int, sequence: int) -> ScannedPage:
    """Quality and fingerprint of one page image, measured in the sandbox."""
    assert facts.path is not None
    quality, print_, drawn = measure_guarded(Path(facts.path), scan_dpi)
    return ScannedPage(facts, file, sequence, PageQuality.model_validate(quality), print_, drawn)


def measure_image(image: Path | BinaryIO, scan_dpi: int) -> tuple[PageQuality, npt.NDArray[Any], npt.NDArray[Any]]:
    """Quality, fingerprint and sketch."""
    grey, dpi = load_grey(image, scan_dpi)
    quality = measure_page(grey, dpi)
    ink, _ = ink_mask(grey, dpi)
    return quality, fingerprint(ink), sketch(ink, dpi)


def layout(declared_pages: int, note_pages: Sequence[int]) -> list[Slot]:
    """The images that a paper needs, in order: a page with a note first with it, then without it (CA07)."""
    slots = []
    for page in range(1, declared_pages + 1):
        if page in note_pages:
            slots.append(Slot(page, True))
        slots.append(Slot(page, False))
    return slots


def check_count(found: int, declared_pages: int, note_pages: Sequence[int]) -> Problem | None:
    """CA06, CA07: P pages of which N with notes are P + N images."""
    expected = len(layout(declared_pages, note_pages))
    if found == expected:
        return None
    if note_pages and found == declared_pages:
        return errors.NotePair().problem(page=min(note_pages))
    if found < expected:
        return errors.PagesMissing(expected=expected, found=found).problem()
    return errors.PagesExtra(expected=expected, found=found).problem()


def check_names(sequences: Sequence[tuple[int, int]]) -> list[Problem]:
    """CA06: a notice where the order by the files' names falls; the order is the one that was declared.

    sequences: of each file its ordinal and its place by the names (tasks/intake/order.py), 0 unknown. One notice, at
    the first file. Gaps are harmless: bad scans are deleted at the scanner.
    """
    highest = 0
    for file, sequence in sequences:
        if sequence and sequence < highest:
            return [errors.PagesOrder().problem(file=file)]
        highest = max(highest, sequence)
    return []


def check_quality(page: ScannedPage, paper_page: int | None) -> list[Problem]:
    """CA05 of one page; paper_page None: not known, because some file could not be read."""
    return [error.problem(file=page.file, page=paper_page) for error in page.quality.problems()]


def check_duplicates(pages: Sequence[ScannedPage], slots: Sequence[Slot], scan_dpi: int) -> list[Problem]:
    """CA06: the same image twice, byte for byte or as another capture of the same page; note pairs aside."""
    problems = []
    pairs = _Pairs(pages, scan_dpi)
    for j, page in enumerate(pages):
        if page.quality.is_blank:
            continue
        for i in reversed(range(j)):  # a page fed twice lies beside itself
            if slots[i].paper_page != slots[j].paper_page and pairs.same(i, j):
                found = errors.PagesDuplicate(other=slots[i].paper_page)
                problems.append(found.problem(file=page.file, page=slots[j].paper_page))
                break
    return problems


class _Pairs:
    """Are two pages one? Cheap looks first; the costly ones are limited, so that 200 pages take seconds."""

    def __init__(self, pages: Sequence[ScannedPage], scan_dpi: int) -> None:
        self.pages, self.scan_dpi = pages, scan_dpi
        self.looks = self.close_looks = 0
        self.views: dict[int, View] = {}

    def same(self, i: int, j: int) -> bool:
        one, other = self.pages[i], self.pages[j]
        if one.facts.sha256 == other.facts.sha256:
            return True
        if self.looks >= MAX_LOOKS or not comparable(one.print_, other.print_):
            return False
        self.looks += 1
        if self.close_looks >= MAX_CLOSE_LOOKS or not alike(one.sketch, other.sketch):
            return False
        self.close_looks += 1
        self.views = {k: view for k, view in self.views.items() if k in {i, j}}
        return same_page(self._view(i), self._view(j))

    def _view(self, index: int) -> View:
        if index not in self.views:
            self.views[index] = self.pages[index].view(self.scan_dpi)
        return self.views[index]


def check_notes(pages: Sequence[ScannedPage], slots: Sequence[Slot], scan_dpi: int) -> list[Problem]:
    """CA07: both images of a pair are one page and differ in one compact region."""
    problems = []
    for index, slot in enumerate(slots):
        if not slot.with_note:
            continue
        first, second = pages[index], pages[index + 1]
        if first.facts.sha256 == second.facts.sha256:
            problems.append(errors.NotePair(reason="IDENTICAL").problem(file=second.file, page=slot.paper_page))
            continue
        check = check_note_pair(first.view(scan_dpi), second.view(scan_dpi))
        if not check.ok:
            problems.append(errors.NotePair(reason=check.reason).problem(file=second.file, page=slot.paper_page))
    return problems


def check_pages(
    pages: Sequence[ScannedPage], declared_pages: int, note_pages: Sequence[int], scan_dpi: int
) -> tuple[list[Problem], list[Slot]]:
    """All checks of a component's pages; slots: what each image shows (by position where the count is wrong)."""
    problems = []
    count = check_count(len(pages), declared_pages, note_pages)
    slots = layout(declared_pages, note_pages)
    if count is not None:
        problems.append(count)
        slots = [Slot(number, False) for number in range(1, len(pages) + 1)]
    for page, slot in zip(pages, slots, strict=True):
        problems += check_quality(page, slot.paper_page)
    problems += check_duplicates(pages, slots, scan_dpi)
    if count is None:
        problems += check_notes(pages, slots, scan_dpi)
    return problems, slots
