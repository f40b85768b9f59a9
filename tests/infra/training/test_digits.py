"""What the reader of digits learns from: drawn slots, fixed by their seed, and only of open licences."""

from __future__ import annotations

import gzip
import io
import json
import random
import tarfile
from pathlib import Path

import numpy as np
import pytest

from blocks.ocr.digits import DigitReader, prepare
from infra.training.digits import faces
from infra.training.digits.slots import Shapes, sample, writers_of, written
from infra.training.digits.strokes import SKELETONS, drawn
from tests.infra.training.conftest import FONTS

TINOS = Shapes(sorted(FONTS.glob("Tinos-*.ttf")))


def test_the_same_seed_draws_the_same_slots() -> None:
    first, again = ([sample(random.Random(seed), TINOS) for seed in range(40)] for _ in range(2))
    for a, b in zip(first, again, strict=True):
        assert (a.text, a.handwritten) == (b.text, b.handwritten) and np.array_equal(a.slot, b.slot)
    assert {one.handwritten for one in first} == {True, False}
    assert len({one.text for one in first}) > 20


def test_what_is_drawn_can_be_seen() -> None:
    r = random.Random(5)
    seen = [prepare(sample(r, TINOS, text="25").slot) is not None for _ in range(200)]
    assert np.mean(seen) > 0.97


@pytest.mark.parametrize("digit", sorted(SKELETONS))
def test_every_hand_draws_every_digit(digit: str) -> None:
    """Each skeleton leaves one connected mark or two, about as tall as asked for."""
    r = random.Random(digit)
    for variant in range(len(SKELETONS[digit])):
        ink = drawn(r, digit, variant, 60, 4)
        assert 40 <= ink.shape[0] <= 90 and 3 <= ink.shape[1] <= 75
    assert written(r, digit * 3, TINOS, 40).shape[1] > written(r, digit, TINOS, 40).shape[1]


def test_the_last_fifth_of_the_writers_is_kept_apart(tmp_path: Path) -> None:
    table = tmp_path / "digits.csv.gz"
    rows = np.hstack([np.full((50, 64), 0), np.arange(50)[:, None] % 10])
    rows[:, 27:30], rows[:, 35:38] = 16, 16
    with gzip.open(table, "wt") as stream:
        np.savetxt(stream, rows, delimiter=",", fmt="%d")
    seen, unseen = writers_of(table)
    assert {len(marks) for marks in seen.values()} == {4} and {len(marks) for marks in unseen.values()} == {1}


@pytest.mark.parametrize("licence", ["UNLICENSED", "GPL-3.0", None])
def test_a_typeface_without_an_open_licence_is_refused(tmp_path: Path, licence: str | None) -> None:
    with tarfile.open(tmp_path / "fontsource-some-hand-1.0.0.tgz", "w:gz") as archive:
        about = json.dumps({"name": "@fontsource/some-hand", "version": "1.0.0", "license": licence}).encode()
        member = tarfile.TarInfo("package/package.json")
        member.size = len(about)
        archive.addfile(member, io.BytesIO(about))
    with pytest.raises(ValueError, match="licence"):
        faces._typeface("some-hand", tmp_path, "hands")


def test_hands_that_are_measured_are_never_trained_on() -> None:
    assert not set(faces.HANDS) & set(faces.UNSEEN) and not set(faces.HANDS) & set(faces.PRINTS)


def test_some_steps_and_the_export(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="the train extra isn't installed")
    pytest.importorskip("onnx", reason="the train extra isn't installed")
    import torch

    from infra.training.digits import train
    from infra.training.digits.net import Net

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "POOL", 1)
        steps = train.train(TINOS, 0.05, tmp_path / "state.pt", 1)
    assert steps >= 1
    net = Net()
    net.load_state_dict(torch.load(tmp_path / "state.pt"))
    train.export(net, tmp_path / "digits.onnx")
    reader = DigitReader(tmp_path / "digits.onnx")
    for number in range(8):  # of any width
        image = prepare(sample(random.Random(number), TINOS, text="1" * (1 + number % 5)).slot)
        if image is None:
            continue
        with torch.no_grad():
            logits, hand = net.eval()(torch.from_numpy(image)[None, None])
        found, told = reader.network(image[None, None])
        assert np.allclose(found, logits.numpy(), atol=1e-4) and np.allclose(told, hand.numpy(), atol=1e-4)
