import string
import unicodedata
from pathlib import Path

import yaml
from hypothesis import given
from hypothesis import strategies as st

from infra.training import charset

MODEL = Path(__file__).parents[3] / "blocks/ocr/models/sohoa-rec"
# written out by hand, so that a fault in the way they are composed shows
LETTERS = (
    "a à á ả ã ạ ă ằ ắ ẳ ẵ ặ â ầ ấ ẩ ẫ ậ b c d đ e è é ẻ ẽ ẹ ê ề ế ể ễ ệ f g h i ì í ỉ ĩ ị j k l m n o ò ó ỏ õ ọ "
    "ô ồ ố ổ ỗ ộ ơ ờ ớ ở ỡ ợ p q r s t u ù ú ủ ũ ụ ư ừ ứ ử ữ ự v w x y ỳ ý ỷ ỹ ỵ z"
)


def test_has_every_letter_in_both_cases_digits_and_signs() -> None:
    wanted = {*LETTERS, *LETTERS.upper(), *string.digits, *string.punctuation, *"…–—“”‘’•·°§№½×±≤≥²³€☐☑ "}
    assert wanted <= set(charset.INDEX)
    assert all(unicodedata.is_normalized("NFC", c) and len(c) == 1 for c in charset.INDEX)


def test_model_folder_has_this_dictionary_in_this_order() -> None:
    config = yaml.safe_load((MODEL / "inference.yml").read_text(encoding="utf-8"))
    assert tuple(config["PostProcess"]["character_dict"]) == charset.CHARACTERS
    assert len(set(charset.CHARACTERS)) == len(charset.CHARACTERS) == charset.CLASSES - 2


@given(st.text(st.sampled_from(sorted(charset.INDEX)), max_size=60))
def test_a_code_with_blanks_between_decodes_to_its_text(text: str) -> None:
    path = [i for code in charset.encode(text) for i in (code, code, charset.BLANK)]
    assert charset.decode(path) == text.strip()
    assert charset.steps_needed(charset.encode(text)) <= len(path)


def test_normalise_composes_and_shortens_leaders() -> None:
    assert charset.normalise(unicodedata.normalize("NFD", "Họ  và tên:........ Đặng ")) == "Họ và tên:... Đặng"
    assert charset.normalise("Số ______ ngày … tháng\u00a06") == "Số ngày ... tháng 6"
