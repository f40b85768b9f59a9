"""The process of one flow run of the worker type ``process``: ``python -m infra.local.engine``.

``python -m prefect.engine``, but sealed (`infra.local.sealed`) before anything of the run is read. What forks from a
warm process are spared is done here for each run: the imports, the models, the processes that read foreign files.
"""

from __future__ import annotations

import sys

from infra.local.lean import lean
from infra.local.sealed import seal
from infra.local.zygote import NEVER, run_flow


def main() -> None:
    sys.modules.update(dict.fromkeys(NEVER))  # type: ignore[arg-type]  # None: importing it raises ImportError
    seal()
    lean()
    run_flow()


if __name__ == "__main__":
    main()
