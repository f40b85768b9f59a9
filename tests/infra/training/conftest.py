"""A work folder as the training has it, with the vendored Tinos and a few sentences instead of Debian's packages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from infra.training.fonts import Face, find_faces
from infra.training.texts import Texts

FONTS = Path(__file__).parents[3] / "blocks/fonts"
SENTENCES = (
    "Căn cứ Luật Bảo hiểm xã hội ngày 29 tháng 6 năm 2024 và các văn bản hướng dẫn thi hành.",
    "Người lao động nộp hồ sơ tại bộ phận một cửa của cơ quan bảo hiểm xã hội nơi cư trú.",
    "Thời hạn giải quyết là 05 ngày làm việc kể từ ngày nhận đủ hồ sơ theo quy định.",
)


@pytest.fixture(scope="session")
def faces() -> list[Face]:
    return find_faces(FONTS)


@pytest.fixture(scope="session")
def texts() -> Texts:
    return Texts(((1.0, SENTENCES),), ("ẵm", "nghiêng", "ngoẻo", "quỳnh", "đượm", "ượt"))


@pytest.fixture
def work(tmp_path: Path, texts: Texts) -> Path:
    share = tmp_path / "root/usr/share/fonts"
    share.mkdir(parents=True)
    for font in FONTS.glob("Tinos-*.ttf"):
        (share / font.name).symlink_to(font)
    content = json.dumps({"groups": texts.groups, "syllables": texts.syllables}, ensure_ascii=False)
    (tmp_path / "texts.json").write_text(content, encoding="utf-8")
    return tmp_path
