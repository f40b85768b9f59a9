"""The key of a pause: which one, and the how many-th time a dossier waits there, e.g. ``verification-2``."""

from __future__ import annotations

import re

_KEY = re.compile(r"(?P<pause>[a-z]+)-(?P<number>[1-9][0-9]{0,8})")


class PauseKey(str):
    """As text it is what stands in the records and in Prefect."""

    __slots__ = ()

    @classmethod
    def of(cls, pause: str, number: int) -> PauseKey:
        """The key of this pause, the number-th time (from 1). Raises ValueError where that is none."""
        found = cls.parse(f"{pause}-{number}")
        if found is None:
            raise ValueError("no key of a pause")
        return found

    @classmethod
    def parse(cls, text: str) -> PauseKey | None:
        """The key that the text is; None: it is none."""
        return cls(text) if _KEY.fullmatch(text) else None

    @property
    def pause(self) -> str:
        return self.rpartition("-")[0]

    @property
    def number(self) -> int:
        return int(self.rpartition("-")[2])


def pause_of(text: str) -> str:
    """The pause that a key names; empty: the text is no key."""
    key = PauseKey.parse(text)
    return key.pause if key else ""
