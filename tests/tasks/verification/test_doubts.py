"""What stands first when an officer compares a paper with its data, and what isn't asked (Điều 9.2a–g)."""

from __future__ import annotations

from uuid import UUID

import pytest

from blocks.catalog import Catalog
from blocks.records import RecordsDatabase
from blocks.records.states import DocumentState, DossierState, FieldSource
from blocks.records.tables import FieldValue
from tasks.decisions.upheld import unlike_verified
from tasks.extraction.notes import Notes, notes_of
from tasks.pauses.verification import Absence, Correction, Verification, check
from tasks.verification.confirm import confirm_fields
from tasks.verification.review import Review, look
from tests.tasks.decided import decide
from tests.tasks.lawcase import NAME, OWNER_ID, get, make_dossier, walk_document, walk_dossier

LEAVE, LETTER = "LOCAL:C65-HD", "LOCAL:VAN-BAN-HANH-CHINH"


@pytest.fixture(autouse=True)
def here(records: RecordsDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RecordsDatabase, "get", lambda: records)


def read(records: RecordsDatabase, kind: str, notes: Notes = Notes(), **values: str | None) -> tuple[UUID, UUID]:
    """A paper of this type whose fields were read, all of them surely; None: found empty."""
    dossier_id, (document_id,) = make_dossier(records, [kind])
    walk_dossier(records, dossier_id, DossierState.THAM_DINH)
    walk_document(records, document_id, DocumentState.CHO_XAC_NHAN)
    with records.session() as session:
        sure = 0.5 if notes.likely else 1.0
        put = {"document_id": document_id, "printed": kind, "rule": notes.rule, "source": FieldSource.SYSTEM}
        session.add(FieldValue(name="type_code", value=kind, confidence=sure, **put))
        for name, value in values.items():
            session.add(FieldValue(document_id=document_id, name=name, value=value, printed=value, confidence=0.99))
    return dossier_id, document_id


def seen(records: RecordsDatabase, dossier_id: UUID) -> Review:
    return look(records, Catalog(), dossier_id, "gq.01", grants=None)


def told(records: RecordsDatabase, dossier_id: UUID) -> str:
    return " ".join(seen(records, dossier_id).components[0].doubts)


def test_EXa_what_is_kept_of_a_paper_is_read_back() -> None:
    for notes in (Notes(), Notes("LOCAL:C65-HD"), Notes(None, (1, 3)), Notes("LOCAL:C65-HD", (2,))):
        assert notes_of(notes.rule) == notes
    assert notes_of("") == Notes()


def test_EXb_two_papers_on_one_image_stand_first(records: RecordsDatabase) -> None:
    dossier_id, _ = read(records, LEAVE, Notes("LOCAL:GIAY-RA-VIEN", (1, 2)), full_name="Thử Văn Khác")
    first, second, third = seen(records, dossier_id).components[0].doubts
    assert first.startswith("Trang 1, 2: ảnh này có vẻ chứa hai giấy tờ") and "quét lại" in first
    assert "chủ hồ sơ" in second and "Giấy ra viện" in third and "LOCAL" not in third


@pytest.mark.parametrize(
    ("kind", "values", "unlike"),
    [
        (LEAVE, {"full_name": NAME.upper(), "birth_date": "1999-01-02"}, ""),
        (LEAVE, {"full_name": NAME, "birth_date": "1999"}, ""),
        (LEAVE, {"full_name": "Thử Văn Khác", "birth_date": "1999-01-02"}, "Họ và tên"),
        (LEAVE, {"owner_id": "001199099999"}, "Mã định danh"),
        (LEAVE, {"owner_id": OWNER_ID, "full_name": "Nguyễn Thi Thử Nghiêm"}, ""),  # the code says who it is
        ("LOCAL:GIAY-KHAI-SINH", {"full_name": "Thử Văn Con"}, ""),  # a child's, handed in by its mother
        ("LOCAL:D02-TS", {"organisation_name": "Công ty Thử"}, ""),  # an employer's list
    ],
)
def test_EXb_an_owner_other_than_the_declared_one_stands_first(
    records: RecordsDatabase, kind: str, values: dict[str, str | None], unlike: str
) -> None:
    dossier_id, _ = read(records, kind, Notes(), **values)
    text = told(records, dossier_id)
    assert unlike in text and bool(unlike) == bool(text)
    assert not [value for value in values.values() if value and value in text]  # WH04


def open_fields(records: RecordsDatabase, dossier_id: UUID) -> set[str]:
    return {field.name for field in seen(records, dossier_id).components[0].fields if field.missing}


def test_EXb_nobody_is_asked_for_what_a_type_never_prints(records: RecordsDatabase) -> None:
    rest = {"title": "CÔNG VĂN", "issue_date": "2026-11-01", "issuer": "SỞ Y TẾ", "abstract": "Trả lời"}
    letter, _ = read(records, LETTER, Notes(), number_symbol="1/SYT", **rest)  # about nobody
    assert not open_fields(records, letter)
    form, _ = read(records, "LOCAL:14-HSB", Notes(), owner_id=OWNER_ID, **(rest | {"issuer": None}))
    assert not open_fields(records, form)  # bears neither number nor agency
    firms, _ = read(records, "LOCAL:D02-TS", Notes(), number_symbol="1/AB", **rest)
    assert open_fields(records, firms) == {"owner_id", "organisation_name"}
    leave, _ = read(records, LEAVE, Notes(), **rest)
    assert open_fields(records, leave) == {"number_symbol", "owner_id", "full_name", "birth_date"}


def chosen(kind: str, **more: object) -> Verification:
    correction = Correction(component=1, field="type_code", value=kind)
    return approved(corrections=[correction], **more)


def approved(**more: object) -> Verification:
    return Verification(officer="gq.01", decision="DUYET", result=["Mức hưởng: 1"], **more)  # type: ignore[arg-type]


WHOLE: dict[str, str | None] = {
    "title": "GIẤY RA VIỆN", "number_symbol": "1/B", "issue_date": "2026-11-01", "issuer": "BỆNH VIỆN A",
    "abstract": "Ra viện", "owner_id": OWNER_ID,
}  # fmt: skip


def test_EXa_a_type_that_the_paper_is_unlike_must_be_looked_at(records: RecordsDatabase) -> None:
    dossier_id, _ = read(records, LEAVE, Notes("LOCAL:GIAY-RA-VIEN"), **WHOLE)
    kept = approved()
    assert ["còn 1 trường có độ tin cậy thấp" in fault for fault in check(dossier_id, kept)] == [True]
    assert not check(dossier_id, kept.model_copy(update={"flagged_checked": True}))
    assert not check(dossier_id, chosen("LOCAL:GIAY-RA-VIEN"))
    field = next(item for item in seen(records, dossier_id).components[0].fields if item.name == "type_code")
    assert field.doubtful and field.choices["LOCAL:GIAY-RA-VIEN"] == "Giấy ra viện"


def test_EXa_the_type_is_chosen_anew(records: RecordsDatabase) -> None:
    dossier_id, document_id = read(records, LEAVE, Notes("LOCAL:GIAY-RA-VIEN"), **WHOLE)
    correction = chosen("LOCAL:GIAY-RA-VIEN").corrections
    decide(records, dossier_id, "verification-1", "DUYET", "gq.01", corrections=correction)
    assert confirm_fields(records, dossier_id, "verification-1") == 1
    assert get(records, document_id).type_code == "LOCAL:GIAY-RA-VIEN"
    with records.session() as session:
        assert unlike_verified(session, dossier_id) == []
        session.get_one(type(get(records, document_id)), document_id).type_code = LEAVE
    with records.session() as session:  # changed beside the decision
        assert unlike_verified(session, dossier_id) == [1]


def test_EXa_a_type_that_is_unknown_or_not_captured_is_refused(records: RecordsDatabase) -> None:
    dossier_id, _ = read(records, LEAVE, Notes(), **WHOLE)
    assert any("không có trong danh mục" in fault for fault in check(dossier_id, chosen("LOCAL:KHONG-CO")))
    refused = check(dossier_id, chosen("LOCAL:CCCD"))  # is only shown (Điều 5.3)
    assert len(refused) == 1 and "Thẻ căn cước" in refused[0] and "LOCAL" not in refused[0]
    absent = approved(absent=[Absence(component=1, field="type_code")])
    assert any("trang này không nhận giá trị cho" in fault for fault in check(dossier_id, absent))
