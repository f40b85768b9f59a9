"""Everything that the verifier can find has Vietnamese words (SC05): no officer reads a code."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from pyhanko.sign.ades.report import AdESFailure, AdESIndeterminate

from tasks.capture import errors
from tasks.intake.electronic_originals import WHY, _why
from tasks.signing import verify_words
from tasks.signing.verify_model import SignatureVerdict
from tasks.signing.verify_words import REASONS, STAMPS, reason, sentence

SOURCES = ("verify", "verify_file", "verify_reader", "sandbox", "ltv")
NO_CODES = {  # other words in capitals: roles, kinds, what is said when nothing is wrong
    "OFFICER", "SIGNER", "AGENCY", "MANIFEST", "OTHER", "NOT_AGENCY", "END", "ARCHIVE_STAMP", "PDF", "OK",
}  # fmt: skip
GENERIC = "chữ ký không kiểm tra được"
OPENING = [
    errors.FileEmpty, errors.FileTooLarge, errors.FileType, errors.ImageBomb, errors.PdfEncrypted, errors.PdfZeroPages,
    errors.PdfActiveContent, errors.PdfAttachments, errors.PdfVersion, errors.PdfDamaged,
]  # fmt: skip


def _codes() -> set[str]:
    """Those of the standard, and those in our own sources."""
    found = {item.name for item in (*AdESFailure, *AdESIndeterminate)}
    for name in SOURCES:
        tree = ast.parse(Path(verify_words.__file__).with_name(f"{name}.py").read_text())
        constants = {str(node.value) for node in ast.walk(tree) if isinstance(node, ast.Constant)}
        found |= {text for text in constants if re.fullmatch(r"[A-Z]{2,}[A-Z_]*", text)}
    return found - NO_CODES - set(STAMPS)


def _verdict(code: str, stamp: str = "") -> SignatureVerdict:
    return SignatureVerdict(
        field="Signature1", role="OTHER", valid=code == "OK", code=code, sentence="", intact=True, trusted=True,
        signer="", serial="", issuer="", test=False, level="B-B", stamp=stamp,
    )  # fmt: skip


@pytest.mark.parametrize("code", sorted(_codes()))
def test_SC05_every_code_of_the_verifier_has_words(code: str) -> None:
    assert reason(code) != GENERIC
    said = sentence(_verdict(code))
    assert REASONS[code] in said and code not in said and "mã lỗi" not in said
    later = "CHƯA kết luận được" in said
    assert later == (code == "TRY_LATER") and ("đề nghị bên gửi" in said) != later


@pytest.mark.parametrize("error", OPENING)
def test_SC05_every_reason_not_to_open_a_file_has_words(error: type[errors.ScanError]) -> None:
    why = _why(error.code, [])
    assert error.code not in why and why != GENERIC
    assert ("quá lớn" in why) == (error in {errors.FileTooLarge, errors.ImageBomb})


@pytest.mark.parametrize("stamp", sorted(STAMPS))
def test_SC05_a_time_stamp_that_counts_as_none_is_said_so(stamp: str) -> None:
    said = sentence(_verdict("OK", stamp))
    assert f"dấu thời gian kèm theo không được tính vì {STAMPS[stamp]}" in said and "hợp lệ" in said


def test_SC05_the_refusal_says_which_signature_and_what_came_after_it() -> None:
    changes = ["thêm chú thích, con dấu hoặc chữ ở trang 1"]
    found = [{"code": "CHANGED", "changes": changes}, {"code": "OK", "changes": []}]
    why = _why("CHANGED", found)
    assert why.startswith("chữ ký số thứ 1 trong 2: ") and f"({changes[0]})" in why and "đề nghị bên gửi" in why
    only = _why("CHANGED", [{"code": "OK", "changes": changes}])  # valid by itself, but filled in later
    assert not only.startswith("chữ ký số thứ") and changes[0] in only
    assert set(WHY).isdisjoint({"CHANGED", "INVALID"})
