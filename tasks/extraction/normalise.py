"""Normal forms of printed values (docs/formats.md). None: not of that form, so the field stays empty."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from tasks.extraction.dates import normalise_date
from tasks.extraction.letters import fold
from tasks.extraction.numerals import amount_words, date_words

_DASHES = str.maketrans({"–": "-", "—": "-", "‐": "-", "‑": "-", "−": "-", "Ð": "Đ", "\u00a0": " "})
_FILL = re.compile(r"\.{2,}|…+|_{2,}|·{2,}")
_STRAY = re.compile(r"(?:^|(?<=\s))[.,·•‘’'`]+(?=\s|$)")  # a dot of such a line, or dirt, for a word


_ITEM = re.compile(r"\s*[\[(|Ị{]\s?\d{1,2}(?:[.,]\d)?\s?\S{0,4}\s*$")


def before_item(text: str) -> str:
    """A value without the number of the form's next item, or the bracket that opens it, behind it: `Nam [05].`"""
    return _ITEM.sub("", text).rstrip(" ([{")


def tidy(text: str) -> str:
    """NFC, one space between words, plain dashes, dots of fill-in lines removed, no punctuation or "(" at the ends."""
    clean = _FILL.sub(" ", unicodedata.normalize("NFC", text).translate(_DASHES))
    clean = _STRAY.sub("", clean)
    return " ".join(clean.split()).strip(" .,:;|").rstrip("([{ .,:;|")


def text(value: str) -> str | None:
    clean = tidy(value)
    return clean if any(c.isalnum() for c in clean) else None


def name(value: str) -> str | None:
    """A person's name, upper and lower case as printed. With digits or of one letter it is none."""
    clean = tidy(re.sub(r"[.,_:;]+", " ", value)).strip("-'\"()*/ ")  # dots of a fill-in line under the letters
    letters = sum(c.isalpha() for c in clean)
    if letters < 2 or any(c.isdigit() for c in clean) or letters + clean.count(" ") < len(clean) - 2:
        return None
    return clean


def _toneless(value: str) -> str:
    """Letters without tones (Ỵ is Y, Ề is Ê): initials in symbols carry none, so that one is misread."""
    split = unicodedata.normalize("NFD", value)
    return unicodedata.normalize("NFC", "".join(c for c in split if c not in "\u0300\u0301\u0303\u0309\u0323"))


def _initials(symbol: str) -> str:
    """The letters of a symbol: those that look alike in both cases are capitals (`TTr-sTC`); `TTg` and `TTr` stay."""
    return re.sub("[copsuvwxz]", lambda letter: letter[0].upper(), _toneless(symbol))


def number_symbol(value: str) -> str | None:
    """Số, ký hiệu: `Số: 352 /QĐ-BHXH` is 352/QĐ-BHXH; with the number left blank (`Số: /KH-BHXH`) it is missing."""
    clean = tidy(re.sub(r"^\s*S[ốôoồổ]\s*(?=[:.\d/…])[:.\s]*", "", unicodedata.normalize("NFC", value), flags=re.I))
    clean = re.sub(r"\s*([/\-.])\s*", r"\1", clean)
    clean = re.sub(r"[/\-].*", lambda symbol: _initials(symbol[0]), clean)  # not the number: 4Ạ is handwriting
    clean = re.sub(r"(?<=\d)\s+(?=\d)", "", clean).strip(" .,:;-")
    if not re.match(r"[A-ZĐ]{0,4}[.\-]?\d[\d.]*[A-Za-z]?(?=[/\-&,]|$)", clean) or " " in clean or len(clean) > 60:
        return None
    return clean if re.fullmatch(r"[\w/.\-&,]+", clean) and not clean.endswith("/") else None


def digits(value: str) -> str:
    """Only the digits; the letters that OCR puts for 0 and 1 between digits are read as such."""
    joined = re.sub(r"(?<=\d)[OoQ](?=\d|$)", "0", re.sub(r"[\s.\-]", "", value))
    joined = re.sub(r"(?<=\d)[lI|ÌÍÎỊỈĨ](?=\d)", "1", joined)
    return joined


def _digits_of(*lengths: int) -> Callable[[str], str | None]:
    def check(value: str) -> str | None:
        joined = digits(tidy(value))
        return joined if joined.isascii() and joined.isdigit() and len(joined) in lengths else None

    return check


person_id = _digits_of(12)
identity_paper = _digits_of(9, 12)  # chứng minh nhân dân or căn cước
bhxh_number = _digits_of(10)


def health_card(value: str) -> str | None:
    """Số thẻ BHYT: two letters, a digit 1–5, two digits, ten digits; since 2021 also the ten digits alone."""
    joined = re.sub(r"[\s.\-]", "", tidy(value)).upper()
    joined = joined[:2] + joined[2:].replace("O", "0").replace("I", "1")
    return joined if re.fullmatch(r"[A-Z]{2}[1-5]\d{12}|\d{10}", joined) else None


def bhxh_or_card(value: str) -> str | None:
    """`Mã số BHXH/Số thẻ BHYT`: either."""
    return bhxh_number(value) or health_card(value)


def code(value: str) -> str | None:
    """A code without spaces: mã đơn vị."""
    first = tidy(value).split(" ")[0] if tidy(value) else ""
    return first if re.fullmatch(r"[0-9A-Z][0-9A-Z.\-]{2,34}", first) else None


def phone(value: str) -> str | None:
    joined = digits(tidy(value))
    return joined if re.fullmatch(r"0\d{8,10}", joined) else None


def months(value: str) -> str | None:
    """`12 năm 03 tháng` in months."""
    found = re.search(r"(\d{1,2})\s*NAM(?:\s*(\d{1,2})\s*THANG)?", fold(value))
    return str(int(found[1]) * 12 + int(found[2] or 0)) if found else None


def owner_id(value: str) -> str | None:
    """12 digits of a person; of an organisation its tax code or electronic identifier (QĐ 20/2020)."""
    joined = tidy(value).replace(" ", "")
    identifier = joined if re.fullmatch(r"[0-9A-Z.]{3,35}", joined) and "." in joined else None
    return person_id(value) or tax_code(value) or identifier


def tax_code(value: str) -> str | None:
    joined = re.sub(r"\s", "", tidy(value))
    return joined if re.fullmatch(r"\d{10}(-\d{3})?", joined) else None


def year(value: str) -> str | None:
    found = re.findall(r"(?<!\d)(?:1[89]|20)\d{2}(?!\d)", value)
    return found[0] if len(found) == 1 else None


def birth(value: str) -> str | None:
    """A whole date, or only the year where the paper prints no more."""
    alone = tidy(value)
    return normalise_date(value) or (year(alone) if len(alone) == 4 else None)


def compact_date(value: str) -> str | None:
    """`ddmmyyyy`, as QR codes of identity cards write it."""
    found = re.fullmatch(r"(\d{2})(\d{2})(\d{4})", tidy(value))
    return normalise_date("/".join(found.groups())) if found else None


_MARKS = ".,:;'’*"  # between groups of three digits, as printed or misread


def money(value: str) -> str | None:
    """An amount in đồng: `1.234.000`, also where OCR reads a comma or colon for a dot or O for 0. Decimals are dropped.

    Broken groups (`109.823.00`, `1234.000`) are no amount.
    """
    clean = re.sub(r"(?<=[\d.,:;])[oO](?=[\d.,:;\s]|[oO]|$)", "0", tidy(value))
    found = re.search(r"\d[\d.,:;'’*\s]*", clean)
    compact = re.sub(r"\s", "", found[0]).strip(_MARKS) if found else ""
    grouped = re.fullmatch(rf"(\d{{1,3}}(?:[{_MARKS}]\d{{3}})+|\d+)(?:,\d{{1,2}})?", compact)
    return re.sub(r"\D", "", grouped[1]) if grouped else None


def month(value: str) -> str | None:
    """`01/2026` is 2026-01."""
    found = re.fullmatch(r"(\d{1,2})\s?[/.\-]\s?((?:19|20)\d{2})", tidy(value))
    return f"{found[2]}-{int(found[1]):02d}" if found and 1 <= int(found[1]) <= 12 else None


def rate(value: str) -> str | None:
    """A percentage as printed: `25,5`, `22 %`."""
    found = re.fullmatch(r"(\d{1,3})(?:[.,](\d{1,2}))?\s?%?", tidy(value))
    return ",".join(part for part in found.groups() if part) if found else None


def tick(value: str) -> str | None:
    """The column `Nữ` of lists: ticked; or the sex printed out."""
    return "Nữ" if fold(tidy(value)) == "X" else sex(value)


def count(value: str) -> str | None:
    found = re.search(r"\d{1,4}", tidy(value))
    return str(int(found[0])) if found else None


def sex(value: str) -> str | None:
    return {"NAM": "Nam", "NU": "Nữ"}.get(fold(tidy(value)))


def unlikely(kind: str, value: str) -> bool:
    """Whether a value of the right form is hardly what the paper says: a piece of it, or words beside it."""
    if kind == "phone":
        return len(value) < 10  # as in the last century, or a digit was lost
    if kind == "money":
        return len(value) < 4  # nothing costs less than 1,000 đồng: the groups behind were lost
    if kind in ("text", "agency"):
        return value.count("(") != value.count(")")  # broken off
    torn = {*"BCDĐGHKLMNPQRSTVX"}  # one letter alone is what was left of a word
    of_dates = {"THÁNG", "NGÀY"}  # nobody is called so: Thắng, whose marks were blurred, or the date beside the name
    return kind == "name" and any(
        word[0].islower() or word.upper() in torn or word.upper() in of_dates for word in value.split()
    )


KINDS: dict[str, Callable[[str], str | None]] = {
    "text": text,
    "agency": text,
    "name": name,
    "date": normalise_date,
    "birth": birth,
    "compact_date": compact_date,
    "year": year,
    "number_symbol": number_symbol,
    "person_id": person_id,
    "identity_paper": identity_paper,
    "bhxh_number": bhxh_number,
    "health_card": health_card,
    "bhxh_or_card": bhxh_or_card,
    "owner_id": owner_id,
    "tax_code": tax_code,
    "code": code,
    "phone": phone,
    "months": months,
    "money": money,
    "amount_words": amount_words,
    "date_words": date_words,
    "month": month,
    "rate": rate,
    "tick": tick,
    "count": count,
    "sex": sex,
}
COMMON = {
    "owner_id": "owner_id",
    "full_name": "name",
    "birth_date": "birth",
    "founding_year": "year",
    "number_symbol": "number_symbol",
    "issue_date": "date",
    "issuer": "agency",
    "organisation_name": "agency",
    "valid_until": "date",
}


def normalise_field(field: str, value: str) -> str | None:
    """Normal form of what was printed or typed for a field (names of `fields.py`); None when it isn't of that form."""
    from tasks.extraction.profiles import special_kind

    kind = COMMON.get(field) or special_kind(field)
    return KINDS[kind](value)
