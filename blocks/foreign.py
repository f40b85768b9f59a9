"""YAML from outside, read where it can't hurt: plain text, lists and mappings, nothing else.

No anchor, alias or tag (so the work grows with the size only), no key twice, bounded depth and number of values, no
control characters. Every value is a string or None: the reader's model turns strings into dates and numbers, so that a
day that doesn't exist is one wrong field and no exception of the parser.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, MutableMapping
from typing import Any

import yaml

LIMIT = 256_000  # bytes: 500 components of ten files each take 227 kB as stored, and are read in 40 ms
DEPTH = 8
VALUES = 60_000
_NULLS = {"", "~", "null", "Null", "NULL"}
_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_TURNS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # text that reads differently than it is

Place = tuple[str | int, ...]  # names and positions (0-based) that lead to a value


class ForeignRefused(ValueError):
    """The text is not of the plain form. `str()` says why in Vietnamese, with the line; nothing of the text itself."""


def read_yaml(
    data: bytes, *, limit: int = LIMIT, values: int = VALUES, lines: MutableMapping[Place, int] | None = None
) -> Any:
    """The document as dicts, lists, strings and None. lines: is filled with the line of each value (1-based).

    Raises ForeignRefused.
    """
    if len(data) > limit:
        raise ForeignRefused(f"dung lượng lớn hơn {limit // 1000} kB")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ForeignRefused("không phải văn bản UTF-8; lưu lại tệp với bảng mã UTF-8") from None
    try:
        return _document(yaml.parse(text, Loader=_LOADER), values, {} if lines is None else lines)
    except yaml.MarkedYAMLError as error:
        raise ForeignRefused(_syntax(error, text)) from None
    except yaml.YAMLError:
        raise ForeignRefused("cú pháp YAML") from None


def _syntax(error: yaml.MarkedYAMLError, text: str) -> str:
    """Which line the parser can't read, and how it is written instead, where that can be told."""
    if error.problem_mark is None:
        return "cú pháp YAML"
    number = error.problem_mark.line
    written = (text.splitlines() or [""])[min(number, len(text.splitlines()) - 1)]
    if "mapping values" in str(error.problem) and written.count(":") > 1:
        return (
            f'cú pháp YAML, dòng {number + 1}: giá trị có dấu hai chấm phải đặt trong dấu ngoặc kép, ví dụ name: "A: B"'
        )
    if "\t" in written[: len(written) - len(written.lstrip())]:
        return f"cú pháp YAML, dòng {number + 1}: đầu dòng dùng dấu cách, không dùng phím Tab"
    return (
        f"cú pháp YAML, dòng {number + 1} hoặc dòng ngay trên: giá trị có ký tự đặc biệt phải đặt trong dấu ngoặc kép, "
        "các mục cùng cấp lùi vào như nhau"
    )


def _document(events: Iterator[Any], values: int, lines: MutableMapping[Place, int]) -> Any:
    """Built without recursion: `open` holds the lists and mappings that are not closed yet."""
    whole: list[Any] = []
    open_: list[_Node] = [_Node(whole, (), lines)]
    for count, event in enumerate(events):
        line = event.start_mark.line + 1
        if count > values:
            raise ForeignRefused("quá nhiều mục")
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) or getattr(event, "tag", None):
            raise ForeignRefused(f"dùng neo, bí danh hoặc nhãn YAML, dòng {line}")
        if isinstance(event, yaml.ScalarEvent):
            open_[-1].add(_scalar(event, line), line)
        elif isinstance(event, yaml.CollectionStartEvent):
            if len(open_) > DEPTH:
                raise ForeignRefused(f"lồng nhau quá sâu, dòng {line}")
            value: list[Any] | dict[str, Any] = {} if isinstance(event, yaml.MappingStartEvent) else []
            place = open_[-1].add(value, line)
            open_.append(_Node(value, place[1:] if len(open_) == 1 else place, lines))
        elif isinstance(event, yaml.CollectionEndEvent):
            open_.pop()
        elif isinstance(event, yaml.DocumentStartEvent) and whole:
            raise ForeignRefused(f"nhiều văn bản trong một tệp, dòng {line}")
    return whole[0] if whole else None


class _Node:
    """A list or mapping that is being filled; of a mapping, keys and values come in turns."""

    def __init__(self, value: list[Any] | dict[str, Any], place: Place, lines: MutableMapping[Place, int]) -> None:
        self.value, self.place, self.lines = value, place, lines
        self.key: str | None = None

    def add(self, item: Any, line: int) -> Place:
        """Where it stands now."""
        if isinstance(self.value, list):
            self.value.append(item)
            place: Place = (*self.place, len(self.value) - 1)
        elif self.key is not None:
            place = (*self.place, self.key)
            self.value[self.key], self.key = item, None
            line = self.lines.get(place, line)  # of its name
        elif not isinstance(item, str):
            raise ForeignRefused(f"tên mục không phải là chữ, dòng {line}")
        elif item in self.value:
            raise ForeignRefused(f"mục khai hai lần, dòng {line}")
        else:
            self.key, place = item, (*self.place, item)
        self.lines[place] = line
        return place


def _scalar(event: Any, line: int) -> str | None:
    text: str = event.value
    if not event.style and text in _NULLS:  # neither quoted nor a block
        return None
    if any(letter in _TURNS or unicodedata.category(letter) in {"Cc", "Cs"} for letter in text):
        raise ForeignRefused(f"ký tự điều khiển, dòng {line}")
    return text
