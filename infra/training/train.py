# mypy: disable-error-code="no-untyped-call,no-any-return,untyped-decorator"
"""Training: warm-up, long level rate, cosine descent; averaged weights; resumable at every checkpoint.

The order of lines depends on seed and shard number alone. With `minutes` the descent starts when that time is
nearly over, so where it starts (written to the curve) depends on the machine; `descend_at` repeats such a run.
"""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rapidfuzz.distance import Levenshtein
from torch import nn
from tqdm import tqdm

from infra.training import charset, shards
from infra.training.batches import Batch, grouped, images_of, make_batch
from infra.training.lines import Sample
from infra.training.net import Recogniser, calibrate, graft_head, load_published, published_classes

POOL = 4  # shards mixed before batching
SAVE_MINUTES = 4.0


@dataclass
class Plan:
    """rate: level learning rate; lines: end; descend_at: lines where the descent to zero starts; passes over a pool."""

    seed: int = 1
    rate: float = 1.5e-3
    warm_up: int = 200  # steps
    lines: int = 400_000
    descend_at: int = 300_000
    passes: int = 2
    minutes: float = 0.0  # wall time of this call; 0: no limit, `lines` counts
    descend_share: float = 0.4  # of `minutes`
    check_every: int = 8_000  # lines between two points of the curve
    averaging: float = 0.999


@dataclass
class State:
    net: Recogniser
    average: dict[str, torch.Tensor]
    optimiser: torch.optim.Optimizer
    lines: int = 0
    steps: int = 0
    shard: int = 0
    warm_from: int = 0  # step at which the optimiser was new
    curve: list[dict[str, Any]] = field(default_factory=list)


def make_optimiser(net: Recogniser, rate: float) -> torch.optim.Optimizer:
    heavy = [p for p in net.parameters() if p.ndim > 1]
    light = [p for p in net.parameters() if p.ndim <= 1]
    groups = [{"params": heavy, "weight_decay": 1e-3}, {"params": light, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98))


def fresh(published: Path, plan: Plan, first: list[Sample]) -> State:
    """Published weights with a Vietnamese head, norms calibrated on the first lines."""
    net = Recogniser()
    weight, bias = load_published(net, published / "rec.onnx")
    graft_head(net, weight, bias, published_classes(published / "inference.yml"), plan.seed)
    rng = np.random.default_rng(plan.seed)
    calibrate(net, [images_of(g) for g in grouped(first, rng)[:12]])
    net = net.to(memory_format=torch.channels_last)
    return State(net, _copy(net), make_optimiser(net, plan.rate))


def _copy(net: nn.Module) -> dict[str, torch.Tensor]:
    return {k: v.detach().clone() for k, v in net.state_dict().items()}


def save(state: State, plan: Plan, path: Path) -> None:
    content = {
        "net": state.net.state_dict(),
        "average": state.average,
        "optimiser": state.optimiser.state_dict(),
        "lines": state.lines,
        "steps": state.steps,
        "shard": state.shard,
        "warm_from": state.warm_from,
        "curve": state.curve,
        "plan": asdict(plan),
    }
    draft = path.with_suffix(".part")
    torch.save(content, draft)
    draft.replace(path)


def restore(path: Path, plan: Plan) -> State:
    """From a full checkpoint, or from the small one of the repository (weights and position only)."""
    content = torch.load(path, weights_only=True)
    net = Recogniser()
    net.load_state_dict(content["net"])
    net = net.to(memory_format=torch.channels_last)
    state = State(net, content.get("average") or _copy(net), make_optimiser(net, plan.rate))
    state.lines, state.steps, state.shard = content["lines"], content["steps"], content["shard"]
    state.curve, state.warm_from = content["curve"], content.get("warm_from", 0)
    if "optimiser" in content:
        state.optimiser.load_state_dict(content["optimiser"])
    else:
        state.warm_from = state.steps
    return state


def save_small(state_path: Path, target: Path) -> None:
    """The checkpoint that the repository keeps: weights, position and curve without the optimiser's moments."""
    content = torch.load(state_path, weights_only=True)
    kept = {k: content[k] for k in ("net", "lines", "steps", "shard", "curve", "plan")}
    torch.save(kept, target)


@torch.no_grad()
def measure(net: Recogniser, samples: list[Sample]) -> tuple[float, float]:
    """Character error rate and share of lines with an error, in percent."""
    net.eval()
    wrong = total = lines = 0
    for group in grouped(samples, np.random.default_rng(0)):
        best = net(images_of(group)).argmax(-1).tolist()
        for sample, path in zip(group, best, strict=True):
            distance = Levenshtein.distance(sample.text, charset.decode(path))
            wrong, total, lines = wrong + distance, total + len(sample.text), lines + (distance > 0)
    net.train()
    return 100 * wrong / total, 100 * lines / len(samples)


def averaged(state: State) -> Recogniser:
    net = Recogniser()
    net.load_state_dict(state.average)
    return net.to(memory_format=torch.channels_last)


def _step(state: State, batch: Batch, plan: Plan, rate: float) -> float:
    for group in state.optimiser.param_groups:
        group["lr"] = rate
    with torch.autocast("cpu", torch.bfloat16):
        logits = state.net(batch.images)
    log_odds = logits.float().transpose(0, 1).log_softmax(-1)
    loss = (
        nn.functional.ctc_loss(
            log_odds, batch.codes, batch.steps, batch.lengths, blank=charset.BLANK, reduction="sum", zero_infinity=True
        )
        / batch.lengths.sum()
    )
    state.optimiser.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(state.net.parameters(), 5.0)
    state.optimiser.step()
    state.steps += 1
    state.lines += len(batch.lengths)
    keep = min(plan.averaging, (1 + state.steps - state.warm_from) / (10 + state.steps - state.warm_from))
    for name, value in state.net.state_dict().items():
        if value.is_floating_point():
            state.average[name].mul_(keep).add_(value, alpha=1 - keep)
    return float(loss.detach())


class Clock:
    """Learning rate and end, by lines or by wall time."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.start = plan, time.monotonic()
        self.descended_at: int | None = None

    @property
    def minutes(self) -> float:
        return (time.monotonic() - self.start) / 60

    def progress(self, lines: int) -> float:
        """0 on the level, 1 at the end of the descent."""
        plan = self.plan
        if plan.minutes:
            begin = plan.minutes * (1 - plan.descend_share)
            share = (self.minutes - begin) / max(1e-6, plan.minutes - begin)
        else:
            share = (lines - plan.descend_at) / max(1, plan.lines - plan.descend_at)
        if share > 0 and self.descended_at is None:
            self.descended_at = lines
        return min(1.0, max(0.0, share))

    def rate(self, state: State) -> float:
        warm = min(1.0, (state.steps - state.warm_from + 1) / self.plan.warm_up)
        return self.plan.rate * warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * self.progress(state.lines))))


def _record(state: State, clock: Clock, losses: list[float], rate: float, valid: list[Sample], curve: Path) -> str:
    error, lines = measure(averaged(state), valid)
    state.curve.append(
        {
            "lines": state.lines,
            "minutes": round(clock.minutes, 1),
            "rate": round(rate, 7),
            "loss": round(float(np.mean(losses[-300:])), 4) if losses else "",
            "cer_percent": round(error, 3),
            "wrong_lines_percent": round(lines, 2),
            "descending": int(clock.descended_at is not None),
        }
    )
    with curve.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(state.curve[-1]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(state.curve)
    return f"CER {error:.2f} %, wrong lines {lines:.1f} %"


def _pools(folder: Path, plan: Plan, state: State, writer: Any) -> Iterator[tuple[int, list[Sample]]]:
    """Next shard number after the pool, and the pool's samples."""
    pool: list[Sample] = []
    for shard, samples in shards.read_in_order(folder, plan.seed, state.shard, writer):
        pool += samples
        if (shard + 1) % POOL == 0:
            yield shard + 1, pool
            pool = []


def train(state: State, plan: Plan, material: shards.Material, out: Path) -> State:
    """Train to the end of the plan; writes `state.pt` and `curve.csv` into `out` at every point of the curve."""
    out.mkdir(parents=True, exist_ok=True)
    valid = shards.validation_set(material)
    folder = material.work / "shards"
    writer = shards.start_writer(material, folder, plan.seed, state.shard)
    losses: list[float] = []
    clock, checked, saved = Clock(plan), state.lines, 0.0
    bar = tqdm(total=plan.lines, initial=state.lines, unit="line", smoothing=0.05, mininterval=10, dynamic_ncols=True)
    try:
        bar.write(f"start: {_record(state, clock, losses, 0.0, valid, out / 'curve.csv')}")
        state.net.train()
        for following, pool in _pools(folder, plan, state, writer):
            for turn in range(plan.passes):
                n = np.random.default_rng((plan.seed, following, turn))
                for group in grouped(pool, n):
                    if clock.progress(state.lines) >= 1:
                        break
                    rate = clock.rate(state)
                    losses.append(_step(state, make_batch(group, n), plan, rate))
                    bar.update(len(group))
                    bar.set_postfix_str(f"loss {np.mean(losses[-100:]):.3f} rate {rate:.1e}", refresh=False)
            state.shard = following
            ended = clock.progress(state.lines) >= 1
            if clock.minutes - saved > SAVE_MINUTES:
                saved = clock.minutes
                save(state, plan, out / "state.pt")
            if ended or state.lines - checked >= plan.check_every:
                checked = state.lines
                bar.write(f"{state.lines} lines: {_record(state, clock, losses, rate, valid, out / 'curve.csv')}")
                if clock.descended_at is None:
                    save(state, plan, out / "level.pt")  # a later session goes on from here
                save(state, plan, out / "state.pt")
            if ended:
                return state
    finally:
        writer.terminate()
        bar.close()
    raise AssertionError("the shards never end")
