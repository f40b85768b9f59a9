# mypy: disable-error-code="misc,no-any-return,no-untyped-call"
"""The recogniser as a Paddle inference model (PaddleX 3: inference.json, inference.pdiparams, beside inference.yml).

Source: the folder's own inference.onnx; its graph is walked node by node and built again of Paddle's operations, with
the same weights. Input `x` [N, 3, 48, W] BGR in -1..1, output probabilities [N, W / 8, classes]; N and W are free.
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

from infra.training.lines import HEIGHT

Array = npt.NDArray[np.float32]
Operation = Callable[..., Any]
NAMES = "inference.json", "inference.pdiparams"
SAME = 2e-4  # greatest difference of a probability between Paddle and onnxruntime


def _symmetrical(pads: list[int]) -> list[int]:
    before, after = pads[: len(pads) // 2], pads[len(pads) // 2 :]
    if before != after:
        raise ValueError(f"padding {pads} isn't the same on both sides")
    return before


def _convolution(a: dict[str, Any]) -> Operation:
    convolve = F.conv1d if len(a["kernel_shape"]) == 1 else F.conv2d
    options = {"stride": a["strides"], "padding": _symmetrical(a["pads"]), "dilation": a["dilations"]}
    return lambda x, weight, bias: convolve(x, weight, bias, groups=a["group"], **options)


def _pooling(a: dict[str, Any]) -> Operation:
    if any(a["pads"]) or a.get("ceil_mode"):
        raise ValueError("only pooling without padding is known")
    return lambda x: F.avg_pool2d(x, a["kernel_shape"], a["strides"])


# What `export.write_onnx` makes use of. Each takes the attributes of a node.
_OPERATIONS: dict[str, Callable[[dict[str, Any]], Operation]] = {
    "Add": lambda a: operator.add,
    "AveragePool": _pooling,
    "Conv": _convolution,
    "Div": lambda a: operator.truediv,
    "Erf": lambda a: paddle.erf,
    "HardSigmoid": lambda a: lambda x: F.hardsigmoid(x, a.get("alpha", 0.2), a.get("beta", 0.5)),
    "HardSwish": lambda a: F.hardswish,
    "MatMul": lambda a: paddle.matmul,
    "Mul": lambda a: operator.mul,
    "ReduceMean": lambda a: lambda x: paddle.mean(x, a["axes"], bool(a.get("keepdims", 1))),
    "Relu": lambda a: F.relu,
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
        self._values: dict[str, Any] = {t.name: self._parameter(t) for t in graph.initializer}
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


def write_paddle(folder: Path) -> None:
    """Write the Paddle form of `folder`'s inference.onnx beside it."""
    paddle.set_device("cpu")
    with paddle.utils.unique_name.guard():
        net = Translated(onnx.load(str(folder / "inference.onnx")).graph)
        net.eval()
        shape = paddle.static.InputSpec([-1, 3, HEIGHT, -1], "float32", name="x")
        paddle.jit.save(net, str(folder / "inference"), input_spec=[shape])


def difference(folder: Path, batches: Iterable[Array]) -> float:
    """Greatest difference of a probability between the two forms in `folder`; ValueError where it is above `SAME`."""
    session = onnxruntime.InferenceSession(str(folder / "inference.onnx"), providers=["CPUExecutionProvider"])
    config = paddle.inference.Config(*(str(folder / name) for name in NAMES))
    config.disable_gpu()
    config.disable_glog_info()
    config.set_cpu_math_library_num_threads(1)
    predictor = paddle.inference.create_predictor(config)
    found = 0.0
    for batch in batches:
        (ours,) = predictor.run([paddle.to_tensor(batch)])
        (theirs,) = session.run(None, {"x": batch})
        found = max(found, float(np.abs(ours.numpy() - theirs).max()))
    if found > SAME:
        raise ValueError(f"Paddle differs from onnxruntime by {found:.1e}")
    return found
