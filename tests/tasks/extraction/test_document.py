"""Fields in the records (EXa, EXb, EXl, EX02): written once, replaced by a rescan, never where confirmed."""

from __future__ import annotations

import json
from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from sqlmodel import select

from blocks.errors import InvalidTransition
from blocks.objects import Bucket, ObjectStore, document_key
from blocks.ocr.types import PageText
from blocks.records import RecordsDatabase
from blocks.records.machine import move_document
from blocks.records.states import DocumentState, FieldSource
from blocks.records.tables import AuditEntry, Document, FieldValue, Page, Scan, now
from tasks.extraction.document import extract_fields
from tasks.extraction.notes import notes_of
from tasks.extraction.settings import CONFIDENCE_THRESHOLD
from tasks.pauses.verification import Absence, Correction
from tasks.verification.confirm import confirm_fields
from tests.tasks.decided import decide
from tests.tasks.extraction.test_extract import paper
from tests.tasks.extraction.test_several import level, together
from tests.tasks.lawcase import get, make_dossier, walk_document

D = DocumentState


def read_paper(
    records: RecordsDatabase, objects: ObjectStore, name: str, *, state: DocumentState = D.OCR, note: bool = False
) -> UUID:
    """A document whose pages were read; note: page 1 also has an image with a sticky note, which comes first."""
    type_code, _, texts = paper(name)
    _, ids = make_dossier(records, [type_code])
    walk_document(records, ids[0], D.DA_KY_CA_NHAN)
    with records.session() as session:
        move_document(session, session.get_one(Document, ids[0]), state, actor="test")
    covered = [replace(texts[0], lines=texts[0].lines[:3])] if note else []
    add_pages(records, objects, ids[0], covered + texts, notes=len(covered))
    return ids[0]


def add_pages(
    records: RecordsDatabase, objects: ObjectStore, document_id: UUID, texts: list[PageText], notes: int = 0
) -> None:
    with records.session() as session:
        document = session.get_one(Document, document_id)
        attempt = document.attempt
        scan = Scan(id=uuid4(), document_id=document_id, attempt=attempt, ordinal=1, object_key="k", sha256="", size=1)
        session.add(scan)
        session.flush()
        for number, text in enumerate(texts, 1):
            key = document_key(document.dossier_id, document_id, attempt, f"page-{number:04d}.json")
            kept = objects.put_once(Bucket.WORKING, key, text.to_json(), content_type="application/json")
            session.add(
                Page(
                    document_id=document_id,
                    scan_id=scan.id,
                    attempt=attempt,
                    number=number,
                    paper_page=number,
                    with_note=number <= notes,
                    width=text.width,
                    height=text.height,
                    dpi=text.dpi,
                    image_sha256=str(number) * 64,
                    text_key=key,
                    text_version=kept.version,
                    text_sha256=kept.sha256,
                    readable=text.readable,
                )
            )


def rows(records: RecordsDatabase, document_id: UUID) -> dict[str, FieldValue]:
    with records.session() as session:
        found = session.exec(select(FieldValue).where(FieldValue.document_id == document_id)).all()
        return {row.name: row for row in found}


def test_EXa_EXl_fields_are_written_once(records: RecordsDatabase, objects: ObjectStore) -> None:
    document_id = read_paper(records, objects, "giay-ra-vien")
    report = extract_fields(records, objects, document_id)
    _, truth, _ = paper("giay-ra-vien")
    first = rows(records, document_id)
    assert first["issue_date"].value == truth["issue_date"] and first["owner_id"].value == truth["owner_id"]
    assert first["type_code"].source is FieldSource.SYSTEM and first["type_code"].value == "LOCAL:GIAY-RA-VIEN"
    assert {"valid_until", "scope"} <= set(first)  # EXh, EXi: each has its input
    assert report.empty == [] and not report.manual and report.likely_type is None
    assert first["birth_date"].page == 1 and len(first["birth_date"].box or []) == 4
    assert get(records, document_id).state is D.CHO_XAC_NHAN
    assert extract_fields(records, objects, document_id) == report
    again = rows(records, document_id)
    assert {n: (r.id, r.extracted_at) for n, r in again.items()} == {
        n: (r.id, r.extracted_at) for n, r in first.items()
    }


def test_EXg_the_abstract_of_a_paper_that_prints_none_is_proposed(
    records: RecordsDatabase, objects: ObjectStore
) -> None:
    document_id = read_paper(records, objects, "giay-ra-vien")
    report = extract_fields(records, objects, document_id)
    found = rows(records, document_id)
    abstract, name = found["abstract"], (found["full_name"].value or "").title()
    assert abstract.value and abstract.value.startswith(f"Ra viện của {name}, vào viện ngày ")
    assert (abstract.rule, abstract.printed, abstract.page) == ("composed", None, None)
    assert abstract.confidence < CONFIDENCE_THRESHOLD and "abstract" in report.low


def test_EXg_a_printed_abstract_stands_as_it_is(records: RecordsDatabase, objects: ObjectStore) -> None:
    document_id = read_paper(records, objects, "05a-hsb")
    extract_fields(records, objects, document_id)
    assert rows(records, document_id)["abstract"].rule.startswith("decree30")


def test_EXb_two_papers_on_one_image_are_kept_as_a_doubt_of_the_paper(
    records: RecordsDatabase, objects: ObjectStore
) -> None:
    _, (document_id,) = make_dossier(records, ["LOCAL:C65-HD"])
    walk_document(records, document_id, D.OCR)
    add_pages(records, objects, document_id, [together(level("c65-hd"), level("c65-hd"), beside=True)])
    report = extract_fields(records, objects, document_id)
    found = rows(records, document_id)
    assert report.several == [1] and notes_of(found["type_code"].rule).several == (1,)
    read = {name: row for name, row in found.items() if row.value and name != "type_code"}
    assert len(read) > 8 and set(read) == set(report.low)
    assert extract_fields(records, objects, document_id) == report


def test_EXk_cells_of_a_list_are_corrected_like_other_fields(records: RecordsDatabase, objects: ObjectStore) -> None:
    """WH03: the officer corrects one cell, types one that wasn't read and says of a third that the paper has none."""
    document_id = read_paper(records, objects, "d02-ts")
    extract_fields(records, objects, document_id)
    found = rows(records, document_id)
    wrong, lost = "special.rows.016.bhxh_number", "special.rows.017.full_name"
    assert found[wrong].value == "7412395162" and found[wrong].page == 2 and lost not in found
    place = get(records, document_id).ordinal
    dossier_id = get(records, document_id).dossier_id
    decide(
        records, dossier_id, "verification-1", "DUYET", "gq.01",
        corrections=[
            Correction(component=place, field=wrong, value="7412395163"),
            Correction(component=place, field=lost, value="Thử Văn An"),
        ],
        absent=[Absence(component=place, field="special.rows.016.position")],
    )  # fmt: skip
    assert confirm_fields(records, dossier_id, "verification-1") == 1
    kept = rows(records, document_id)
    assert (kept[wrong].value, kept[wrong].extracted_value) == ("7412395163", "7412395162")
    assert kept[lost].value == "Thử Văn An" and kept[lost].source is FieldSource.MANUAL
    assert kept["special.rows.016.position"].value is None and kept["special.rows.016.position"].attested_absent
    assert all(row.confirmed_by == "gq.01" for row in kept.values())
    assert get(records, document_id).state is D.DA_BOC_TACH


def test_EX02_unreadable_papers_are_typed(records: RecordsDatabase, objects: ObjectStore) -> None:
    document_id = read_paper(records, objects, "giay-ra-vien", state=D.NHAP_TAY)
    report = extract_fields(records, objects, document_id)
    found = rows(records, document_id)
    assert report.manual and report.fields == 1  # the type, as declared
    assert all(r.value is None and r.source is FieldSource.MANUAL for n, r in found.items() if n != "type_code")
    assert {"title", "number_symbol", "issue_date", "issuer", "abstract", "full_name", "birth_date"} <= set(found)
    assert get(records, document_id).state is D.CHO_XAC_NHAN


def test_CA07_the_covered_image_is_not_extracted(records: RecordsDatabase, objects: ObjectStore) -> None:
    document_id = read_paper(records, objects, "giay-ra-vien", note=True)
    extract_fields(records, objects, document_id)
    pages = {row.page for row in rows(records, document_id).values() if row.value and row.page}
    assert pages == {2}


def test_a_rescan_replaces_what_is_not_confirmed(records: RecordsDatabase, objects: ObjectStore) -> None:
    document_id = read_paper(records, objects, "giay-khai-sinh")
    extract_fields(records, objects, document_id)
    with records.session() as session:
        row = session.exec(
            select(FieldValue).where(FieldValue.document_id == document_id, FieldValue.name == "issuer")
        ).one()
        row.value, row.confirmed_by, row.confirmed_at = "Ủy ban nhân dân xã Thử Nghiệm", "gq.01", now()
        document = session.get_one(Document, document_id)
        for state in (D.CHUP_LAI, D.DA_SAO_CHUP, D.DAT_KIEM_TRA, D.DA_KY_CA_NHAN, D.OCR):
            move_document(session, document, state, actor="test")
        document.attempt = 2
    _, _, texts = paper("giay-khai-sinh")
    shorter = [replace(texts[0], lines=tuple(line for line in texts[0].lines if "định danh" not in line.text))]
    before = rows(records, document_id)
    add_pages(records, objects, document_id, shorter)
    extract_fields(records, objects, document_id)
    after = rows(records, document_id)
    assert after["issuer"].value == "Ủy ban nhân dân xã Thử Nghiệm" and after["issuer"].id == before["issuer"].id
    assert before["owner_id"].value and after["owner_id"].value is None
    assert after["full_name"].value == before["full_name"].value and after["full_name"].id != before["full_name"].id


def test_EXa_a_paper_of_another_type_is_told(records: RecordsDatabase, objects: ObjectStore) -> None:
    document_id = read_paper(records, objects, "giay-khai-sinh")
    with records.session() as session:
        session.get_one(Document, document_id).type_code = "LOCAL:GIAY-RA-VIEN"
    report = extract_fields(records, objects, document_id)
    assert report.likely_type == "LOCAL:GIAY-KHAI-SINH" and report.type_confidence == 0.5
    assert rows(records, document_id)["type_code"].value == "LOCAL:GIAY-RA-VIEN"  # the officer decides


def test_ST01_unread_pages_are_not_extracted(records: RecordsDatabase, objects: ObjectStore) -> None:
    _, ids = make_dossier(records, ["LOCAL:GIAY-RA-VIEN"])
    walk_document(records, ids[0], D.DA_KY_CA_NHAN)
    with pytest.raises(InvalidTransition):
        extract_fields(records, objects, ids[0])


def test_WH04_nothing_read_gets_into_audit_or_report(records: RecordsDatabase, objects: ObjectStore) -> None:
    document_id = read_paper(records, objects, "giay-ra-vien")
    report = extract_fields(records, objects, document_id)
    with records.session() as session:
        entries = session.exec(select(AuditEntry).where(AuditEntry.document_id == document_id)).all()
        said = json.dumps([e.details for e in entries], ensure_ascii=False) + report.model_dump_json()
    for row in rows(records, document_id).values():
        if row.value and len(row.value) > 3 and row.name != "type_code":
            assert row.value not in said
