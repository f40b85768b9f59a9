"""B4e on the officers' pages: what is typed becomes articles; who was let in sees the draft, nobody else (WH04)."""

from __future__ import annotations

import io

import pymupdf
import pytest
from PIL import Image

from blocks.catalog import Catalog
from blocks.objects import ObjectStore
from blocks.records import RecordsDatabase
from deployments.desk import images as module
from deployments.desk.forms import articles, verification_form
from deployments.desk.images import WIDTH, ImageGone, Images
from deployments.desk.prefect_access.policy import is_tricky
from tasks.results.views import drafts
from tests.tasks.lawcase import make_dossier
from tests.tasks.signing.conftest import signing_settings  # noqa: F401  (for each test)


def test_each_line_is_an_article_and_only_of_an_approval() -> None:
    typed = {"decision": "DUYET", "result": "Số ngày: 05\n\n  Số tiền: 1.000 đồng \n"}
    assert articles(typed) == ["Số ngày: 05", "Số tiền: 1.000 đồng"] and articles({}) == []
    assert verification_form(typed, [])["result"] == articles(typed)
    assert verification_form(typed | {"decision": "QUET_LAI"}, [])["result"] == []


def test_WH04_a_draft_is_drawn_for_one_officer_and_forgotten(
    records: RecordsDatabase, objects: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    dossier_id, _ = make_dossier(records, [])
    (draft,) = drafts(records, Catalog(), dossier_id, typed=["Điều " + "rất dài " * 900])
    monkeypatch.setattr(module, "KEPT_DRAFTS", 1)
    images = Images(records, objects)
    shown = images.of_draft("gq.01", draft.pdf, "BHXH-TEST")
    with pymupdf.open(stream=draft.pdf) as pdf:
        assert [page.number for page in shown] == list(range(1, len(pdf) + 1)) and len(pdf) > 1
    assert not any(is_tricky(page.url.encode()) for page in shown)  # the gateway would refuse such a path
    drawn = images.open(shown[1].url.removeprefix("/anh/"), "gq.01", WIDTH, {"BHXH-TEST"})
    with Image.open(io.BytesIO(drawn)) as image:
        assert image.size[0] == WIDTH and abs(image.size[1] - shown[1].height) <= 1
        assert image.convert("L").getextrema()[0] < 100  # print on it
    with pytest.raises(ImageGone):
        images.open(shown[0].url.removeprefix("/anh/"), "gq.02", WIDTH, {"BHXH-TEST"})
    with pytest.raises(ImageGone):  # the role in this unit was taken away meanwhile
        images.open(shown[0].url.removeprefix("/anh/"), "gq.01", WIDTH, {"BHXH-KHAC"})
    (other,) = drafts(records, Catalog(), dossier_id, typed=["Khác"])
    images.of_draft("gq.01", other.pdf, "BHXH-TEST")
    images._files.clear()
    with pytest.raises(ImageGone):
        images.open(shown[0].url.removeprefix("/anh/"), "gq.01", WIDTH, {"BHXH-TEST"})
