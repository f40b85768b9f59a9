"""YAML from outside, read where it can't hurt: plain text, lists and mappings, nothing else.

No anchor, alias or tag (so the work grows with the size only), no key twice, bounded depth and number of values, no
control characters. Every value is a string or None: the reader's model turns strings into dates and numbers, so that a
day that doesn't exist is one wrong field and no exception of the parser.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import Any

import yaml

LIMIT = 256_000  # bytes: 500 components of ten files each take 227 kB as stored, and are read in 40 ms
DEPTH = 8
VALUES = 60_000
_NULLS = {"", "~", "null", "Null", "NULL"}
_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_TURNS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # text that reads differently than it is


class ForeignRefused(ValueError):
    """The text is not of the plain form. `str()` says why in Vietnamese, with the line; nothing of the text itself."""


def read_yaml(data: bytes, *, limit: int = LIMIT, values: int = VALUES) -> Any:
    """The document as dicts, lists, strings and None. Raises ForeignRefused."""
    if len(data) > limit:
        raise ForeignRefused(f"dung lượng lớn hơn {limit // 1000} kB")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ForeignRefused("không phải văn bản UTF-8") from None
    try:
        return _document(yaml.parse(text, Loader=_LOADER), values)
    except yaml.MarkedYAMLError as error:
        line = f", dòng {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ForeignRefused(f"cú pháp YAML{line}") from None
    except yaml.YAMLError:
        raise ForeignRefused("cú pháp YAML") from None


def _document(events: Iterator[Any], values: int) -> Any:
    """Built without recursion: `open` holds the lists and mappings that are not closed yet."""
    whole: list[Any] = []
    open_: list[_Node] = [_Node(whole)]
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
            node = _Node({} if isinstance(event, yaml.MappingStartEvent) else [])
            open_[-1].add(node.value, line)
            open_.append(node)
        elif isinstance(event, yaml.CollectionEndEvent):
            open_.pop()
        elif isinstance(event, yaml.DocumentStartEvent) and whole:
            raise ForeignRefused(f"nhiều văn bản trong một tệp, dòng {line}")
    return whole[0] if whole else None


class _Node:
    """A list or mapping that is being filled; of a mapping, keys and values come in turns."""

    def __init__(self, value: list[Any] | dict[str, Any]) -> None:
        self.value = value
        self.key: str | None = None

    def add(self, item: Any, line: int) -> None:
        if isinstance(self.value, list):
            self.value.append(item)
        elif self.key is not None:
            self.value[self.key], self.key = item, None
        elif not isinstance(item, str):
            raise ForeignRefused(f"tên mục không phải là chữ, dòng {line}")
        elif item in self.value:
            raise ForeignRefused(f"mục khai hai lần, dòng {line}")
        else:
            self.key = item


def _scalar(event: Any, line: int) -> str | None:
    text: str = event.value
    if not event.style and text in _NULLS:  # neither quoted nor a block
        return None
    if any(letter in _TURNS or unicodedata.category(letter) in {"Cc", "Cs"} for letter in text):
        raise ForeignRefused(f"ký tự điều khiển, dòng {line}")
    return text
