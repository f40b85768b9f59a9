"""The process of one flow run of the worker type ``process``: ``python -m infra.worker.engine``.

``python -m prefect.engine``, but sealed (`infra.worker.sealed`) before anything of the run is read. What forks from a
warm process are spared is done here for each run: the imports, the models, the processes that read foreign files.
"""

from __future__ import annotations

import sys

from infra.worker.lean import lean
from infra.worker.sealed import seal
from infra.worker.zygote import NEVER, run_flow


def main() -> None:
    sys.modules.update(dict.fromkeys(NEVER))  # type: ignore[arg-type]  # None: importing it raises ImportError
    seal()
    lean()
    run_flow()


if __name__ == "__main__":
    main()
