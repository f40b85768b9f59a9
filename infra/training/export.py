# mypy: disable-error-code="misc,no-any-return,no-untyped-call"
"""From a training state to the model folder that PaddleOCR's `text_recognition_model_dir` takes."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.numpy_helper
import onnxruntime
import torch
import yaml
from torch import nn

from infra.training import charset, paddle_form
from infra.training.batches import grouped, images_of
from infra.training.card import write_card
from infra.training.lines import HEIGHT
from infra.training.net import Recogniser
from infra.training.shards import read_shard
from infra.training.train import save_small

MODEL_NAME = "PP-OCRv6_tiny_rec"  # the architecture, as PaddleOCR asks for it
MOST_BYTES = 5_000_000  # of both forms together
SAME = 2e-4  # greatest difference of a probability between torch and onnxruntime


class _Probabilities(nn.Module):
    def __init__(self, net: Recogniser) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x).softmax(-1)


def configuration() -> dict[str, Any]:
    """inference.yml: PaddleOCR adds blank before and space after the dictionary."""
    return {
        "Global": {"model_name": MODEL_NAME},
        "PreProcess": {
            "transform_ops": [
                {"DecodeImage": {"channel_first": False, "img_mode": "BGR"}},
                {"RecResizeImg": {"image_shape": [3, HEIGHT, 320]}},
                {"KeepKeys": {"keep_keys": ["image", "label_ctc", "label_gtc", "length", "valid_ratio"]}},
            ]
        },
        "PostProcess": {"name": "CTCLabelDecode", "character_dict": list(charset.CHARACTERS)},
    }


def write_onnx(net: Recogniser, path: Path) -> None:
    """Batch and width are free; ValueError where onnxruntime and torch disagree."""
    model = _Probabilities(net).eval()
    axes = {"x": {0: "lines", 3: "width"}, "probabilities": {0: "lines", 1: "steps"}}
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # the tracing exporter is deprecated, yet folds norms and needs no other package
        torch.onnx.export(
            model,
            (torch.zeros(2, 3, HEIGHT, 320),),
            str(path),
            input_names=["x"],
            output_names=["probabilities"],
            dynamic_axes=axes,
            opset_version=17,
            dynamo=False,
        )
    sample = np.random.default_rng(0).uniform(-1, 1, (3, 3, HEIGHT, 488)).astype(np.float32)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"x": sample})
    with torch.no_grad():
        difference = float(np.abs(found - model(torch.from_numpy(sample)).numpy()).max())
    if difference > SAME:
        raise ValueError(f"onnxruntime differs from torch by {difference:.1e}")


def blend(model: Path, earlier: Path, share: float) -> None:
    """Replace the weights of `model` by (1 - share) of its own and `share` of an earlier export's.

    The mean of two models of one descent lies in a wider minimum and reads unseen papers better than either (Wortsman
    et al. 2022, "Model soups"). Both files must come from `write_onnx`.
    """
    mixed, other = onnx.load(str(model)), onnx.load(str(earlier))
    theirs = {item.name: onnx.numpy_helper.to_array(item) for item in other.graph.initializer}
    if set(theirs) != {item.name for item in mixed.graph.initializer}:
        raise ValueError(f"{earlier.name} is no export of the same network")
    for item in mixed.graph.initializer:
        ours = onnx.numpy_helper.to_array(item)
        if ours.dtype == np.float32:
            mean = ((1 - share) * ours + share * theirs[item.name]).astype(np.float32)
            item.CopyFrom(onnx.numpy_helper.from_array(mean, item.name))
    onnx.save(mixed, str(model))


def _validation_batches(work: Path) -> Iterator[paddle_form.Array]:
    """The curve's lines in batches of similar width, and the first line of each alone."""
    samples = read_shard(work / "validation-512.npz")
    for group in grouped(samples, np.random.default_rng(0)):
        for some in (group, group[:1]):
            yield np.ascontiguousarray(images_of(some).numpy())


def export(
    state: Path, out: Path, work: Path, resume_from: Path | None = None, earlier: tuple[Path, float] | None = None
) -> None:
    """Write inference.onnx (averaged weights), inference.yml, the Paddle form, checkpoint.pt, curve.csv, MODEL_CARD.md.

    `resume_from`: state before the learning rate fell, kept as checkpoint.pt for a later session. `earlier`: an
    exported model and its share of the weights (`blend`).
    """
    out.mkdir(parents=True, exist_ok=True)
    before = earlier[0].read_bytes() if earlier else b""  # it may be the file that is replaced
    content = torch.load(state, weights_only=True)
    net = Recogniser()
    net.load_state_dict(content["average"])
    write_onnx(net, out / "inference.onnx")
    if earlier:
        kept = work / "earlier.onnx"
        kept.write_bytes(before)
        blend(out / "inference.onnx", kept, earlier[1])
    text = yaml.safe_dump(configuration(), allow_unicode=True, sort_keys=False)
    (out / "inference.yml").write_text(text, encoding="utf-8")
    save_small(resume_from or state, out / "checkpoint.pt")
    paddle_form.write_paddle(out)
    size = sum(path.stat().st_size for path in out.glob("inference.*"))
    if size > MOST_BYTES:
        raise ValueError(f"{out.name} has {size} bytes in both forms, at most {MOST_BYTES} are wanted")
    write_card(out, work, content, paddle_form.difference(out, _validation_batches(work)))
