"""``dossier.yaml``: what the counter officer declares of a dossier and its papers (Điều 13.1), parsed and checked."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, date, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from blocks.clock import VIET_NAM
from blocks.errors import Remedy, SohoaError
from blocks.foreign import LIMIT, ForeignRefused, Place, read_yaml
from blocks.records.states import Form, OwnerKind
from tasks.capture.scan_time import plausible
from tasks.intake.folder_files import composed, inside
from tasks.intake.manifest_faults import faults, named
from tasks.intake.parted import Batch, Duplex, Turned, Whole

MANIFEST = "dossier.yaml"

MANIFEST_LIMIT = LIMIT  # bytes


class ManifestInvalid(SohoaError):
    """dossier.yaml is missing, isn't YAML, or a declaration in it is not of the form that the README gives."""

    code, rule = "MANIFEST_INVALID", "B3a"
    message = "Tờ khai hồ sơ dossier.yaml không hợp lệ ({where}); vui lòng sửa lại theo mẫu rồi nộp lại."
    remedy = Remedy.OFFICER


class NameNotNormalised(SohoaError):
    """A name or a file name is in decomposed Unicode (NFD): two spellings of one name would not match."""

    code, rule = "NAME_NFD", "WH04"
    message = "Mục {where} dùng bảng mã tiếng Việt tổ hợp (NFD); vui lòng nhập lại bằng bảng mã dựng sẵn (NFC)."
    remedy = Remedy.OFFICER


def _written_day(value: object) -> object:
    """A day as 1955-02-28: a bare number would be read as seconds since 1970."""
    if isinstance(value, str) and not re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
        raise ValueError("ngày phải ghi dạng năm-tháng-ngày")
    return value


def _of_viet_nam(at: datetime) -> datetime:
    return at if at.tzinfo else at.replace(tzinfo=VIET_NAM)


AwareTime = Annotated[datetime, AfterValidator(_of_viet_nam)]


class Owner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kind: OwnerKind
    id: Annotated[str, Field(pattern=r"^[0-9A-Z.]{1,35}$")] | None = None
    name: Annotated[str, Field(min_length=1, max_length=200)]
    birth_date: Annotated[date | None, BeforeValidator(_written_day)] = None
    founding_year: Annotated[int, Field(ge=1800, le=2200)] | None = None


class Flags(BaseModel):
    model_config = ConfigDict(extra="forbid")
    fragile: bool = False
    important: bool = False
    show_only: bool = False
    secret: bool = False
    prior_result: bool = False
    requested: bool = False
    shared_as_data: str | None = None


class Component(BaseModel):
    model_config = ConfigDict(extra="forbid")
    type: Annotated[str, Field(min_length=1, max_length=64)]
    form: Form = Form.ORIGINAL
    pages: Annotated[int, Field(ge=1, le=2000)]
    note_pages: list[Annotated[int, Field(ge=1)]] = []
    dpi: Annotated[int, Field(ge=50, le=2400)] = 300
    flags: Flags = Flags()
    captured_at: AwareTime | None = None  # when it was scanned, where the files don't say
    duplex: Duplex | None = None  # its backs came after its fronts
    turned: list[Turned] = []  # pages that lie on their side: file/page/degrees clockwise; the file stays as it is
    files: list[str] = []

    @property
    def images(self) -> int:
        return self.pages + len(set(self.note_pages))

    def turns_of(self, file: int) -> dict[str, int]:
        """Wishes for a file (1-based): page → degrees clockwise."""
        wishes = (entry.split("/") for entry in self.turned)
        return {page: int(degrees) for at, page, degrees in wishes if int(at) == file}

    @property
    def in_batch(self) -> bool:
        """Whether it lies in the scan of the whole dossier, where there is one: nothing else says where it is."""
        flags = self.flags
        return "files" not in self.model_fields_set and not (flags.show_only or flags.secret or flags.shared_as_data)

    @model_validator(mode="after")
    def _paths_stay_inside(self) -> Component:
        for name in self.files:
            inside(name)
        if any(page > self.pages for page in self.note_pages):
            raise ValueError("trang có giấy ghi chú lớn hơn số trang")
        return self


class Manifest(BaseModel):
    """dossier.yaml, version 1."""

    model_config = ConfigDict(extra="forbid")
    version: Annotated[int, Field(ge=1, le=1)]
    unit: Annotated[str, Field(pattern=r"^[0-9A-Za-z.-]{1,35}$")]
    procedure: Annotated[str, Field(min_length=1, max_length=32)]
    captured_by: Annotated[str, Field(pattern=r"^[0-9a-z._-]{1,64}$")] | None = None  # None: whom the way in names
    originals: Annotated[int, Field(ge=0, le=10_000)]
    owner: Owner
    transitional: bool = False
    captured_at: AwareTime | None = None  # of all components that don't say
    batch: Batch | None = None  # one scan of all papers that have no files of their own
    whole: Whole | None = None  # what became of it, written at hand-in only
    components: Annotated[list[Component], Field(min_length=1, max_length=500)]


def parse_manifest(data: bytes) -> Manifest:
    """The declaration, or ManifestInvalid / NameNotNormalised naming the place (never the value) that is wrong."""
    lines: dict[Place, int] = {}
    try:
        raw = read_yaml(data, limit=MANIFEST_LIMIT, lines=lines)
    except ForeignRefused as error:
        raise ManifestInvalid(where=str(error)) from None
    _compose_file_names(raw)
    _refuse_decomposed(raw, "dossier.yaml")
    try:
        return Manifest.model_validate(raw)
    except ValidationError as error:
        # Places only: pydantic's messages repeat the values, which may be personal data.
        raise ManifestInvalid(where=faults(error, lines, _KNOWN)) from None


def _compose_file_names(raw: Any) -> None:
    """As `FolderFiles` has those of the folder."""
    components = raw.get("components") if isinstance(raw, dict) else None
    batch = raw.get("batch") if isinstance(raw, dict) else None
    for component in [batch, *(components if isinstance(components, list) else [])]:
        names = component.get("files") if isinstance(component, dict) else None
        if isinstance(names, list):
            component["files"] = [composed(name) if isinstance(name, str) else name for name in names]


_KNOWN = {name for model in (Manifest, Owner, Component, Flags) for name in model.model_fields}


def _refuse_decomposed(value: Any, where: str) -> None:
    if isinstance(value, str):
        if not unicodedata.is_normalized("NFC", value):
            raise NameNotNormalised(where=where)
    elif isinstance(value, dict):
        for key, item in value.items():
            _refuse_decomposed(key, where)
            name = named([key], _KNOWN)
            _refuse_decomposed(item, f"{where}.{name}" if where != "dossier.yaml" else name)
    elif isinstance(value, list):
        for index, item in enumerate(value, 1):
            _refuse_decomposed(item, f"{where}[{index}]")


def implausible(manifest: Manifest) -> list[str]:
    """Where a declared time of capture is to come, or long past: a typing error at best."""
    now = datetime.now(UTC)
    declared = {f"components.{n}.captured_at": c.captured_at for n, c in enumerate(manifest.components, 1)}
    told = {"captured_at": manifest.captured_at} | declared
    return [where for where, at in told.items() if at and not plausible(at, now, backlog=manifest.transitional)]
