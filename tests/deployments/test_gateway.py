"""What the gateway lets through of Prefect, and whose session is whose (WH04)."""

from __future__ import annotations

import asyncio

import pytest

from deployments.desk.auth.sessions import Officer, Sessions, grants_of
from deployments.desk.auth.signin import local_path
from deployments.desk.prefect_access.policy import has_template, is_tricky, open_to_operations, told_the_ui

RUN = "0f6b2a6e-8f5c-4d7e-9a43-0c4c5a3e7d21"


@pytest.mark.parametrize(
    "method, path",
    [
        ("GET", "/dashboard"),
        ("GET", "/assets/index-abc.js"),
        ("GET", "/runs/flow-run/" + RUN),
        ("GET", "/api/health"),
        ("GET", f"/api/flow_runs/{RUN}"),
        ("GET", f"/api/flow_runs/{RUN}/input/suspended-verification-1-schema"),
        ("GET", f"/api/flow_runs/{RUN}/input/suspended-verification-1-description"),
        ("GET", f"/api/flow_runs/{RUN}/graph-v2"),
        ("POST", "/api/flow_runs/filter"),
        ("POST", "/api/ui/flow_runs/history"),
        ("POST", "/api/task_runs/count"),
        ("POST", "/api/artifacts/latest/filter"),
    ],
)
def test_reading_is_open(method: str, path: str) -> None:
    assert open_to_operations(method, path)


@pytest.mark.parametrize(
    "method, path",
    [
        ("POST", f"/api/flow_runs/{RUN}/set_state"),
        ("POST", f"/api/flow_runs/{RUN}/resume"),  # has a route of its own
        ("POST", f"/api/flow_runs/{RUN}/input"),
        ("POST", f"/api/flow_runs/{RUN}/input/filter"),
        ("GET", f"/api/flow_runs/{RUN}/input/suspended-verification-1-response"),
        # the same run, as Prefect's server also understands it
        ("GET", f"/api/flow_runs/{RUN.upper()}/input/suspended-verification-1-response"),
        ("GET", f"/api/flow_runs/{RUN.replace('-', '')}/input/suspended-verification-1-response"),
        ("GET", f"/api/flow_runs/urn:uuid:{RUN}/input/suspended-verification-1-response"),
        ("GET", f"/api/flow_runs/{RUN}/input/"),
        ("GET", f"/api/flow_runs/{RUN}/input/anything"),
        ("GET", "/api/unknown/of/a/new/version"),
        ("GET", "/api/block_types/slug/sohoa-object-store"),
        ("POST", "/api/block_schemas/filter"),
        ("GET", "/api/admin/storage"),
        ("PATCH", f"/api/flow_runs/{RUN}"),
        ("DELETE", f"/api/flow_runs/{RUN}"),
        ("POST", f"/api/deployments/{RUN}/create_flow_run"),
        ("POST", "/api/deployments/"),
        ("PATCH", f"/api/deployments/{RUN}"),
        ("GET", f"/api/block_documents/{RUN}"),
        ("POST", "/api/block_documents/filter"),
        ("POST", "/api/block_types/filter"),
        ("GET", "/api/variables/name/secret"),
        ("POST", "/api/variables/filter"),
        ("GET", "/api/admin/settings"),
        ("POST", "/api/admin/database/clear"),
        ("POST", "/api/events"),
        ("POST", "/api/automations/"),
        ("POST", "/api/unknown/of/a/new/version"),
        ("PUT", "/dashboard"),
        ("POST", "/dashboard"),
    ],
)
def test_everything_else_is_shut(method: str, path: str) -> None:
    assert not open_to_operations(method, path)


def test_the_ui_gets_an_answer_where_there_is_nothing_to_tell() -> None:
    """Without these its pages of deployments, events, blocks and variables freeze or say that something went wrong."""
    assert told_the_ui("GET", "/api/admin/settings", b"") == (200, {})
    assert told_the_ui("POST", "/api/block_documents/filter", b"{}") == (200, [])
    assert told_the_ui("POST", "/api/variables/count", b"{}") == (200, 0)
    assert told_the_ui("POST", "/api/block_documents/filter", b'{"include_secrets": true}') is None
    assert told_the_ui("POST", "/api/variables/", b"{}") is None


@pytest.mark.parametrize("raw", [b"/api/%2e%2e/x", b"/api//flows", b"/a/../b", b"/a\\b", b"/api;x", b"/.env"])
def test_paths_that_two_programs_read_differently(raw: bytes) -> None:
    assert is_tricky(raw) and not is_tricky(b"/api/flow_runs/filter")


def test_templates_are_found_however_deep() -> None:
    assert has_template({"a": [{"b": {"__prefect_kind": "jinja", "template": "{{ 1 }}"}}]})
    assert not has_template({"a": [{"b": "__prefect_kind"}], "c": None})


def test_groups_of_others_give_no_role() -> None:
    groups = ["sohoa/BHXH-TEST/LEAD", "sohoa/BHXH-TEST/lead", "other/BHXH-TEST/LEAD", "sohoa/../LEAD", 7, "sohoa//LEAD"]
    grants = grants_of(groups)
    assert grants == {("BHXH-TEST", "LEAD")}
    officer = Officer("ld.01", frozenset({("BHXH-TEST", "LEAD")}))
    assert officer.holds("LEAD", "BHXH-TEST") and not officer.holds("LEAD", "BHXH-KHAC") and not officer.holds("SEAL")


def test_who_waits_for_the_end_of_a_session_is_told() -> None:
    async def seconds(idle: float, end: bool) -> float:
        sessions = Sessions(idle=idle, longest=600)
        cookie = sessions.begin(Officer("gq.01", frozenset()))
        session = sessions.find(cookie)
        assert session is not None
        began = asyncio.get_running_loop().time()
        waiting = asyncio.create_task(sessions.ended(session))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        if end:
            sessions.end(cookie)
        await asyncio.wait_for(waiting, 60)
        return asyncio.get_running_loop().time() - began

    asyncio.run(seconds(600, end=True))
    assert asyncio.run(seconds(0.2, end=False)) > 0.2


def test_sessions_end_by_idling_by_age_and_by_signing_out() -> None:
    officer = Officer("gq.01", frozenset())
    sessions = Sessions(idle=60, longest=600)
    cookie = sessions.begin(officer)
    found = sessions.find(cookie)
    assert found is not None and found.officer == officer and sessions.find(cookie + "x") is None
    assert cookie not in repr(sessions._kept)
    sessions.end(cookie)
    assert sessions.find(cookie) is None
    assert Sessions(idle=-1, longest=600).find(Sessions(idle=-1, longest=600).begin(officer)) is None
    old = Sessions(idle=60, longest=-1)
    assert old.find(old.begin(officer)) is None


@pytest.mark.parametrize(
    "target", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:x", "", None]
)
def test_after_the_sign_in_one_lands_here(target: str | None) -> None:
    assert local_path(target) == "/" and local_path("/ho-so/1") == "/ho-so/1"
