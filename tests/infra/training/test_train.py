"""Where torch is there (the `train` extra): some real steps, a checkpoint, going on from it, the export."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="the train extra isn't installed")
pytest.importorskip("onnx", reason="the train extra isn't installed")
pytest.importorskip("paddle", reason="the train extra isn't installed")

import torch

from infra.training import shards
from infra.training.batches import LEAST_WIDTH, grouped, make_batch
from infra.training.export import export
from infra.training.lines import Sample
from infra.training.net import Recogniser
from infra.training.train import Plan, State, make_optimiser, restore, train

MODEL = Path(__file__).parents[3] / "blocks/ocr/models/sohoa-rec"


def test_some_steps_a_checkpoint_going_on_and_the_export(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.training.train.POOL", 1)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    material = shards.Material(work, work)
    shards.write_shard(work / "validation-512.npz", shards.make_samples(material, shards.VALIDATION_SEED, 0, 24))
    monkeypatch.setattr("infra.training.shards.start_writer", _two_shards(work))
    net = Recogniser()
    net.load_state_dict(torch.load(MODEL / "checkpoint.pt", weights_only=True)["net"])
    plan = Plan(seed=3, rate=3e-4, warm_up=2, lines=60, descend_at=30, passes=1, check_every=20)
    state = State(net, {k: v.clone() for k, v in net.state_dict().items()}, make_optimiser(net, plan.rate))
    trained = train(state, plan, material, work / "run")
    assert trained.lines >= 60 and trained.curve[-1]["cer_percent"] < 15
    again = restore(work / "run/state.pt", plan)
    assert (again.lines, again.steps, again.shard) == (trained.lines, trained.steps, trained.shard)
    assert all(torch.equal(again.average[k], v) for k, v in trained.average.items())
    (work / "deb").mkdir()
    export(work / "run/state.pt", work / "model", work)
    assert {p.name for p in (work / "model").iterdir()} == {
        "inference.onnx", "inference.yml", "inference.json", "inference.pdiparams",
        "checkpoint.pt", "curve.csv", "MODEL_CARD.md",
    }  # fmt: skip


class _Alive:
    def is_alive(self) -> bool:
        return True

    def terminate(self) -> None:
        pass


def _two_shards(work: Path):
    """The writer's process is real in training; here its two shards are written at once."""

    def start(material: shards.Material, folder: Path, seed: int, first: int, ahead: int = 10) -> _Alive:
        folder.mkdir(parents=True, exist_ok=True)
        for shard in range(first, first + 2):
            shards.write_shard(shards.shard_path(folder, seed, shard), shards.make_samples(material, seed, shard, 40))
        return _Alive()

    return start


def test_batches_are_padded_as_paddleocr_pads() -> None:
    n = np.random.default_rng(0)
    samples = [Sample(n.integers(0, 255, (48, width, 1), np.uint8), "An") for width in (40, 90, 600, 610)]
    groups = grouped(samples, n)
    assert sorted(s.image.shape[1] for g in groups for s in g) == [40, 90, 600, 610]
    batch = make_batch(samples[:2])
    assert batch.images.shape == (2, 3, 48, LEAST_WIDTH)
    assert float(batch.images[0, :, :, 40:].abs().max()) == 0.0
    assert batch.steps.tolist() == [LEAST_WIDTH // 8] * 2
