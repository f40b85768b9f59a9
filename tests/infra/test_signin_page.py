"""The TEST provider's sign-in page in Chromium: officers by name and role, nothing from elsewhere, by keyboard."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from infra.local.officers import NAMES, ROLES, groups
from infra.local.officers import test_users as listed
from infra.local.process import free_port, spawn, stop, wait_ready

ROOT = Path(__file__).resolve().parents[2]
USERS = listed()
AXE = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
BACK = "/dang-nhap/ve"  # where the provider sends the browser; nothing listens there, the test looks at the address


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port, log = free_port(), tmp_path_factory.mktemp("oidc") / "oidc.log"
    command = [sys.executable, "-m", "infra.local.oidc", str(port), *map(json.dumps, USERS)]
    server = spawn(command, log=log, cwd=ROOT, env=os.environ, parent_death=signal.SIGKILL)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_ready("TEST sign-in", lambda: httpx.get(url, timeout=2).raise_for_status() and None, server, log, 60)
        yield url
    finally:
        stop(server)


def opened(
    chromium: Browser,
    provider: str,
    width: int = 1366,
    height: int = 768,
    scheme: Literal["light", "dark"] = "light",
    **more: str,
) -> tuple[Page, list[str]]:
    """(page, addresses asked for): the page to which a gateway sends a browser."""
    asked: list[str] = []
    page = chromium.new_context(viewport={"width": width, "height": height}, color_scheme=scheme).new_page()
    page.on("request", lambda request: asked.append(request.url))
    page.goto(str(httpx.URL(f"{provider}/oauth2/authorize").copy_merge_params(question(provider) | more)))
    return page, asked


def question(provider: str) -> dict[str, str]:
    return {"response_type": "code", "client_id": "sohoa", "redirect_uri": provider + BACK, "scope": "openid profile",
            "state": "s", "nonce": "n"}  # fmt: skip


def test_each_person_has_a_name_and_each_role_is_explained() -> None:
    assert {user["sub"] for user in USERS} == set(NAMES)
    found = groups((user["sub"], user) for user in USERS)
    assert sorted(person for group in found for person, _, _ in group.people) == sorted(NAMES)
    explained = {sentence for group in found for sentence in group.may}
    assert explained == {may for _, may in ROLES.values()}


def test_the_page_lists_the_officers_and_asks_no_other_host(chromium: Browser, provider: str) -> None:
    page, asked = opened(chromium, provider)
    assert page.locator("html").get_attribute("lang") == "vi"
    assert page.get_by_role("heading", level=1).inner_text() == "Đăng nhập cổng viên chức Sohoa"
    for user in USERS:
        button = page.get_by_role("button", name=user["sub"], exact=True)
        line = page.get_by_role("listitem").filter(has=button).last
        assert user["name"] in line.inner_text()
        described = " ".join(
            page.locator(f"#{place}").inner_text() for place in str(button.get_attribute("aria-describedby")).split()
        )
        for group in user["groups"]:
            title, may = ROLES[group.rsplit("/", 1)[1]]
            assert may in described and title.lower() in described.lower()
    assert asked and all(url.startswith(provider) for url in asked)
    text = page.locator("body").inner_text()
    assert not any(word in text for word in ("Authorize", "RECEIVE", "Deny", "Client ID"))


@pytest.mark.parametrize("width, height", [(1366, 768), (820, 1180), (320, 640)])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_and_nothing_hides(
    chromium: Browser, provider: str, width: int, height: int, scheme: Literal["light", "dark"]
) -> None:
    page, _ = opened(chromium, provider, width, height, scheme)
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    assert not [(v["id"], v["nodes"][0]["html"]) for v in Axe().run(page, options=AXE).response["violations"]]
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=f"{folder}/sign-in-{width}-{scheme}.png", full_page=True)


def test_one_signs_in_by_keyboard_alone(chromium: Browser, provider: str) -> None:
    page, _ = opened(chromium, provider)
    for _ in range(len(USERS)):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.value") == "ld.01":
            break
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    with page.expect_request(f"{provider}{BACK}**") as back:
        page.keyboard.press("Enter")
    assert httpx.URL(back.value.url).params["code"]


def test_signing_again_and_going_back_without_signing_in(chromium: Browser, provider: str) -> None:
    page, _ = opened(chromium, provider, prompt="login")
    assert page.get_by_role("heading", level=1).inner_text() == "Xác thực lại trước khi quyết định"
    with page.expect_request(f"{provider}{BACK}**") as back:
        page.get_by_role("button", name="Không đăng nhập, quay lại").click()
    assert httpx.URL(back.value.url).params["error"] == "access_denied"


@pytest.mark.parametrize(
    "path, heading",
    [
        ("/", "Dịch vụ đăng nhập thử nghiệm của Sohoa"),
        ("/oauth2/end_session", "Đăng xuất tài khoản thử nghiệm"),
        ("/oauth2/authorize", "Chưa đăng nhập được"),
    ],
)
def test_the_other_pages_are_vietnamese_too(chromium: Browser, provider: str, path: str, heading: str) -> None:
    page: Page = chromium.new_page()
    page.goto(provider + path)
    assert page.get_by_role("heading", level=1).inner_text() == heading
    assert not Axe().run(page, options=AXE).response["violations"]
    if path.endswith("end_session"):
        page.get_by_role("button", name="Đăng xuất").click()
        assert page.get_by_role("heading", level=1).inner_text() == "Đã đăng xuất"
