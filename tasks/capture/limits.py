"""Where a measure of a capture stops being good enough (Điều 8.2): number, error and name in the report, each once.

Capture refuses by these at once, before it builds anything. The suite of `tasks.capture.completeness` holds what the
records say of the whole dossier against the same objects.
"""

from __future__ import annotations

from dataclasses import dataclass

from tasks.capture import errors
from tasks.capture.facts import MAX_SIDE_MM, MIN_DPI, MIN_SIDE_MM

MAX_SKEW_DEGREES = 3


@dataclass(frozen=True)
class Limit:
    """low ≤ value ≤ high, None on a side without a bound.

    measure: the field of `PageQuality` and the column of the dossier's facts that is judged; label: what is checked, as
    the report says it; error: what is raised or noted when it is broken.
    """

    measure: str
    label: str
    error: type[errors.ScanError]
    low: float | None = None
    high: float | None = None

    def broken_by(self, value: float | None) -> bool:
        """False for None: what can't be measured is never refused."""
        if value is None:
            return False
        return (self.low is not None and value < self.low) or (self.high is not None and value > self.high)


DPI = Limit("dpi", f"Máy quét và ảnh từ {MIN_DPI} dpi", errors.DpiLow, low=MIN_DPI)
SHORT_SIDE = Limit("short_mm", "Cạnh ngắn của giấy hợp lý", errors.DpiMetadata, low=MIN_SIDE_MM)
LONG_SIDE = Limit("long_mm", "Cạnh dài của giấy hợp lý", errors.DpiMetadata, high=MAX_SIDE_MM)

# mm²: a short word printed at 12 points is about 12
INK = Limit("ink_mm2", "Trang không trắng", errors.PageBlank, low=6.0)
CUT_PAPER = Limit("cut_paper", "Khổ giấy trọn vẹn", errors.PageCropped, high=0)
CUT_LETTERS = Limit("cut_letters", "Chữ không bị cắt ở mép", errors.PageCropped, high=4)  # by one border
CUT_RULES = Limit("cut_rules", "Bảng biểu không bị cắt ở mép", errors.PageCropped, high=2)  # lines out over one border
SKEW = Limit("degrees", f"Trang không nghiêng quá {MAX_SKEW_DEGREES} độ", errors.PageSkewed, high=MAX_SKEW_DEGREES)
EDGE = Limit("edge_mm", "Chữ không mờ, nhòe", errors.PageBlurred, high=0.70)  # width of a letter's edge
# Of a page that is not blank, worst first.
OF_A_PAGE = (CUT_PAPER, CUT_LETTERS, CUT_RULES, SKEW, EDGE)
