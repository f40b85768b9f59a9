"""Routes of a partner's cases. Bodies are limited before they are read; files go through the disk, never memory."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import re
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi import Path as InPath
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from blocks.catalog import Catalog
from blocks.errors import Remedy, SohoaError
from blocks.objects import ObjectStore
from blocks.orchestrator import Orchestrator
from blocks.records import RecordsDatabase
from blocks.records.partners import Partner, case_of
from deployments.partners.access import Access, needs
from tasks.intake.names import part_of
from tasks.partner_cases.cases import (
    FILE_LIMIT,
    REFERENCE,
    Declared,
    create_case,
    declare,
    hand_over,
    receive_file,
)
from tasks.partner_cases.errors import CaseUnknown
from tasks.partner_cases.status import CaseView, view_case

JSON_LIMIT = 1_000_000  # bytes of a declaration
UPLOADS, EACH = 8, 3  # files that are received at the same time, of all partners and of one
SLOWEST, SLOWEST_JSON = 300, 60  # seconds that a body may take
DIGEST = re.compile(r"sha-256=:([0-9A-Za-z+/]{43}=):")  # RFC 9530

Reference = Annotated[str, InPath(pattern=REFERENCE, description="The partner's own id of the case; nothing personal")]
Number = Annotated[int, InPath(ge=1, le=9999)]
Name = Annotated[str, InPath(pattern=r"^[0-9]{1,9}\.(jpg|jpeg|png|tif|tiff|pdf)$", examples=["0001.jpg"])]
Digest = Annotated[
    str,
    Header(alias="Content-Digest", pattern=r"^sha-256=:[0-9A-Za-z+/]{43}=:$", description="SHA-256, RFC 9530"),
]
Key = Annotated[str, Header(alias="Idempotency-Key", pattern=REFERENCE, description="The partner's own id of the case")]
Place = Annotated[int | None, Query(ge=1, le=9999)]


class BodyTooLarge(SohoaError):
    code, status = "BODY_TOO_LARGE", 413
    message = "Nội dung gửi lớn hơn {limit} byte hoặc không khai độ dài; vui lòng chia nhỏ hoặc khai Content-Length."
    remedy = Remedy.OFFICER


class NotJson(SohoaError):
    code, status = "NOT_JSON", 400
    message = "Nội dung gửi không phải JSON hợp lệ."
    remedy = Remedy.OFFICER


class TooSlow(SohoaError):
    code, status = "TOO_SLOW", 408
    message = "Nội dung gửi đến quá chậm; vui lòng gửi lại."
    remedy = Remedy.OFFICER


class Busy(SohoaError):
    code = "BUSY"
    message = "Cổng đang nhận nhiều tệp; vui lòng gửi lại sau ít phút."
    remedy = Remedy.RETRY


class NewCase(BaseModel):
    model_config = ConfigDict(extra="forbid")
    unit: Annotated[str, Field(pattern=r"^[0-9A-Za-z.-]{1,35}$")]
    procedure: Annotated[str, Field(pattern=r"^[0-9A-Za-z.:-]{1,32}$")]


class CaseMade(BaseModel):
    """submission: our id of it, the parameter of the flow."""

    reference: str
    submission: str


class FileTaken(BaseModel):
    part: str
    name: str
    sha256: str
    size: int


class Started(BaseModel):
    """flow_run_id: null for a supplement or rescan, which an officer confirms."""

    reference: str
    submission: str
    flow_run_id: str | None


class Fault(BaseModel):
    """Problem details (RFC 9457): code is stable, detail a Vietnamese sentence, errors name fields."""

    type: Literal["about:blank"]
    status: int
    code: str
    detail: str
    errors: list[dict[str, str]] = []


HandIn = Callable[[Partner, str, str], "Started"]
FAULT: dict[str, Any] = {
    "description": "Problem details",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Fault"}}},
}
FAULTS: dict[int | str, dict[str, Any]] = {
    status: FAULT for status in (400, 401, 403, 404, 405, 408, 409, 411, 413, 422, 429, 500, 503)
}
OCTETS = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
DECLARATION = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Declaration"}}},
    }
}


class Receiving:
    """Files of partners on their way: a few at once, on the disk, with a limit of size and time each."""

    def __init__(self, records: RecordsDatabase, objects: ObjectStore) -> None:
        self.records, self.objects = records, objects
        self.busy: Counter[str] = Counter()  # partner → files that are being received

    async def take(
        self, request: Request, partner: Partner, reference: str, part: str, name: str, header: str
    ) -> FileTaken:
        """Keep the body as this file. Raises BodyTooLarge, Busy, TooSlow and what `receive_file` raises."""
        _require_length(request, FILE_LIMIT)
        if self.busy.total() >= UPLOADS or self.busy[partner.id] >= EACH:
            raise Busy()
        self.busy[partner.id] += 1
        try:
            with tempfile.NamedTemporaryFile(prefix="sohoa-partner-") as file:
                async with _in_time(SLOWEST):
                    async for piece in _pieces(request, FILE_LIMIT):
                        await run_in_threadpool(file.write, piece)
                file.flush()
                where = partner, reference, part, name, Path(file.name), _digest(header)
                kept = await run_in_threadpool(receive_file, self.records, self.objects, *where)
        finally:
            self.busy[partner.id] -= 1
        return FileTaken(part=kept.part, name=kept.name, sha256=kept.sha256, size=kept.size)


def _digest(header: str) -> str:
    """SHA-256 (hex) that the header Content-Digest names; empty: none."""
    match = DIGEST.fullmatch(header)
    try:
        return base64.b64decode(match[1] if match else "", validate=True).hex()
    except binascii.Error:
        return ""


def routes(
    records: RecordsDatabase, objects: ObjectStore, catalog: Catalog, prefect: Orchestrator, access: Access
) -> APIRouter:
    router = APIRouter(responses=FAULTS, tags=["submissions"])
    submit, read = Depends(needs(access, "submit")), Depends(needs(access, "read"))
    receiving = Receiving(records, objects)

    def hand_in(partner: Partner, reference: str, part: str) -> Started:
        return _started(hand_over(records, objects, prefect, partner, reference, part))

    _cases(router, records, catalog, submit, read)
    _submissions(router, records, objects, receiving, submit, hand_in)
    _rescans(router, receiving, submit, hand_in)
    return router


def _cases(router: APIRouter, records: RecordsDatabase, catalog: Catalog, submit: Any, read: Any) -> None:
    before = {"model": CaseMade, "description": "It was opened before, with this content"}
    again: dict[int | str, dict[str, Any]] = {200: before}

    @router.post("/submissions", status_code=201, response_model=CaseMade, responses=again, summary="Open a case")
    def create(told: NewCase, response: Response, key: Key, partner: Partner = submit) -> CaseMade:
        """The same key and content again: the same answer with 200; other content: 409."""
        case, new = create_case(records, partner, key, told.unit, told.procedure)
        if not new:
            response.status_code = 200
        return CaseMade(reference=case.reference, submission=case.submission)

    @router.get("/submissions/{reference}", response_model=CaseView, summary="Where a case stands")
    def status(reference: Reference, partner: Partner = read) -> CaseView:
        with records.session() as session:
            case = case_of(session, partner.id, reference)
            if case is None:
                raise CaseUnknown()
            return view_case(session, catalog, case)


def _submissions(
    router: APIRouter,
    records: RecordsDatabase,
    objects: ObjectStore,
    receiving: Receiving,
    submit: Any,
    hand_in: HandIn,
) -> None:
    @router.put(
        "/submissions/{reference}/r{revision}/c{component}/{name}",
        response_model=FileTaken,
        summary="A scanned file of a component",
        openapi_extra=OCTETS,
    )
    async def upload(
        request: Request,
        reference: Reference,
        revision: Number,
        component: Number,
        name: Name,
        content_digest: Digest,
        partner: Partner = submit,
    ) -> FileTaken:
        """Written once: the same again is the same answer, other content under the name is 409."""
        place = f"c{component}/{name}"
        return await receiving.take(request, partner, reference, part_of(revision), place, content_digest)

    @router.put(
        "/submissions/{reference}/r{revision}/declaration",
        response_model=Declared,
        summary="The declaration, checked at once",
        openapi_extra=DECLARATION,
    )
    async def declaration(
        request: Request, reference: Reference, revision: Number, partner: Partner = submit
    ) -> Declared:
        declared = _json(await limited_body(request, JSON_LIMIT))
        return await run_in_threadpool(declare, records, objects, partner, reference, revision, declared)

    @router.post("/submissions/{reference}/r{revision}/start", response_model=Started, summary="Hand in what was sent")
    def start(reference: Reference, revision: Number, partner: Partner = submit) -> Started:
        """The first (r1) starts the flow; a supplement waits for the officer. Again: the same answer."""
        return hand_in(partner, reference, part_of(revision))


def _rescans(router: APIRouter, receiving: Receiving, submit: Any, hand_in: HandIn) -> None:
    @router.put(
        "/submissions/{reference}/rescan/{component}/{attempt}/{name}",
        response_model=FileTaken,
        summary="A file of a new scan",
        openapi_extra=OCTETS,
    )
    async def rescan(
        request: Request,
        reference: Reference,
        component: Number,
        attempt: Number,
        name: Name,
        content_digest: Digest,
        replace: Place = None,
        insert: Place = None,
        partner: Partner = submit,
    ) -> FileTaken:
        """All files in order are the whole component; replace or insert: this one page alone."""
        folder = f"replace-{replace:04d}/" if replace else f"insert-{insert:04d}/" if insert else ""
        part = f"rescan/{component}/{attempt}"
        return await receiving.take(request, partner, reference, part, f"{folder}{name}", content_digest)

    @router.post(
        "/submissions/{reference}/rescan/{component}/{attempt}/start",
        response_model=Started,
        summary="Hand in a new scan; the officer confirms it",
    )
    def rescanned(reference: Reference, component: Number, attempt: Number, partner: Partner = submit) -> Started:
        return hand_in(partner, reference, f"rescan/{component}/{attempt}")


def _started(case: Any) -> Started:
    run = str(case.flow_run_id) if case.flow_run_id else None
    return Started(reference=case.reference, submission=case.submission, flow_run_id=run)


def _require_length(request: Request, limit: int) -> None:
    """By what is said, before a byte is read; the server takes no more than was said. Raises BodyTooLarge."""
    said = request.headers.get("content-length", "")
    if not said.isdecimal() or len(said) > 12 or int(said) > limit:
        raise BodyTooLarge(limit=limit)


async def limited_body(request: Request, limit: int) -> bytes:
    """Raises BodyTooLarge."""
    _require_length(request, limit)
    async with _in_time(SLOWEST_JSON):
        return b"".join([piece async for piece in _pieces(request, limit)])


async def _pieces(request: Request, limit: int) -> AsyncIterator[bytes]:
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size > limit:
            raise BodyTooLarge(limit=limit)
        yield piece


@asynccontextmanager
async def _in_time(seconds: float) -> AsyncIterator[None]:
    """Raises TooSlow: who sends a byte now and then holds no place for ever."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise TooSlow() from None


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise NotJson() from None
