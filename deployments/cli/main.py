"""The `sohoa` command: hand in, look up, review, decide, verify. Everything an officer sees is Vietnamese.

Exit status: 0 done, 2 refused with a code and a sentence (bad input), 3 an outside part doesn't answer.
"""

from __future__ import annotations

import os
import sys
from importlib.metadata import version
from typing import Annotated

import typer
from rich.console import Console

from blocks.errors import Remedy, SohoaError
from blocks.settings import load_stack_env
from deployments.cli import accounts, dossiers, upkeep  # noqa: F401  (their commands)
from deployments.cli.app import app, console
from deployments.partners.commands import app as partner

app.add_typer(partner, name="partner")
app.add_typer(accounts.officer, name="officer")
app.add_typer(accounts.sessions, name="sessions")


def _told_version(wanted: bool) -> None:
    if wanted:
        console.print(f"sohoa {version('sohoa')}")
        raise typer.Exit()


@app.callback()
def command(
    _: Annotated[bool, typer.Option("--version", callback=_told_version, is_eager=True, help="In phiên bản")] = False,
) -> None:
    """Sohoa – số hóa hồ sơ thủ tục hành chính BHXH."""


def main() -> None:
    # Tables that flows have no right to; the S3 key of disposal (secrets/disposal.env).
    for command, part in (("officer", "gateway"), ("sessions", "gateway"), ("dispose", "disposal")):
        if sys.argv[1:2] == [command]:
            os.environ.setdefault("SOHOA_PART", part)
    load_stack_env()
    try:
        app(standalone_mode=True)
    except SohoaError as error:
        Console(stderr=True).print(f"[red]{error.code}[/]: {error.text}")
        sys.exit(3 if error.remedy is Remedy.RETRY else 2)


if __name__ == "__main__":
    main()
