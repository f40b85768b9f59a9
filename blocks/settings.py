"""Settings of this installation, read from the environment or from the stack's own file.

`make up` writes ``var/stack.env`` (mode 0600, KEY=VALUE lines); every process of the stack gets its content as
environment. A command typed by hand finds the file through ``SOHOA_HOME`` (default: this checkout).
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

ROOT = Path(__file__).resolve().parent.parent


def home() -> Path:
    """The folder that holds the state of this installation (``var/`` of the checkout unless SOHOA_HOME says other)."""
    return Path(os.environ.get("SOHOA_HOME", ROOT / "var"))


def gateway_url() -> str:
    """The officer gateway as browsers know it, without a slash at the end."""
    load_stack_env()
    port = os.environ.get("SOHOA_PORT_GATEWAY", "24204")
    return (os.environ.get("SOHOA_GATEWAY_URL") or f"http://127.0.0.1:{port}").rstrip("/")


class Settings(BaseSettings):
    """What the processes of one installation share. Secrets stay in the environment, never in Prefect's database."""

    model_config = SettingsConfigDict(env_prefix="SOHOA_", extra="ignore")

    environment: str = "test"  # "production" refuses test keys
    unit_id: str = "BHXH-TEST"  # this office, prefix of dossier codes (P01)
    agency_name: str = "BẢO HIỂM XÃ HỘI TỈNH (TEST)"
    agency_parent: str = "BẢO HIỂM XÃ HỘI VIỆT NAM"  # cơ quan chủ quản trực tiếp, over the agency's name on results
    agency_symbol: str = "BHXH"  # of the agency in the symbol of results: QĐ-BHXH
    agency_place: str = "Hà Nội"  # địa danh on results
    agency_head: str = "GIÁM ĐỐC"  # for whom a deputy signs: KT. GIÁM ĐỐC
    database_url: SecretStr  # postgresql+psycopg://…
    s3_endpoint: str
    s3_access_key: SecretStr
    s3_secret_key: SecretStr
    pki_dir: Path  # folder with keys/ and certs/ of the test PKI
    pki_url: str  # root URL of the certomancer server (OCSP, CRL, TSA)
    tsa_url: str
    inbox_dir: Path


def load_stack_env() -> None:
    """Put the lines of ``stack.env`` into the environment, unless a variable is set already. Idempotent."""
    path = home() / "stack.env"
    if path.exists():
        for line in path.read_text().splitlines():
            key, sep, value = line.partition("=")
            if sep and not key.startswith("#"):
                os.environ.setdefault(key.strip(), value)


@lru_cache
def settings() -> Settings:
    """The settings of this process. Raises pydantic.ValidationError naming each variable that is missing."""
    load_stack_env()
    return Settings()
