"""Settings of this installation, read from the environment or from the stack's own file.

`make up` writes ``var/stack.env`` (KEY=VALUE lines, no secrets) and ``var/secrets/<part>.env`` (0600); every process of
the stack gets the first and its own part's as environment. A command typed by hand finds them through ``SOHOA_HOME``
(default: this checkout).
"""

from __future__ import annotations

import os
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Literal, Self, get_args

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from blocks.errors import Remedy, SohoaError

Environment = Literal["test", "production"]
ROOT = Path(__file__).resolve().parents[2]
OF_OFFICE = ("unit_id", "agency_name", "agency_symbol", "agency_place", "agency_head")
RUNS_CHANNEL = "sohoa_runs"  # of PostgreSQL, where the worker hears of runs (blocks/nudge.py)


def home() -> Path:
    """The folder that holds the state of this installation: SOHOA_HOME, else ``var/`` of the checkout, else (installed
    from the wheel) ``~/.local/share/sohoa``."""
    if chosen := os.environ.get("SOHOA_HOME"):
        return Path(chosen)
    return ROOT / "var" if (ROOT / "pyproject.toml").exists() else Path.home() / ".local/share/sohoa"


class EnvironmentUnknown(SohoaError):
    """SOHOA_ENVIRONMENT is missing, or another word than test and production: nothing goes on by a guess."""

    code, rule = "ENVIRONMENT_UNKNOWN", "CA01"
    message = (
        "Biến SOHOA_ENVIRONMENT phải là “test” hoặc “production” (viết đúng từng chữ); "
        "vui lòng sửa trong tệp stack.env rồi chạy `make down` và `make up`."
    )
    remedy = Remedy.ADMINISTRATOR


def in_production() -> bool:
    """Whether signatures and records made here are real. The only place that asks: every difference between a test
    environment and production hangs on it. Raises EnvironmentUnknown."""
    load_stack_env()
    word = os.environ.get("SOHOA_ENVIRONMENT")
    if word not in get_args(Environment):
        raise EnvironmentUnknown()
    return word == "production"


def gateway_url() -> str:
    """The officer gateway as browsers know it, without a slash at the end."""
    load_stack_env()
    port = os.environ.get("SOHOA_PORT_GATEWAY", "24204")
    return (os.environ.get("SOHOA_GATEWAY_URL") or f"http://127.0.0.1:{port}").rstrip("/")


class Settings(BaseSettings):
    """This office and its trust: what the processes of one installation share; no secret is among it."""

    model_config = SettingsConfigDict(env_prefix="SOHOA_", extra="ignore")

    environment: Environment = Field(description="test or production: nothing is TEST or real by default.")
    unit_id: str = Field("BHXH-TEST", description="This office: prefix of dossier codes (P01).")
    agency_name: str = Field("BẢO HIỂM XÃ HỘI TỈNH (TEST)", description="Its name on results and slips.")
    agency_parent: str = Field("BẢO HIỂM XÃ HỘI VIỆT NAM", description="Cơ quan chủ quản trực tiếp, over that name.")
    agency_symbol: str = Field("BHXH", description="The agency in the symbol of results: QĐ-BHXH.")
    agency_place: str = Field("Hà Nội", description="Địa danh on results.")
    agency_head: str = Field("GIÁM ĐỐC", description="For whom a deputy signs: KT. GIÁM ĐỐC.")
    pki_dir: Path = Field(description="Folder with anchors/, intermediates/ and officers.yml.")
    pki_url: str = Field("", description="Root address of the TEST PKI (OCSP, CRL, TSA); empty where there is none.")
    tsa_url: str = Field(description="The time-stamp service (RFC 3161).")
    inbox_dir: Path = Field(default_factory=lambda: home() / "inbox", description="Folder inbox of scanners.")

    @model_validator(mode="after")
    def _own_office(self) -> Self:
        """The names of the TEST office stand on no real result."""
        if self.environment == "production" and (
            left := [name for name in OF_OFFICE if name not in self.model_fields_set]
        ):
            raise ValueError(f"in production these must be set: {', '.join(f'SOHOA_{name.upper()}' for name in left)}")
        return self


def read_env(path: Path) -> dict[str, str]:
    """KEY=VALUE lines of a file; empty when there is none.

    Values are literal: python-dotenv would trim and unquote them, so that a word that is nearly `test` would pass.
    """
    try:
        lines = path.read_text().splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    pairs = (line.partition("=") for line in lines if not line.startswith("#"))
    return {name.strip(): value for name, sep, value in pairs if sep}


def load_stack_env() -> None:
    """Put the lines of ``stack.env`` and of the part's secrets into the environment, unless a variable is set already.

    The part is SOHOA_PART, which each process of the stack has; a command typed by hand acts as the worker. A file
    that this OS user may not read is left out: what needs it says which variable is missing. Idempotent.
    """
    for path in (home() / "stack.env", home() / "secrets" / f"{os.environ.get('SOHOA_PART', 'worker')}.env"):
        with suppress(PermissionError):
            for name, value in read_env(path).items():
                os.environ.setdefault(name, value)


@lru_cache
def settings() -> Settings:
    """The settings of this process. Raises EnvironmentUnknown, or pydantic.ValidationError naming what is missing."""
    in_production()
    return Settings()
