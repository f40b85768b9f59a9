"""One scan of a whole dossier in a declaration: its files, how a person has parted it, what became of it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from tasks.intake.folder_files import inside


class Duplex(StrEnum):
    """How a feeder that scans one side gives the backs, after all fronts."""

    BACKS_REVERSED = "BACKS_REVERSED"  # the stack was turned over: last page first
    BACKS_IN_ORDER = "BACKS_IN_ORDER"


class LeftOut(StrEnum):
    """Why a page of the scan is part of no paper."""

    BLANK = "BLANK"
    SHEET = "SHEET"  # a separator
    TWICE = "TWICE"  # the same page, scanned again
    FOREIGN = "FOREIGN"  # of no paper of this dossier


PagePlace = Annotated[str, Field(pattern=r"^\d{1,4}/\d{1,4}$")]  # file/page, 1-based
Placed = Annotated[str, Field(pattern=r"^\d{1,4}/\d{1,4}/\d{1,4}$")]  # component/file/page
Turned = Annotated[str, Field(pattern=r"^\d{1,4}/\d{1,4}/(90|180|270)$")]  # file/page/degrees clockwise
Omitted = Annotated[str, Field(pattern=r"^\d{1,4}/\d{1,4}/(BLANK|SHEET|TWICE|FOREIGN)$")]  # file/page/why


class Parted(BaseModel):
    """How a person has parted it: each page of the scan goes to one paper, or is left out with a reason."""

    model_config = ConfigDict(extra="forbid")
    cut: Annotated[list[Placed], Field(min_length=1)]  # pages of a paper in their order
    left_out: list[Omitted] = []
    turned: list[Turned] = []
    blank: list[PagePlace] = []  # what the program had proposed to leave out

    @model_validator(mode="after")
    def _each_page_once(self) -> Parted:
        placed = [entry.partition("/")[2] for entry in self.cut]
        pages = [*placed, *(entry.rpartition("/")[0] for entry in self.left_out)]
        turned = [entry.rpartition("/")[0] for entry in self.turned]
        if len(set(pages)) != len(pages) or len(set(turned)) != len(turned) or not set(turned) <= set(placed):
            raise ValueError("mỗi trang của bản quét chỉ thuộc một giấy tờ hoặc được bỏ ra")
        return self


class Batch(BaseModel):
    """Bản quét cả hồ sơ, as declared."""

    model_config = ConfigDict(extra="forbid")
    files: Annotated[list[Annotated[str, AfterValidator(inside)]], Field(min_length=1, max_length=2000)]
    duplex: Duplex | None = None
    parted: Parted | None = None


class PartedBy(StrEnum):
    SHEETS = "SHEETS"
    NUMBERS = "NUMBERS"  # of pages, as declared
    OFFICER = "OFFICER"


class Whole(BaseModel):
    """What was parted, written at hand-in: the files as they came, and where each page went.

    cut: of each image in the order of the papers; component 0: a separator sheet. by: None, where only backs were put
    between their fronts. blank: pages that seem blank, in the papers or left out by a person.
    """

    model_config = ConfigDict(extra="forbid")
    files: list[str]
    cut: list[Placed]
    by: PartedBy | None = None
    left_out: list[Omitted] = []
    turned: list[Turned] = []
    blank: list[PagePlace] = []
