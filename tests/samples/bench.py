"""One dossier of genuine scans of published official documents (ocr-bench/scan); its truth was read by eye.

Only pages of 300 dpi are used (CA09). They are first pages: each stands for a paper of one page.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tests.samples.dossiers import LUU, PUBLIC
from tests.samples.forms.base import truth
from tests.samples.writer import OFFICER, UNIT, write_manifest

TYPE = "LOCAL:VAN-BAN-HANH-CHINH"
ISSUER = "ỦY BAN NHÂN DÂN TỈNH QUẢNG NGÃI"
PAPERS = (
    (
        "extra_239_TTr_p1.jpg",
        "TỜ TRÌNH",
        "239/TTr-UBND",
        "2024-12-20",
        "Về việc đề nghị xây dựng Nghị quyết của HĐND tỉnh bãi bỏ Nghị quyết số 24/2013/NQ-HĐND ngày 10/12/2013 của "
        "HĐND tỉnh về việc thông qua Quy hoạch tổng thể phát triển du lịch tỉnh Quảng Ngãi đến năm 2020, tầm nhìn đến "
        "năm 2025",
    ),
    (
        "extra_23BC_p1.jpg",
        "BÁO CÁO",
        "23/BC-UBND",
        "2025-01-23",
        "Tình hình, kết quả thực hiện công tác cải cách thủ tục hành chính tháng 01/2025 của tỉnh Quảng Ngãi",
    ),
    (
        "s_11_CT_p1.jpg",
        "CHỈ THỊ",
        "11/CT-UBND",
        "2024-09-11",
        "Về việc tăng cường các biện pháp đảm bảo an toàn công trình cầu giao thông trong mùa mưa, bão năm 2024 trên "
        "địa bàn tỉnh Quảng Ngãi",
    ),
)


def write_bench(out: Path, bench: Path) -> Path:
    """bench: the ocr-bench folder or its scan folder. Raises FileNotFoundError when a page is not there."""
    source = bench / "scan" if (bench / "scan").is_dir() else bench
    folder = out / "19-ban-quet-that"
    entries, documents = [], []
    for ordinal, (name, title, number, day, abstract) in enumerate(PAPERS, 1):
        target = folder / f"c{ordinal}" / "0001.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, target)
        entries.append(
            {"type": TYPE, "form": "ORIGINAL", "pages": 1, "dpi": 300, "flags": {}, "files": [f"c{ordinal}/0001.jpg"]}
        )
        fields = truth(
            TYPE, "ORGANISATION", title=title, number_symbol=number, issue_date=day, issuer=ISSUER, abstract=abstract
        )
        documents.append(
            {"ordinal": ordinal, "type_code": TYPE, "pages": 1, "fields": fields, "expected_state": "HIEN_THI_KHO"}
        )
        known = source / f"{Path(name).stem}.txt"
        if known.is_file():
            (folder / "text").mkdir(exist_ok=True)
            shutil.copyfile(known, folder / "text" / f"{ordinal}-0001.txt")
    owner = {
        "kind": "ORGANISATION",
        "id": "000.00.00.H48",
        "name": "Ủy ban nhân dân tỉnh Quảng Ngãi",
        "founding_year": 1989,
    }
    write_manifest(
        folder / "dossier.yaml",
        {
            "version": 1,
            "unit": UNIT,
            "procedure": "LOCAL:SO-HOA-VAN-BAN",
            "captured_by": OFFICER,
            "originals": len(PAPERS),
            "owner": owner,
            "transitional": False,
            "components": entries,
        },
    )
    body = {
        "name": folder.name,
        "story": "Văn bản thật đã công bố của UBND tỉnh Quảng Ngãi, quét từ bản giấy.",
        "set": "demo",
        "defect": None,
        "problem_codes": [],
        "expected_state": LUU,
        "public_status": PUBLIC[LUU],
        "documents": documents,
    }
    (folder / "truth.json").write_text(json.dumps(body, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return folder
