"""A scan of a whole dossier is parted at the desk, with a plain form: seen, marked, declared, handed in."""

from __future__ import annotations

import io
import re
import time
from pathlib import Path

import httpx
import pytest
from PIL import Image

from blocks.catalog.staff import Role
from blocks.objects import Bucket, ObjectStore
from blocks.records import RecordsDatabase
from deployments.desk.drafts import AN_OFFICER
from infra.local.postgres import Postgres
from tasks.intake.manifest import parse_manifest
from tasks.intake.parted import PartedBy
from tests.deployments.desk import OWN, Gateway, Signed, make_gateway, text_of
from tests.tasks.capture.pages_for_tests import SIZE, jpeg, pdf_of, scanned
from tests.tasks.intake.test_batch import pages, sheet

PROCEDURE = "1.001667"
BLANK = jpeg(scanned(Image.new("RGB", SIZE, (250, 250, 247)), 5))
TYPES = {1: "LOCAL:01B-HSB", 2: "LOCAL:GIAY-RA-VIEN"}


@pytest.fixture
def gateway(
    records: RecordsDatabase,
    objects: ObjectStore,
    postgres: Postgres,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Gateway:
    """Prefect isn't there: what is handed in waits in INBOX."""
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    return make_gateway(records, tmp_path, postgres)


@pytest.fixture
def officer(gateway: Gateway) -> Signed:
    return gateway.signed_in("tnhs.01", {(OWN, Role.RECEIVE.value)})


def begun(officer: Signed, scan: bytes, name: str = "quet.pdf", **form: str) -> str:
    """The address of the page, once the scan was looked at."""
    files = {"scan.0": (name, scan, "application/pdf")}
    answer = officer.post("/nop/tach", {"procedure": PROCEDURE} | form, files=files)
    assert answer.status_code == 303, text_of(answer)
    path = answer.headers["location"]
    for _ in range(300):
        page = officer.get(path)
        if "refresh" not in page.headers:
            return str(path)
        time.sleep(0.1)
    raise AssertionError("nobody looked at the scan")


def marks(page: httpx.Response) -> dict[str, str]:
    """The form as a browser without a script would send it."""
    found = {name: value for name, value in re.findall(r'<input name="(at\.\d+)"[^>]*value="(\d+)"', page.text)}
    for name, options in re.findall(r'<select name="((?:start|out|turn)\.\d+)">(.*?)</select>', page.text, re.S):
        chosen = re.search(r'<option value="([^"]*)" selected', options)
        found[name] = chosen[1] if chosen else re.findall(r'<option value="([^"]*)"', options)[0]
    return found


def declaration(page: httpx.Response) -> dict[str, str]:
    """What the page that declares has filled in, and what only the officer knows."""
    found = dict(re.findall(r'<input name="(c\.\d+\.(?:pages|dpi))"[^>]*value="([^"]*)"', page.text))
    for name, options in re.findall(r'<select name="(c\.\d+\.(?:type|form))">(.*?)</select>', page.text, re.S):
        chosen = re.search(r'<option value="([^"]*)" selected', options)
        found[name] = chosen[1] if chosen else ""
    parting = re.search(r'name="parting" value="([0-9a-f]{32})"', page.text)
    assert parting is not None
    owner = {"owner.kind": "PERSON", "owner.name": "Trần Văn Bình", "owner.id": "001170234567", "originals": "2"}
    return found | owner | {"parting": parting[1], "procedure": PROCEDURE, "unit": OWN}


def test_CA06_a_scan_is_parted_with_a_plain_form_and_the_record_says_how(gateway: Gateway, officer: Signed) -> None:
    """Two papers, a separator, a blank back, a page of the first paper that lies at the end and on its side."""
    first, second, last = *pages(1, 2), pages(3)[0]
    whole = pdf_of([first, sheet(), second, BLANK, last])
    path = begun(officer, whole)
    page = officer.get(path)
    form = marks(page)
    assert "đề xuất bỏ: trang trắng" in page.text and form["out.4"] == ""  # only proposed
    assert (form["out.2"], form["start.1"] != "", form["start.3"] != "") == ("SHEET", True, True)
    assert officer.get(f"{path}/anh/1").content[:2] == officer.get(f"{path}/anh/5?lon=1").content[:2] == b"\xff\xd8"
    # The officer: types, the last page to the second place, turned; the blank one out.
    form |= {"start.1": TYPES[1], "start.3": TYPES[2], "at.5": "2", "turn.5": "90", "out.4": "BLANK"}
    seen = officer.get(officer.post(path, form | {"do": "show"}).headers["location"])
    assert re.findall(r"<strong>Ảnh (\d)</strong>", seen.text) == ["1", "5", "2", "3", "4"]
    answer = officer.post(path, marks(seen) | {"do": "declare"})
    assert answer.headers["location"] == f"/nop?procedure={PROCEDURE}&tach={path.rpartition('/')[2]}"
    declare = officer.get(answer.headers["location"])
    assert "Ảnh 1, 5 của bản quét" in declare.text and "Ảnh 3 của bản quét" in declare.text
    told = declaration(declare)
    assert (told["c.1.pages"], told["c.2.pages"], told["c.1.type"]) == ("2", "1", TYPES[1])
    objects = gateway.desk.objects
    before = set(objects.list(Bucket.INBOX, ""))
    assert officer.post("/nop", told | {"owner.name": ""}).status_code == 422  # typed anew, the scan is still here
    assert officer.post("/nop", told).status_code == 503  # handed in; Prefect is away, the form can be sent again
    (key,) = [key for key in objects.list(Bucket.INBOX, "") if key not in before and key.endswith("dossier.yaml")]
    manifest = parse_manifest(objects.unproven(Bucket.INBOX, key)[0])
    assert manifest.whole is not None and manifest.whole.by is PartedBy.OFFICER
    assert manifest.whole.cut == ["1/1/1", "1/1/5", "2/1/3"]
    assert set(manifest.whole.left_out) == {"1/2/SHEET", "1/4/BLANK"} and manifest.whole.blank == ["1/4"]
    assert manifest.whole.turned == ["1/5/90"]
    assert manifest.components[0].turned == ["1/2/90"]  # of the paper's own file, its second page
    kept = objects.unproven(Bucket.INBOX, key.replace("dossier.yaml", manifest.whole.files[0]))[0]
    assert kept == whole


def test_CA06_what_isn_t_parted_yet_says_what_to_do(officer: Signed) -> None:
    path = begun(officer, pdf_of(pages(1, 2)))
    form = marks(officer.get(path))
    refused = officer.post(path, form | {"start.1": "", "do": "declare"})
    assert refused.status_code == 422 and "ảnh 1 chưa thuộc giấy tờ nào" in text_of(refused)
    refused = officer.post(path, form | {"out.2": "BLANK", "do": "declare"})  # it is full of print
    assert refused.status_code == 422 and "ảnh 2 không trắng" in text_of(refused)
    assert officer.post(path, form | {"out.2": "TWICE", "do": "declare"}).status_code == 303


def test_CA06_all_blanks_go_with_one_button_and_only_those(officer: Signed) -> None:
    path = begun(officer, pdf_of([*pages(1), BLANK, *pages(2), BLANK]))
    page = officer.get(path)
    assert "Bỏ ra 2 ảnh được đề xuất" in text_of(page)
    seen = marks(officer.get(officer.post(path, marks(page) | {"do": "blanks"}).headers["location"]))
    assert [seen[f"out.{n}"] for n in (1, 2, 3, 4)] == ["", "BLANK", "", "BLANK"]


def test_CA06_backs_come_between_their_fronts_at_once(officer: Signed) -> None:
    path = begun(officer, pdf_of(pages(1, 2, 3, 4)), duplex="BACKS_REVERSED")
    assert re.findall(r"<strong>Ảnh (\d)</strong>", officer.get(path).text) == ["1", "4", "2", "3"]


def test_WH04_a_scan_is_its_officer_s_alone(gateway: Gateway, officer: Signed) -> None:
    path = begun(officer, pdf_of(pages(1)))
    other = gateway.signed_in("tnhs.02", {(OWN, Role.RECEIVE.value)})
    resolver = gateway.signed_in("gq.01", {(OWN, Role.RESOLVE.value)})
    for stranger in (other, resolver):
        for address in (path, f"{path}/anh/1", f"/nop?procedure={PROCEDURE}&tach={path.rpartition('/')[2]}"):
            assert stranger.get(address).status_code == 403
        assert stranger.post(path, {"do": "show"}).status_code == 403


def test_a_scan_that_can_t_be_opened_and_none_at_all(officer: Signed) -> None:
    path = begun(officer, b"%PDF-1.4 broken")
    answer = officer.get(path)
    assert answer.status_code == 422 and "Tệp 1:" in text_of(answer)
    answer = officer.post("/nop/tach", {"procedure": PROCEDURE})
    assert answer.status_code == 422 and "chọn tệp" in text_of(answer)


def test_an_officer_s_oldest_scan_goes(officer: Signed) -> None:
    made = io.BytesIO()
    Image.new("RGB", (600, 800), "white").save(made, "PNG")
    paths = [begun(officer, made.getvalue(), "1.png") for _ in range(AN_OFFICER + 1)]
    assert [officer.get(path).status_code for path in paths] == [403, *[200] * AN_OFFICER]
