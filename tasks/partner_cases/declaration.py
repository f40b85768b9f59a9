"""Tờ khai của đối tác: checked at the door, where it can be mended; what of a supplement need not come again (B3a).

A supplement's declaration comes anew and whole, of the files only those that are new: as at the desk, one that it names
and that was handed in with the declaration before is taken over.
"""

from __future__ import annotations

import re
import tempfile
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from sqlmodel import Session

from blocks.errors import ObjectConflict
from blocks.objects import Bucket, ObjectStore
from blocks.records import RecordsDatabase
from blocks.records.partners import PartnerCase, PartnerFile, files_of
from blocks.records.queries import locked
from blocks.records.sources import source_of
from tasks.intake.manifest import MANIFEST, Manifest, implausible, parse_manifest
from tasks.intake.names import inbox_key, part_of
from tasks.partner_cases.errors import AlreadyOther, DeclarationInvalid

# Given as numbers in JSON they have lost what they began with: 001199012345, 1.10 (of 1.1).
TEXT = frozenset({"unit", "procedure", "captured_by", "id", "name", "type", "shared_as_data", "files"})
FILE = re.compile(r"\d{1,9}\.(?:jpg|jpeg|png|tif|tiff|pdf)")  # numbers only: a name may tell whose paper it is


def names_of(manifest: Manifest) -> list[str]:
    """Every file that a declaration names, in its order."""
    return [name for component in manifest.components for name in component.files]


def declared_in(
    objects: ObjectStore, case: PartnerCase, part: str, files: Mapping[str, PartnerFile]
) -> Manifest | None:
    """The declaration that came with a part; None: it has not come yet."""
    if MANIFEST not in files:
        return None
    key = f"{case.submission}/{part}/{MANIFEST}"
    return parse_manifest(objects.read(Bucket.INBOX, key, sha256=files[MANIFEST].sha256))


def handed_in_before(session: Session, case: PartnerCase, revision: int) -> dict[str, str]:
    """Name → SHA-256 of the files of the declaration before this one; {} for the first."""
    before = source_of(session, case.submission, part_of(revision - 1)) if revision > 1 else None
    place = f"{part_of(revision - 1)}/"
    return {name.removeprefix(place): sha256 for name, sha256 in before.files.items()} if before else {}


def take_over(records: RecordsDatabase, objects: ObjectStore, case: PartnerCase, revision: int) -> None:
    """Put what the declaration names and only the one before brought into this supplement, too. Idempotent.

    Raises AlreadyOther.
    """
    part = part_of(revision)
    with records.session() as session:
        came = {file.name: file for file in files_of(session, case.id, part)}
        before = handed_in_before(session, case, revision)
    manifest = declared_in(objects, case, part, came)
    for name in names_of(manifest) if manifest else []:
        if name in came or name not in before:
            continue
        with tempfile.NamedTemporaryFile(prefix="sohoa-partner-") as file:
            path = Path(file.name)
            objects.download(Bucket.INBOX, inbox_key(case.submission, revision - 1, name), path, sha256=before[name])
            key = inbox_key(case.submission, revision, name)
            try:
                kept = objects.put_once(Bucket.INBOX, key, path, content_type="application/octet-stream")
            except ObjectConflict:  # another file of this name is just being sent
                raise AlreadyOther() from None
        with records.session() as session:
            locked(session, PartnerCase, case.id)
            if name not in {known.name for known in files_of(session, case.id, part)}:
                session.add(PartnerFile(case_id=case.id, part=part, name=name, sha256=before[name], size=kept.size))


def checked(told: Any) -> Manifest:
    """The declaration; its values as text first, so that JSON allows no more than YAML does."""
    try:
        manifest = Manifest.model_validate(_texts(told, "", 0))
    except ValidationError as error:
        faults = error.errors(include_input=False, include_context=False, include_url=False)
        raise DeclarationInvalid(
            [{"field": ".".join(map(str, item["loc"])), "reason": item["msg"]} for item in faults[:50]]
        ) from None
    wrong = [
        {"field": f"components.{number}.files", "reason": f"c{number + 1}/<số>.<đuôi>"}
        for number, component in enumerate(manifest.components)
        if any(not _in_folder(name, number + 1) for name in component.files)
    ]
    shared = {"batch": manifest.batch, "whole": manifest.whole} | {
        f"components.{number}.duplex": component.duplex for number, component in enumerate(manifest.components)
    }
    wrong += [{"field": where, "reason": "chỉ dùng khi nộp bằng thư mục"} for where, value in shared.items() if value]
    wrong += [
        {"field": where, "reason": "thời điểm quét ở tương lai hoặc đã quá lâu"} for where in implausible(manifest)
    ]
    if wrong:
        raise DeclarationInvalid(wrong)
    return manifest


def _in_folder(name: str, component: int) -> bool:
    folder, _, file = name.partition("/")
    return folder == f"c{component}" and FILE.fullmatch(file) is not None


def _texts(value: Any, where: str, depth: int) -> Any:
    if depth > 8:
        raise DeclarationInvalid([{"field": where, "reason": "lồng nhau quá sâu"}])
    if isinstance(value, dict):
        return {key: _texts(item, f"{where}.{key}".strip("."), depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_texts(item, f"{where}.{number}", depth + 1) for number, item in enumerate(value)]
    if isinstance(value, (bool, int, float)) and TEXT.intersection(where.split(".")):
        reason = "phải là chuỗi trong dấu ngoặc kép, đủ cả số 0 ở đầu"
        raise DeclarationInvalid([{"field": where, "reason": reason}])
    if isinstance(value, str) and not unicodedata.is_normalized("NFC", value):
        raise DeclarationInvalid([{"field": where, "reason": "NFD: gõ lại bằng bảng mã dựng sẵn (NFC)"}])
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, (int, float)) else value
