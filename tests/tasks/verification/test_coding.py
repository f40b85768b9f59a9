"""CO01–CO06: codes from confirmed fields, parts in columns, blocked when something is missing."""

from __future__ import annotations

import unicodedata
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import col, select

from blocks.catalog import Catalog
from blocks.errors import InvalidTransition
from blocks.records import RecordsDatabase
from blocks.records.states import DocumentState, FieldSource, OwnerKind
from blocks.records.tables import AuditEntry, FieldValue
from tasks.verification.coding import CodeBlocked, FieldsUnconfirmed, assign_code, build_code, clean_number
from tests.tasks.lawcase import NAME, OWNER_ID, get, make_dossier, set_fields, walk_document

D = DocumentState
CATALOG = Catalog()
NUMBER = {"number_symbol": "15/GRV"}


def coded(records: RecordsDatabase, kind: str, fields: dict[str, str | None], **dossier: Any) -> UUID:
    """A document with these confirmed fields, DA_BOC_TACH."""
    _, ids = make_dossier(records, [kind], **dossier)
    set_fields(records, ids[0], **fields)
    walk_document(records, ids[0], D.DA_BOC_TACH)
    return ids[0]


def test_CO01_CO02_the_example_of_the_law() -> None:
    code = build_code(
        owner="001099012345",
        procedure="1.001667",
        type_code="LOCAL:QUYET-DINH-HUONG",
        result_code="KQ.G24.000005",
        number="123/QĐ-BHXH",
    )
    assert code.whole == "001099012345.KQ.G24.000005.123/QĐ-BHXH" and code.procedure is None


@pytest.mark.parametrize(
    ("printed", "clean"),
    [
        ("352 /QĐ-BHXH", "352/QĐ-BHXH"),
        ("1333/QĐ-BHXH", "1333/QĐ-BHXH"),
        (" 45 / 2020 / NĐ-CP ", "45/2020/NĐ-CP"),
        ("52-NQ/TW", "52-NQ/TW"),
        (unicodedata.normalize("NFD", "24/BC-VPĐ"), "24/BC-VPĐ"),
        ("Quyển 01 số 5", "Quyển 01 số 5"),
    ],
)
def test_CO06_number_and_symbol_stay_verbatim(printed: str, clean: str) -> None:
    assert clean_number(printed) == clean


@given(st.text())
def test_CO06_cleaning_is_idempotent_and_changes_no_letter(text: str) -> None:
    clean = clean_number(text)
    assert clean_number(clean) == clean and unicodedata.is_normalized("NFC", clean)
    assert " /" not in clean and "/ " not in clean
    assert "".join(clean.split()) == "".join(unicodedata.normalize("NFC", text).split())


PARTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Z"]), max_size=20)


@given(PARTS, PARTS, PARTS, st.none() | PARTS, PARTS)
def test_CO06_same_inputs_same_code_and_every_part_is_kept(
    owner: str, procedure: str, kind: str, result: str | None, number: str
) -> None:
    """Parts may hold full stops, so a code is never split: the columns hold them."""
    made = [
        build_code(owner=owner, procedure=procedure, type_code=kind, result_code=result, number=number) for _ in "12"
    ]
    assert made[0] == made[1]
    code = made[0]
    parts = [code.owner, *([code.procedure] if code.procedure is not None else []), code.kind, code.number]
    assert code.whole == ".".join(parts) and len(parts) == (3 if result else 4)
    if not owner:
        assert code.whole.startswith(".")
    if not number:
        assert code.whole.endswith(".")


def test_CO04_any_other_paper_with_its_parts_in_columns(records: RecordsDatabase) -> None:
    document_id = coded(records, "LOCAL:GIAY-RA-VIEN", {"owner_id": OWNER_ID, "number_symbol": "15 / GRV"})
    report = assign_code(records, CATALOG, document_id, "gq.01")
    document = get(records, document_id)
    assert document.code == f"{OWNER_ID}.1.001667.LOCAL:GIAY-RA-VIEN.15/GRV"
    assert (document.code_owner, document.code_procedure) == (OWNER_ID, "1.001667")
    assert (document.code_type, document.code_number) == ("LOCAL:GIAY-RA-VIEN", "15/GRV")
    assert (report.state, report.owner_id_source) == (D.CHO_KET_QUA, FieldSource.OCR)
    assert OWNER_ID not in report.model_dump_json()  # reports travel through Prefect (WH04)


def test_CO01_a_prior_result_carries_the_result_code(records: RecordsDatabase) -> None:
    fields: dict[str, str | None] = {"owner_id": OWNER_ID, "number_symbol": "123/QĐ-BHXH"}
    document_id = coded(records, "LOCAL:QUYET-DINH-HUONG", fields)
    assign_code(records, CATALOG, document_id, "gq.01")
    document = get(records, document_id)
    assert document.code == f"{OWNER_ID}.KQ.G24.000005.123/QĐ-BHXH" and document.code_procedure is None


def test_CO04_results_of_other_agencies_have_no_bhxh_result_code(records: RecordsDatabase) -> None:
    fields: dict[str, str | None] = {"owner_id": OWNER_ID, "number_symbol": "88/2026"}
    document_id = coded(records, "LOCAL:GIAY-KHAI-SINH", fields, procedure_code="2.000693")
    assign_code(records, CATALOG, document_id, "gq.01")
    assert get(records, document_id).code == f"{OWNER_ID}.2.000693.LOCAL:GIAY-KHAI-SINH.88/2026"


def test_EXb_the_owners_id_is_linked_as_lookup_never_as_extracted(records: RecordsDatabase) -> None:
    document_id = coded(records, "LOCAL:GIAY-RA-VIEN", {"owner_id": None, "full_name": NAME, **NUMBER})
    report = assign_code(records, CATALOG, document_id, "gq.01")
    assert report.owner_id_source == "LOOKUP" and get(records, document_id).code_owner == OWNER_ID
    with records.session() as session:
        row = session.exec(select(FieldValue).where(col(FieldValue.name) == "owner_id")).one()
        assert row.value is None and row.attested_absent


def test_WH04_a_list_of_an_employer_is_not_linked_to_one_worker(records: RecordsDatabase) -> None:
    organisation: dict[str, str | None] = {"organisation_name": "Công ty Thử", "founding_year": "2001"}
    document_id = coded(records, "LOCAL:01B-HSB", {"owner_id": None, **organisation, **NUMBER})
    assert not assign_code(records, CATALOG, document_id, "gq.01").has_owner
    assert get(records, document_id).code == ".1.001667.LOCAL:01B-HSB.15/GRV"


def test_CO03_no_id_leading_dot_and_substitutes_or_blocked(records: RecordsDatabase) -> None:
    without: dict[str, str | None] = {"owner_id": None, "full_name": NAME, "birth_date": "1999-01-02", **NUMBER}
    document_id = coded(records, "LOCAL:GIAY-RA-VIEN", without, owner_id=None)
    assign_code(records, CATALOG, document_id, "gq.01")
    assert get(records, document_id).code == ".1.001667.LOCAL:GIAY-RA-VIEN.15/GRV"
    lacking = coded(records, "LOCAL:GIAY-RA-VIEN", {"owner_id": None, "full_name": NAME, **NUMBER}, owner_id=None)
    with pytest.raises(CodeBlocked) as blocked:
        assign_code(records, CATALOG, lacking, "gq.01")
    assert "ngày, tháng, năm sinh" in blocked.value.text and NAME not in blocked.value.text
    assert get(records, lacking).state is D.DA_BOC_TACH and get(records, lacking).code is None


def test_CO03_substitutes_not_on_the_paper_may_be_the_declared_ones(records: RecordsDatabase) -> None:
    attested: dict[str, str | None] = {"owner_id": None, "full_name": NAME, "birth_date": None, **NUMBER}
    document_id = coded(records, "LOCAL:GIAY-RA-VIEN", attested, owner_id=None)
    assert assign_code(records, CATALOG, document_id, "gq.01").has_number
    unknown = coded(records, "LOCAL:GIAY-RA-VIEN", attested, owner_id=None, owner_birth_date=None)
    with pytest.raises(CodeBlocked):
        assign_code(records, CATALOG, unknown, "gq.01")


def test_CO03_organisations(records: RecordsDatabase) -> None:
    firm: dict[str, Any] = {"owner_kind": OwnerKind.ORGANISATION, "owner_id": None, "owner_birth_date": None}
    fields: dict[str, str | None] = {"owner_id": None, "organisation_name": "Công ty Thử", **NUMBER}
    lacking = coded(records, "LOCAL:D02-TS", fields, procedure_code="1.002051", **firm)
    with pytest.raises(CodeBlocked):
        assign_code(records, CATALOG, lacking, "gq.01")
    whole = coded(records, "LOCAL:D02-TS", fields | {"founding_year": "2001"}, procedure_code="1.002051", **firm)
    assert not assign_code(records, CATALOG, whole, "gq.01").has_owner


def test_CO06_a_paper_without_number_ends_with_a_full_stop(records: RecordsDatabase) -> None:
    for kind, fields in (("C65-HD", {"number_symbol": None}), ("14-HSB", {"full_name": "Thử Văn An"})):
        document_id = coded(records, f"LOCAL:{kind}", {"owner_id": OWNER_ID, **fields})  # attested; a form without one
        assign_code(records, CATALOG, document_id, "gq.01")
        assert get(records, document_id).code == f"{OWNER_ID}.1.001667.LOCAL:{kind}."
    for fields in ({"owner_id": OWNER_ID}, {"owner_id": OWNER_ID, "number_symbol": "/KH-BHXH"}):
        nobody_attested = coded(records, "LOCAL:C65-HD", dict(fields))
        with pytest.raises(CodeBlocked):
            assign_code(records, CATALOG, nobody_attested, "gq.01")


def test_CO06_a_rerun_adds_nothing(records: RecordsDatabase) -> None:
    document_id = coded(records, "LOCAL:GIAY-RA-VIEN", {"owner_id": OWNER_ID, **NUMBER})
    first = assign_code(records, CATALOG, document_id, "gq.01")
    with records.session() as session:
        entries = len(session.exec(select(AuditEntry)).all())
    assert assign_code(records, CATALOG, document_id, "gq.01") == first
    with records.session() as session:
        assert len(session.exec(select(AuditEntry)).all()) == entries


def test_WH03_unconfirmed_data_never_become_a_code(records: RecordsDatabase) -> None:
    _, ids = make_dossier(records, ["LOCAL:GIAY-RA-VIEN", "LOCAL:GIAY-RA-VIEN"])
    set_fields(records, ids[0], confirmed=False, owner_id=OWNER_ID, number_symbol="15/GRV")
    set_fields(records, ids[1], owner_id=OWNER_ID, number_symbol="15/GRV")
    walk_document(records, ids[0], D.DA_BOC_TACH)
    walk_document(records, ids[1], D.CHO_XAC_NHAN)
    with pytest.raises(FieldsUnconfirmed):
        assign_code(records, CATALOG, ids[0], "gq.01")
    with pytest.raises(InvalidTransition):  # ST01
        assign_code(records, CATALOG, ids[1], "gq.01")
    assert get(records, ids[1]).code is None
