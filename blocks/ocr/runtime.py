"""How the networks are computed: onnxruntime with OpenVINO's kernels, in bfloat16 where the processor has it.

Measured on one core, detection at 1536 × 1088 and lines in sixes: plain onnxruntime 310 and 83 ms, OpenVINO's kernels
235 and 80 ms, with bfloat16 150 and 47 ms. The texts differ in a character or two of a hundred thousand, so the
precision is part of the engine's name that is kept with each field.
"""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

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


def name() -> str:
    return f"onnxruntime-openvino {version('onnxruntime-openvino')} {precision()}"


def session_config(threads: int) -> dict[str, Any]:
    """Options of one session in the words of PaddleX' engine_config.

    Without memory arena: its size would follow the largest page ever read.
    """
    plugin = {
        "INFERENCE_PRECISION_HINT": precision(),
        "INFERENCE_NUM_THREADS": str(threads),
        "NUM_STREAMS": "1",
        "CPU_RUNTIME_CACHE_CAPACITY": "5000",  # kernels by size of input: all of them, 0.1 GB more than with 64
    }
    options = {"device_type": "CPU", "num_of_threads": str(threads), "load_config": json.dumps({"CPU": plugin})}
    return {
        "intra_op_num_threads": threads,
        "enable_cpu_mem_arena": False,
        "providers": ["OpenVINOExecutionProvider"],
        "provider_options": [options],
    }


def session(path: Path, threads: int) -> Any:
    """An onnxruntime session of one model file."""
    import onnxruntime

    config = session_config(threads)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    return onnxruntime.InferenceSession(
        str(path), options, providers=config["providers"], provider_options=config["provider_options"]
    )
