import random
from pathlib import Path

import numpy as np

from infra.training import charset, shards, wording
from infra.training.fonts import Face
from infra.training.lines import HEIGHT, MAX_WIDTH, STRIDE, LineMaker
from infra.training.texts import Texts


def test_the_same_seed_makes_the_same_lines(texts: Texts, faces: list[Face]) -> None:
    first, again, other = (LineMaker(texts, faces, seed) for seed in (5, 5, 6))
    lines = [(first.make(), again.make(), other.make()) for _ in range(25)]
    assert all(a.text == b.text and np.array_equal(a.image, b.image) for a, b, _ in lines)
    assert any(a.text != c.text for a, _, c in lines)


def test_lines_fit_what_the_net_can_say(texts: Texts, faces: list[Face]) -> None:
    maker = LineMaker(texts, faces, 11)
    samples = [maker.make() for _ in range(150)]
    for sample in samples:
        height, width, channels = sample.image.shape
        assert height == HEIGHT and width <= MAX_WIDTH and channels in (1, 3)
        assert sample.text == charset.normalise(sample.text) and charset.known(sample.text)
        assert charset.steps_needed(charset.encode(sample.text)) <= width // STRIDE
    assert {s.image.shape[2] for s in samples} == {1, 3}
    assert max(s.image.shape[1] for s in samples) > 1000 > 200 > min(s.image.shape[1] for s in samples)


def test_phrases_stay_within_the_characters() -> None:
    r = random.Random(3)
    for _ in range(2000):
        phrase = wording.phrase(r)
        assert charset.known(charset.normalise(phrase)), phrase


def test_shards_come_back_as_written(work: Path) -> None:
    material = shards.Material(work, work)
    samples = shards.make_samples(material, seed=2, shard=7, count=12)
    shards.write_shard(work / "2-000007.npz", samples)
    back = shards.read_shard(work / "2-000007.npz")
    assert [s.text for s in back] == [s.text for s in samples]
    assert all(np.array_equal(a.image, b.image) for a, b in zip(back, samples, strict=True))
    again = shards.make_samples(material, seed=2, shard=7, count=12)
    assert [s.text for s in again] == [s.text for s in samples]
