"""Settings of extraction."""

from __future__ import annotations

from typing import Final

# A field below this confidence must be looked at by the officer against the paper (Điều 9.1, 9.3).
CONFIDENCE_THRESHOLD: Final = 0.90
