"""How Alembic meets the tables. `blocks.records.migrate` hands over the connection; there is no offline mode."""

from typing import Any, Literal

import sqlalchemy as sa
from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlmodel import SQLModel

from blocks.records import partners, tables  # noqa: F401  (fill the metadata)
from blocks.records.migrate import VERSION_TABLE


def render(kind: str, item: Any, autogen: AutogenContext) -> str | Literal[False]:
    """Plain SQLAlchemy types in the migrations: they must not change when the code's own types do."""
    if kind == "type" and isinstance(item, sa.JSON):
        autogen.imports.add("from sqlalchemy.dialects import postgresql")
        return "postgresql.JSONB()"
    if kind == "type" and isinstance(item, sa.String | sa.types.TypeDecorator):
        length = getattr(item, "length", None) or getattr(getattr(item, "impl", None), "length", None)
        return f"sa.String({length})" if length else "sa.String()"
    return False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    version_table=VERSION_TABLE,
    compare_type=True,
    compare_server_default=True,
    render_item=render,
)
with context.begin_transaction():
    context.run_migrations()
