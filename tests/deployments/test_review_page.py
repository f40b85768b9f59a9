"""The page of a dossier as the desk makes it, from real records."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

from blocks.catalog import Catalog
from blocks.objects import ObjectStore
from blocks.orchestrator import Orchestrator
from blocks.records import RecordsDatabase
from blocks.records.audit import audit
from blocks.records.states import DocumentState, DossierState, FieldSource
from blocks.records.tables import Dossier, FieldValue
from deployments.desk.auth.sessions import Officer, Session
from deployments.desk.counter import Counter
from deployments.desk.decisions import Decisions
from deployments.desk.pages.dossier import DossierPages
from deployments.desk.pages.rendering import Pages
from tasks.archive.custody import Place, move_paper
from tasks.extraction.compose import COMPOSED
from tasks.extraction.notes import Notes
from tasks.progress import advance
from tasks.verification.review import look
from tests.tasks.lawcase import make_dossier, walk_document, walk_dossier

RESOLVING = Officer("gq.01", frozenset({("BHXH-TEST", "RESOLVE")}))


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
    prefect, catalog = Orchestrator("http://127.0.0.1:9"), Catalog()
    decisions, counter = Decisions(records, prefect, Path("none")), Counter(records, objects, catalog, prefect)
    pages = DossierPages(Pages(500), records, objects, catalog, decisions, counter)
    answer = pages.show_review(Session(RESOLVING, 0, 0), dossier_id)
    lines = [" ".join(line.split()) for line in History(bytes(answer.body).decode()).lines]
    assert [line.split(" ", 3)[3] for line in lines][:2] == [
        "tnhs.01 · Hồ sơ: Sao chụp. (Điều 8.2đ QĐ 1333)",
        "tnhs.01 · Hồ sơ: Giao nhận bản giấy. (Điều 11.4 QĐ 1333)",
    ]
    assert any(line.endswith("Hồ sơ: đã chuyển bộ phận giải quyết. (Điều 11.4 QĐ 1333)") for line in lines)
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
