# mypy: disable-error-code="no-untyped-call"
"""Training, measuring and export. One process and one thread: slots are drawn between the steps."""

from __future__ import annotations

import json
import random
import time
import warnings
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import nn

from blocks.ocr.digits import CHARACTERS, MODEL, OTHER, DigitReader, prepare
from infra.training.digits.net import STEP, Net
from infra.training.digits.slots import Sample, Shapes, sample

BATCH, POOL = 64, 16  # slots a step; batches drawn at once, so that slots of like width stand together
SHOWN = 3  # times that each is shown, with other noise: drawing one costs more than a step with it
FASTEST, WARM = 2.5e-3, 200
MEASURED = 3000  # slots, drawn with this seed's successors, which training never uses
SEED_MEASURED = 900_001
Prepared = tuple[np.ndarray, str, bool]


def batches(shapes: Shapes, seed: int) -> Iterator[list[Prepared]]:
    """Batches without end; the first `BATCH * POOL` slots are drawn before the first of them comes."""
    r = random.Random(seed)  # noqa: S311
    while True:
        drawn: list[Prepared] = []
        while len(drawn) < BATCH * POOL:
            one = sample(r, shapes)
            image = prepare(one.slot)
            if image is not None and image.shape[1] // STEP > 2 * len(one.text):
                drawn.append((image, one.text, one.handwritten))
        drawn.sort(key=lambda item: item[0].shape[1])
        n = np.random.default_rng(r.randrange(1 << 30))
        for _ in range(SHOWN):
            start = r.randrange(BATCH)  # other neighbours each time
            parts = [drawn[at : at + BATCH] for at in range(start, len(drawn) - BATCH // 2, BATCH)]
            r.shuffle(parts)
            for part in parts:
                yield [(_noisy(n, image), text, hand) for image, text, hand in part]


def _noisy(n: np.random.Generator, image: np.ndarray) -> np.ndarray:
    strength, contrast = n.uniform(0, 0.12), n.uniform(0.85, 1.1)
    return np.asarray(image * contrast + n.standard_normal(image.shape, np.float32) * strength, np.float32).clip(
        -1.3, 1.3
    )


def tensors(batch: list[Prepared]) -> tuple[torch.Tensor, torch.Tensor]:
    """Slots side by side, the narrower ones filled with paper, and how many steps of each are its own."""
    wide = max(image.shape[1] for image, _, _ in batch)
    images = np.ones((len(batch), 1, batch[0][0].shape[0], wide), np.float32)
    for number, (image, _, _) in enumerate(batch):
        images[number, 0, :, : image.shape[1]] = image
    return torch.from_numpy(images), torch.tensor([image.shape[1] // STEP for image, _, _ in batch])


def best_path(logits: torch.Tensor, widths: torch.Tensor) -> list[str]:
    found = []
    for row, width in zip(logits.argmax(-1).tolist(), widths.tolist(), strict=True):
        path = [0, *row[:width]]
        found.append("".join(CHARACTERS[b - 1] for a, b in pairwise(path) if b and b != a))
    return found


def train(shapes: Shapes, minutes: float, out: Path, seed: int, resume: Path | None = None) -> int:
    """Train for so many minutes of the processor; the state is kept every one. Returns the steps."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    net = Net().to(memory_format=torch.channels_last)
    if resume:
        net.load_state_dict(_grown(torch.load(resume), net.state_dict()))
    optimiser = torch.optim.AdamW(net.parameters(), FASTEST, weight_decay=0.02)
    ctc, hands = nn.CTCLoss(zero_infinity=True), nn.BCEWithLogitsLoss()
    began, kept, steps, loss_seen, right = time.process_time(), 0.0, 0, 0.0, 0.0
    for batch in batches(shapes, seed):
        spent = time.process_time() - began
        left = 1 - spent / (minutes * 60)
        if left <= 0:
            break
        for group in optimiser.param_groups:
            group["lr"] = FASTEST * min(1.0, steps / WARM + 0.05) * left
        images, widths = tensors(batch)
        logits, hand = net(images.to(memory_format=torch.channels_last), widths)
        texts = [text for _, text, _ in batch]
        targets = torch.tensor([CHARACTERS.index(digit) + 1 for text in texts for digit in text])
        lengths = torch.tensor([len(text) for text in texts])
        loss = ctc(logits.log_softmax(2).permute(1, 0, 2), targets, widths, lengths)
        written = torch.tensor([float(is_hand) for _, _, is_hand in batch])
        loss = loss + 0.25 * hands(hand[lengths > 0], written[lengths > 0])
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 5)
        optimiser.step()
        steps += 1
        share = np.mean([a == b for a, b in zip(best_path(logits, widths), texts, strict=True)])
        loss_seen, right = 0.98 * loss_seen + 0.02 * loss.item(), 0.98 * right + 0.02 * float(share)
        if steps % 200 == 0:
            print(
                f"{steps} steps, {steps * BATCH} slots, loss {loss_seen:.3f}, right {right:.3f}, {spent:.0f} s",
                flush=True,
            )
        if spent - kept > 60:
            kept = spent
            torch.save(net.state_dict(), out)
    torch.save(net.state_dict(), out)
    return steps


def _grown(state: dict[str, torch.Tensor], new: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """An older state with the classes that it doesn't know yet as unlikely ones."""
    for name, wanted in new.items():
        known = state[name]
        if known.shape != wanted.shape:
            more = torch.zeros(wanted.shape[0] - known.shape[0], *known.shape[1:])
            state[name] = torch.cat([known, more - 3 if known.ndim == 1 else more])
    return state


def export(net: Net, to: Path = MODEL) -> None:
    """As ONNX, any number of slots of any width."""
    to.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as in infra/training/export.py
        torch.onnx.export(
            net.eval(),
            (torch.ones(1, 1, 32, 64),),
            str(to),
            input_names=["slots"],
            output_names=["digits", "hand"],
            dynamic_axes={"slots": {0: "n", 3: "w"}, "digits": {0: "n", 1: "steps"}, "hand": {0: "n"}},
            opset_version=17,
            dynamo=False,
        )


def measure(shapes: Shapes, model: Path = MODEL, count: int = MEASURED) -> dict[str, dict[str, float]]:
    """What the exported reader makes of hands, writers and print faces that training never saw."""
    reader = DigitReader(model)
    r = random.Random(SEED_MEASURED)  # noqa: S311
    seen: dict[str, list[tuple[Sample, str, float, float]]] = {
        kind: [] for kind in ("hand", "hand, with a letter or struck out", "print", "nothing")
    }
    for _ in range(count):
        one = sample(r, shapes)
        read = reader.read(one.slot)
        kind = "nothing" if not one.text else "hand" if one.handwritten else "print"
        kind += ", with a letter or struck out" if OTHER in one.text else ""
        seen[kind].append((one, read.text, read.probability, read.handwritten))
    result = {}
    for kind, rows in seen.items():
        sure = [row for row in rows if row[2] >= 0.95]
        result[kind] = {
            "slots": len(rows),
            "right": round(sum(one.text == text for one, text, _, _ in rows) / len(rows), 4),
            "sure": round(len(sure) / len(rows), 4),
            "wrong among the sure": round(sum(one.text != text for one, text, _, _ in sure) / max(1, len(sure)), 4),
            "taken for written": round(sum(hand >= 0.5 for _, _, _, hand in rows) / len(rows), 4),
            "taken for print surely": round(sum(hand < 0.1 for _, _, _, hand in rows) / len(rows), 4),
        }
    return result


def report(figures: dict[str, dict[str, float]]) -> str:
    return json.dumps(figures, indent=1)
