"""Results of steps: JSON of known types, there and back; nothing that is stored executes anything."""

from __future__ import annotations

import base64
import importlib
import json
import os
import pickle
import pkgutil
from collections.abc import Iterator
from datetime import UTC, date, datetime
from enum import Enum
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from prefect import Task
from prefect._internal.result_records import ResultRecord, ResultRecordMetadata
from prefect.filesystems import LocalFileSystem
from prefect.results import ResultStore
from prefect.serializers import Serializer
from pydantic import BaseModel

import flows
import tasks
from blocks.errors import Problem
from blocks.objects import ObjectStoreUnavailable
from blocks.records.states import DocumentState
from blocks.results import KIND, ResultRefused, ResultSerializer, StepFailed, decode, encode, types_of
from tasks.intake.submission import Registered
from tests.attack.plugin import Attack


def steps() -> Iterator[Task[..., Any]]:
    for package in (tasks, flows):
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            loaded = importlib.import_module(module.name)
            yield from (item for item in vars(loaded).values() if isinstance(item, Task))


@pytest.fixture(autouse=True, scope="module")
def loaded() -> None:
    """What steps return is known once they are imported."""
    assert list(steps())


def there_and_back(value: Any) -> Any:
    record = ResultRecord(result=value, metadata=ResultRecordMetadata(serializer=Serializer(type=KIND)))
    return ResultRecord.deserialize(record.serialize()).result


def test_what_was_kept_before_a_module_moved_is_read() -> None:
    kept = encode(Registered(dossier_id=uuid4(), documents=[], counter_officer="tn.01"))
    before = {**kept, "__type__": "tasks.submission.Registered"}
    assert decode(before) == decode(kept) and isinstance(decode(kept), Registered)


def test_every_step_returns_what_can_be_kept() -> None:
    found = list(steps())
    assert len(found) > 30
    plain = {type(None), bool, int, float, str, UUID, date, datetime}
    for step in found:
        assert step.result_serializer == KIND, step.name
        for kind in types_of(step.fn):
            assert kind in plain or (isinstance(kind, type) and issubclass(kind, BaseModel | Enum)), (step.name, kind)


def test_every_flow_keeps_json() -> None:
    from prefect import Flow

    for module in pkgutil.iter_modules(flows.__path__, "flows."):
        made = [item for item in vars(importlib.import_module(module.name)).values() if isinstance(item, Flow)]
        assert made and all(flow.result_serializer == KIND for flow in made), module.name


def test_values_come_back_as_what_they_were() -> None:
    registered = Registered(dossier_id=uuid4(), documents=[uuid4()], counter_officer="tnhs.01")
    for value in (
        None,
        True,
        7,
        "Lưu trữ",
        [uuid4(), uuid4()],
        {"a": [uuid4()]},
        registered,
        [registered],
        DocumentState.DA_LUU,
        datetime.now(UTC),
        date(2026, 11, 30),
    ):
        again = there_and_back(value)
        assert again == value and type(again) is type(value)
    assert there_and_back((1, 2)) == [1, 2]
    assert isinstance(there_and_back(DocumentState.DA_LUU), DocumentState)


def test_what_no_step_returns_is_not_kept() -> None:
    for value in (Problem(code="X", text="x"), object(), Path("/"), {1: 2}, {"__type__": "uuid"}, b"x", {1, 2}):
        with pytest.raises(ResultRefused):
            ResultSerializer().dumps(value)


def test_an_error_keeps_its_code_and_no_text() -> None:
    again = there_and_back(ObjectStoreUnavailable())
    assert isinstance(again, StepFailed) and str(again) == "OBJECT_STORE_UNAVAILABLE"
    assert str(there_and_back(ValueError("Nguyễn Văn A"))) == "ValueError"


class Bomb:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.mark}",)


def stored(result: str, **metadata: Any) -> bytes:
    return json.dumps({"metadata": metadata, "result": result}).encode()


def bombs(mark: Path) -> dict[str, bytes]:
    pickled = base64.encodebytes(pickle.dumps(Bomb(mark))).decode()
    calls = json.dumps({"__class__": "os.system", "data": f"touch {mark}"})
    typed = json.dumps({"__type__": "os.system", "data": f"touch {mark}"})
    shell = json.dumps({"__type__": "subprocess.Popen", "data": ["touch", str(mark)]})
    return {
        "a pickle that names os.system": stored(pickled, serializer={"type": "pickle", "picklelib": "cloudpickle"}),
        "a pickle without a named serializer": stored(pickled),
        "a pickle of the old form": json.dumps({"data": pickled, "serializer": {"type": "pickle"}}).encode(),
        "a compressed pickle": stored(pickled, serializer={"type": "compressed/pickle", "compressionlib": "base64"}),
        "a pickle library of one's own": stored(pickled, serializer={"type": "pickle", "picklelib": "pickle"}),
        "JSON that names os.system as class": stored(calls, serializer={"type": "json"}),
        "JSON with a decoder of one's own": stored(
            '{"a": 1}', serializer={"type": "json", "object_decoder": "os.system", "jsonlib": "os"}
        ),
        "JSON of ours that names os.system": stored(typed, serializer={"type": "json"}),
        "JSON of ours that names subprocess.Popen": stored(shell, serializer={"type": "json"}),
        "a model that no step returns": stored(
            json.dumps({"__type__": "blocks.objects.ObjectStore", "data": {}}), serializer={"type": "json"}
        ),
    }


@pytest.mark.parametrize("kind", bombs(Path("/tmp/x")))
def test_a_stored_result_executes_nothing(attack: Attack, tmp_path: Path, kind: str) -> None:
    mark = tmp_path / "was-here"
    with attack(f"{kind} in the place of a stored result", watch=mark.exists) as told:
        try:
            read = ResultRecord.deserialize(bombs(mark)[kind], backup_serializer=Serializer(type=KIND)).result
            told.answered(f"read as the plain value {read}")
            assert read == {"a": 1}
        except (ValueError, RuntimeError) as refused:
            told.answered(f"{type(refused).__name__}: no result, the step runs again")


def test_a_pickle_in_the_place_of_a_kept_result_counts_as_none(attack: Attack, tmp_path: Path) -> None:
    """In Prefect's own store: asked whether a step was done, it looks into the file; then the step runs again."""
    mark, storage = tmp_path / "was-here", LocalFileSystem(basepath=str(tmp_path / "storage"))
    store = ResultStore(result_storage=storage, cache_result_in_memory=False)
    with attack("the kept result of a step is replaced by a pickle", watch=mark.exists) as told:
        for poison in bombs(mark).values():
            store.write([uuid4()], key="step")
            assert store.exists("step") and isinstance(store.read("step").result[0], UUID)
            (tmp_path / "storage" / "step").write_bytes(poison)
            if store.exists("step"):
                assert store.read("step").result == {"a": 1}
        told.answered("counts as not done: the step runs again and its result is written anew")
