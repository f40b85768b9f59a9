"""Results of steps as JSON that executes nothing, whoever has written it.

Prefect reads a kept result with the serializer that the file itself names, by default a pickle, and its own JSON
imports and calls whatever class the file names. So once this module is imported, every name of a serializer means the
one below, which makes only values of types that a step returns; a file of any other form, also of an earlier version,
counts as no result, and the (idempotent) step runs again.
"""

from __future__ import annotations

import json
import typing
import warnings
from collections.abc import Callable, Iterator
from datetime import date, datetime
from enum import Enum
from typing import Any
from uuid import UUID

from prefect.serializers import CompressedSerializer, JSONSerializer, PickleSerializer, Serializer
from prefect.utilities.dispatch import get_registry_for_type
from pydantic import BaseModel, Field, TypeAdapter

KIND = "json"  # result_serializer of all flows and steps
_TYPE, _DATA, _ERROR = "__type__", "data", "__error__"
_PLAIN: dict[str, type] = {"uuid": UUID, "datetime": datetime, "date": date}
_returning: list[Callable[..., Any]] = []  # steps whose return types were not looked up yet
_allowed: dict[str, type[BaseModel] | type[Enum]] = {}


class ResultRefused(ValueError):
    """What is stored is no result of a step, or a step returns what can't be stored."""


class StepFailed(Exception):
    """An error of an earlier process, as far as it was kept: its class and, for our own errors, the code."""


def returns(step: Callable[..., Any]) -> None:
    """Results of this step may be read again: the models and enumerations in its return type."""
    _returning.append(step)


def types_of(step: Callable[..., Any]) -> Iterator[Any]:
    """All types in what a step returns, without containers."""
    waiting = [typing.get_type_hints(step).get("return", type(None))]
    while waiting:
        kind = waiting.pop()
        kind = getattr(kind, "__supertype__", kind)  # an id (blocks.ids) is kept as what it is made of
        parts = typing.get_args(kind)
        waiting += parts
        if not parts:
            yield kind


def _known(name: str) -> type[BaseModel] | type[Enum] | None:
    while _returning:
        for kind in types_of(_returning.pop()):
            if not (isinstance(kind, type) and issubclass(kind, BaseModel | Enum)):
                continue
            if _allowed.setdefault(_name(kind), kind) is not kind:
                raise TypeError(f"two steps return different types of the name {_name(kind)}")
    return _allowed.get(name.rpartition(".")[2])


def _name(kind: type) -> str:
    """Without its module: a value that was kept before a module moved is read after it."""
    return kind.__name__


def encode(value: Any) -> Any:
    """As plain JSON values. Raises ResultRefused for types that `decode` would not make again."""
    match value:
        case Enum() | BaseModel() if _known(_name(type(value))) is not None:
            data = value.value if isinstance(value, Enum) else value.model_dump(mode="json")
            return {_TYPE: _name(type(value)), _DATA: data}
        case UUID():
            return {_TYPE: "uuid", _DATA: str(value)}
        case datetime() | date():
            return {_TYPE: "datetime" if isinstance(value, datetime) else "date", _DATA: value.isoformat()}
        case BaseException():
            return {_ERROR: getattr(value, "code", None) or type(value).__name__}  # its text may name persons
        case list() | tuple():
            return [encode(item) for item in value]
        case dict() if all(type(key) is str and not key.startswith("__") for key in value):
            return {key: encode(item) for key, item in value.items()}
        case None | bool() | int() | float() | str() if type(value) in (type(None), bool, int, float, str):
            return value
    raise ResultRefused(f"a step can't return {_name(type(value))}")


def decode(value: Any) -> Any:
    """The value again. Raises ResultRefused for a type that no step returns."""
    if isinstance(value, list):
        return [decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    if _ERROR in value:
        return StepFailed(str(value[_ERROR])[:64])
    if _TYPE not in value:
        if any(key.startswith("__") for key in value):
            raise ResultRefused("another program's form")
        return {key: decode(item) for key, item in value.items()}
    name = value[_TYPE]
    kind = (_PLAIN.get(name) or _known(name)) if isinstance(name, str) else None
    if kind is None:
        raise ResultRefused("no step returns this type")
    return TypeAdapter(kind).validate_python(value.get(_DATA))


with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it replaces Prefect's "json" on purpose

    class ResultSerializer(Serializer):
        """The only one. What a file says about its serializer is not listened to."""

        type: str = Field(default=KIND, frozen=True)

        def __init__(self, **_: Any) -> None:
            super().__init__(type=KIND)

        def dumps(self, obj: Any) -> bytes:
            return json.dumps(encode(obj), ensure_ascii=False).encode()

        def loads(self, blob: bytes) -> Any:
            return decode(json.loads(blob))


def _refuse(_self: object, _blob: bytes) -> Any:
    raise ResultRefused("results are read as JSON only")


def close_the_others() -> None:
    """No name leads to another serializer, and those that are made without a name read nothing."""
    registry = get_registry_for_type(Serializer)
    assert registry is not None
    for key in registry:
        registry[key] = ResultSerializer
    for kind in (PickleSerializer, JSONSerializer, CompressedSerializer):
        kind.loads = _refuse  # type: ignore[method-assign, assignment]


close_the_others()
