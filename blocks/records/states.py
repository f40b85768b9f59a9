"""States of dossier and document (docs/formats.md, "States"). The law's terms stay as they are."""

from __future__ import annotations

from enum import StrEnum


class DossierState(StrEnum):
    NHAP = "NHAP"
    KIEM_TRA = "KIEM_TRA"
    BO_SUNG_TRUOC = "BO_SUNG_TRUOC"
    TU_CHOI_TIEP_NHAN = "TU_CHOI_TIEP_NHAN"
    DA_TIEP_NHAN = "DA_TIEP_NHAN"
    SO_HOA = "SO_HOA"
    CHO_LANH_DAO_SO_HOA = "CHO_LANH_DAO_SO_HOA"
    DA_CHUYEN = "DA_CHUYEN"
    THAM_DINH = "THAM_DINH"
    CHO_Y_KIEN = "CHO_Y_KIEN"
    BO_SUNG = "BO_SUNG"
    TRINH_KY = "TRINH_KY"
    KY_CO_QUAN = "KY_CO_QUAN"
    CO_KET_QUA = "CO_KET_QUA"
    DA_TRA = "DA_TRA"
    LUU_TRU = "LUU_TRU"
    TRA_LAI = "TRA_LAI"
    RUT = "RUT"


class DocumentState(StrEnum):
    KHAI_BAO = "KHAI_BAO"
    PHAN_LOAI = "PHAN_LOAI"
    NGOAI_PHAM_VI = "NGOAI_PHAM_VI"
    TAI_SU_DUNG = "TAI_SU_DUNG"
    DE_HONG = "DE_HONG"
    XIN_Y_KIEN = "XIN_Y_KIEN"
    KHONG_SO_HOA = "KHONG_SO_HOA"
    NGHI_MAT = "NGHI_MAT"  # a possible stamp of secrecy was read: isolated until the leader has looked
    CACH_LY_MAT = "CACH_LY_MAT"
    CHO_SAO_CHUP = "CHO_SAO_CHUP"
    DA_SAO_CHUP = "DA_SAO_CHUP"
    CHUP_LAI = "CHUP_LAI"
    DAT_KIEM_TRA = "DAT_KIEM_TRA"
    DA_KY_CA_NHAN = "DA_KY_CA_NHAN"
    OCR = "OCR"
    NHAP_TAY = "NHAP_TAY"
    CHO_XAC_NHAN = "CHO_XAC_NHAN"
    DA_BOC_TACH = "DA_BOC_TACH"
    DA_CAP_MA = "DA_CAP_MA"
    CHO_KET_QUA = "CHO_KET_QUA"
    DA_KY_CO_QUAN = "DA_KY_CO_QUAN"
    DA_LUU = "DA_LUU"
    HIEN_THI_KHO = "HIEN_THI_KHO"
    DA_LUU_CHUA_DINH_DANH = "DA_LUU_CHUA_DINH_DANH"
    DA_LUU_KHONG_GIA_TRI = "DA_LUU_KHONG_GIA_TRI"


class Form(StrEnum):
    """In which form a paper was handed in (Điều 4.1, 5.2)."""

    ORIGINAL = "ORIGINAL"  # bản chính
    E_COPY_REGISTER = "E_COPY_REGISTER"  # bản sao điện tử được cấp từ sổ gốc
    E_COPY_CERTIFIED = "E_COPY_CERTIFIED"  # bản sao điện tử được chứng thực từ bản chính
    E_PHOTO_COMPARED = "E_PHOTO_COMPARED"  # bản chụp điện tử có bản chính để đối chiếu
    PHOTOCOPY = "PHOTOCOPY"  # bản sao chụp
    CERTIFIED_COPY = "CERTIFIED_COPY"  # bản sao có chứng thực (giấy)


class ElectronicOriginal(StrEnum):
    """What became of a signed PDF that was handed in (SC05)."""

    VALID = "VALID"  # kept as it is
    INVALID = "INVALID"
    UNSIGNED = "UNSIGNED"  # declared as an electronic copy, but it carries no signature


class FieldSource(StrEnum):
    OCR = "OCR"
    MANUAL = "MANUAL"  # typed by the officer (EX02)
    LOOKUP = "LOOKUP"  # linked from elsewhere, never passed off as extracted (EXb)
    SYSTEM = "SYSTEM"  # set by the system (EXa, EXl)
    QR = "QR"


class OwnerKind(StrEnum):
    PERSON = "PERSON"
    ORGANISATION = "ORGANISATION"


class SignatureRole(StrEnum):
    OFFICER = "OFFICER"  # chữ ký số cá nhân (Điều 8.1)
    SIGNER = "SIGNER"  # chữ ký số của người có thẩm quyền trên văn bản phát hành (Điều 13.4b; NĐ 30/2020)
    AGENCY = "AGENCY"  # chữ ký số cơ quan (Điều 9.4)
    MANIFEST = "MANIFEST"  # detached signature over the extracted data (Điều 9.4)
