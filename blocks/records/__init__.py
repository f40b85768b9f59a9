"""The records database: who handed in what, in which state it is, what was read, decided, signed and stored."""

from blocks.records.database import (
    RecordsDatabase,
    RecordsNotConfigured,
    RecordsUnavailable,
)

__all__ = ["RecordsDatabase", "RecordsNotConfigured", "RecordsUnavailable"]
