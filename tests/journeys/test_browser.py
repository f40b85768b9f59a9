"""Officers at work in Chromium, on the real stack: sign in, see, correct, return, sign; refused where they must be."""

from __future__ import annotations

import os
import random
import re
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import yaml
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, Route, expect
from sqlmodel import select

from blocks.objects import Bucket
from blocks.records.machine import PUBLIC_STATUS, PublicStatus
from blocks.records.queries import documents, fields
from blocks.records.tables import AuditEntry, Decision, Dossier, Signature
from blocks.records.tables import Page as Image
from blocks.trust import Trust
from tasks.extraction.settings import CONFIDENCE_THRESHOLD
from tasks.signing.verify import verify_pdf
from tests.faults.stack import until
from tests.journeys.conftest import Journey
from tests.players.officers import Sample
from tests.samples.documents import page_pixels
from tests.samples.dossiers import good
from tests.samples.forms import FORMS
from tests.samples.look import Look
from tests.samples.scan import jpeg_bytes
from tests.tasks.results.test_issue import text_of

SignIn = Callable[..., Page]
BAD = ("serious", "critical")  # findings of axe
PATIENCE = 120_000  # ms; for a machine that does other things
expect.set_options(timeout=PATIENCE)
DESKTOP, TABLET = {"width": 1366, "height": 768}, {"width": 820, "height": 1180}


@pytest.fixture
def sign_in(chromium: Browser, played: Journey) -> Iterator[SignIn]:
    """sign_in(officer) → a page of a fresh browser, signed in. Every script error fails the test."""
    base, contexts, errors = played.officers.at_gateway("gq.01").base, [], []

    def strange(route: Route) -> None:
        """No page asks another host for anything, the provider's neither."""
        errors.append(f"asked for {route.request.url}")
        route.abort()

    def begin(officer: str, path: str = "/", viewport: dict[str, int] = DESKTOP) -> Page:
        context = chromium.new_context(viewport=viewport, locale="vi-VN")  # type: ignore[arg-type]
        context.route(lambda url: not url.startswith("http://127.0.0.1"), strange)
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        page.goto(base + path)
        page.get_by_role("button", name=officer, exact=True).click()
        page.wait_for_url(base + "/**")
        page.on("pageerror", lambda error: errors.append(str(error)))
        return page

    yield begin
    for context in contexts:
        context.close()
    assert not errors


def step_up(page: Page, officer: str, button: str) -> None:
    """Sign: the first click leads to the provider and, with what was typed, back; the second one signs."""
    reason = page.get_by_label("Lý do, ý kiến bằng văn bản")
    reason.fill("Đã xem.")
    page.get_by_role("button", name=button).click()
    require_accessible(page)
    page.get_by_role("link", name="Xác thực lại").click()
    page.get_by_role("button", name=officer, exact=True).click()
    expect(page.locator(".note.good")).to_contain_text("Đã xác thực lại")
    expect(reason).to_have_value("Đã xem.")
    page.get_by_role("button", name=button).click()


def picture(page: Page, name: str) -> None:
    """For the documents, when SCREENSHOTS names a folder (`make screenshots`)."""
    if folder := os.environ.get("SCREENSHOTS"):
        page.wait_for_load_state("networkidle")
        page.screenshot(path=f"{folder}/{name}.png")


def waiting(
    played: Journey, name: str, sample: str, key: str = "verification-1", draw: Callable[[Path], None] | None = None
) -> tuple[Sample, str]:
    """A dossier of its own at a pause, and the path of its page. draw: changes its papers before they are handed in."""
    made = played.variant(name, sample, captured_by="tnhs.02")
    if draw:
        draw(made.folder)
    played.officers.hand_in(made)
    played.wait_pause(made, key)
    dossier = played.officers.dossier(made)
    assert dossier is not None
    return made, f"/ho-so/{dossier.id}"


def fill_in(page: Page, form: dict[str, object]) -> None:
    """What the player would send, typed into the page."""
    if form["result"]:
        page.get_by_label("Nội dung của").fill("\n".join(form["result"]))  # type: ignore[arg-type]
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    for item in form["corrections"]:  # type: ignore[attr-defined]
        page.locator(f'[name="v.{item["component"]}.{item["field"]}"]').fill(item["value"])
    for item in form["absent"]:  # type: ignore[attr-defined]
        box = page.locator(f'[name="a.{item["component"]}.{item["field"]}"]')
        if box.count():  # fields that nobody asks for have no row
            box.check()


@pytest.mark.parametrize(
    "officer, heading",
    [
        ("tnhs.01", "Danh sách việc"),
        ("gq.01", "Danh sách việc"),
        ("ld.01", "Danh sách việc"),
        ("vt.01", "Danh sách việc"),
        ("kt.01", "Nhật ký"),
        ("vh.01", "Vận hành"),
    ],
)
def test_each_role_signs_in_and_lands_at_its_work(sign_in: SignIn, officer: str, heading: str) -> None:
    page = sign_in(officer)
    expect(page.get_by_role("heading", level=1)).to_contain_text(heading)
    assert not [c for c in page.context.cookies() if c["name"] == "sohoa" and not c["httpOnly"]]


def test_WH04_the_report_of_reading_draws_boxes_for_operations(played: Journey, sign_in: SignIn) -> None:
    """Prefect's page, through the gateway and its CSP."""
    page = sign_in("vh.01", viewport={"width": 1366, "height": 900})
    asked = {"artifacts": {"key": {"like_": "doc-%"}, "type": {"any_": ["markdown"]}}, "limit": 1}
    (artifact,) = played.prefect.call("POST", "/artifacts/filter", asked).json()
    page.goto(f"{played.officers.at_gateway('gq.01').base}/artifacts/artifact/{artifact['id']}")
    drawing = page.get_by_role("img", name="Độ tin cậy từ 0,90")
    expect(drawing).to_be_visible()
    until(lambda: drawing.evaluate("image => image.naturalWidth") == 800)
    picture(page, "reading")


def test_verified_with_a_correction_signed_off_and_sealed(played: Journey, sign_in: SignIn) -> None:
    """Điều 9.3, 9.4: from the worklist to the archive, with keyboard and mouse."""
    sample, path = waiting(played, "duyet-tren-trang", "01-om-dau")
    dossier = played.officers.dossier(sample)
    assert dossier is not None and dossier.code
    page = sign_in("gq.01", "/viec")
    picture(page, "worklist")
    page.get_by_role("link", name=dossier.code).click()
    expect(page.locator("figure")).to_have_count(2)
    until(lambda: page.evaluate("[...document.images].some(i => i.complete && i.naturalWidth > 500)"))
    page.keyboard.press("Alt+ArrowDown")
    assert page.evaluate("document.activeElement.name").startswith("v.")
    picture(page, "review")
    whole_text(page, "BỆNH")
    width = "document.querySelector('.sheet').clientWidth"
    before = page.evaluate(width)
    page.keyboard.press("Alt++")  # small print: bigger, and sharp
    page.get_by_role("button", name="Phóng to").click()
    expect(page.locator(".zoom output")).to_have_text("200%")
    assert page.evaluate(width) == pytest.approx(2 * before, rel=0.05)
    until(lambda: page.evaluate("[...document.images].some(i => i.complete && i.naturalWidth > 2000)"))
    page.get_by_role("button", name="Duyệt").click()  # nothing is filled in yet
    expect(page.get_by_role("alert")).to_contain_text("còn trống")
    fill_in(page, played.officers._verification(sample))
    issuer = page.locator('[name="v.1.issuer"]')
    chosen = words_into(page, issuer)
    page.locator('[name="r.1.issuer"]').select_option("CHU_MO")
    page.get_by_label("Đã đối chiếu với bản giấy").check()
    page.get_by_role("button", name="Duyệt").click()
    expect(page.locator(".note.good")).to_contain_text("Đã ghi nhận: duyệt")
    played.wait_pause(sample, "signoff-1")
    with played.officers.records.session() as session:
        row = {f.name: f for f in fields(session, documents(session, dossier.id)[0].id)}["issuer"]
        assert (row.value, row.correction_reason, row.confirmed_by) == (chosen, "CHU_MO", "gq.01")
        assert row.extracted_value and row.extracted_value != row.value
    leader = sign_in("ld.01", path)
    picture(leader, "signoff")
    step_up(leader, "ld.01", "Cho ký số")
    expect(leader.locator(".note.good")).to_contain_text("Đã ghi nhận: cho ký số")
    played.wait_pause(sample, "seal-1")
    clerk = sign_in("vt.01", path)
    step_up(clerk, "vt.01", "Ký số cơ quan")
    expect(clerk.locator(".note.good")).to_contain_text("Đã ghi nhận: ký số cơ quan")
    hand_over(played, sign_in, sample, path)
    clerk.goto(clerk.url)
    expect(clerk.locator("main")).to_contain_text("đã lưu trữ")
    expect(clerk.locator(".data")).to_contain_text("hợp lệ")
    with played.officers.records.session() as session:
        looks = session.exec(
            select(AuditEntry).where(AuditEntry.dossier_id == dossier.id, AuditEntry.action == "view")
        ).all()
        assert {entry.actor for entry in looks} == {"gq.01", "ld.01", "vt.01", "tnhs.01"}  # P14


def hand_over(played: Journey, sign_in: SignIn, sample: Sample, path: str) -> None:
    """B5: the public reads that there is a result until the counter tells how it was returned, and to whom."""
    played.wait_pause(sample, "return-1")
    dossier = played.officers.dossier(sample)
    assert dossier is not None and PUBLIC_STATUS[dossier.state] is PublicStatus.RESULT_READY
    counter = sign_in("tnhs.01", path)
    require_accessible(counter)
    picture(counter, "return")
    counter.get_by_label("Hình thức trả").select_option("Trực tiếp tại Bộ phận Một cửa")
    counter.get_by_role("button", name="Đã trả kết quả").click()
    expect(counter.locator(".note.bad, [role=alert]").first).to_contain_text("Vui lòng ghi họ tên người nhận")
    counter.get_by_role("textbox", name="Người nhận (khi").fill("Nguyễn Thị Nhận")
    counter.get_by_label("Đã kiểm tra giấy tờ tùy thân").check()
    counter.get_by_role("button", name="Đã trả kết quả").click()
    expect(counter.locator(".note.good")).to_contain_text("Đã ghi nhận: đã trả kết quả")
    until(lambda: played.prefect.run(sample.run_id)["state_type"] == "COMPLETED")
    dossier = played.officers.dossier(sample)
    assert dossier is not None and PUBLIC_STATUS[dossier.state] is PublicStatus.RETURNED


def words_into(page: Page, field: Locator) -> str:
    """Words of the paper by click, drag and keys into a field: what stands in it at last, two words of one line."""
    read = page.evaluate("fetch(document.querySelector('#t-1-1').dataset.words).then((answer) => answer.json())")
    rects = page.locator("#t-1-1 rect.word")
    expect(rects).to_have_count(len(read))
    long = (n for n, word in enumerate(read) if word["line"] == read[n + 1]["line"] and len(word["text"]) > 2)
    first = next(n for n in long if len(read[n + 1]["text"]) > 2 and read[n]["text"].isalpha())
    one, two = read[first]["text"], f"{read[first]['text']} {read[first + 1]['text']}"
    before = field.input_value()
    rects.nth(first).scroll_into_view_if_needed()
    field.evaluate("field => field.focus({ preventScroll: true })")
    rects.nth(first).scroll_into_view_if_needed()
    rects.nth(first).click()
    expect(field).to_have_value(one)
    page.keyboard.press("Control+z")
    expect(field).to_have_value(before)
    field.evaluate("field => field.blur()")
    rects.nth(first).click()  # no field has the cursor: nothing is overwritten
    expect(field).to_have_value(before)
    field.focus()
    page.keyboard.press("Alt+w")
    words = page.get_by_role("listbox")
    expect(words).to_be_focused()
    require_accessible(page)
    page.keyboard.press("Home")
    for _ in range(first + 1):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowLeft")
    expect(words.get_by_role("option", selected=True)).to_have_text(two.split(" "))
    page.keyboard.press("Enter")
    expect(field).to_be_focused()
    expect(field).to_have_value(two)
    field.fill("")
    rects.nth(first).scroll_into_view_if_needed()
    for rect, press in ((rects.nth(first), page.mouse.down), (rects.nth(first + 1), page.mouse.up)):
        box = rect.bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=4)
        press()
    expect(field).to_have_value(two)
    expect(page.locator(".filled")).to_contain_text("Đã điền 2 chữ")
    return two


def whole_text(page: Page, word: str) -> None:
    """The text of the paper is read, searched without marks, and copied."""
    page.get_by_role("link", name="toàn văn của thành phần 1").click()
    expect(page.locator("pre.text").first).to_contain_text(word)
    page.wait_for_load_state()  # its script, too
    page.get_by_label("Tìm trong toàn văn").fill(bare(word))
    expect(page.locator("mark.here")).to_have_text(re.compile(re.escape(word), re.IGNORECASE))
    expect(page.locator(".find output")).to_contain_text("Chỗ 1 trong")
    page.get_by_role("button", name="Chép trang 1").click()
    assert word in page.evaluate("getSelection().toString()")
    require_accessible(page)
    page.get_by_role("link", name="Về trang hồ sơ").click()
    page.wait_for_load_state()  # its script, too


def bare(text: str) -> str:
    """Without marks, small."""
    parted = unicodedata.normalize("NFD", text.lower().replace("đ", "d"))
    return "".join(letter for letter in parted if not unicodedata.combining(letter))


def drawn(page: Page, name: str) -> bool:
    """Whether the image of this name has arrived and is a page."""
    return bool(
        page.evaluate(
            "name => [...document.images].some(i => i.alt.startsWith(name) && i.complete && i.naturalWidth > 500)", name
        )
    )


def downloaded(page: Page, link: str, name: str = "ket-qua-BHXH-TEST-") -> bytes:
    with page.expect_download() as download:
        page.get_by_role("link", name=link).click()
    assert download.value.suggested_filename.startswith(name)
    return Path(download.value.path()).read_bytes()


def require_accessible(page: Page) -> None:
    page.wait_for_load_state()  # its words may stand there before its style sheet has come
    found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]})
    serious = [(v["id"], v["nodes"][0]["html"]) for v in found.response["violations"] if v["impact"] in BAD]
    assert not serious, (page.url, serious)


def test_B4e_a_result_is_written_signed_sealed_and_read_on_the_pages(played: Journey, sign_in: SignIn) -> None:
    """KQ01: the resolving officer writes it, the leader signs it, the clerk seals it, each before the same draft."""
    sample, path = waiting(played, "ket-qua-tren-trang", "01-om-dau")
    page = sign_in("gq.01", path)
    form = played.officers._verification(sample)
    fill_in(page, form | {"result": []})
    page.get_by_label("Đã đối chiếu với bản giấy").check()
    page.get_by_role("button", name="Duyệt").click()
    expect(page.get_by_role("alert")).to_contain_text("Vui lòng ghi nội dung kết quả giải quyết")
    written = page.get_by_label("Nội dung của Quyết định hưởng chế độ ốm đau")
    written.fill("Số ngày nghỉ: 05 ngày\n\n  Số tiền: 1.234.500 đồng  ")
    page.get_by_role("button", name="Xem dự thảo").click()
    expect(page.locator(".articles li")).to_have_count(4)
    expect(page.locator(".articles")).to_contain_text("Số tiền: 1.234.500 đồng")
    until(lambda: drawn(page, "Dự thảo Quyết định hưởng chế độ ốm đau, trang 1"))
    assert page.locator('[name="v.1.issuer"]').input_value()  # what was typed elsewhere is still there
    require_accessible(page)
    page.get_by_role("button", name="Duyệt").click()
    expect(page.locator(".note.good")).to_contain_text("Soạn 2 điều của văn bản kết quả")

    played.wait_pause(sample, "signoff-1")
    leader = sign_in("ld.01", path)
    expect(leader.locator(".articles li").nth(2)).to_have_text("Số tiền: 1.234.500 đồng")
    until(lambda: drawn(leader, "Dự thảo"))
    require_accessible(leader)
    text = text_of(downloaded(leader, "Tải dự thảo"))
    assert "Số: /QĐ-BHXH" in text and "Điều 3. Số tiền: 1.234.500 đồng." in text
    step_up(leader, "ld.01", "Cho ký số")
    played.wait_pause(sample, "seal-1")
    clerk = sign_in("vt.01", path)
    expect(clerk.locator(".said")).to_contain_text("Quyết định hưởng chế độ ốm đau, được cấp số và ngày khi ký số")
    expect(clerk.locator(".articles li")).to_have_count(4)
    step_up(clerk, "vt.01", "Ký số cơ quan")
    played.hand_over(sample)

    dossier = played.officers.dossier(sample)
    assert dossier is not None and dossier.state.value == "LUU_TRU"
    (result,) = (d for d in played.officers.documents(dossier) if d.is_issued)
    page.goto(page.url)
    data = page.locator(".data")
    expect(data).to_contain_text("(văn bản kết quả)")
    expect(data).to_contain_text("Chữ ký số của người có thẩm quyền (ban hành): hợp lệ")
    expect(data).to_contain_text(str(result.code_number))
    expect(page.locator(".articles")).to_have_count(0)  # no draft any more
    page.locator(f"#t-{result.ordinal}-1").scroll_into_view_if_needed()  # its image is loaded when it is near
    until(lambda: drawn(page, f"Ảnh thành phần {result.ordinal}, trang 1"))
    verdict = verify_pdf(downloaded(page, "Tải văn bản kết quả"), Trust())
    assert verdict.valid and [item.role for item in verdict.signatures] == ["SIGNER", "AGENCY"]
    with played.officers.records.session() as session:
        rows = session.exec(select(Signature).where(Signature.document_id == result.id)).all()
        trail = session.exec(select(AuditEntry).where(AuditEntry.document_id == result.id)).all()
    assert len(rows) == 3
    assert ("issue", "vt.01") in {(entry.action, entry.actor) for entry in trail}
    stranger = sign_in("gq.09", "/viec")
    refused = stranger.request.get(stranger.url.split("/viec")[0] + path + "/ket-qua/1")
    assert refused.status == 403 and not refused.body().startswith(b"%PDF")


def test_returned_with_reasons_and_an_old_page_is_told_so(played: Journey, sign_in: SignIn) -> None:
    sample, path = waiting(played, "tra-lai-tren-trang", "01-om-dau")
    asking = sign_in("gq.02", path)
    asking.locator("[name=reason]").fill("Xin ý kiến Phòng Chế độ về thời gian nghỉ.")
    asking.get_by_role("button", name="Xin ý kiến").click()
    expect(asking.locator(".note.good")).to_contain_text("Đã ghi nhận: xin ý kiến")
    played.wait_pause(sample, "consult-1")
    asking.reload()
    expect(asking.locator("main")).to_contain_text("Xin ý kiến Phòng Chế độ về thời gian nghỉ.")
    asking.locator("[name=reason]").fill("Phòng Chế độ: không đủ điều kiện, công văn 12/CĐ.")
    asking.get_by_role("button", name="Đã có ý kiến").click()
    played.wait_pause(sample, "verification-2")
    page, other = sign_in("gq.01", path), sign_in("gq.02", path)
    expect(page.locator("main")).to_contain_text("công văn 12/CĐ")
    page.locator("[name=reason]").fill("")
    page.get_by_role("button", name="Không giải quyết, trả hồ sơ cho người nộp", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("lý do bằng văn bản")
    page.locator("[name=reason]").fill("Nội dung giấy tờ chưa đủ điều kiện giải quyết.")
    page.get_by_role("button", name="Không giải quyết, trả hồ sơ cho người nộp", exact=True).dblclick()
    expect(page.locator(".note.good")).to_contain_text("Đã ghi nhận: không giải quyết, trả hồ sơ cho người nộp")
    until(lambda: played.prefect.run(sample.run_id)["state_type"] == "COMPLETED")
    other.locator("[name=reason]").fill("Tôi cũng trả lại.")
    other.get_by_role("button", name="Không giải quyết, trả hồ sơ cho người nộp", exact=True).click()
    expect(other.get_by_role("alert")).to_contain_text(
        "đã có quyết định: không giải quyết, trả hồ sơ cho người nộp bởi gq.01"
    )
    dossier = played.officers.dossier(sample)
    assert dossier is not None and dossier.state.value == "TRA_LAI"
    with played.officers.records.session() as session:
        kept = session.exec(select(Decision).where(Decision.dossier_id == dossier.id)).all()
        assert {(d.stage, d.decision, d.officer) for d in kept} == {
            ("verification-1", "XIN_Y_KIEN", "gq.02"),
            ("consult-1", "DA_CO_Y_KIEN", "gq.02"),
            ("verification-2", "TRA_LAI", "gq.01"),
        }


@pytest.mark.long
def test_scanned_again_from_the_browser_after_a_colleague_let_go(played: Journey, sign_in: SignIn) -> None:
    """CA05; who has taken a dossier keeps it until it is given back."""
    sample, path = waiting(played, "quet-lai-tren-trang", "d05-dpi-thap", "rescan-1")
    first, second = sign_in("tnhs.01", "/viec"), sign_in("tnhs.02", path)
    code = played.officers.dossier(sample).code  # type: ignore[union-attr]
    first.get_by_role("button", name=f"Nhận việc {code}").click()
    second.reload()
    expect(second.locator(".stage")).to_contain_text("Đang do tnhs.01 xử lý")
    expect(second.get_by_role("button", name="Đã quét lại")).to_have_count(0)
    first.goto(first.url.split("/ho-so")[0] + "/viec")
    first.get_by_role("button", name=f"Bỏ nhận việc {code}").click()
    second.reload()
    expect(second.locator(".said")).to_contain_text("thành phần 1")
    until(lambda: drawn(second, "Ảnh thành phần 1, ảnh 1"))  # what was refused, beside why
    expect(second.locator("figcaption")).to_contain_text("thấp hơn 200 dpi")
    resolving = sign_in("gq.01", path)  # nobody has read it yet: it is the counter's alone
    expect(resolving.locator(".stage")).to_contain_text("Quét lại")
    expect(resolving.locator("figure")).to_have_count(0)
    files = [str(path) for path in sample.rescans(1)]
    second.locator('[name="scan.1"]').set_input_files(files)
    second.get_by_label("Tôi đã kiểm tra và ký số các giấy tờ này").check()  # so that nothing is asked later
    second.get_by_role("button", name="Đã quét lại").click()
    expect(second.locator(".note.good")).to_contain_text("Đã ghi nhận: đã quét lại")
    played.wait_pause(sample, "verification-1")


def test_CA05_one_page_is_scanned_again(played: Journey, sign_in: SignIn) -> None:
    """Asked for by capture, then by the resolving officer; the other page stays as it was, signed and read anew."""
    sample, path = waiting(played, "mot-trang", "d09-trang-trang", "rescan-1")
    first, second = (str(file) for file in sample.rescans(1))
    counter = sign_in("tnhs.01", path)
    expect(counter.locator("figure")).to_have_count(2)
    expect(counter.locator("#t-1-2")).to_contain_text("Trang quét trắng")
    until(lambda: drawn(counter, "Ảnh thành phần 1, trang 1"))
    require_accessible(counter)
    picture(counter, "rescan")
    counter.get_by_label("Quét lại thành phần 1, trang 2").set_input_files(second)
    counter.get_by_role("button", name="Đã quét lại").click()
    expect(counter.locator(".note.good")).to_contain_text("Đã ghi nhận: đã quét lại")
    signs(played, sample, "sign-1")  # who scanned again isn't the one whose signature it is
    played.wait_pause(sample, "verification-1")
    images = shown_images(played, sample)
    assert len(images) == 2

    page = sign_in("gq.01", path)
    page.locator("#t-1-1").get_by_label("quét lại trang này").check()
    page.get_by_role("button", name="Duyệt").click()
    expect(page.get_by_role("alert")).to_contain_text("bỏ đánh dấu, hoặc chọn quét lại")
    page.locator("[name=reason]").fill("Góc phải trang đầu bị mờ.")
    page.get_by_role("button", name="Quét lại").click()
    expect(page.locator(".note.good")).to_contain_text("Quét lại trang 1 của thành phần 1.")
    played.wait_pause(sample, "rescan-2")
    counter.goto(page.url)
    expect(counter.locator("main")).to_contain_text("Góc phải trang đầu bị mờ.")
    expect(counter.locator(".said").last).to_contain_text("Chỉ cần quét lại: thành phần 1, trang 1.")
    counter.locator("summary", has_text="Chỉ thay hoặc chèn").click()
    counter.get_by_label("Thay thành phần 1, trang 2").set_input_files(second)
    counter.get_by_role("button", name="Đã quét lại").click()
    expect(counter.get_by_role("alert")).to_contain_text("Chưa nhận được bản quét lại của thành phần 1, trang 1.")
    noted = Path(sample.folder, "trang-1.jpg")  # the same picture, but not the same file
    data = Path(first).read_bytes()
    noted.write_bytes(data[:2] + b"\xff\xfe\x00\x04--" + data[2:])
    counter.get_by_label("Quét lại thành phần 1, trang 1").set_input_files(str(noted))
    counter.get_by_role("button", name="Đã quét lại").click()
    expect(counter.locator(".note.good")).to_contain_text("Đã ghi nhận: đã quét lại")
    signs(played, sample, "sign-2")
    played.wait_pause(sample, "verification-2")
    again = shown_images(played, sample)
    assert again[0] != images[0] and again[1] == images[1]
    page.goto(page.url)
    expect(page.locator("figure")).to_have_count(2)
    expect(page.locator(".history")).to_contain_text("Thành phần 1: nhận bản quét lại, trang 1, 2.")


def signs(played: Journey, sample: Sample, key: str) -> None:
    """The officer who captured allows the signature, at once or when the form is there."""
    run = played.wait_pause(sample, key)
    until(lambda: played.officers.answer(sample, run) == "sign", 30)


def shown_images(played: Journey, sample: Sample) -> list[str]:
    """SHA-256 of the images of the first component, as its current copy has them."""
    dossier = played.officers.dossier(sample)
    assert dossier is not None
    document = played.officers.documents(dossier)[0]
    with played.officers.records.session() as session:
        query = select(Image).where(Image.document_id == document.id, Image.attempt == document.attempt)
        return [row.image_sha256 for row in sorted(session.exec(query), key=lambda row: row.number)]


def declare_papers(page: Page, folder: Path, declared: dict[str, Any]) -> None:
    """The papers of a sample, with their scans, on a form of the counter."""
    page.evaluate("document.querySelectorAll('.declared details').forEach(d => d.open = true)")
    for n, component in enumerate(declared["components"], 1):
        page.locator(f'[name="c.{n}.dpi"]').fill(str(component["dpi"]))
        page.locator(f'[name="c.{n}.type"]').select_option(component["type"])
        page.locator(f'[name="c.{n}.pages"]').fill(str(component["pages"]))
        page.locator(f'[name="scan.{n}"]').set_input_files([str(path) for path in sorted(folder.glob(f"c{n}/*"))])


@pytest.mark.long
def test_chosen_files_outlive_the_session(played: Journey, sign_in: SignIn) -> None:
    """The form asks before it sends; whoever signs in anew in another tab sends it, if it is the same person."""
    folder = played.samples["01-om-dau"].folder
    declared = yaml.safe_load((folder / "dossier.yaml").read_text(encoding="utf-8"))
    page = sign_in("tnhs.01", "/nop?procedure=1.001667")
    base = page.url.split("/nop")[0]
    page.get_by_label("Họ tên, tên tổ chức").fill("Trần Văn Hết Phiên")
    page.get_by_label("Mã định danh").fill(str(declared["owner"]["id"]))
    page.get_by_label("Số lượng giấy tờ bản giấy đã nhận").fill("2")
    declare_papers(page, folder, declared)
    chosen = "[...document.querySelectorAll('input[type=file]')].map(input => input.files.length)"
    files, stored = page.evaluate(chosen), set(played.officers.objects.list(Bucket.INBOX, ""))
    assert sum(files) >= 2
    assert page.request.post(base + "/dang-xuat", headers={"origin": base}).ok
    send, told = page.get_by_role("button", name="Tiếp nhận hồ sơ"), page.locator("[data-not-sent]")
    send.click()
    expect(told).to_contain_text("Phiên làm việc đã kết thúc", use_inner_text=True)
    require_accessible(page)
    told.scroll_into_view_if_needed()
    picture(page, "not-sent")
    with page.context.expect_page() as opened:
        told.get_by_role("link", name="đăng nhập lại ở thẻ mới").click()
    tab = opened.value
    tab.get_by_role("button", name="tnhs.02", exact=True).click()  # a colleague at the same desk
    tab.wait_for_url(base + "/viec")
    send.click()
    expect(told).to_contain_text("đăng nhập là người khác", use_inner_text=True)
    tab.get_by_role("button", name="Đăng xuất").click()
    expect(tab.get_by_role("heading", level=1)).to_contain_text("Đã đăng xuất")
    tab.goto(base + "/viec")
    tab.get_by_role("button", name="tnhs.01", exact=True).click()
    tab.wait_for_url(base + "/viec")
    limit = page.evaluate("document.querySelector('[data-not-sent]').dataset.limit")
    assert int(limit) < 500 << 20
    told.evaluate("(section) => { section.dataset.limit = 10; }")  # as if the files were that large
    send.click()
    expect(told).to_contain_text("nặng quá 500 MB", use_inner_text=True)
    told.evaluate("(section, limit) => { section.dataset.limit = limit; }", limit)
    assert page.evaluate(chosen) == files and set(played.officers.objects.list(Bucket.INBOX, "")) == stored
    send.click()
    page.wait_for_url("**/ho-so/*")
    with played.officers.records.session() as session:
        dossier = session.get_one(Dossier, UUID(page.url.rpartition("/")[2]))
        assert (dossier.owner_name, dossier.captured_by) == ("Trần Văn Hết Phiên", "tnhs.01")
        new = set(played.officers.objects.list(Bucket.INBOX, "")) - stored
        assert len([key for key in new if key.startswith(dossier.submission) and "/c" in key]) == sum(files)


def test_B3a_handed_in_and_supplemented_at_the_counter(played: Journey, sign_in: SignIn) -> None:
    """A dossier from the browser: wrong declarations keep what was typed, a supplement keeps the files, the slip."""
    folder = played.samples["01-om-dau"].folder
    page = sign_in("tnhs.01", "/viec")
    page.get_by_role("link", name="Tiếp nhận hồ sơ", exact=True).click()
    page.get_by_label("Thủ tục").select_option("1.001667")
    page.get_by_role("button", name="Chọn").click()
    declared = yaml.safe_load((folder / "dossier.yaml").read_text(encoding="utf-8"))
    owner = declared["owner"]
    page.get_by_label("Họ tên, tên tổ chức").fill(unicodedata.normalize("NFD", "Nguyễn Thị Quầy"))
    page.get_by_label("Số lượng giấy tờ bản giấy đã nhận").fill("9")
    page.get_by_label("Ngày sinh").fill("1990-05-17")

    declare_papers(page, folder, declared)
    page.locator('[name="c.1.pages"]').fill("một")
    picture(page, "submit")
    page.get_by_role("button", name="Tiếp nhận hồ sơ").click()
    expect(page.get_by_role("alert")).to_contain_text("giấy tờ 1, số trang")
    assert page.get_by_label("Số lượng giấy tờ bản giấy đã nhận").input_value() == "9"  # what was typed is still there
    require_accessible(page)
    declare_papers(page, folder, declared)
    page.get_by_role("button", name="Tiếp nhận hồ sơ").click()
    page.wait_for_url("**/ho-so/*")
    path = "/ho-so/" + page.url.rpartition("/")[2]
    dossier_id = UUID(page.url.rpartition("/")[2])
    with played.officers.records.session() as session:
        dossier = session.get_one(Dossier, dossier_id)
        assert (dossier.owner_name, dossier.captured_by) == ("Nguyễn Thị Quầy", "tnhs.01")
        sample = Sample(folder, submission=dossier.submission)
    until(lambda: played.officers.prefect.runs(flow="dossier", name={"any_": [f"moi-{sample.submission[:12]}"]}), 30)
    (run,) = played.officers.prefect.runs(flow="dossier", name={"any_": [f"moi-{sample.submission[:12]}"]})
    sample.run_id = run["id"]
    played.wait_pause(sample, "supplement-1")
    page.goto(page.url)
    expect(page.get_by_text("Đã có 1 tệp").first).to_be_visible()
    require_accessible(page)
    page.get_by_label("Số lượng giấy tờ bản giấy đã nhận").fill("")
    page.get_by_label("Mã định danh").fill(str(owner["id"]))
    page.get_by_label("Số lượng giấy tờ bản giấy đã nhận").fill("2")
    page.get_by_role("button", name="Đã bổ sung").click()
    expect(page.locator(".note.good")).to_contain_text("Đã ghi nhận: đã bổ sung")

    # The signature wasn't allowed with the papers: who captured is asked, and nobody else sees or signs them.
    played.wait_pause(sample, "sign-1")
    colleague = sign_in("tnhs.02", path)
    expect(colleague.locator(".stage")).to_contain_text("Chữ ký số cá nhân là của tnhs.01")
    expect(colleague.locator("figure")).to_have_count(0)
    expect(colleague.get_by_role("button", name="Ký số")).to_have_count(0)
    page = sign_in("tnhs.01", path)
    expect(page.locator(".said")).to_contain_text("Người sao chụp kiểm tra và ký số")
    until(lambda: drawn(page, "Ảnh thành phần 1, trang 1"))
    require_accessible(page)
    picture(page, "sign")
    page.evaluate("document.querySelector('[name=\"paper.1\"]').value = '1:' + '0'.repeat(64)")  # not what was shown
    page.get_by_role("button", name="Ký số").click()
    expect(page.get_by_role("alert")).to_contain_text("Bản sao chụp đã thay đổi")
    page.get_by_role("button", name="Ký số").click()
    expect(page.locator(".note.good")).to_contain_text("Đã ghi nhận: ký số")
    played.wait_pause(sample, "verification-1")
    page = sign_in("tnhs.01", path)
    assert "PHIẾU TIẾP NHẬN" in text_of(downloaded(page, "Phiếu tiếp nhận", "phieu-tiep-nhan"))
    stranger = sign_in("gq.01", "/nop")
    expect(stranger.locator("main")).to_contain_text("chưa được phân công tiếp nhận")


def test_refused_in_the_browser(played: Journey, sign_in: SignIn, chromium: Browser) -> None:
    """Wrong role, wrong unit, without session, with a forged cookie."""
    _, path = waiting(played, "bi-tu-choi", "01-om-dau")
    leader = sign_in("ld.01", path)
    expect(leader.locator(".stage")).to_contain_text("tài khoản của bạn không có vai trò đó")
    expect(leader.locator(".decide")).to_have_count(0)
    stranger = sign_in("gq.09", path)
    expect(stranger.locator("main")).to_contain_text("chưa được phân công tại đơn vị")
    assert stranger.locator("img").count() == 0
    base = played.officers.at_gateway("gq.01").base
    context = chromium.new_context()
    context.add_cookies([{"name": "sohoa", "value": "a" * 43, "url": base}])
    page = context.new_page()
    page.goto(base + path)
    assert re.search(r"/oauth2/authorize", page.url)
    context.close()


def test_P14_an_incident_is_closed_with_a_reason_and_the_auditor_finds_it_all(played: Journey, sign_in: SignIn) -> None:
    sample, path = waiting(played, "su-co", "10-bhxh-tu-nguyen")
    dossier = played.officers.dossier(sample)
    assert dossier is not None and dossier.code
    sign_in("gq.09", path)  # of another unit: refused, and an incident
    leader = sign_in("ld.01", "/su-co")
    row = leader.get_by_role("row").filter(has_text=dossier.code).filter(has_text="Người chưa được phân công")
    row.get_by_label("Nội dung, kết quả xử lý").fill("xong")
    row.get_by_role("button", name="Đóng sự cố").click()
    expect(leader.get_by_role("alert")).to_contain_text("từ 10 đến 500 ký tự")
    row.get_by_label("Nội dung, kết quả xử lý").fill("Đã nhắc nhở người xem nhầm hồ sơ")
    picture(leader, "incidents")
    row.get_by_role("button", name="Đóng sự cố").click()
    expect(row).to_contain_text("ld.01: Đã nhắc nhở người xem nhầm hồ sơ")
    for code in ("BHXH-TEST-000000-0000", dossier.code):
        leader.get_by_label("Hồ sơ có khiếu nại").fill(code)
        leader.get_by_role("button", name="Ghi nhận, không cho hủy bản giấy").click()
    dispute = leader.get_by_role("row").filter(has_text="Khiếu nại, tranh chấp")
    expect(dispute).to_contain_text(dossier.code)
    expect(dispute.get_by_role("button", name="Đóng sự cố")).to_be_visible()
    operations = sign_in("vh.01", "/su-co")
    row = operations.get_by_role("row").filter(has_text="Khiếu nại, tranh chấp")
    expect(row).to_contain_text("Lãnh đạo đóng")
    assert operations.locator("a[href^='/ho-so/']").count() == 0  # they see no papers
    auditor = sign_in("kt.01")
    expect(auditor.get_by_role("heading", level=1)).to_have_text("Nhật ký")  # has nothing to decide
    auditor.get_by_label("Mã hồ sơ").nth(1).fill(dossier.code)
    auditor.get_by_role("button", name="Lọc").click()
    lines = auditor.locator("tbody tr")
    expect(lines.first).to_contain_text("Ghi nhận sự cố (khiếu nại, tranh chấp)")
    expect(lines.nth(1)).to_contain_text("Đóng sự cố (người chưa được phân công)")
    expect(lines.filter(has_text="Từ chối truy cập").first).to_contain_text("gq.09")
    picture(auditor, "trail")
    with auditor.expect_download() as waited:
        auditor.get_by_role("link", name="Tải tệp CSV").click()
    saved = waited.value.path().read_text("utf-8-sig").splitlines()
    assert saved[0].startswith("seq,at,actor,action") and len(saved) > lines.count()
    assert all(dossier.code in line for line in saved[1:])
    auditor.get_by_role("button", name="Kiểm tra chuỗi băm").click()
    expect(auditor.get_by_role("status")).to_contain_text("Chuỗi băm liền mạch")
    auditor.goto(auditor.url.replace("/nhat-ky/kiem-tra", "/nhat-ky?nguoi=kt.01"))
    expect(lines.first).to_contain_text("Kiểm tra chuỗi băm của nhật ký")  # who looks is in it, too
    expect(lines.nth(1)).to_contain_text("Tải nhật ký")


def test_no_serious_finding_of_axe_and_nothing_hides_on_small_screens(played: Journey, sign_in: SignIn) -> None:
    """WCAG A and AA on each kind of page; 1366×768 and a tablet."""
    sample, path = waiting(played, "kha-nang-tiep-can", "12-tu-tuat-so-de-hong", "scope-1")
    assert played.officers.answer(sample, played.prefect.run(sample.run_id)) == "scope"
    played.wait_pause(sample, "verification-1")
    for officer, where in (
        ("gq.01", "/viec"),
        ("gq.01", path),
        ("ld.01", "/van-hanh"),
        ("ld.01", "/su-co"),
        ("kt.01", "/nhat-ky"),
        ("ld.01", "/tim?ma=x"),
        ("tnhs.01", "/nop?procedure=1.001667"),
    ):
        page = sign_in(officer, where)
        for viewport in (DESKTOP, TABLET):
            page.set_viewport_size(viewport)  # type: ignore[arg-type]
            wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert wide <= 0, (where, viewport, wide)
        require_accessible(page)


CROPS = """() => [...document.querySelectorAll("canvas.crop")].map((crop) => {
  const pixels = crop.dataset.drawn ? crop.getContext("2d").getImageData(0, 0, crop.width, crop.height).data : [];
  let dark = 0;
  for (let at = 0; at < pixels.length; at += 4) dark += pixels[at] < 150;
  return { field: crop.closest("li").dataset.field, drawn: Boolean(crop.dataset.drawn), dark: 4 * dark / pixels.length,
    wide: crop.getBoundingClientRect().width, room: crop.parentElement.clientWidth };
})"""  # each piece of the paper beside a field: whether it is drawn, how much of it is ink


def test_EX02_what_a_hand_wrote_stands_beside_its_field(played: Journey, sign_in: SignIn) -> None:
    """Each doubtful field has its place on the paper beside its input, cut out of the page's image: nothing is fetched
    for it, what isn't in sight isn't drawn, and what was read of a hand is only a proposal."""
    sample, path = waiting(played, "dien-tay", "01-om-dau", draw=filled_in_by_hand)
    page = sign_in("gq.01", "/viec")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(page.url.replace("/viec", path))
    name = page.locator('li[data-field="1.full_name"]')
    expect(name).to_contain_text("đề xuất, cần đối chiếu với ảnh")
    name.scroll_into_view_if_needed()
    expect(name.get_by_role("img", name="Chỗ ghi Họ và tên trên ảnh, trang 1")).to_be_visible()
    until(lambda: [crop["drawn"] for crop in page.evaluate(CROPS) if crop["field"] == "1.full_name"] == [True])
    crops = page.evaluate(CROPS)
    assert len(crops) >= 8
    if any(crop["wide"] == 0 for crop in crops):  # in a closed list
        assert not [crop for crop in crops if crop["drawn"] and crop["wide"] == 0]
    assert all(0.01 < crop["dark"] < 0.6 and 0 < crop["wide"] <= crop["room"] for crop in crops if crop["drawn"])
    picture(page, "by-hand")
    require_accessible(page)
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    for crop in page.locator("canvas.crop").all():
        crop.scroll_into_view_if_needed()
    until(lambda: all(crop["drawn"] for crop in page.evaluate(CROPS)))
    images = [url for url in asked if "/anh/" in url]
    assert len(images) == len(set(images)) == page.locator("figure img").count()  # the pages, each once
    page.get_by_role("button", name="Duyệt").click()
    expect(page.get_by_role("alert")).to_contain_text("độ tin cậy thấp")  # nothing of it is taken unseen
    with played.officers.records.session() as session:
        dossier = played.officers.dossier(sample)
        assert dossier is not None
        rows = fields(session, documents(session, dossier.id)[0].id)
        by_hand = [row for row in rows if "!hand" in row.rule.split(";")]
        assert by_hand and all(row.confidence < CONFIDENCE_THRESHOLD and not row.confirmed_by for row in by_hand)


def filled_in_by_hand(folder: Path) -> None:
    """The discharge paper of the sample, the same person, filled in with a blue pen."""
    dossier = next(dossier for dossier in good(2026) if dossier.name == "01-om-dau")
    look = Look(dpi=dossier.components[0].look.dpi, hand=True, fill="Arimo")
    (file,) = (folder / "c1").glob("*.jpg")
    (pixels,) = page_pixels(FORMS["LOCAL:GIAY-RA-VIEN"](dossier.case.but(rng=random.Random(1)), look), look)
    file.write_bytes(jpeg_bytes(pixels, look.dpi, look.quality))


@pytest.mark.long
def test_images_come_again_when_their_addresses_are_too_old(played: Journey, sign_in: SignIn) -> None:
    """Who works on a dossier for more than a quarter of an hour loses neither the pages nor what was typed."""
    _, path = waiting(played, "anh-qua-gio", "01-om-dau")
    page = sign_in("gq.01", "/viec")
    # The first image only: a second refusal may meet the first's new address, and within a minute none is asked for.
    page.route("**/anh/**", lambda route: route.fulfill(status=403), times=1)
    page.goto(page.url.replace("/viec", path))
    page.locator("[name=reason]").fill("đang gõ dở")
    until(lambda: drawn(page, "Ảnh thành phần 1, trang 1"))
    expect(page.locator("[name=reason]")).to_have_value("đang gõ dở")
    # The image fails before the page's script has come.
    held: list[Route] = []
    page.route("**/tinh/desk.js*", lambda route: held.append(route))
    page.route("**/anh/**", lambda route: route.fulfill(status=403), times=1)
    page.goto(page.url, wait_until="commit")
    until(lambda: page.evaluate("[...document.images].some(i => i.complete && !i.naturalWidth)") and held)
    held[0].continue_()
    until(lambda: drawn(page, "Ảnh thành phần 1, trang 1"))


BOXES = """() => {
  const figure = document.querySelector("#t-1-1"), image = figure.querySelector("img").getBoundingClientRect();
  return [...figure.querySelectorAll("rect[data-field]")].map((box) => {
    const shown = box.getBoundingClientRect();
    return [(shown.x + shown.width / 2 - image.x) / image.width, (shown.y + shown.height / 2 - image.y) / image.height];
  });
}"""  # the middle of each box of the first page, as shares of the image's sides
SHEET = """() => {
  const [sheet, image] = ["#t-1-1 .sheet", "#t-1-1 img"].map((s) => document.querySelector(s).getBoundingClientRect());
  return [sheet.width, sheet.height, image.width, image.height];
}"""


@pytest.mark.long
def test_a_page_on_its_side_is_turned_for_the_eye_only(played: Journey, sign_in: SignIn) -> None:
    """By button and key, its boxes with it, at each size; the copy stays as it was scanned."""
    sample, path = waiting(played, "nam-ngang", "01-om-dau")
    images = shown_images(played, sample)
    page = sign_in("gq.01", path)
    until(lambda: drawn(page, "Ảnh thành phần 1, trang 1"))
    upright, sheet = page.evaluate(BOXES), page.evaluate(SHEET)
    assert upright and sheet[1] > sheet[0]
    first = page.locator("#t-1-1")
    first.get_by_role("button", name="Xoay thành phần 1, trang 1").click()
    expect(first.locator("output")).to_have_text("đã xoay 90°")
    turned, wide = page.evaluate(BOXES), page.evaluate(SHEET)
    assert [(pytest.approx(1 - y, abs=0.01), pytest.approx(x, abs=0.01)) for x, y in upright] == [*map(tuple, turned)]
    assert wide[0] == pytest.approx(sheet[0], abs=20) and wide[0] / wide[1] == pytest.approx(sheet[1] / sheet[0], 0.02)
    assert wide[:2] == pytest.approx(wide[2:], abs=1)  # the whole page is in its place, nothing beside it
    picture(page, "turned")
    require_accessible(page)
    page.locator("[name=reason]").focus()
    page.locator(".pages").evaluate("pane => pane.scrollTo(0, 0)")
    page.keyboard.press("Alt+x")  # the page in sight, from wherever one types
    expect(first.locator("output")).to_have_text("đã xoay 180°")
    assert [(pytest.approx(1 - x, abs=0.01), pytest.approx(1 - y, abs=0.01)) for x, y in upright] == [
        *map(tuple, page.evaluate(BOXES))
    ]
    page.keyboard.press("Alt+x")
    page.keyboard.press("Alt++")
    expect(page.locator(".zoom output")).to_have_text("150%")
    big = page.evaluate(SHEET)
    assert big[0] == pytest.approx(1.5 * wide[0], 0.05) and big[:2] == pytest.approx(big[2:], abs=1)
    assert [(pytest.approx(y, abs=0.01), pytest.approx(1 - x, abs=0.01)) for x, y in upright] == [
        *map(tuple, page.evaluate(BOXES))
    ]
    expect(page.locator("#t-2-1 output")).to_have_text("")
    named = first.locator("rect[data-field]").first.get_attribute("data-field")
    page.locator(f'.field[data-field="{named}"] input').first.focus()  # its box is brought into sight, turned or not
    assert page.evaluate(
        "() => { const [box, pane] = ['rect.here', '.pages'].map((s) => document.querySelector(s)"
        ".getBoundingClientRect()); return box.top >= pane.top - 1 && box.bottom <= pane.bottom + 1; }"
    )
    page.keyboard.press("Alt+x")
    expect(first.locator("output")).to_have_text("không xoay")
    assert page.evaluate(SHEET)[1] > page.evaluate(SHEET)[0]
    page.keyboard.press("Alt+x")
    page.reload()
    expect(first.locator("output")).to_have_text("")
    until(lambda: drawn(page, "Ảnh thành phần 1, trang 1"))
    assert page.evaluate(BOXES) == [pytest.approx(box, abs=0.01) for box in upright]
    assert shown_images(played, sample) == images


@pytest.mark.long
def test_prefects_own_dialog_leads_through_the_same_checks(played: Journey, sign_in: SignIn) -> None:
    """Who runs the machine, too: Vietnamese titles, no field for who one is, and the gateway's answer."""
    sample, _ = waiting(played, "hop-thoai-prefect", "01-om-dau")
    for key in ("verification-1", "signoff-1"):
        played.wait_pause(sample, key)
        played.officers.answer(sample, played.prefect.run(sample.run_id))
    played.wait_pause(sample, "seal-1")
    page = sign_in("vt.02", f"/runs/flow-run/{sample.run_id}")  # a clerk who also runs the machine
    page.get_by_role("button", name="Resume").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Ký số cơ quan")
    expect(dialog).to_contain_text("Quyết định")
    expect(dialog).not_to_contain_text("Mã viên chức")
    expect(page.get_by_text("Something went wrong")).to_have_count(0)
    picture(page, "resume")


@pytest.mark.parametrize("path", ["/dashboard", "/runs", "/flows", "/deployments", "/work-pools", "/automations"])
@pytest.mark.long
def test_no_page_of_prefect_freezes_or_says_that_something_went_wrong(sign_in: SignIn, path: str) -> None:
    page = sign_in("vh.01", "/van-hanh")
    page.goto(page.url.replace("/van-hanh", path))
    page.wait_for_load_state("networkidle")
    expect(page.get_by_text("Oops")).to_have_count(0)
    expect(page.get_by_text("Deployments").first).to_be_visible()
