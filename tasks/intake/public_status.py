"""Tra cứu tình trạng hồ sơ (QĐ 352, Điều 12; P03–P05): exactly what anyone with the code may read, and nothing more.

No personal data: neither the owner nor the papers, nor the reason of a refusal, which is told to the owner in writing.
"""

from __future__ import annotations

import re

from blocks.clock import vietnam_day
from blocks.errors import Remedy, SohoaError
from blocks.records import RecordsDatabase
from blocks.records.machine import PUBLIC_STATUS
from blocks.records.queries import DossierUnknown, find_dossier
from blocks.records.states import DossierState
from blocks.settings import settings

AGENCY, DEPARTMENT = "Cơ quan BHXH giải quyết", "Phòng ban giải quyết"
RECEIVED, RESULT, STATUS = "Ngày tiếp nhận", "Ngày trả kết quả", "Tình trạng xử lý hồ sơ"
CODE = re.compile(r"[0-9A-Za-z.-]{1,64}")


class DossierWithdrawn(SohoaError):
    """None of the five values would be true of a withdrawn dossier [R]."""

    code, rule = "DOSSIER_WITHDRAWN", "P03"
    message = "Hồ sơ đã được rút theo yêu cầu của người nộp nên không còn tình trạng xử lý để tra cứu."
    remedy = Remedy.OFFICER


def agency_name() -> str:
    """The office that resolves the dossiers of this installation (SOHOA_AGENCY_NAME)."""
    return settings().agency_name


def status_of(records: RecordsDatabase, code: str) -> dict[str, str | None]:
    """Label → value, in the order of Điều 12.1; dates as dd/mm/yyyy in Viet Nam, None where there is none yet.

    "Ngày trả kết quả" is the appointed day until there is a result, then the day of the result; none for a refused
    dossier. Raises DossierUnknown, DossierWithdrawn.
    """
    if not CODE.fullmatch(code):
        raise DossierUnknown()
    with records.session() as session:
        dossier = find_dossier(session, code)
        if dossier.state is DossierState.RUT:
            raise DossierWithdrawn()
        status = PUBLIC_STATUS.get(dossier.state)
        if status is None:
            raise DossierUnknown()
        result = dossier.due_date
        if dossier.result_at is not None:
            result = vietnam_day(dossier.result_at)
        if dossier.state in {DossierState.TU_CHOI_TIEP_NHAN, DossierState.TRA_LAI}:
            result = None
        received = vietnam_day(dossier.received_at) if dossier.received_at else None
        return {
            AGENCY: agency_name(),
            DEPARTMENT: dossier.public_department,
            RECEIVED: f"{received:%d/%m/%Y}" if received else None,
            RESULT: f"{result:%d/%m/%Y}" if result else None,
            STATUS: status.value,
        }
