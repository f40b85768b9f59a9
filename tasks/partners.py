"""Hồ sơ do hệ thống của đối tác chuyển đến: case, files, declaration, hand-in, supplement, rescan (Điều 13.1, 8.2).

The same hand-in as at the counter or by the inbox, in steps: files one by one into INBOX, written once, with the
SHA-256 that the partner states; the declaration checked at once; then everything counts together. A partner names a
case by an id of its own; what is another's is unknown to it.
"""

from __future__ import annotations

import re
import time
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import yaml
from pydantic import BaseModel, ValidationError
from sqlmodel import Session, col, func, select

from blocks.errors import ObjectConflict, Remedy, SohoaError
from blocks.objects import Bucket, ObjectStore, digest
from blocks.orchestrator import INTEGRATORS, Orchestrator
from blocks.records import RecordsDatabase
from blocks.records.audit import audit
from blocks.records.partners import Partner, PartnerCase, PartnerFile, case_of, files_of
from blocks.records.queries import documents
from blocks.records.sources import SourceKind, source_of
from blocks.records.states import DocumentState
from blocks.records.tables import Dossier, now
from tasks.origin import NotTheCapturer, Origin
from tasks.submission import MANIFEST, SUPPLEMENTABLE, Manifest, part_of

REFERENCE = r"^[0-9A-Za-z][0-9A-Za-z._-]{0,63}$"
FILE = re.compile(r"\d{1,9}\.(?:jpg|jpeg|png|tif|tiff|pdf)")  # numbers only: a name may tell whose paper it is
PERSONAL = re.compile(r"(?<!\d)(?:\d{10}|\d{12}|\d{13})(?!\d)")  # numbers of people stand in no address and no log
FILE_LIMIT, CASE_FILES = 200 << 20, 5_000  # bytes of one file; files of one case


class CaseUnknown(SohoaError):
    code, status = "CASE_UNKNOWN", 404
    message = "Không có hồ sơ nào của đối tác mang mã này."
    remedy = Remedy.OFFICER


class CaseConflict(SohoaError):
    """The partner's id of a case was used for another one."""

    code, rule, status = "IDEMPOTENCY_CONFLICT", "CO06", 409
    message = "Mã hồ sơ này đã dùng với nội dung khác; vui lòng dùng mã mới cho hồ sơ mới."
    remedy = Remedy.OFFICER


class ReferencePersonal(SohoaError):
    code, rule, status = "REFERENCE_PERSONAL", "WH04", 422
    message = "Mã hồ sơ không được chứa số định danh của người dân; vui lòng dùng mã do hệ thống của đối tác cấp."
    remedy = Remedy.OFFICER


class OutOfScope(SohoaError):
    code, rule, status = "OUT_OF_SCOPE", "WH04", 403
    message = "Đối tác không được phép với {what} này; vui lòng liên hệ quản trị viên."
    remedy = Remedy.OFFICER


class QuotaReached(SohoaError):
    code, status = "QUOTA_REACHED", 429
    message = "Đối tác đang có {limit} hồ sơ chưa kết thúc, là số nhiều nhất; vui lòng chờ rồi gửi lại."
    remedy = Remedy.OFFICER


class FileNameRefused(SohoaError):
    code, status = "FILE_NAME", 422
    message = "Tên tệp phải là số thứ tự và đuôi jpg, jpeg, png, tif, tiff hoặc pdf, ví dụ 0001.jpg."
    remedy = Remedy.OFFICER


class DigestWrong(SohoaError):
    code, rule, status = "DIGEST_WRONG", "CA08", 422
    message = "Nội dung nhận được không khớp mã băm SHA-256 đã khai; vui lòng gửi lại tệp."
    remedy = Remedy.OFFICER


class AlreadyOther(SohoaError):
    code, rule, status = "ALREADY_OTHER", "CA08", 409
    message = "Đã nhận nội dung khác dưới tên này; vui lòng dùng tên khác hoặc mã hồ sơ mới."
    remedy = Remedy.OFFICER


class Closed(SohoaError):
    code, rule, status = "HANDED_IN_ALREADY", "CO06", 409
    message = "Phần này của hồ sơ đã nộp nên không nhận thêm tệp."
    remedy = Remedy.OFFICER


class NotAsked(SohoaError):
    code, status = "NOT_ASKED", 409
    message = "Hồ sơ không chờ phần bổ sung hoặc bản quét lại này; vui lòng xem mục waiting_for của tình trạng hồ sơ."
    remedy = Remedy.OFFICER


class NotDeclared(SohoaError):
    code, rule, status = "NOT_DECLARED", "B3a", 409
    message = "Chưa có tờ khai hoặc tệp nào của phần này; vui lòng gửi trước khi nộp."
    remedy = Remedy.OFFICER


class DeclarationInvalid(SohoaError):
    """fields: place and reason of each fault, without values."""

    code, rule, status = "MANIFEST_INVALID", "B3a", 422
    message = "Tờ khai không hợp lệ; vui lòng sửa các mục được nêu rồi gửi lại."
    remedy = Remedy.OFFICER

    def __init__(self, fields: list[dict[str, str]]) -> None:
        super().__init__()
        self.fields = fields


class Declared(BaseModel):
    sha256: str
    missing: list[str]  # files that are declared and have not come: capture will ask for them


def create_case(
    records: RecordsDatabase, partner: Partner, reference: str, unit: str, procedure: str
) -> tuple[PartnerCase, bool]:
    """The case of this id, and whether it is new. Raises CaseConflict, OutOfScope, QuotaReached."""
    if PERSONAL.search(reference):
        raise ReferencePersonal()
    _insist_scope(partner, unit, procedure)
    with records.session() as session:
        session.exec(select(Partner).where(Partner.id == partner.id).with_for_update()).one()
        case, new = case_of(session, partner.id, reference), False
        if case is None:
            opened = select(func.count()).where(
                PartnerCase.partner_id == partner.id, col(PartnerCase.ended_at).is_(None)
            )
            if session.exec(opened).one() >= partner.open_limit:
                raise QuotaReached(limit=partner.open_limit)
            case, new = (
                PartnerCase(
                    partner_id=partner.id,
                    reference=reference,
                    submission=uuid4().hex,
                    unit_id=unit,
                    procedure_code=procedure,
                ),
                True,
            )
            session.add(case)
            note(session, partner, "partner-case", case)
        elif (case.unit_id, case.procedure_code) != (unit, procedure):
            raise CaseConflict()
        return case, new


def receive_file(
    records: RecordsDatabase,
    objects: ObjectStore,
    partner: Partner,
    reference: str,
    part: str,
    name: str,
    path: Path,
    sha256: str,
) -> PartnerFile:
    """Take one file; the same again is the same answer. part: r1, r2 …, rescan/<component>/<attempt>.

    name: below the part, e.g. c1/0001.jpg. Raises FileNameRefused, DigestWrong, AlreadyOther, Closed, NotAsked.
    """
    if not FILE.fullmatch(name.rpartition("/")[2]):
        raise FileNameRefused()
    made, size = digest(path)
    if made != sha256:
        raise DigestWrong()
    with records.session() as session:
        case, place, known = _place(session, partner, reference, part, name, sha256)
    if known is not None:
        return known
    try:
        objects.put_once(
            Bucket.INBOX, f"{case.submission}/{place}/{name}", path, content_type="application/octet-stream"
        )
    except ObjectConflict:
        raise AlreadyOther() from None
    with records.session() as session:  # no lock was held while the file was stored
        case, place, known = _place(session, partner, reference, part, name, sha256, here=place)
        if known is not None:
            return known
        held = session.exec(select(func.count()).where(PartnerFile.case_id == case.id)).one()
        if held >= CASE_FILES:
            raise QuotaReached(limit=CASE_FILES)
        file = PartnerFile(case_id=case.id, part=place, name=name, sha256=sha256, size=size)
        session.add(file)
        note(session, partner, "partner-file", case, {"part": place, "file": name, "sha256": sha256})
        return file


def _place(
    session: Session, partner: Partner, reference: str, part: str, name: str, sha256: str, here: str = ""
) -> tuple[PartnerCase, str, PartnerFile | None]:
    """The case, where a file of this part lies, and the file when it has come already. here: where it was put.

    Raises AlreadyOther, Closed, NotAsked.
    """
    try:
        case, place = open_part(session, partner, reference, part, here)
    except (Closed, NotAsked):
        kept = _kept(session, partner, reference, part, name, sha256)
        if kept is None:
            raise
        return _own(session, partner, reference), kept.part, kept  # handed in already: the same answer
    known = next((file for file in files_of(session, case.id, place) if file.name == name), None)
    if known is not None and known.sha256 != sha256:
        raise AlreadyOther()
    return case, place, known


def declare(
    records: RecordsDatabase, objects: ObjectStore, partner: Partner, reference: str, revision: int, told: Any
) -> Declared:
    """Check a declaration and keep it with its part. Raises DeclarationInvalid, OutOfScope, AlreadyOther, Closed."""
    manifest = _checked(told)
    with records.session() as session:
        case, part = _own(session, partner, reference, for_update=True), part_of(revision)
        if (manifest.unit, manifest.procedure) != (case.unit_id, case.procedure_code):
            raise CaseConflict()
        manifest.captured_by = case.officer = _capturer(partner, manifest.captured_by)
        body = yaml.safe_dump(manifest.model_dump(mode="json"), allow_unicode=True, sort_keys=False).encode()
        sha256, size = digest(body)
        files = {file.name: file for file in files_of(session, case.id, part)}
        if MANIFEST in files and files[MANIFEST].sha256 != sha256:
            raise AlreadyOther()
        if MANIFEST not in files:
            open_part(session, partner, reference, part)
            objects.put_once(
                Bucket.INBOX, f"{case.submission}/{part}/{MANIFEST}", body, content_type="application/yaml"
            )
            session.add_all([case, PartnerFile(case_id=case.id, part=part, name=MANIFEST, sha256=sha256, size=size)])
            note(session, partner, "partner-declaration", case, {"part": part, "sha256": sha256})
        wanted = [name for component in manifest.components for name in component.files]
        return Declared(sha256=sha256, missing=[name for name in wanted if name not in files])


def hand_over(
    records: RecordsDatabase, prefect: Orchestrator, partner: Partner, reference: str, part: str
) -> PartnerCase:
    """From now on what was sent is handed in, and the flow of a new case starts. Idempotent.

    Raises NotDeclared, NotAsked, PrefectUnavailable (then do it again; the clock does, too).
    """
    first = part == part_of(1)
    with records.session() as session:
        case = _own(session, partner, reference)
        if source_of(session, case.submission, part) is not None:
            place = part  # handed in already
        else:
            case, place = open_part(session, partner, reference, part)
        files = files_of(session, case.id, place)
        named = {file.name for file in files}
        if not files or (place.startswith("r") and not place.startswith("rescan/") and MANIFEST not in named):
            if not first and (last := _last(session, case, part)):
                return last  # handed in already, nothing new has come
            raise NotDeclared()
        hashes = {f"{place}/{file.name}": file.sha256 for file in files}
        if source_of(session, case.submission, place) is None:
            note(session, partner, "partner-handed-in", case, {"part": place, "files": len(files)})
    # Of the partner's list (declare): who signs these scans in person.
    Origin(SourceKind.PARTNER, partner.id, case.officer).note(records, case.submission, place, hashes)
    return start_case(records, prefect, case.id) if first else case


def start_case(records: RecordsDatabase, prefect: Orchestrator, case_id: UUID) -> PartnerCase:
    """Create the flow run of a case that was handed in, or find it."""
    with records.session() as session:
        case = session.exec(select(PartnerCase).where(PartnerCase.id == case_id).with_for_update()).one()
        if case.flow_run_id is None:
            run = prefect.start(case.submission, deployment=INTEGRATORS, tags=["partner"])
            case.flow_run_id, case.started_at = UUID(run["id"]), now()
            session.add(case)
        return case


def open_part(session: Session, partner: Partner, reference: str, part: str, here: str = "") -> tuple[PartnerCase, str]:
    """The case and the name under which files of this part lie now. Raises CaseUnknown, Closed, NotAsked.

    here: the folder of a rescan that was chosen before.
    """
    case = _own(session, partner, reference, for_update=True)
    if part == part_of(1):
        if source_of(session, case.submission, part) is not None:
            raise Closed()
        return case, part
    dossier = session.exec(select(Dossier).where(Dossier.submission == case.submission)).first()
    if dossier is None:
        raise NotAsked()
    if not part.startswith("rescan/"):
        if dossier.state not in SUPPLEMENTABLE or part != part_of(dossier.revision + 1):
            raise NotAsked()
        if source_of(session, case.submission, part) is not None:
            raise Closed()
        return case, part
    _, component, attempt = part.split("/")
    waiting = documents(session, dossier.id, states=[DocumentState.CHUP_LAI])
    if not any((d.ordinal, d.attempt + 1) == (int(component), int(attempt)) for d in waiting):
        raise NotAsked()
    if here and source_of(session, case.submission, here) is not None:
        raise Closed()
    return case, here or _newest_open(session, case, part)


def _newest_open(session: Session, case: PartnerCase, part: str) -> str:
    """Files of a rescan lie in a folder of each hand-in; the one that isn't handed in yet, or a new one."""
    query = select(func.max(PartnerFile.part)).where(
        PartnerFile.case_id == case.id, col(PartnerFile.part).startswith(f"{part}/", autoescape=True)
    )
    newest = session.exec(query).one()
    if newest is not None and source_of(session, case.submission, newest) is None:
        return str(newest)
    return f"{part}/{time.time_ns():020d}"


def _kept(session: Session, partner: Partner, reference: str, part: str, name: str, sha256: str) -> PartnerFile | None:
    """This very file, when it came before the part was handed in."""
    case, of = _own(session, partner, reference), col(PartnerFile.part)
    query = select(PartnerFile).where(
        PartnerFile.case_id == case.id,
        PartnerFile.name == name,
        PartnerFile.sha256 == sha256,
        (of == part) | of.startswith(f"{part}/", autoescape=True),
    )
    return session.exec(query.order_by(of.desc()).limit(1)).first()


def _last(session: Session, case: PartnerCase, part: str) -> PartnerCase | None:
    """The case, when a hand-in of this part is known."""
    query = select(PartnerFile).where(
        PartnerFile.case_id == case.id, col(PartnerFile.part).startswith(f"{part}/", autoescape=True)
    )
    return case if session.exec(query.limit(1)).first() else None


def _own(session: Session, partner: Partner, reference: str, *, for_update: bool = False) -> PartnerCase:
    case = case_of(session, partner.id, reference, for_update=for_update)
    if case is None:
        raise CaseUnknown()
    return case


def _insist_scope(partner: Partner, unit: str, procedure: str) -> None:
    if unit not in partner.units:
        raise OutOfScope(what="đơn vị")
    if procedure not in partner.procedures:
        raise OutOfScope(what="thủ tục")


def _capturer(partner: Partner, declared: str | None) -> str:
    """Who has scanned: of the partner's officers; the only one need not be named (Điều 8.1). Raises NotTheCapturer."""
    if declared is None and len(partner.officers) == 1:
        return partner.officers[0]
    if declared not in partner.officers:
        raise NotTheCapturer()
    return str(declared)


def _checked(told: Any) -> Manifest:
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
    if isinstance(value, str) and not unicodedata.is_normalized("NFC", value):
        raise DeclarationInvalid([{"field": where, "reason": "NFD: gõ lại bằng bảng mã dựng sẵn (NFC)"}])
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, (int, float)) else value


def note(
    session: Session, partner: Partner, action: str, case: PartnerCase, details: Mapping[str, Any] | None = None
) -> None:
    """Into the audit trail: which partner did what to which of its cases."""
    session.flush()
    known = {"case": case.id, "submission": case.submission} | dict(details or {})
    audit(session, actor=f"partner:{partner.id}", action=action, rule="B1", details=known)
