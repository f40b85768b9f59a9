"""Samples → tensors: batches of similar width, padded as PaddleOCR pads (zeros, 320 px at least)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from infra.training import charset
from infra.training.lines import HEIGHT, STRIDE, Sample

BATCH_PIXELS = 12_000  # sum of the padded widths of a batch, px
LEAST_WIDTH = 320


@dataclass(frozen=True)
class Batch:
    """images [N, 3, 48, W] -1..1; codes [sum of lengths]; lengths [N]; steps [N] CTC steps of each line."""

    images: torch.Tensor
    codes: torch.Tensor
    lengths: torch.Tensor
    steps: torch.Tensor


def padded_width(samples: list[Sample]) -> int:
    widest = int(max(s.image.shape[1] for s in samples))
    return max(LEAST_WIDTH, -(-widest // STRIDE) * STRIDE)


def images_of(samples: list[Sample], n: np.random.Generator | None = None) -> torch.Tensor:
    """With `n`, contrast, brightness and polarity of colour channels vary a little."""
    out = np.zeros((len(samples), 3, HEIGHT, padded_width(samples)), np.float32)
    for i, sample in enumerate(samples):
        image = sample.image.astype(np.float32).transpose(2, 0, 1) / 127.5 - 1
        if n is not None:
            if image.shape[0] == 3 and n.random() < 0.25:
                image = image[n.integers(0, 3)][None]  # the engine reads the red channel of stamped pages
            image = np.clip(image * n.uniform(0.8, 1.15) + n.uniform(-0.15, 0.15), -1, 1)
        out[i, :, :, : sample.image.shape[1]] = image
    return torch.from_numpy(out).contiguous(memory_format=torch.channels_last)


def make_batch(samples: list[Sample], n: np.random.Generator | None = None) -> Batch:
    images = images_of(samples, n)
    codes = [charset.encode(s.text) for s in samples]
    return Batch(
        images,
        torch.tensor([c for code in codes for c in code]),
        torch.tensor([len(c) for c in codes]),
        # the padding is learned too, as blanks: left out, its edge was read as J, S or 2 after the last word
        torch.tensor([images.shape[3] // STRIDE] * len(samples)),
    )


def grouped(samples: list[Sample], n: np.random.Generator) -> list[list[Sample]]:
    """All samples once, in batches of similar width, in random order."""
    widths = [s.image.shape[1] * n.uniform(0.9, 1.1) for s in samples]
    groups: list[list[Sample]] = []
    current: list[Sample] = []
    for i in np.argsort(widths):
        if current and padded_width([*current, samples[i]]) * (len(current) + 1) > BATCH_PIXELS:
            groups.append(current)
            current = []
        current.append(samples[i])
    groups.append(current)
    return [groups[i] for i in n.permutation(len(groups))]
