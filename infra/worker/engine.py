"""The process of one flow run of the worker type ``process``: ``python -m infra.worker.engine``.

``python -m prefect.engine``, but closed to foreign code (`infra.worker.no_foreign_code`) before anything of the run is
read. What forks from a warm process are spared is done here for each run: the imports, the models, the
processes that read foreign files.
"""

from __future__ import annotations

import sys

from infra.worker.fork_server import NEVER, run_flow
from infra.worker.no_foreign_code import refuse_foreign_code
from infra.worker.short_runs import shorten


def main() -> None:
    sys.modules.update(dict.fromkeys(NEVER))  # type: ignore[arg-type]  # None: importing it raises ImportError
    refuse_foreign_code()
    shorten()
    run_flow()


if __name__ == "__main__":
    main()
