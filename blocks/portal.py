"""Port to the national public-service portal and the agency's own systems (Điều 13.2, 13.3b; Điều 5.1).

What is asked: has this person a digital account (B2), and is this paper already shared as data (B3b/f, SC10). No
interface of those systems is published where we could look, so the wire format here is this project's own and small:
an adapter on the agency's integration axis (LGSP) answers it. Without a configured address every answer is
UNAVAILABLE, which the procedure records as unchecked and goes on [R].

    POST {url}/digital-account  {"kind": "PERSON", "id": …, "name": …, "birth_date": …} → {"status": "EXISTS" | "NONE"}
    POST {url}/shared-data      {"owner": {…}, "type": …} → {"items": [{"source": …, "reference": …, "as_of": …, …}]}

Personal data travel in the body only, never in an address, so that no access log on the way keeps them (WH04).
"""

from __future__ import annotations

import time
from datetime import date, datetime
from enum import StrEnum
from typing import Any, ClassVar, TypeVar

import httpx
from prefect.logging import get_logger
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from blocks.records.states import OwnerKind
from blocks.service import Service
from blocks.settings.sections import ConnectionSettings

A = TypeVar("A", bound=BaseModel)
MAX_ANSWER = 1_000_000  # bytes: a longer answer is not one of ours


class AccountStatus(StrEnum):
    EXISTS = "EXISTS"
    NONE = "NONE"
    UNAVAILABLE = "UNAVAILABLE"


class SharedStatus(StrEnum):
    ANSWERED = "ANSWERED"
    UNAVAILABLE = "UNAVAILABLE"


class OwnerQuery(BaseModel):
    """Whom the question is about: personal data, so it goes to the portal only."""

    model_config = ConfigDict(frozen=True)

    kind: OwnerKind
    id: str | None = None
    name: str = ""
    birth_date: date | None = None
    founding_year: int | None = None


class SharedItem(BaseModel):
    """One paper that exists as data with legal value."""

    model_config = ConfigDict(frozen=True)

    source: str = Field(min_length=1, max_length=120)  # which system: CSDL quốc gia …, Cổng Dịch vụ công quốc gia
    reference: str = Field(min_length=1, max_length=200)  # its id there
    as_of: datetime
    legal_value: bool = False  # the source claims legal value (SC10 asks for it)
    fields: dict[str, str] = Field(default_factory=dict)  # field name of Điều 9.2 → value


class SharedData(BaseModel):
    """Answer to a question for shared data; items is empty both when there is none and when nobody answered."""

    status: SharedStatus
    items: tuple[SharedItem, ...] = ()


class _AccountAnswer(BaseModel):
    status: AccountStatus


class _SharedAnswer(BaseModel):
    items: tuple[SharedItem, ...] = Field(max_length=200)


class Portal(Service):
    """Cổng Dịch vụ công quốc gia và hệ thống của ngành. Never raises: a portal that fails is UNAVAILABLE."""

    _block_type_name: ClassVar[str] = "Sohoa Portal"
    _block_type_slug: ClassVar[str] = "sohoa-portal"

    timeout_seconds: float = Field(default=5.0, gt=0, le=60)  # the officer and the citizen are waiting

    @property
    def configured(self) -> bool:
        return bool(ConnectionSettings().portal_url)

    def digital_account(self, owner: OwnerQuery) -> AccountStatus:
        """Whether the owner has a digital account; without an id nobody can be asked for."""
        if not owner.id:
            return AccountStatus.UNAVAILABLE
        answer = self._ask("digital-account", owner.model_dump(mode="json"), _AccountAnswer)
        return answer.status if answer else AccountStatus.UNAVAILABLE

    def shared_data(self, owner: OwnerQuery, type_code: str) -> SharedData:
        """The owner's papers of one type that are already shared as data."""
        if not owner.id:
            return SharedData(status=SharedStatus.UNAVAILABLE)
        body = {"owner": owner.model_dump(mode="json"), "type": type_code}
        answer = self._ask("shared-data", body, _SharedAnswer)
        if answer is None:
            return SharedData(status=SharedStatus.UNAVAILABLE)
        return SharedData(status=SharedStatus.ANSWERED, items=answer.items)

    def _ask(self, path: str, body: dict[str, Any], shape: type[A]) -> A | None:
        """One question; None when nobody is configured, nobody answers in time, or the answer is not of our form."""
        known = ConnectionSettings()
        url = known.portal_url.rstrip("/")
        if not url:
            return None
        token = known.portal_token.get_secret_value()
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            with (
                httpx.Client(timeout=self.timeout_seconds, follow_redirects=False) as client,
                client.stream("POST", f"{url}/{path}", json=body, headers=headers) as response,
            ):
                response.raise_for_status()
                return shape.model_validate_json(self._read(response))
        except (httpx.HTTPError, httpx.InvalidURL, ValidationError, ValueError) as error:
            # The class only: messages of validators and servers may repeat what was asked (WH04).
            get_logger("sohoa.portal").warning("portal question %s not answered: %s", path, type(error).__name__)
            return None

    def _read(self, response: httpx.Response) -> bytes:
        """The body within the time and size that an answer may take; httpx's own time-out starts anew at each byte."""
        deadline = time.monotonic() + self.timeout_seconds
        data = bytearray()
        for chunk in response.iter_bytes():
            data += chunk
            if len(data) > MAX_ANSWER or time.monotonic() > deadline:
                raise ValueError("too long or too slow")
        return bytes(data)
