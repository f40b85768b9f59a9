"""Settings: what has no default must be there, and nothing of the TEST office stands on real results."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from blocks.settings import OF_OFFICE, settings


@pytest.mark.parametrize("left", OF_OFFICE)
def test_in_production_the_office_has_names_of_its_own(monkeypatch: pytest.MonkeyPatch, left: str) -> None:
    monkeypatch.setenv("SOHOA_PKI_DIR", "/nowhere")
    monkeypatch.setenv("SOHOA_TSA_URL", "http://tsa.example.vn")
    monkeypatch.setenv("SOHOA_ENVIRONMENT", "production")
    monkeypatch.delenv(f"SOHOA_{left.upper()}")
    settings.cache_clear()
    try:
        with pytest.raises(ValidationError, match=f"SOHOA_{left.upper()}"):
            settings()
    finally:
        settings.cache_clear()
