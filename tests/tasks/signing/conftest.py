"""Signers and trust on the real TEST PKI (tests/conftest.py)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from blocks.settings import settings
from blocks.signer import Signer, agency_signer, signer_for
from blocks.trust import Trust
from tests.conftest import TestPki


@pytest.fixture(autouse=True)
def signing_settings(pki: TestPki, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Settings of a test installation with this PKI."""
    wanted = {
        "SOHOA_PKI_DIR": str(pki.folder),
        "SOHOA_PKI_URL": pki.url,
        "SOHOA_TSA_URL": pki.tsa,
        "SOHOA_INBOX_DIR": str(tmp_path),
    }
    for name, value in wanted.items():
        monkeypatch.setenv(name, value)
    for name in ("SOHOA_DATABASE_URL", "SOHOA_S3_ENDPOINT", "SOHOA_S3_ACCESS_KEY", "SOHOA_S3_SECRET_KEY"):
        import os

        monkeypatch.setenv(name, os.environ.get(name, "unused"))
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.fixture
def trust() -> Trust:
    return Trust()


@pytest.fixture
def officer() -> Signer:
    return signer_for("tnhs.01")


@pytest.fixture
def agency() -> Signer:
    return agency_signer()
