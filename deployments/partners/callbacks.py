"""Where a partner's call-backs go, and the key that proves them."""

from __future__ import annotations

import os
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from blocks.records import RecordsDatabase
from blocks.records.audit import audit
from blocks.records.partners import Partner, partner_of
from blocks.settings import load_stack_env
from blocks.webhooks import PUBLIC_KEY, admit
from deployments.partners.access import Access, needs
from deployments.partners.routes import FAULTS


class Callback(BaseModel):
    """url: https, its host on the list that the administrator keeps for this partner; empty: none."""

    model_config = ConfigDict(extra="forbid")
    url: Annotated[str, Field(max_length=500)]


class Key(BaseModel):
    """Ed25519, base64 of 32 bytes, as Standard Webhooks writes it after ``whpk_``."""

    algorithm: str
    public_key: str


def callback_routes(records: RecordsDatabase, access: Access) -> APIRouter:
    router = APIRouter(responses=FAULTS, tags=["call-backs"])
    allowed = Depends(needs(access, "callback"))

    @router.get("/callback", response_model=Callback, summary="Where call-backs go")
    def known(partner: Partner = allowed) -> Callback:
        return Callback(url=partner.callback_url)

    @router.put("/callback", response_model=Callback, summary="Send call-backs there from now on")
    def change(told: Callback, partner: Partner = allowed) -> Callback:
        if told.url:
            admit(told.url, partner.hosts)
        with records.session() as session:
            row = partner_of(session, partner.id, for_update=True)
            row.callback_url = told.url
            session.add(row)
            audit(session, actor=f"partner:{partner.id}", action="partner-callback", rule="WH04")
        return told

    @router.get("/key", response_model=Key, summary="The key that signs call-backs")
    def key() -> Key:
        load_stack_env()
        return Key(algorithm="Ed25519", public_key=os.environ.get(PUBLIC_KEY, ""))

    return router
