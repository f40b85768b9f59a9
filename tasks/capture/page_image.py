"""What a reader program shows of a PDF page, and the one scanned image that is kept of it (CA01, CA08).

The page is drawn by MuPDF as a reader draws it, with everything that lies on it. Then the image alone is drawn, at the
same place on white. Both drawings must be the same: then nothing that a reader shows is lost with what is dropped (text
that can't be seen, colours, forms, white ground), and nothing was hidden that is kept. How the page says it in PDF
operators doesn't matter. Runs in the sandbox only.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pymupdf

from tasks.capture import errors
from tasks.capture.facts import DPI_TOLERANCE, MAX_PIXELS, MIN_DPI, MM_PER_INCH

DRAWN_DPI = 75
DRAWN_SIDE = 2_500  # pixels: larger pages are drawn coarser
# A pixel that a mark touches anywhere takes its whole colour: no stroke is too thin to be seen.
ANY_PART, USUAL = 10, 8
SAME = 3  # of 255: rounding. Both drawings come from the same decoder, on nearly all pages bit for bit.
HIDDEN = 0.002, 0.9  # of the page's area is white where the image isn't: cut off, not paled
SAME_COLOURS = 12  # of 255: two ways of reading an image's colours that no eye tells apart
POINTS_A_MM = 72 / MM_PER_INCH
MARGIN = 25.4 * POINTS_A_MM  # points of white beside the image on each side: apps that fit a photo to A4
OVERLAP = 1.0 * POINTS_A_MM  # points of the image beyond the page: sizes are rounded
TILTED = 0.01  # off the axes, by the image's size
# (signs of the ways that columns and rows of the image go on the page, y down) → EXIF orientation
UPRIGHT = {(1, 1): 1, (-1, 1): 2, (-1, -1): 3, (1, -1): 4}
TURNED = {(1, 1): 5, (-1, 1): 6, (-1, -1): 7, (1, -1): 8}  # rows go right or left, columns go down or up
TURNS = {1, 3, 6, 8}  # that a page of the copy can have
# What MuPDF says of data that are not whole; it goes on with what it has.
DAMAGE = ("truncated", "zlib error", "premature end", "corrupt", "openjpeg error", "library error")

mu: Any = pymupdf.mupdf  # it has no types
Array = npt.NDArray[np.uint8]
Edges = tuple[int, int, int, int]  # top, bottom, left, right, pixels
_Pair = tuple[float, float]
EVERYWHERE = mu.FzRect(mu.FzRect.Fixed_INFINITE)


@dataclass(frozen=True)
class PageImage:
    """orientation: EXIF 1..8 of what is kept; dpi: pixels by printed size.

    jpeg: as it stands in the file, where it alone looks as on the page; else pixels, (H, W, 3) as a reader shows them.
    """

    orientation: int
    dpi: tuple[float, float]
    jpeg: bytes | None
    pixels: Array | None


@dataclass(frozen=True)
class _Shown:
    """An image on the page. matrix: of its unit square on the page in points, y down."""

    image: Any
    matrix: Any

    @property
    def area(self) -> float:
        return abs(float(self.matrix.a * self.matrix.d - self.matrix.b * self.matrix.c))


class _Marks(mu.FzDevice2):  # type: ignore[misc]
    """Gathers what a page draws: its images, how many masks (images of one colour), and how much else."""

    def __init__(self) -> None:
        super().__init__()
        self.images: list[_Shown] = []
        self.masks = self.others = 0
        for kind in ("image", "image_mask", "path", "text", "shade"):
            getattr(self, f"use_virtual_fill_{kind}")()
        self.use_virtual_stroke_path()
        self.use_virtual_stroke_text()

    def fill_image(self, _context: Any, image: Any, matrix: Any, *_rest: Any) -> None:
        self.images.append(_Shown(mu.FzImage(mu.ll_fz_keep_image(image)), mu.FzMatrix(matrix)))

    def fill_image_mask(self, *_anything: Any) -> None:
        self.masks += 1

    def _other(self, *_anything: Any) -> None:
        self.others += 1

    fill_path = stroke_path = fill_text = stroke_text = fill_shade = _other


def image_of_page(page: bytes, *, layered: bool = False) -> PageImage:
    """The scanned image that a PDF of one page shows, or the ScanError that says why there is none.

    layered: the page has layers that a reader can switch off, it may hold nothing else.
    """
    told = pymupdf.TOOLS
    told.reset_mupdf_warnings()
    refused: errors.ScanError | None = None
    with pymupdf.open(stream=page, filetype="pdf") as document:
        try:
            found = _judged(document[0], layered=layered)
        except errors.ScanError as error:
            refused = error
    warnings = told.mupdf_warnings()
    told.store_shrink(100)
    if any(sign in warnings for sign in DAMAGE) and not isinstance(refused, errors.ImageBomb):
        raise errors.FileTruncated()
    if refused is not None:
        raise refused
    return found


def _judged(page: Any, *, layered: bool) -> PageImage:
    opened = mu.FzPage(page.this)
    shown = mu.fz_new_display_list_from_page(opened)  # with annotations and fields
    marks = _Marks()
    mu.fz_run_display_list(shown, marks, mu.FzMatrix(), EVERYWHERE, mu.FzCookie())
    mu.fz_close_device(marks)
    if not marks.images:
        raise errors.NotColour() if marks.masks and not marks.others else errors.PdfNotScan()
    if layered and (marks.others or marks.masks or len(marks.images) > 1):
        raise errors.PdfLayers()
    found = max(reversed(marks.images), key=lambda each: each.area)
    area = mu.fz_bound_page(opened)
    orientation, dpi = _placed(found, area, alone=len(marks.images) == 1)
    _check_colours(found.image)
    if min(dpi) < MIN_DPI * (1 - DPI_TOLERANCE):
        raise errors.DpiLow(dpi=round(min(dpi)))
    return _kept(shown, found, marks, _Sheet(area), orientation, dpi)


def picture_of_page(page: bytes, width: int, quality: int) -> bytes:
    """A JPEG of what a reader shows of a PDF of one page, at most that wide and never larger than its image."""
    try:
        with pymupdf.open(stream=page, filetype="pdf") as document:
            opened = document[0]
            scale = width / max(1.0, opened.rect.width)
            finest = max((_fineness(each) for each in opened.get_image_info()), default=scale)
            scale = min(scale, finest)
            if opened.rect.height * scale * width > MAX_PIXELS:
                raise errors.ImageBomb()
            drawn = opened.get_pixmap(matrix=pymupdf.Matrix(scale, scale), alpha=False)
            return bytes(drawn.tobytes("jpeg", jpg_quality=quality))
    except mu.FzErrorBase as error:
        raise errors.PdfDamaged() from error


def _fineness(image: dict[str, Any]) -> float:
    """Pixels a point of an image on a page."""
    left, top, right, bottom = image["bbox"]
    points = max(1.0, float(right - left), float(bottom - top))
    return max(float(image["width"]), float(image["height"])) / points


def _placed(found: _Shown, area: Any, *, alone: bool) -> tuple[int, tuple[float, float]]:
    """Orientation and resolution of an image that lies squarely on the page and fills it, but for white margins."""
    m, width, height = found.matrix, found.image.w(), found.image.h()
    if width < 1 or height < 1 or width * height > MAX_PIXELS:
        raise errors.ImageBomb()
    printed = math.hypot(m.a, m.b), math.hypot(m.c, m.d)
    if min(printed) < 1:
        raise errors.PdfNotScan()
    turned = abs(m.b) > abs(m.a)
    off = max(abs(m.a), abs(m.d)) if turned else max(abs(m.b), abs(m.c))
    if off > TILTED * min(printed):
        raise errors.PdfNotScan()
    box = mu.fz_transform_rect(mu.FzRect(mu.FzRect.Fixed_UNIT), m)
    margins = (box.x0 - area.x0, box.y0 - area.y0, area.x1 - box.x1, area.y1 - box.y1)
    if min(margins) < -OVERLAP:
        raise errors.PdfClipped()
    if max(margins) > MARGIN:
        raise errors.PdfNotScan() if alone else errors.PdfLayers()
    orientation = TURNED[_sign(m.c), _sign(m.b)] if turned else UPRIGHT[_sign(m.a), _sign(m.d)]
    return orientation, (width / printed[0] * 72, height / printed[1] * 72)


def _sign(value: float) -> int:
    return 1 if value > 0 else -1


class _Sheet:
    """The page's area as pixels, to be drawn on again and again."""

    def __init__(self, area: Any) -> None:
        sides = area.x1 - area.x0, area.y1 - area.y0
        if not min(sides) >= 1 or not math.isfinite(sum(sides)):
            raise errors.PdfDamaged()
        scale = min(DRAWN_DPI / 72, DRAWN_SIDE / max(sides))
        self.matrix = mu.FzMatrix(scale, 0, 0, scale, 0, 0)
        self._box = mu.fz_round_rect(mu.fz_transform_rect(area, self.matrix))

    def edges(self, matrix: Any) -> Edges:
        """Where an image with this matrix lies."""
        box = mu.fz_transform_rect(mu.FzRect(mu.FzRect.Fixed_UNIT), mu.fz_concat(matrix, self.matrix))
        top, left = max(0, math.floor(box.y0 - self._box.y0)), max(0, math.floor(box.x0 - self._box.x0))
        height, width = self._box.y1 - self._box.y0, self._box.x1 - self._box.x0
        return (
            top,
            min(height, math.ceil(box.y1 - self._box.y0)),
            left,
            min(width, math.ceil(box.x1 - self._box.x0)),
        )

    def page(self, shown: Any) -> Array:
        run = mu.fz_run_display_list
        return _array(_drawn(self._box, lambda device: run(shown, device, self.matrix, EVERYWHERE, mu.FzCookie())))

    def image(self, image: Any, matrix: Any) -> Array:
        placed = mu.fz_concat(matrix, self.matrix)
        fill = mu.fz_fill_image
        return _array(_drawn(self._box, lambda device: fill(device, image, placed, 1.0, mu.FzColorParams())))


def _kept(shown: Any, found: _Shown, marks: _Marks, sheet: _Sheet, orientation: int, dpi: _Pair) -> PageImage:
    """What is kept of a page that looks like its image. Raises PdfLayers, PdfClipped, PdfCovered where it doesn't."""
    page, edges = sheet.page(shown), sheet.edges(found.matrix)
    coded = _jpeg(found.image) if orientation in TURNS else None
    as_file = sheet.image(_opened(coded), found.matrix) if coded is not None else None
    if coded is not None and as_file is not None and _same(page, as_file, SAME, edges):
        return PageImage(orientation, dpi, _bytes(coded), None)
    alone = sheet.image(found.image, found.matrix)
    if not _same(page, alone, SAME, edges):
        raise _why(page, alone, marks)
    if coded is not None and as_file is not None and _same(alone, as_file, SAME_COLOURS, edges):
        return PageImage(orientation, dpi, _bytes(coded), None)
    return PageImage(1, dpi[::-1] if orientation > 4 else dpi, None, _upright(_colours(found.image), orientation))


def _same(one: Array, other: Array, tolerance: int, edges: Edges) -> bool:
    """Whether no pixel differs by more; white at the image's edges aside, where a clip or the page cuts a pixel."""
    if np.array_equal(one, other):
        return True
    differs = (np.maximum(one, other) - np.minimum(one, other)).max(axis=2) > tolerance
    white = one.min(axis=2) >= 255 - tolerance
    top, bottom, left, right = edges
    inside = np.zeros_like(differs)
    inside[top + 1 : bottom - 1, left + 1 : right - 1] = True
    return not (differs & (inside | ~white)).any()


def _why(page: Array, alone: Array, marks: _Marks) -> errors.ScanError:
    """Why a page looks otherwise than its image."""
    if len(marks.images) > 1 or marks.masks:
        return errors.PdfLayers()
    apart = (np.maximum(page, alone) - np.minimum(page, alone)).max(axis=2)
    hidden = float(((page.min(axis=2) >= 255 - SAME) & (apart > SAME)).mean())
    if not marks.others and HIDDEN[0] < hidden < HIDDEN[1]:
        return errors.PdfClipped()
    return errors.PdfCovered()


def _jpeg(image: Any) -> Any:
    """The JPEG of an image as it stands in the file, as a buffer of MuPDF's; None for other codings."""
    coded = mu.fz_compressed_image_buffer(image)
    if not coded.m_internal or coded.m_internal.params.type != mu.FZ_IMAGE_JPEG:
        return None
    return mu.FzBuffer(mu.ll_fz_keep_buffer(coded.m_internal.buffer))


def _opened(coded: Any) -> Any:
    """A JPEG as the file that it will be. None: it can't be opened, which its own checks tell."""
    try:
        return mu.fz_new_image_from_buffer(coded)
    except mu.FzErrorBase as error:
        raise errors.FileTruncated() from error


def _bytes(coded: Any) -> bytes:
    return bytes(mu.fz_buffer_extract_copy(coded))


def _in_colour(space: Any) -> bool:
    return bool(space.m_internal) and bool(mu.fz_colorspace_is_rgb(space) or mu.fz_colorspace_is_lab(space))


def _check_colours(image: Any) -> None:
    """Line art, greyscale and print colours are no true copy in colour (CA09)."""
    space = image.colorspace()
    if not _in_colour(space) and not (space.m_internal and mu.fz_colorspace_is_indexed(space)):
        raise errors.NotColour()


def _colours(image: Any) -> Array:
    """(H, W, 3) of an image as a reader shows it, pixel by pixel. Raises NotColour, PdfCovered for one with holes."""
    pixels = mu.fz_get_unscaled_pixmap_from_image(image)
    if not _in_colour(pixels.colorspace()):
        raise errors.NotColour()
    if pixels.alpha():
        raise errors.PdfCovered()
    space = pixels.colorspace()
    if not (mu.fz_colorspace_is_device(space) and mu.fz_colorspace_is_rgb(space)):
        pixels = _drawn(
            mu.FzIrect(0, 0, image.w(), image.h()), lambda device: _fill(device, image, image.w(), image.h())
        )
    found = _array(pixels)
    few = mu.fz_colorspace_is_indexed(image.colorspace())
    if few and np.array_equal(found[..., 0], found[..., 1]) and np.array_equal(found[..., 1], found[..., 2]):
        raise errors.NotColour()
    return found


def _fill(device: Any, image: Any, width: int, height: int) -> None:
    mu.fz_fill_image(device, image, mu.FzMatrix(width, 0, 0, height, 0, 0), 1.0, mu.FzColorParams())


def _drawn(box: Any, draw: Callable[[Any], None]) -> Any:
    """A pixmap of what `draw` puts on white."""
    pixels = mu.FzPixmap(mu.FzColorspace(mu.FzColorspace.Fixed_RGB), box, mu.FzSeparations(), 0)
    mu.fz_clear_pixmap_with_value(pixels, 255)
    device = mu.fz_new_draw_device(mu.FzMatrix(), pixels)
    mu.fz_set_aa_level(ANY_PART)
    try:
        draw(device)
        mu.fz_close_device(device)
    finally:
        mu.fz_set_aa_level(USUAL)
    return pixels


def _upright(pixels: Array, orientation: int) -> Array:
    """Turned and mirrored as a reader shows it."""
    if orientation > 4:
        pixels, orientation = pixels.transpose(1, 0, 2), {5: 1, 6: 2, 7: 3, 8: 4}[orientation]
    columns, rows = {1: (1, 1), 2: (-1, 1), 3: (-1, -1), 4: (1, -1)}[orientation]
    return pixels[::rows, ::columns]


class _Held(np.ndarray):
    """An array over a pixmap's memory; it keeps the pixmap."""

    pixmap: Any


def _array(pixmap: Any) -> Array:
    """(H, W, 3) of a pixmap of three channels, not copied."""
    height, width, stride = pixmap.h(), pixmap.w(), pixmap.stride()
    memory = np.frombuffer(mu.fz_pixmap_samples_memoryview(pixmap), np.uint8)
    rows = memory.reshape(height, stride)[:, : 3 * width].reshape(height, width, 3).view(_Held)
    rows.pixmap = pixmap
    return rows
