"""What the forms of all pauses share, and how problems are listed in what an officer reads there."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from prefect.input.run_input import RunInput
from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from blocks.errors import Problem

OFFICER_ID = r"^[0-9a-z._-]{1,64}$"
IN_WRITING = {"TRA_LAI", "TU_CHOI", "TRINH_LAI", "SUA_LAI", "XIN_Y_KIEN"}


def _without_nul(value: Any) -> Any:
    """PostgreSQL keeps no NUL: the run would fail with what an officer has decided already."""
    return value.replace("\0", "") if isinstance(value, str) else value


Text = Annotated[str, BeforeValidator(_without_nul)]
# Empty rather than None: Prefect's dialog would draw a choice between "str" and "None".
Reason = Annotated[
    Text,
    Field(title="Lý do (bắt buộc khi trả lại hoặc từ chối)", description="Nêu rõ bằng văn bản", max_length=4000),
]
# The gateway fills in both from the session; a person neither sees nor types them.
OfficerId = Annotated[str, Field(title="Mã viên chức (cổng tự ghi)", pattern=r"^[0-9a-z._-]{0,64}$")]
Proof = Annotated[str, Field(title="Chứng thực của cổng (cổng tự ghi)", max_length=4096)]


class Answer(RunInput):
    """What an officer answers at a pause. Each pause narrows `decision` to its own choices and adds what it needs."""

    decision: StrEnum = Field(title="Quyết định")
    reason: Reason = ""
    officer: OfficerId = ""
    proof: Proof = ""


def not_valid(form: type[BaseModel], error: ValidationError) -> str:
    """A sentence that names the items of the form as officers read them; what was typed isn't repeated."""
    places = {item["loc"][0] if item["loc"] else "" for item in error.errors()}
    known = [field.title or name for name, field in form.model_fields.items() if name in places]
    if places - set(form.model_fields):
        known.append("có mục mà biểu mẫu không có")
    return f"Mục chưa hợp lệ: {'; '.join(known)}."


def needs_reason(answer: Answer) -> list[str]:
    """Returning or refusing needs written reasons (B4c)."""
    if answer.decision.value in IN_WRITING and not answer.reason.strip():
        return ["Vui lòng nêu rõ lý do bằng văn bản khi trả lại, từ chối, trình lại, chuyển sửa lại hoặc xin ý kiến."]
    return []


def as_markdown(problems: list[Problem]) -> str:
    """Problems as a list that the officer reads at the pause; the code, in small print, is for who supports them."""
    lines = []
    for item in problems:
        place = [f"thành phần {item.component}"] if item.component else []
        place += [f"tệp {item.file}"] if item.file else []
        place += [f"trang {item.page}"] if item.page else []
        where = f" ({', '.join(place)})" if place else ""
        lines.append(f"- {item.text}{where} `{item.code}`")
    return "\n".join(lines)
