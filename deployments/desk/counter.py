"""Nộp hồ sơ, bổ sung at the counter: declaration and scans from the browser, as a folder with dossier.yaml (Điều 13).

Whoever declares is who captured: the session's officer, never a field of the form.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import yaml
from pydantic import ValidationError
from sqlmodel import col, select
from starlette.datastructures import UploadFile

from blocks.catalog import Catalog
from blocks.catalog.staff import OfficerNotAssigned, Role
from blocks.clock import vietnam_day
from blocks.errors import Remedy, SohoaError
from blocks.hand_in import HandInAttestation, files_digest
from blocks.identity import attest
from blocks.ids import DossierId
from blocks.objects import Bucket, ObjectStore
from blocks.orchestrator import Orchestrator
from blocks.records import RecordsDatabase
from blocks.records.sources import SourceKind, require_source
from blocks.records.states import Form, OwnerKind
from blocks.records.tables import Dossier
from deployments.desk.auth.sessions import Officer
from deployments.desk.drafts import Draft, Drafts
from deployments.desk.forms import iso_day, shown
from deployments.desk.uploads import saved
from tasks.intake.batch import PLACE
from tasks.intake.begin import begin
from tasks.intake.hand_in import hand_in
from tasks.intake.manifest import MANIFEST, Component, Manifest, parse_manifest
from tasks.intake.names import inbox_key, part_of
from tasks.intake.order import ranks
from tasks.intake.origin import Origin
from tasks.intake.parting import UNNAMED, parts, require_parted
from tasks.intake.submission import supplement_came

WHOLE = "scan.0"  # the input for one scan of the whole dossier
SPARE = 4  # empty rows for papers that the procedure doesn't name
MOST = 100  # components of one form; more come as a folder
FORMS = {
    Form.ORIGINAL: "bản chính",
    Form.CERTIFIED_COPY: "bản sao có chứng thực (bản giấy)",
    Form.PHOTOCOPY: "bản sao chụp",
    Form.E_COPY_REGISTER: "bản sao điện tử được cấp từ sổ gốc",
    Form.E_COPY_CERTIFIED: "bản sao điện tử được chứng thực từ bản chính",
    Form.E_PHOTO_COMPARED: "bản chụp điện tử có bản chính để đối chiếu",
}
FLAGS = {
    "requested": "người nộp đề nghị số hóa",
    "prior_result": "kết quả của thủ tục trước đó",
    "show_only": "chỉ xuất trình, không nộp",
    "important": "quan trọng",
    "fragile": "dễ hỏng",
    "secret": "có nội dung bí mật nhà nước",
}
HEAD = {
    "unit": "đơn vị",
    "procedure": "thủ tục",
    "originals": "số bản giấy",
    "owner.kind": "loại chủ hồ sơ",
    "owner.id": "mã định danh",
    "owner.name": "họ tên, tên tổ chức",
    "owner.birth_date": "ngày sinh",
    "owner.founding_year": "năm thành lập",
}
PAPER = {
    "type": "loại giấy tờ",
    "form": "hình thức",
    "pages": "số trang",
    "note_pages": "trang có giấy ghi chú",
    "dpi": "độ phân giải",
    "files": "tệp quét",
}


class DeclarationInvalid(SohoaError):
    """Something typed at the counter is missing or not of the form that it must have."""

    code, rule = "DECLARATION_INVALID", "B3a"
    message = "Vui lòng kiểm tra lại: {where}. Các tệp quét cần được chọn lại trước khi gửi."
    remedy = Remedy.OFFICER


class NotAtCounter(OfficerNotAssigned):
    """Who isn't assigned to receive in this unit hands in nothing (WH01)."""

    message = "Bạn chưa được phân công tiếp nhận hồ sơ tại đơn vị này; vui lòng báo lãnh đạo đơn vị."


@dataclass(frozen=True)
class Row:
    """One paper of the form. name: what the procedure calls it; kept: files that were handed in before.

    images: which of the scan of the whole dossier are its own, where that was parted by hand.
    """

    number: int
    name: str = ""
    kept: int = 0
    images: str = ""
    fixed: bool = False  # declared before: may be corrected, not dropped (CA04)


class Counter:
    """private_key: file of the gateway's Ed25519 key; without one nothing that comes is attested."""

    def __init__(
        self,
        records: RecordsDatabase,
        objects: ObjectStore,
        catalog: Catalog,
        prefect: Orchestrator,
        private_key: Path | None = None,
        drafts: Drafts | None = None,
    ) -> None:
        self.records, self.objects, self.catalog, self.prefect = records, objects, catalog, prefect
        self.private_key, self.drafts = private_key, drafts or Drafts(room=4 << 30)

    def origin(self, officer: Officer, form: Mapping[str, Any]) -> Origin:
        """Handed in by the officer of a session, who answers for the scans and may let them be signed at once."""
        attested = None
        if self.private_key:
            attested = partial(_attested, self.private_key, officer.id, bool(form.get("sign_now")))
        return Origin(SourceKind.SESSION, officer.id, officer.id, attested)

    def units(self, officer: Officer) -> list[str]:
        """Where this officer may receive today, by the provider's groups and the office's list."""
        return sorted(officer.where(Role.RECEIVE))

    # -- showing ------------------------------------------------------------------------------------------------
    def blank(
        self,
        officer: Officer,
        procedure: str | None,
        typed: Mapping[str, Any] | None = None,
        draft: Draft | None = None,
    ) -> dict[str, Any]:
        """What the page of a new dossier shows. draft: the scan that was parted for it.

        Raises NotAtCounter, ProcedureUnknown.
        """
        units, today = self.units(officer), vietnam_day()
        if not units:
            raise NotAtCounter()
        shown: dict[str, Any] = {"units": units, "procedures": self.catalog.procedures(today)}
        if procedure is None:
            return shown
        chosen = self.catalog.procedure(procedure, today)
        values: dict[str, Any] = dict.fromkeys((*HEAD, "transitional"), "")
        values |= {"unit": units[0], "owner.kind": OwnerKind.PERSON.value}
        rows: list[Row] = []
        for part in parts(draft.leaves) if draft else []:
            rows.append(Row(len(rows) + 1, images=part.images))
            values |= _row_values(len(rows), "" if part.type == UNNAMED else part.type)
            values[f"c.{len(rows)}.pages"] = str(len(part.leaves))
        scanned = [values[f"c.{row.number}.type"] for row in rows]
        for group in chosen.components:
            if not set(group.any_of) & set(scanned):
                name = group.name if group.required else f"{group.name} ({group.when or 'nếu có'})"
                rows.append(Row(len(rows) + 1, name))
                values |= _row_values(len(rows), group.any_of[0] if group.required and not draft else "")
        return shown | self._form(rows, values, typed) | {"procedure": chosen, "draft": draft}

    def parted(self, officer: Officer, form: Mapping[str, Any]) -> Draft | None:
        """The scan that was parted for this form, if any. Raises DraftGone."""
        ident = str(form.get("parting", ""))
        return self.drafts.of(officer.id, ident) if ident else None

    def known(self, dossier: Dossier, typed: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
        """What the form of a supplement shows: the declaration as it stands, and what the procedure still asks for.

        None when the supplement has come: what it lacks is asked for by the next pause.
        """
        if supplement_came(self.records, dossier):
            return None
        manifest, today = self._manifest(dossier), vietnam_day()
        values = typed_values(manifest)
        rows = [
            Row(number, kept=len(component.files), fixed=True)
            for number, component in enumerate(manifest.components, 1)
        ]
        procedure = next((p for p in self.catalog.procedures(today) if p.code == manifest.procedure), None)
        for group in procedure.missing([c.type for c in manifest.components]) if procedure else []:
            rows.append(Row(len(rows) + 1, group.name))
            values |= _row_values(len(rows), group.any_of[0])
        shown = {"units": [manifest.unit], "procedures": self.catalog.procedures(today)}
        return shown | self._form(rows, values, typed) | {"procedure": procedure}

    def _form(self, rows: list[Row], values: dict[str, Any], typed: Mapping[str, Any] | None) -> dict[str, Any]:
        spare = [Row(len(rows) + number) for number in range(1, SPARE + 1)]
        for row in spare:
            values |= _row_values(row.number, "")
        if typed:
            boxes = {name for name in values if ".flags." in name or name == "transitional"}
            values = {name: typed.get(name, "" if name in boxes else value) for name, value in values.items()}
        types = sorted(self.catalog.document_types(vietnam_day()), key=lambda kind: kind.name)
        shown = {"rows": rows, "spare": spare, "values": values, "types": types, "forms": FORMS, "flags": FLAGS}
        return shown | {"typed_duplex": str((typed or {}).get("duplex", ""))}

    def _manifest(self, dossier: Dossier) -> Manifest:
        """The declaration as it was handed in. Raises SourceUnknown, IntegrityError when it was changed since."""
        return parse_manifest(self._handed_in(dossier, MANIFEST) or b"")

    def _handed_in(self, dossier: Dossier, name: str) -> bytes | None:
        """A file of the declaration in force, by the hash that it had then; None: it never came."""
        with self.records.session() as session:
            files = require_source(session, dossier.submission, part_of(dossier.revision)).files
        sha256 = files.get(f"{part_of(dossier.revision)}/{name}")
        key = inbox_key(dossier.submission, dossier.revision, name)
        return self.objects.read(Bucket.INBOX, key, sha256=sha256) if sha256 else None

    # -- taking -------------------------------------------------------------------------------------------------
    def submit(self, officer: Officer, form: Mapping[str, Any], files: Mapping[str, Sequence[UploadFile]]) -> str:
        """Hand in and start; the same content again is the same submission (CO06). Returns its id.

        Raises DeclarationInvalid, NotAtCounter, UploadRefused; then nothing is stored.
        """
        if str(form.get("unit")) not in self.units(officer):
            raise NotAtCounter()
        with tempfile.TemporaryDirectory(prefix="sohoa-upload-") as folder:
            self._write(Path(folder), officer, form, files, None)
            submission = hand_in(self.records, self.objects, Path(folder), self.origin(officer, form))
        begin(self.records, self.prefect, submission, tags=["desk"])  # the page of one that has ended tells its state
        if draft := self.parted(officer, form):
            self.drafts.drop(draft)
        return submission

    def supplement(
        self, officer: Officer, dossier: Dossier, form: Mapping[str, Any], files: Mapping[str, Sequence[UploadFile]]
    ) -> None:
        """The declaration anew, with the files of before where none are new; before reception only (B3a).

        Nothing when a supplement has come already. Raises DeclarationInvalid, UploadRefused; then nothing is stored.
        """
        if supplement_came(self.records, dossier):
            return
        with tempfile.TemporaryDirectory(prefix="sohoa-upload-") as folder:
            self._write(Path(folder), officer, form, files, dossier)
            hand_in(
                self.records,
                self.objects,
                Path(folder),
                self.origin(officer, form),
                submission=dossier.submission,
                revision=dossier.revision + 1,
            )

    def _write(
        self,
        folder: Path,
        officer: Officer,
        form: Mapping[str, Any],
        files: Mapping[str, Sequence[UploadFile]],
        dossier: Dossier | None,
    ) -> None:
        before = self._manifest(dossier) if dossier else None
        known = before.components if before else []
        body = _declared(form) | {"version": 1, "captured_by": officer.id}
        if before:
            body |= {"unit": before.unit, "transitional": before.transitional}
        if whole := files.get(WHOLE, []) if dossier is None else []:
            names = kept_files(whole, folder / PLACE)
            body["batch"] = {"files": [f"{PLACE}/{name}" for name in names], "duplex": _text(form, "duplex") or None}
        draft = self.parted(officer, form) if dossier is None else None
        if draft is not None:
            body["batch"] = _parted_scan(draft, folder)
        in_scan = len(parts(draft.leaves)) if draft else 0
        components: list[dict[str, Any]] = []
        for row in _rows(form, in_scan):
            number = len(components) + 1
            declared = _component(form, row)
            if not declared["type"]:
                if row <= len(known):
                    raise DeclarationInvalid(where=f"giấy tờ {row}: không được bớt giấy tờ đã khai")
                if row <= in_scan:
                    raise DeclarationInvalid(where=f"giấy tờ {row}: chưa chọn loại của giấy tờ trong bản quét")
                continue
            new = files.get(f"scan.{row}", []) if row > in_scan else []
            if new:
                declared["files"] = kept_files(new, folder / f"c{number}")
            elif dossier and row <= len(known):
                declared["files"] = [self._again(folder, dossier, name) for name in known[row - 1].files]
            elif row <= in_scan or (whole and draft is None):
                del declared["files"]  # it lies in the scan of the whole dossier
                components.append(declared)
                continue
            declared["files"] = [f"c{number}/{PurePosixPath(name).name}" for name in declared["files"]]
            components.append(declared)
        body["components"] = components
        _require(body)
        (folder / MANIFEST).write_text(yaml.safe_dump(body, allow_unicode=True, sort_keys=False), encoding="utf-8")

    def _again(self, folder: Path, dossier: Dossier, name: str) -> str:
        """A file of the declaration before; one that never came stays declared, capture asks for it."""
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        if (data := self._handed_in(dossier, name)) is not None:
            path.write_bytes(data)
        return name

    def dossier_of(self, officer: Officer, submission: str) -> DossierId | None:
        """What became of a submission at this officer's counter."""
        mine = (col(Dossier.submission) == submission) & col(Dossier.unit_id).in_(self.units(officer))
        with self.records.session() as session:
            found = session.exec(select(Dossier.id).where(mine)).first()
            return DossierId(found) if found else None


def _attested(private_key: Path, officer: str, sign: bool, submission: str, part: str, files: Mapping[str, str]) -> str:
    digest = files_digest(files)
    said = HandInAttestation(
        officer=officer, submission=submission, part=part, files=digest, sign=sign, at=datetime.now(UTC)
    )
    return attest(private_key, said)


def _row_values(number: int, type_code: str) -> dict[str, Any]:
    values = {"type": type_code, "form": Form.ORIGINAL.value, "pages": "", "note_pages": "", "dpi": "300", "shared": ""}
    return {f"c.{number}.{name}": value for name, value in values.items()} | {
        f"c.{number}.flags.{flag}": "" for flag in FLAGS
    }


def typed_values(manifest: Manifest) -> dict[str, Any]:
    """A declaration as the inputs of the form show it."""
    owner = manifest.owner
    values: dict[str, Any] = {
        "unit": manifest.unit,
        "originals": manifest.originals,
        "owner.kind": owner.kind.value,
        "owner.id": owner.id or "",
        "owner.name": owner.name,
        "owner.birth_date": shown(owner.birth_date.isoformat()) if owner.birth_date else "",
        "owner.founding_year": owner.founding_year or "",
        "transitional": "1" if manifest.transitional else "",
    }
    for number, component in enumerate(manifest.components, 1):
        values |= _row_values(number, component.type) | _component_values(number, component)
    return values


def _component_values(number: int, component: Component) -> dict[str, Any]:
    flags = component.flags
    return {
        f"c.{number}.form": component.form.value,
        f"c.{number}.pages": component.pages,
        f"c.{number}.note_pages": ", ".join(map(str, component.note_pages)),
        f"c.{number}.dpi": component.dpi,
        f"c.{number}.shared": flags.shared_as_data or "",
    } | {f"c.{number}.flags.{flag}": "1" if getattr(flags, flag) else "" for flag in FLAGS}


def _text(form: Mapping[str, Any], name: str) -> str:
    """As typed, in the one spelling of Unicode that everything else uses (NFC)."""
    return unicodedata.normalize("NFC", str(form.get(name, "")).strip())


def _declared(form: Mapping[str, Any]) -> dict[str, Any]:
    owner = {name: _text(form, f"owner.{name}") or None for name in ("id", "birth_date", "founding_year")}
    owner["birth_date"] = iso_day(owner["birth_date"] or "") or None
    return {
        "unit": _text(form, "unit"),
        "procedure": _text(form, "procedure"),
        "originals": _text(form, "originals"),
        "owner": owner | {"kind": _text(form, "owner.kind"), "name": _text(form, "owner.name")},
        "transitional": bool(form.get("transitional")),
    }


def _parted_scan(draft: Draft, folder: Path) -> dict[str, Any]:
    """The scan in the folder that is handed in, and how it was parted. Raises NotParted."""
    parted = require_parted(draft.leaves)
    (folder / PLACE).mkdir(exist_ok=True)
    for file in draft.files:
        shutil.copyfile(file, folder / PLACE / file.name)
    return {"files": [f"{PLACE}/{name}" for name in draft.names], "parted": parted.model_dump(mode="json")}


def _rows(form: Mapping[str, Any], in_scan: int) -> list[int]:
    """Numbers of the papers of the form. in_scan: how many, from the first on, must be there."""
    found = sorted(int(match[1]) for name in form if (match := re.fullmatch(r"c\.(\d{1,3})\.type", name)))
    if len(found) > MOST:
        raise DeclarationInvalid(where=f"nhiều hơn {MOST} giấy tờ; vui lòng nộp cả hồ sơ bằng thư mục qua hộp nhận")
    if found[:in_scan] != list(range(1, in_scan + 1)):
        raise DeclarationInvalid(where="thiếu giấy tờ của bản quét đã tách")
    return found


def _component(form: Mapping[str, Any], row: int) -> dict[str, Any]:
    notes = _text(form, f"c.{row}.note_pages")
    return {
        "type": _text(form, f"c.{row}.type"),
        "form": _text(form, f"c.{row}.form"),
        "pages": _text(form, f"c.{row}.pages"),
        "note_pages": re.split(r"[\s,;]+", notes) if notes else [],
        "dpi": _text(form, f"c.{row}.dpi"),
        "flags": {flag: bool(form.get(f"c.{row}.flags.{flag}")) for flag in FLAGS}
        | {"shared_as_data": _text(form, f"c.{row}.shared") or None},
        "files": [],
    }


def kept_files(uploads: Sequence[UploadFile], folder: Path) -> list[str]:
    """Under names that keep only the order in which they were chosen and the one that their names tell (CA06)."""
    folder.mkdir(exist_ok=True)
    places = enumerate(zip(uploads, ranks([upload.filename or "" for upload in uploads]), strict=True), 1)
    return [saved(upload, folder / f"{place:04d}-{rank}", place).name for place, (upload, rank) in places]


def _require(body: Mapping[str, Any]) -> None:
    """Raises DeclarationInvalid with the places (never the values) in the words of the form."""
    if not body["components"]:
        raise DeclarationInvalid(where="chưa khai giấy tờ nào")
    try:
        Manifest.model_validate(body)
    except ValidationError as error:
        where = dict.fromkeys(_place(item["loc"]) for item in error.errors())
        raise DeclarationInvalid(where="; ".join(list(where)[:8])) from None


def _place(loc: tuple[int | str, ...]) -> str:
    if loc[:1] == ("components",) and len(loc) > 1 and isinstance(loc[1], int):
        field = PAPER.get(str(loc[2]), "nội dung") if len(loc) > 2 else "số trang, trang có giấy ghi chú"
        return f"giấy tờ {loc[1] + 1}, {field}"
    name = ".".join(map(str, loc))
    return HEAD.get(name, name)
