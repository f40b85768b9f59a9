"""The command `sohoa`: what its groups of commands share."""

from __future__ import annotations

import sys

import typer
from rich.console import Console
from sqlmodel import select

from blocks.records import RecordsDatabase
from blocks.records.queries import DossierUnknown
from blocks.records.tables import Dossier

app = typer.Typer(no_args_is_help=True, add_completion=False)
# Not cut at 80 columns where the output is no terminal: codes and ids are there to be copied.
console = Console(width=None if sys.stdout.isatty() else 160)


def find(code: str) -> Dossier:
    """A dossier by its code, or by its submission id while it has no code. Raises DossierUnknown."""
    with RecordsDatabase.get().session() as session:
        row = session.exec(select(Dossier).where((Dossier.code == code) | (Dossier.submission == code))).first()
        if row is None:
            raise DossierUnknown()
        session.expunge(row)
        return row
