"""What the pages know decides among the readings of a number and a date that a hand wrote; nothing is made up."""

from __future__ import annotations

from datetime import date

from blocks.ocr.types import Line, PageText, Slot, Word
from tasks.extraction.page_knowledge import resolved
from tasks.extraction.written import PROPOSED

TODAY = date(2026, 3, 1)
Seen = tuple[tuple[str, float], ...]


def line(text: str, *slots: tuple[str, str, Seen], hand: float = 0.99, y: float = 0) -> Line:
    """slots: kind, what stands in the text, and what the reader of digits sees there, the likeliest first."""
    words, x = [], 0.0
    for word in text.split():
        words.append(Word(word, (x, y, x + 10 * len(word), y + 20)))
        x += 10 * len(word) + 10
    made, start = [], 0
    for kind, printed, seen in slots:
        start = text.index(printed, start)
        (best, chance), *others = seen
        end = start + len(printed)
        made.append(Slot(kind, start, end, (0, 0, 9, 9), best, chance, chance, hand, others=tuple(others)))
        start = end
    return Line(text, 0.97, ((0, y), (x, y), (x, y + 20), (0, y + 20)), tuple(words), slots=tuple(made))


def page(*lines: Line) -> PageText:
    return PageText(1000, 1400, 200, lines)


def dated(day: Seen, month: Seen, year: int = 2025, place: str = "Hà Nội, ngày") -> Line:
    return line(f"{place} dd tháng mm năm {year}", ("day", "dd", day), ("month", "mm", month))


def read(*pages: PageText, today: date = TODAY) -> dict[str, tuple[str, float]]:
    """Text and probability of each slot of the first page."""
    (_, first), *_ = resolved(list(enumerate(pages, 1)), today)
    return {slot.kind: (slot.text, slot.probability) for item in first.lines for slot in item.slots}


def test_EXđ_a_day_that_its_month_lacks_gives_way() -> None:
    found = read(page(dated((("31", 0.55), ("21", 0.4)), (("02", 0.98),))))
    assert found["day"][0] == "21" and PROPOSED < found["day"][1] < 0.9
    assert found["month"][0] == "02"


def test_EXđ_no_reading_is_of_tomorrow_or_after_the_signature() -> None:
    days: Seen = (("17", 0.6), ("11", 0.3))
    assert read(page(dated(days, (("03", 0.9),))), today=date(2025, 3, 12))["day"][0] == "11"
    signed = line("Thời gian ký: 12.03.2025 09:12:44 +07:00")
    assert read(page(signed, dated(days, (("03", 0.9),))))["day"][0] == "11"
    below = line("Ngày ký:"), line("12/03/2025")
    assert read(page(*below, dated(days, (("03", 0.9),))))["day"][0] == "11"
    assert read(page(dated(days, (("03", 0.9),))))["day"][0] == "17"


def test_EXđ_a_paper_is_dated_shortly_before_its_signature() -> None:
    signed = line("Thời gian ký: 12.12.2024 09:12:44 +07:00")
    days: Seen = (("02", 0.5), ("12", 0.45))
    assert read(page(signed, dated(days, (("12", 0.9),), 2024)))["day"][0] == "02"  # both are shortly before
    months: Seen = (("02", 0.5), ("12", 0.45))
    assert read(page(signed, dated((("10", 0.9),), months, 2024)))["month"][0] == "12"


def test_EXđ_what_a_paper_is_founded_on_is_older() -> None:
    founded = line("Căn cứ Quyết định số 12/QĐ-UBND ngày 20/6/2025 của Ủy ban nhân dân tỉnh;")
    months: Seen = (("02", 0.5), ("07", 0.4))
    assert read(page(dated((("10", 0.9),), months), founded))["month"][0] == "07"
    assert read(page(dated((("10", 0.9),), months)))["month"][0] == "02"


def test_EXd_the_number_that_an_annex_repeats() -> None:
    head = line("Số: nnn /QĐ-UBND", ("number", "nnn", (("514", 0.5), ("574", 0.3))))
    annex = page(line("(Kèm theo Quyết định số 574/QĐ-UBND ngày 04/01/2021 của Chủ tịch)"))
    other = page(line("(Kèm theo Quyết định số 999/QĐ-UBND ngày 04/01/2021 của Chủ tịch)"))
    assert read(page(head))["number"][0] == "514"
    assert read(page(head), annex)["number"][0] == "574"
    assert read(page(head), other)["number"] == ("514", 0.5)  # nobody saw 999


def test_EXđ_where_all_is_impossible_nothing_is_proposed() -> None:
    days: Seen = (("30", 0.6), ("31", 0.3))
    assert read(page(dated(days, (("02", 0.99),))))["day"] == ("30", 0.0)
    signed = line("Thời gian ký: 12.03.2025 09:12:44 +07:00")
    assert read(page(signed, dated((("17", 0.99),), (("03", 0.99),))))["day"] == ("17", 0.0)


def test_EXđ_a_reading_that_nobody_saw_well_isnt_chosen() -> None:
    """What is left of a misread day is no proposal."""
    day = read(page(dated((("30", 0.93), ("20", 0.06)), (("02", 0.99),))))["day"]
    assert day[0] == "20" and day[1] < PROPOSED
    assert read(page(dated((("30", 0.97), ("20", 0.02)), (("02", 0.99),))))["day"] == ("30", 0.0)


def test_EXđ_print_and_other_dates_of_a_form_stay() -> None:
    """A leave may last until next week; print needs no help."""
    leave = dated((("17", 0.6), ("11", 0.3)), (("03", 0.9),), place="nghỉ việc từ ngày")
    assert read(page(leave), today=date(2025, 3, 12))["day"][0] == "17"
    printed = line(
        "Hà Nội, ngày 31 tháng 02 năm 2025", ("day", "31", (("31", 0.99),)), ("month", "02", (("02", 1.0),)), hand=0.01
    )
    assert resolved([(1, page(printed))], TODAY) == [(1, page(printed))]
