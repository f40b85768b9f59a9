"""WH04, SC13: the words of a page and the whole text of a paper, for who may see the paper and nobody else."""

from __future__ import annotations

from pathlib import Path

import pytest

from blocks.ids import DocumentId
from blocks.objects import Bucket, ObjectStore
from blocks.ocr.types import Line, PageText, Word
from blocks.records import RecordsDatabase
from blocks.records.states import DocumentState
from blocks.records.tables import Page, Scan
from deployments.desk.images import ImageGone, Images
from deployments.desk.words import PATH, Words
from infra.local.postgres import Postgres
from tests.deployments.desk import OWN, make_gateway, staff_file
from tests.tasks.lawcase import make_dossier
from tests.tasks.signing.conftest import signing_settings  # noqa: F401  (for each test)

READ = PageText(
    1654, 2339, 200,
    (
        Line("Bệnh viện Thử", 0.99, ((10, 20), (130, 20), (130, 50), (10, 50)),
             (Word("Bệnh", (10, 20, 50, 50)), Word("viện", (60, 20, 90, 50)), Word("Thử", (100, 20, 130, 50)))),
        Line("12/CĐ", 0.9, ((10, 60), (90, 60), (90, 90), (10, 90))),
    ),
)  # fmt: skip


def give_text(records: RecordsDatabase, objects: ObjectStore, document_id: DocumentId, text: PageText = READ) -> None:
    """As reading leaves it: a page of the current attempt with its text in the store."""
    key = f"{document_id}/page-0001.json"
    kept = objects.put_once(Bucket.WORKING, key, text.to_json(), content_type="application/json")
    with records.session() as session:
        scan = Scan(document_id=document_id, ordinal=1, object_key="", sha256="", size=0)
        session.add(scan)
        session.flush()
        session.add(
            Page(
                document_id=document_id, scan_id=scan.id, number=1, paper_page=1, width=1654, height=2339, dpi=200,
                image_sha256="0" * 64, text_key=kept.key, text_version=kept.version, text_sha256=kept.sha256,
            )
        )  # fmt: skip


def test_WH04_words_come_with_their_places_and_for_one_person(records: RecordsDatabase, objects: ObjectStore) -> None:
    _, (document,) = make_dossier(records, ["LOCAL:GIAY-RA-VIEN"])
    give_text(records, objects, DocumentId(document))
    words = Words(records, objects, Images(records, objects))
    address = words.address("gq.01", DocumentId(document), 1).removeprefix(PATH)
    found = words.at(address, "gq.01", {OWN})
    assert [(word.text, word.line, word.x, word.width) for word in found] == [
        ("Bệnh", 0, 10, 40), ("viện", 0, 60, 30), ("Thử", 0, 100, 30), ("12/CĐ", 1, 10, 80),
    ]  # fmt: skip
    assert words.texts(DocumentId(document)) == ["Bệnh viện Thử\n12/CĐ"]
    for officer, units, token in (
        ("gq.02", {OWN}, address),
        ("gq.01", {"BHXH-KHAC"}, address),
        ("gq.01", {OWN}, words.images.address("gq.01", DocumentId(document), 1).removeprefix("/anh/")),
    ):
        with pytest.raises(ImageGone):
            words.at(token, officer, units)
    with pytest.raises(ImageGone):  # nor is it an address of the image
        words.images.open(address, "gq.01", 1240, {OWN})


@pytest.mark.parametrize("hidden", [{"state": DocumentState.NGHI_MAT}, {"secret": True}])
def test_SC13_there_is_no_text_of_a_paper_that_may_be_secret(
    records: RecordsDatabase, objects: ObjectStore, hidden: dict[str, object]
) -> None:
    _, (document,) = make_dossier(records, [{"type_code": "LOCAL:GIAY-RA-VIEN"} | hidden])
    give_text(records, objects, DocumentId(document))
    words = Words(records, objects, Images(records, objects))
    address = words.address("ld.01", DocumentId(document), 1).removeprefix(PATH)
    assert words.at(address, "ld.01", {OWN}) == [] and words.texts(DocumentId(document)) == []


def test_WH04_the_whole_text_is_a_page_for_who_sees_the_paper(
    postgres: Postgres, records: RecordsDatabase, objects: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOHOA_STAFF_FILE", str(staff_file(tmp_path / "staff.yaml")))
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    gateway = make_gateway(records, tmp_path, postgres)
    dossier, (document,) = make_dossier(records, ["LOCAL:GIAY-RA-VIEN"])
    path = f"/ho-so/{dossier}/van-ban/1"
    sees = gateway.signed_in("here.resolve", {(OWN, "RESOLVE")})
    assert sees.get(path).status_code == 404  # nothing was read yet
    give_text(records, objects, DocumentId(document))
    page = sees.get(path)
    assert (
        page.status_code == 200 and "Bệnh viện Thử\n12/CĐ" in page.text and page.headers["cache-control"] == "no-store"
    )
    assert path in sees.get(f"/ho-so/{dossier}").text
    refused = gateway.signed_in("there.resolve", {("BHXH-KHAC", "RESOLVE")}).get(path)
    assert refused.status_code == 403 and "Bệnh viện" not in refused.text
