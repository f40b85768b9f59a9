# mypy: disable-error-code="misc,no-any-return,no-untyped-call"
"""The networks as Paddle inference models (PaddleX 3: inference.json, inference.pdiparams, beside inference.yml).

Source: the ONNX file beside them; its graph is walked node by node and built again of Paddle's operations, with the
same weights, input and output. Sides that are free in the ONNX file stay free.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import paddle
from onnx import helper, numpy_helper
from paddle.nn import functional as F

Array = npt.NDArray[np.float32]
Operation = Callable[..., Any]
SUFFIXES = ".json", ".pdiparams"
NAMES = tuple(f"inference{suffix}" for suffix in SUFFIXES)
FORMS = {"sohoa-rec": "inference", "PP-OCRv6_tiny_det": "inference", "trueocr-vi-r01": "orient"}  # folder: file
SAME = 2e-4  # greatest difference of a probability between Paddle and onnxruntime
ALIKE = 2e-3  # of the detector's: means over a whole page add up a million numbers, one after the other or in pairs


def _padding(a: dict[str, Any]) -> list[int] | str:
    if a.get("auto_pad") == b"SAME_UPPER":
        return "SAME"
    pads = a["pads"]
    before, after = pads[: len(pads) // 2], pads[len(pads) // 2 :]
    if before != after:
        raise ValueError(f"padding {pads} isn't the same on both sides")
    return list(before)


def _convolution(a: dict[str, Any]) -> Operation:
    convolve = F.conv1d if len(a["kernel_shape"]) == 1 else F.conv2d
    options = {"stride": a["strides"], "padding": _padding(a), "dilation": a["dilations"]}
    return lambda x, weight, bias=None: convolve(x, weight, bias, groups=a["group"], **options)


def _deconvolution(a: dict[str, Any]) -> Operation:
    options = {"stride": a["strides"], "padding": _padding(a), "dilation": a["dilations"]}
    return lambda x, weight, bias=None: F.conv2d_transpose(x, weight, bias, groups=a["group"], **options)


def _gemm(a: dict[str, Any]) -> Operation:
    if (a.get("alpha", 1), a.get("beta", 1), a.get("transA", 0)) != (1, 1, 0):
        raise ValueError("only x · w + b is known")
    return lambda x, weight, bias: paddle.matmul(x, weight, transpose_y=bool(a.get("transB"))) + bias


def _nearest(a: dict[str, Any]) -> Operation:
    if (a["mode"], a["coordinate_transformation_mode"], a["nearest_mode"]) != (b"nearest", b"asymmetric", b"floor"):
        raise ValueError("only the nearest pixel before is known")

    def repeated(x: Any, _: Any, scales: list[float]) -> Any:  # Paddle 3.3 with oneDNN can't compute F.interpolate
        for axis in (2, 3):
            x = paddle.repeat_interleave(x, int(scales[axis]), axis)
        return x

    return repeated


def _pooling(a: dict[str, Any]) -> Operation:
    if any(a["pads"]) or a.get("ceil_mode"):
        raise ValueError("only pooling without padding is known")
    return lambda x: F.avg_pool2d(x, a["kernel_shape"], a["strides"])


def _mean(a: dict[str, Any]) -> Operation:
    if (a["axes"], a.get("keepdims", 1)) == ([2, 3], 1):  # of paddle.mean oneDNN prints a line each time
        return _OPERATIONS["GlobalAveragePool"](a)
    return lambda x: paddle.mean(x, a["axes"], bool(a.get("keepdims", 1)))


# What the three networks make use of. Each takes the attributes of a node.
_OPERATIONS: dict[str, Callable[[dict[str, Any]], Operation]] = {
    "Add": lambda a: operator.add,
    "AveragePool": _pooling,
    "Concat": lambda a: lambda *x: paddle.concat(list(x), a["axis"]),
    "Conv": _convolution,
    "ConvTranspose": _deconvolution,
    "Div": lambda a: operator.truediv,
    "Erf": lambda a: paddle.erf,
    "Gemm": _gemm,
    "GlobalAveragePool": lambda a: lambda x: F.adaptive_avg_pool2d(x, 1),
    "HardSigmoid": lambda a: lambda x: F.hardsigmoid(x, a.get("alpha", 0.2), a.get("beta", 0.5)),
    "HardSwish": lambda a: F.hardswish,
    "MatMul": lambda a: paddle.matmul,
    "MaxPool": lambda a: lambda x: F.max_pool2d(x, a["kernel_shape"], a["strides"], _padding(a)),
    "Mul": lambda a: operator.mul,
    "ReduceMean": _mean,
    "Relu": lambda a: F.relu,
    "Resize": _nearest,
    "Sigmoid": lambda a: F.sigmoid,
    "Softmax": lambda a: lambda x: F.softmax(x, a.get("axis", -1)),
    "Squeeze": lambda a: lambda x, axes: paddle.squeeze(x, axes),
    "Transpose": lambda a: lambda x: paddle.transpose(x, a["perm"]),
}


class Translated(paddle.nn.Layer):
    """An ONNX graph of one input and one output; ValueError for an operation that isn't known here."""

    def __init__(self, graph: Any) -> None:
        super().__init__()
        unknown = {node.op_type for node in graph.node} - {*_OPERATIONS, "Constant"}
        if unknown:
            raise ValueError(f"no Paddle operation for {', '.join(sorted(unknown))}")
        self._input, self._output = graph.input[0].name, graph.output[0].name
        plain = {name for node in graph.node if node.op_type == "Resize" for name in node.input[1:]}
        self._values: dict[str, Any] = {
            t.name: numpy_helper.to_array(t).tolist() if t.name in plain else self._parameter(t)
            for t in graph.initializer
        }
        self._steps: list[tuple[Operation, list[str], str]] = []
        for node in graph.node:
            attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
            if node.op_type == "Constant":
                self._values[node.output[0]] = numpy_helper.to_array(attributes["value"]).tolist()
            else:
                operation = _OPERATIONS[node.op_type](attributes)
                self._steps.append((operation, list(node.input), node.output[0]))

    def _parameter(self, tensor: Any) -> Any:
        value = numpy_helper.to_array(tensor)
        name = tensor.name.replace("onnx::", "").replace(".", "_")  # own names: the same files at every export
        start = paddle.nn.initializer.Assign(value)
        parameter = self.create_parameter(list(value.shape), paddle.ParamAttr(name=name, initializer=start))
        self.add_parameter(name, parameter)
        return parameter

    def forward(self, x: Any) -> Any:
        values = {**self._values, self._input: x}
        for operation, inputs, output in self._steps:
            values[output] = operation(*[values[name] for name in inputs])
        return values[self._output]


def write_paddle(folder: Path, name: str = "inference") -> None:
    """Write the Paddle form of `folder`'s ONNX file of that name beside it."""
    paddle.set_device("cpu")
    graph = onnx.load(str(folder / f"{name}.onnx")).graph
    sides = [side.dim_value or -1 for side in graph.input[0].type.tensor_type.shape.dim]
    with paddle.utils.unique_name.guard():
        net = Translated(graph)
        net.eval()
        shape = paddle.static.InputSpec(sides, "float32", name=graph.input[0].name)
        paddle.jit.save(net, str(folder / name), input_spec=[shape])


def difference(folder: Path, batches: Iterable[Array], name: str = "inference", most: float = SAME) -> float:
    """Greatest difference of a probability between the two forms in `folder`; ValueError where it is above `most`."""
    session = onnxruntime.InferenceSession(str(folder / f"{name}.onnx"), providers=["CPUExecutionProvider"])
    config = paddle.inference.Config(*(str(folder / f"{name}{suffix}") for suffix in SUFFIXES))
    config.disable_gpu()
    config.disable_glog_info()
    config.set_cpu_math_library_num_threads(1)
    predictor = paddle.inference.create_predictor(config)
    found = 0.0
    for batch in batches:
        (ours,) = predictor.run([paddle.to_tensor(batch)])
        (theirs,) = session.run(None, {"x": batch})
        found = max(found, float(np.abs(ours.numpy() - theirs).max()))
    if found > most:
        raise ValueError(f"Paddle differs from onnxruntime by {found:.1e}")
    return found
