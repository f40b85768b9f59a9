"""How the networks are computed: by onnxruntime with OpenVINO's kernels, or by Paddle with oneDNN's.

onnxruntime computes in bfloat16 where the processor has it. Measured on one core, detection at 1536 × 1088 and lines in
sixes: plain onnxruntime 310 and 83 ms, OpenVINO's kernels 235 and 80 ms, with bfloat16 150 and 47 ms. The texts differ
in a character or two of a hundred thousand, so the precision is part of the engine's name that is kept with each field.

Paddle computes the same networks in another form (`*.json` and `*.pdiparams`, made from the ONNX files), in single
precision. Only the one that computes is loaded; but the small network that reads digits has no Paddle form, and
onnxruntime is loaded for it alone.
"""

from __future__ import annotations

import json
import logging
import os
import warnings
from collections.abc import Callable
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Engine = Literal["onnxruntime", "paddle"]
Network = Callable[[NDArray[np.float32]], NDArray[np.float32]]
KERNELS = 5000  # prepared ones that are kept, by size of input: all of them, 0.1 GB more than with 64
NATIVE = {"avx512_bf16", "amx_bf16", "bf16"}  # flags of Linux, x86 and ARM


@lru_cache
def precision(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """`bf16` where the processor computes it natively, else `f32`."""
    try:
        lines = cpuinfo.read_text().splitlines()
        flags = next(line for line in lines if line.lower().startswith(("flags", "features")))
    except (OSError, StopIteration):
        return "f32"
    return "bf16" if NATIVE & set(flags.split()) else "f32"


def name(engine: Engine) -> str:
    """The engine with its version and precision."""
    if engine == "paddle":
        return f"paddlepaddle {version('paddlepaddle')} f32"
    return f"onnxruntime-openvino {version('onnxruntime-openvino')} {precision()}"


def pipeline_options(engine: Engine, threads: int) -> dict[str, Any]:
    """What PaddleOCR's pipeline is told, so that both of its networks are computed by the engine."""
    logging.getLogger("paddlex").setLevel(logging.WARNING)
    os.environ.setdefault("PADDLE_PDX_DISABLE_MODEL_SOURCE_CHECK", "True")  # nothing is fetched at run time
    if engine == "paddle":
        _paddle_inference()
        config = {"run_mode": "mkldnn", "cpu_threads": threads, "mkldnn_cache_capacity": KERNELS}
        return {"engine": "paddle_static", "device": "cpu", "engine_config": config}
    return {"engine": "onnxruntime", "device": "cpu", "engine_config": _session_config(threads)}


def network(path: Path, engine: Engine, threads: int) -> Network:
    """A network of one input and one output. path: of its files, without suffix."""
    return _by_paddle(path, threads) if engine == "paddle" else _by_onnxruntime(path, threads)


def _session_config(threads: int) -> dict[str, Any]:
    """Options of one session in the words of PaddleX' engine_config.

    Without memory arena: its size would follow the largest page ever read.
    """
    plugin = {
        "INFERENCE_PRECISION_HINT": precision(),
        "INFERENCE_NUM_THREADS": str(threads),
        "NUM_STREAMS": "1",
        "CPU_RUNTIME_CACHE_CAPACITY": str(KERNELS),
    }
    options = {"device_type": "CPU", "num_of_threads": str(threads), "load_config": json.dumps({"CPU": plugin})}
    return {
        "intra_op_num_threads": threads,
        "enable_cpu_mem_arena": False,
        "providers": ["OpenVINOExecutionProvider"],
        "provider_options": [options],
    }


def small_network(path: Path, threads: int) -> Callable[[NDArray[np.float32]], list[NDArray[np.float32]]]:
    """A small network of several outputs, by onnxruntime's own kernels whatever the engine.

    Its inputs are hardly ever twice equally large: preparing other kernels would take longer than computing.
    """
    session = _session(path, threads, {"providers": ["CPUExecutionProvider"], "provider_options": [{}]})
    (given,) = session.get_inputs()
    return lambda x: [np.asarray(out) for out in session.run(None, {given.name: x})]


def _by_onnxruntime(path: Path, threads: int) -> Network:
    session = _session(path, threads, _session_config(threads))
    (given,) = session.get_inputs()
    return lambda x: np.asarray(session.run(None, {given.name: x})[0])


def _session(path: Path, threads: int, config: dict[str, Any]) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    return onnxruntime.InferenceSession(
        f"{path}.onnx", options, providers=config["providers"], provider_options=config["provider_options"]
    )


def _paddle_inference() -> Any:
    """Paddle's module of that name; without its advice on compilers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from paddle import inference
    return inference


def _by_paddle(path: Path, threads: int) -> Network:
    inference = _paddle_inference()
    config = inference.Config(f"{path}.json", f"{path}.pdiparams")
    config.disable_gpu()
    config.disable_glog_info()
    config.enable_mkldnn()
    config.set_cpu_math_library_num_threads(threads)
    predictor = inference.create_predictor(config)
    (given,), (out,) = predictor.get_input_names(), predictor.get_output_names()

    def run(x: NDArray[np.float32]) -> NDArray[np.float32]:
        handle = predictor.get_input_handle(given)
        handle.reshape(x.shape)
        handle.copy_from_cpu(x)
        predictor.run()
        return np.asarray(predictor.get_output_handle(out).copy_to_cpu())

    return run
