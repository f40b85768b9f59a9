"""The page of a dossier as the desk makes it, from real records."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from blocks.catalog import Catalog
from blocks.objects import ObjectStore
from blocks.orchestrator import Orchestrator
from blocks.records import RecordsDatabase
from blocks.records.audit import audit
from blocks.records.states import DocumentState, DossierState, FieldSource
from blocks.records.tables import Dossier, FieldValue
from blocks.settings import settings
from deployments.desk.auth.sessions import Officer, Session
from deployments.desk.counter import Counter
from deployments.desk.decisions import Decisions
from deployments.desk.pages.dossier import DossierPages
from deployments.desk.pages.rendering import Pages
from tasks.archive.custody import Place, move_paper
from tasks.extraction.compose import COMPOSED
from tasks.extraction.notes import Notes
from tasks.intake.electronic_originals import examine_originals
from tasks.progress import advance
from tasks.verification.review import look
from tests.support.own_pki import own_pki
from tests.support.signed_pdf import revision, sealed, signed_objects
from tests.tasks.intake.test_electronic_originals import submitted
from tests.tasks.lawcase import make_dossier, walk_document, walk_dossier
from tests.tasks.signing.conftest import signing_settings  # noqa: F401

RESOLVING = Officer("gq.01", frozenset({("BHXH-TEST", "RESOLVE")}))


def pages_of(records: RecordsDatabase, objects: ObjectStore) -> DossierPages:
    prefect, catalog = Orchestrator("http://127.0.0.1:9"), Catalog()
    decisions, counter = Decisions(records, prefect, Path("none")), Counter(records, objects, catalog, prefect)
    return DossierPages(Pages(500), records, objects, catalog, decisions, counter)


class History(HTMLParser):
    """The lines of the page's history."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.inside = False
        self.lines: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.inside = self.inside or (tag == "ol" and ("class", "history") in attrs)
        if self.inside and tag == "li":
            self.lines.append("")

    def handle_endtag(self, tag: str) -> None:
        self.inside = self.inside and tag != "ol"

    def handle_data(self, data: str) -> None:
        if self.inside and self.lines:
            self.lines[-1] += data


def test_P14_the_history_on_the_page_is_plain_vietnamese(records: RecordsDatabase, objects: ObjectStore) -> None:
    dossier_id, _ = make_dossier(records, ["LOCAL:GIAY-RA-VIEN"])
    walk_dossier(records, dossier_id, DossierState.SO_HOA)
    with records.session() as session:
        move_paper(session, dossier_id, Place.COUNTER, handed_by="tnhs.01", received_by="tnhs.01")
    advance(records, dossier_id, DossierState.DA_CHUYEN, "LU04", "system")
    with records.session() as session:
        audit(session, actor="tnhs.01", action="capture", dossier_id=dossier_id, rule="CA08")
        assert session.get_one(Dossier, dossier_id).flow_run_id is None  # it waits for nobody, Prefect isn't asked
    answer = pages_of(records, objects).show_review(Session(RESOLVING, 0, 0), dossier_id)
    lines = [" ".join(line.split()) for line in History(bytes(answer.body).decode()).lines]
    assert [line.split(" ", 3)[3] for line in lines][:2] == [
        "tnhs.01 · Sao chụp. (Điều 8.2đ QĐ 1333)",
        "tnhs.01 · Giao nhận bản giấy. (Điều 11.4 QĐ 1333)",
    ]
    assert any(line.endswith("Hồ sơ đã chuyển bộ phận giải quyết. (Điều 11.4 QĐ 1333)") for line in lines)
    assert not [line for line in lines if re.search(r"\b[A-Z]{1,2}\d{1,2}[a-z]?\b", line)]


def test_EXa_EXb_doubts_of_a_paper_stand_first_and_its_type_is_chosen(
    records: RecordsDatabase, objects: ObjectStore
) -> None:
    dossier_id, (document_id,) = make_dossier(records, ["LOCAL:C65-HD"])
    walk_dossier(records, dossier_id, DossierState.THAM_DINH)
    walk_document(records, document_id, DocumentState.CHO_XAC_NHAN)
    rule = Notes("LOCAL:GIAY-RA-VIEN", (1,)).rule
    with records.session() as session:
        kept = FieldValue(document_id=document_id, name="type_code", value="LOCAL:C65-HD", confidence=0.5, rule=rule)
        kept.source = FieldSource.SYSTEM
        session.add(kept)
        session.add(
            FieldValue(document_id=document_id, name="abstract", value="Nghỉ ốm", confidence=0.5, rule=COMPOSED)
        )
    review = look(records, Catalog(), dossier_id, "gq.01", grants=None)
    shown = {
        "title": "", "dossier_id": dossier_id, "review": review, "pictures": {1: []}, "signers": {}, "typed": {},
        "issued": {}, "may": True, "stage": "verification", "step": "", "choices": {}, "waiting": None,
    }  # fmt: skip
    answer = Pages(500).page("review.html", Session(RESOLVING, 0, 0), **shown)
    page = " ".join(bytes(answer.body).decode().split())
    assert page.index("ảnh này có vẻ chứa hai giấy tờ") < page.index('<form method="post" action="/ho-so/')
    assert '<select id="f-1-type_code" name="v.1.type_code" data-original="LOCAL:C65-HD">' in page
    assert '<option value="LOCAL:GIAY-RA-VIEN">Giấy ra viện</option>' in page and "cần kiểm tra loại giấy tờ" in page
    assert 'name="a.1.type_code"' not in page  # a paper always has a type
    assert "giấy tờ không in, đề xuất theo loại giấy tờ" in page and "Đề xuất: Nghỉ ốm" in page
    assert "Thời gian bóc tách dữ liệu: " in page


@pytest.mark.usefixtures("signing_settings")
def test_SC05_who_decides_sees_pages_signers_and_where_their_time_comes_from(
    records: RecordsDatabase, objects: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One signature with a time-stamp that counts, one whose stamp is of another authority, one that isn't valid."""
    with own_pki(tmp_path / "own") as own, own_pki(tmp_path / "other", "Other root") as other:
        monkeypatch.setenv("SOHOA_PKI_DIR", str(own.folder))
        monkeypatch.setenv("SOHOA_FETCH_HOSTS", f"127.0.0.1:{own.port}")
        settings.cache_clear()
        who, stamp = own.issue("Trần Thị B (TEST)"), own.issue("TSA", tsa=True).stamper()
        foreign = other.issue("TSA", tsa=True).stamper()
        seen = {}
        for name, stamper, signer in (("own", stamp, who), ("foreign", foreign, who), ("refused", None, other.issue())):
            data = sealed(revision(signed_objects()), signer, stamper)
            dossier_id, _ = submitted(records, objects, data, kind="LOCAL:14-HSB")
            examine_originals(records, objects, Catalog(), dossier_id)
            answer = pages_of(records, objects).show_review(Session(RESOLVING, 0, 0), dossier_id)
            seen[name] = " ".join(html.unescape(bytes(answer.body).decode()).split())
    settings.cache_clear()
    assert "<strong>Trần Thị B (TEST)</strong> ký lúc" in seen["own"] and "theo dấu thời gian;" in seen["own"]
    assert 'alt="Ảnh thành phần 1, trang 1"' in seen["own"] and "<strong>hợp lệ</strong>" in seen["own"]
    assert "không được tính vì do tổ chức ngoài danh sách tin cậy cấp" in seen["foreign"]
    assert "theo dấu thời gian;" not in seen["foreign"] and "<strong>hợp lệ</strong>" in seen["foreign"]
    assert "<strong>KHÔNG hợp lệ</strong>" in seen["refused"] and "đề nghị bên gửi" in seen["refused"]
