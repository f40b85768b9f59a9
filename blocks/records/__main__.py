"""``python -m blocks.records migrate`` brings the records database to the newest schema."""

from __future__ import annotations

import argparse
import sys

from blocks.errors import SohoaError
from blocks.records import RecordsDatabase
from blocks.settings import load_stack_env


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m blocks.records", description=__doc__)
    parser.add_argument("command", choices=["migrate"])
    parser.add_argument("--url-env", default="SOHOA_DATABASE_URL", help="variable that holds the address")
    arguments = parser.parse_args()
    load_stack_env()
    try:
        RecordsDatabase(url_env=arguments.url_env).migrate()
    except SohoaError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
