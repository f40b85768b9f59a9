"""Making the officers' pages, and reading their forms. Rendered on the server; the script only makes it quicker."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from jinja2 import Environment, FileSystemLoader
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response

from blocks.clock import VIET_NAM
from blocks.errors import Remedy, SohoaError
from blocks.records.queries import DossierUnknown
from blocks.records.state_names import STATES
from deployments.desk.auth.sessions import Session
from deployments.desk.bodies import parse_small, read_small, with_token
from deployments.desk.decisions import ROLE_NAMES, Answer
from deployments.desk.forms import key, shown
from deployments.desk.limits import Uploads, UploadsBusy
from deployments.desk.uploads import INPUT, SUFFIXES, UploadsTooLarge, require_small
from tasks.desk_views.history import DETAILS
from tasks.pauses.outages import not_answering
from tasks.pauses.registry import decision_labels
from tasks.verification.review import REASONS

HERE = Path(__file__).parent.parent
STATIC = {
    "desk.css": "text/css",
    "desk.js": "text/javascript",
    "chu.js": "text/javascript",
    "tach.js": "text/javascript",
    "van-hanh.js": "text/javascript",
}
OLD_FORM = (
    "Trang đã cũ: bạn đã đăng nhập lại sau khi mở trang này. Nội dung đã gõ còn nguyên ở dưới; vui lòng xem lại rồi "
    "bấm nút lần nữa (tệp đã chọn thì chọn lại)."
)
FORM_ROOM = 1 << 20  # bytes of a form beside its files: what was typed, and the borders between its parts
KEEPABLE = re.compile(r"/nop(/tach/[0-9a-f]{32})?|/ho-so/[0-9a-f-]{36}/(quyet-dinh|du-thao)")
SAID_ANEW = frozenset({"flagged_checked", "originals_seen", "sign_now", "pin"})  # by whoever signs in again

FIELDS, FILES = 20_000, 5_000  # of one form
NO_WAY_BACK = (
    "Quyết định này (ký số, xóa ảnh giấy tờ mật) không rút lại được, nên bạn cần xác thực lại với tài khoản của mình."
)
AGAIN_LATER = (
    "Việc vừa gửi có thể chưa được ghi nhận: vui lòng chờ vài phút rồi gửi lại; gửi lại không bị ghi thành hai lần."
)
BUSY = {
    "QUOTA": "Bạn đã gửi quá dung lượng cho phép trong 24 giờ; vui lòng báo người quản trị hoặc gửi vào hôm sau.",
    "AT_ONCE": "Bạn đang gửi tệp ở thẻ khác; vui lòng chờ xong rồi gửi lại. Chưa có gì được ghi nhận.",
    "SPOOL": "Máy chủ đang nhận nhiều tệp; vui lòng gửi lại sau ít phút. Chưa có gì được ghi nhận.",
}

# A page with what was typed before, and why it is shown again.
Again = Callable[[Session, Mapping[str, Any], Answer], Response]


def local(at: datetime) -> str:
    return f"{at.astimezone(VIET_NAM):%H:%M %d/%m/%Y}"


def ago(at: datetime) -> str:
    """How long somebody has waited, in the one unit that says it."""
    minutes = max(0, int((datetime.now(UTC) - at).total_seconds() // 60))
    if minutes < 60:
        return f"{minutes} phút"
    return f"{minutes // 60} giờ" if minutes < 48 * 60 else f"{minutes // 1440} ngày"


def who(actor: str) -> str:
    """An actor of the audit trail as officers read it."""
    return {"system": "hệ thống", "unknown": "không rõ"}.get(actor, actor)


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _templates() -> Environment:
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    made.filters |= {"shown": shown, "local": local, "ago": ago, "capital": capital, "who": who}
    made.globals |= {
        "ROLE_NAMES": {role.value: name for role, name in ROLE_NAMES.items()},
        "DECISIONS": decision_labels(),
        "STATES": STATES,
        "DETAILS": DETAILS,
        "REASONS": {reason.value: text for reason, text in REASONS.items()},
        "key": key,
        "ACCEPT": ",".join(sorted(SUFFIXES)),
    }
    return made


class Pages:
    """What all pages of the desk share: templates, forms, refusals.

    upload_limit_mb: of all files of a form; uploads: what officers may upload a day and at once.
    """

    def __init__(self, upload_limit_mb: int, uploads: Uploads | None = None) -> None:
        self.upload_limit_mb = upload_limit_mb
        self.uploads = uploads or Uploads(quota=50 << 30, at_once=10, spool=50 << 30)
        self.templates = _templates()
        self.templates.globals |= {
            "FILES_LIMIT": (upload_limit_mb << 20) - FORM_ROOM,
            "TOO_LARGE": UploadsTooLarge(limit=upload_limit_mb).text,
        }
        self.version = secrets.token_hex(4)  # of the static files

    def page(self, name: str, session: Session | None, status: int = 200, **values: Any) -> Response:
        notes = session.notes[:] if session else []
        if session:
            session.notes.clear()
        text = self.templates.get_template(name).render(
            session=session, officer=session.officer if session else None, notes=notes, version=self.version, **values
        )
        return HTMLResponse(text, status, headers={"x-sohoa-page": "1", "cache-control": "no-store"})

    def say(self, title: str, sentence: str, status: int, session: Session | None = None) -> Response:
        return self.page("message.html", session, status, title=title, sentence=sentence)

    def pdf(self, name: str, data: bytes) -> Response:
        return self.download(name, data, "application/pdf")

    def download(self, name: str, data: bytes, kind: str) -> Response:
        """A file of this media type. name: without personal data."""
        headers = {
            "content-disposition": f'attachment; filename="{name}"',
            "cache-control": "no-store",
            "x-sohoa-page": "1",
        }
        return Response(data, media_type=kind, headers=headers)

    def step_up(
        self, session: Session, about: str, back: str, typed: Mapping[str, Any], *, why: str = NO_WAY_BACK
    ) -> Response:
        """The page that leads to the provider and, with what was typed, back to `back` (a path).

        about: the one act that it allows then, asked for with `Session.proven_for`. It is a link, not a redirect:
        browsers refuse that a form ends at another host (form-action of the content security policy).
        """
        kept = {name: value for name, value in typed.items() if name not in ("csrf", "decision")}
        token = session.ask_again(about, back, kept)
        return self.page("step_up.html", session, 200, title="Xác thực lại", token=token, why=why)

    def keep_typed(self, path: str, typed: list[tuple[str, str]]) -> Response:
        """The answer to a form whose session had ended: it carries what was typed, and nothing of it is kept here."""
        if not KEEPABLE.fullmatch(path) or not typed:
            sentence = "Yêu cầu chưa được thực hiện; vui lòng đăng nhập rồi làm lại."
            return self.say("Phiên làm việc đã kết thúc", sentence, 401)
        kept = [(name, value) for name, value in typed if name not in {"csrf", "decision", *SAID_ANEW}]
        return self.page("resend.html", None, 401, title="Phiên làm việc đã kết thúc", path=path, kept=kept)

    async def shown_to(
        self, request: Request, function: Any, *args: Any, typed: Mapping[str, Any] | None = None
    ) -> Response:
        """Run it in a thread; what the product refuses becomes a page.

        typed: the form that was sent. When a service is away the page carries it, to be sent again as it is.
        """
        session: Session = request.state.session
        try:
            answer: Response = await run_in_threadpool(function, session, *args)
            return answer
        except SohoaError as error:
            if error.remedy is Remedy.RETRY:
                return self._later(request, error, typed)
            status = 404 if isinstance(error, DossierUnknown) else 403
            return self.say("Không thực hiện được", error.text, status, session)
        finally:
            release(request)

    def _later(self, request: Request, error: SohoaError, typed: Mapping[str, Any] | None) -> Response:
        """A service is away: what was typed stands on the page, but for the PIN, which is kept nowhere."""
        kept = [(name, value) for name, value in typed.items() if name != "pin"] if typed else []
        path, session = request.url.path, request.state.session
        values = {"sentence": not_answering(error), "kept": kept, "path": path, "again": AGAIN_LATER}
        return self.page("later.html", session, 503, title="Hệ thống tạm thời chưa phản hồi", **values)

    async def posted(
        self, request: Request, again: Again | None = None, *, files: bool = False
    ) -> tuple[dict[str, Any], dict[str, list[UploadFile]], Response | None]:
        """Fields and files of a posted form; a page instead when it isn't one of this session's, or too large.

        again: the page that shows what was typed again, so that a new sign-in costs nothing. files: whether this
        officer may upload here; of who may not, a form is small, and a longer one isn't read.
        """
        form, kept, refusal = await self._posted(request, again, files)
        if refusal is not None:
            release(request)
        return form, kept, refusal

    async def _posted(
        self, request: Request, again: Again | None, may_upload: bool
    ) -> tuple[dict[str, Any], dict[str, list[UploadFile]], Response | None]:
        session: Session = request.state.session
        try:
            size = require_small(request.headers, self.upload_limit_mb)
            if size > FORM_ROOM and not may_upload:
                return {}, {}, self.say("Không được gửi tệp", "Bạn không được gửi tệp ở bước này.", 403, session)
            posted = await (self._small(request) if size <= FORM_ROOM else self._large(request, size))
        except UploadsTooLarge as error:
            return {}, {}, self.say("Các tệp quá lớn", error.text, 413, session)
        except UploadsBusy as error:
            return {}, {}, self.say("Chưa nhận được tệp", BUSY[error.why], 429, session)
        except Exception:
            return {}, {}, self.say("Biểu mẫu không hợp lệ", "Vui lòng mở lại trang và gửi lại.", 400, session)
        if posted is None:
            return {}, {}, self.say("Trang đã cũ", "Vui lòng mở lại trang rồi gửi lại.", 403, session)
        form: dict[str, Any] = {}
        files: dict[str, list[UploadFile]] = {}
        for name, value in posted.multi_items():
            if isinstance(value, str):
                form[name] = value.replace("\0", "").replace("\r\n", "\n")
            elif INPUT.fullmatch(name) and value.filename:
                files.setdefault(name, []).append(value)
        if not secrets.compare_digest(form.get("csrf", "").encode(), session.csrf.encode()):
            if again is None:
                return {}, {}, self.say("Trang đã cũ", "Vui lòng mở lại trang rồi gửi lại.", 403, session)
            form = {name: value for name, value in form.items() if name not in SAID_ANEW}
            old = Answer("OLD_FORM", [OLD_FORM])
            return {}, {}, await self.shown_to(request, again, form, old)
        return form, files, None

    async def _small(self, request: Request) -> FormData:
        body = await read_small(request, FORM_ROOM)
        if body is None:
            raise ValueError("longer than it said")
        return await parse_small(request.headers, body, FIELDS, FILES)

    async def _large(self, request: Request, size: int) -> FormData | None:
        """None: it isn't of this session. Raises UploadsBusy. What is reserved is given back by `release`."""
        request.state.reserved = ExitStack()
        request.state.reserved.enter_context(self.uploads.reserved(request.state.session.officer.id, size))
        genuine = await with_token(request, request.state.session.csrf)
        return await genuine.form(max_files=FILES, max_fields=FIELDS) if genuine else None

    def router(self) -> APIRouter:
        """What pages load."""
        router = APIRouter()

        @router.get("/favicon.ico", include_in_schema=False)
        async def icon() -> Response:
            return Response(status_code=204)

        @router.get("/tinh/{name}", include_in_schema=False)
        async def static(name: str) -> Response:
            if name not in STATIC:
                return Response(status_code=404)
            return FileResponse(HERE / "static" / name, media_type=STATIC[name])

        return router


def release(request: Request) -> None:
    """Give back the room that an upload had reserved."""
    reserved: ExitStack | None = getattr(request.state, "reserved", None)
    if reserved is not None:
        reserved.close()
