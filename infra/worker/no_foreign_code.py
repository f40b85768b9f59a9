"""The process of a flow run believes nothing executable that stands in Prefect's database.

Prefect's client makes objects of block documents (by the class that they name), reads results where a block or the
server's default points to, and decodes them with the serialiser that they name: pickle, or any function. Whoever may
write these rows would run code in the worker's name. Our flows load no block, and keep results in the worker's folder.
"""

from __future__ import annotations

from typing import Any, NoReturn

from prefect import results
from prefect.blocks.core import Block


class BlockRefused(Exception):
    """A block document was to be loaded in the process of a flow run."""


def refuse_foreign_code() -> None:
    """Close these ways in this process, before a run's state or parameters are read (prefect 3.8.8)."""
    Block._from_block_document = classmethod(_refuse)  # type: ignore[assignment,method-assign]
    results._read_server_default_result_storage_block_id = lambda: None
    results._aread_server_default_result_storage_block_id = _none


def _refuse(kind: type[Block], *args: Any, **kwargs: Any) -> NoReturn:
    raise BlockRefused("block documents of Prefect are not loaded")


async def _none() -> None:
    return None
