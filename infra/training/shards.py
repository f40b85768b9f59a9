"""Shards of synthetic lines on scratch disk: written ahead by one process, read in order by the trainer.

Shard k of a seed always holds the same lines, whenever and wherever it is made.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path

import cv2
import numpy as np

from infra.training.fonts import load_faces
from infra.training.lines import HEIGHT, LineMaker, Sample
from infra.training.texts import Texts

SHARD_LINES = 512
VALIDATION_SEED = 999_983  # never a training seed


@dataclass(frozen=True)
class Material:
    """work: scratch folder; law: folder of the laws' texts."""

    work: Path
    law: Path

    @property
    def texts(self) -> Texts:
        return Texts.gather(self.work, self.law, self.work / "texts.json")

    def maker(self, seed: int, shard: int) -> LineMaker:
        faces = load_faces(self.work / "root/usr/share", self.work / "faces.json")
        return LineMaker(self.texts, faces, seed * 1_000_003 + shard)


def write_shard(path: Path, samples: list[Sample]) -> None:
    """Atomic: a reader never sees half a shard."""
    labels = [(s.image.shape[1], s.image.shape[2], s.text) for s in samples]
    pixels = np.concatenate([s.image.reshape(-1) for s in samples])
    draft = path.with_suffix(f".{os.getpid()}.part")
    with draft.open("wb") as file:
        np.savez(file, pixels=pixels, labels=np.frombuffer(json.dumps(labels).encode(), np.uint8))
    draft.replace(path)


def read_shard(path: Path) -> list[Sample]:
    with np.load(path) as stored:
        pixels, labels = stored["pixels"], json.loads(stored["labels"].tobytes())
    samples, at = [], 0
    for width, channels, text in labels:
        size = HEIGHT * width * channels
        samples.append(Sample(pixels[at : at + size].reshape(HEIGHT, width, channels), text))
        at += size
    return samples


def make_samples(material: Material, seed: int, shard: int, count: int = SHARD_LINES) -> list[Sample]:
    maker = material.maker(seed, shard)
    return [maker.make() for _ in range(count)]


def shard_path(folder: Path, seed: int, shard: int) -> Path:
    return folder / f"{seed}-{shard:06d}.npz"


def _write_ahead(material: Material, folder: Path, seed: int, first: int, ahead: int) -> None:
    """Endless: keeps `ahead` unread shards on disk. The trainer deletes what it has read and ends this process."""
    cv2.setNumThreads(1)
    shard = first
    while os.getppid() != 1:  # the trainer has gone
        path = shard_path(folder, seed, shard)
        if not path.exists():
            write_shard(path, make_samples(material, seed, shard))
        shard += 1
        while len(list(folder.glob(f"{seed}-*.npz"))) >= ahead and os.getppid() != 1:
            time.sleep(1)


def start_writer(material: Material, folder: Path, seed: int, first: int, ahead: int = 10) -> BaseProcess:
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob(
        "*.npz"
    ):  # of an earlier run: another place, perhaps other texts; they would fill the quota
        stale.unlink()
    process = get_context("spawn").Process(
        target=_write_ahead, args=(material, folder, seed, first, ahead), daemon=True, name="sohoa-lines"
    )
    process.start()
    return process


def read_in_order(folder: Path, seed: int, first: int, writer: BaseProcess) -> Iterator[tuple[int, list[Sample]]]:
    """Shards from `first` on, each deleted once it is read; RuntimeError when the writer has died."""
    shard = first
    while True:
        path = shard_path(folder, seed, shard)
        while not path.exists():
            if not writer.is_alive():
                raise RuntimeError("the process that draws the lines has ended")
            time.sleep(0.2)
        samples = read_shard(path)
        path.unlink()
        yield shard, samples
        shard += 1


def validation_set(material: Material, count: int = 512) -> list[Sample]:
    """The fixed lines that the curve is measured on."""
    path = material.work / f"validation-{count}.npz"
    if not path.exists():
        write_shard(path, make_samples(material, VALIDATION_SEED, 0, count))
    return read_shard(path)
