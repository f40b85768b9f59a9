"""``python -m blocks.records migrate`` brings the records database to the newest schema.

``python -m blocks.records revision NAME`` writes the migration that follows a change of tables.py (read it through!).
"""

from __future__ import annotations

import argparse
import sys

from blocks.errors import SohoaError
from blocks.records import RecordsDatabase
from blocks.records.migrate import new_revision
from blocks.settings import load_stack_env


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m blocks.records", description=__doc__)
    parser.add_argument("command", choices=["migrate", "revision"])
    parser.add_argument("name", nargs="?", default="change", help="of the new migration, e.g. add_locator")
    parser.add_argument("--url-env", default="SOHOA_DATABASE_URL", help="variable that holds the address")
    arguments = parser.parse_args()
    load_stack_env()
    records = RecordsDatabase(url_env=arguments.url_env)
    try:
        records.migrate()
        if arguments.command == "revision":
            print(new_revision(records.engine, arguments.name))
    except SohoaError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
