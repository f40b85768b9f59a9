"""Forms by document type code. Each is a function (case, look) -> Paper."""

from __future__ import annotations

from collections.abc import Callable

from tests.samples.forms import administrative, civil, lists, medical, personal
from tests.samples.forms.base import Case, Paper, make_case
from tests.samples.look import Look

FORMS: dict[str, Callable[[Case, Look], Paper]] = {
    "LOCAL:GIAY-RA-VIEN": medical.discharge,
    "LOCAL:GIAY-CHUNG-SINH": medical.birth_notice,
    "LOCAL:GIAY-KHAI-SINH": civil.birth_certificate,
    "LOCAL:TRICH-LUC-KHAI-SINH": civil.birth_extract,
    "LOCAL:C65-HD": medical.c65,
    "LOCAL:01B-HSB": lists.benefits,
    "LOCAL:14-HSB": personal.application,
    "LOCAL:09-HSB": personal.relatives,
    "LOCAL:04-HSB": personal.contribution_history,
    "LOCAL:05A-HSB": lists.accident_letter,
    "LOCAL:TK1-TS": personal.declaration,
    "LOCAL:D01-TS": lists.documents_list,
    "LOCAL:D02-TS": lists.employees,
    "LOCAL:D03-TS": lists.health_only,
    "LOCAL:SO-BHXH": personal.book,
    "LOCAL:THE-BHYT": personal.health_card,
    "LOCAL:CCCD": civil.citizen_card,
    "LOCAL:QUYET-DINH-HUONG": administrative.decision,
    "LOCAL:GIAY-CHUNG-TU": civil.death_certificate,
    "LOCAL:HOA-DON": medical.invoice,
    "LOCAL:BIEN-BAN-GIAM-DINH": medical.assessment,
    "LOCAL:VAN-BAN-HANH-CHINH": administrative.administrative,
}

__all__ = ["FORMS", "Case", "Paper", "make_case"]
