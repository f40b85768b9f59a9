"""Settings of the officer gateway, from the environment (``SOHOA_GATEWAY_*``, ``SOHOA_OIDC_*``)."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class GatewaySettings(BaseSettings):
    """Secrets come only to the gateway's own process, not to the other parts of the stack."""

    model_config = SettingsConfigDict(env_prefix="SOHOA_", extra="ignore")

    gateway_url: str  # as browsers know it: http(s)://host[:port], without path
    gateway_port: int = Field(validation_alias="SOHOA_PORT_GATEWAY")
    gateway_private_key_file: Path
    gateway_secret: SecretStr  # signs the cookie of a sign-in that is under way
    oidc_issuer: str
    oidc_client_id: str = "sohoa"
    oidc_client_secret: SecretStr = SecretStr("")
    oidc_officer_claim: str = "preferred_username"  # the officer's id in the office's list of staff
    oidc_groups_claim: str = "groups"  # "sohoa/<unit>/<ROLE>", one each
    session_idle_minutes: int = 60
    session_hours: int = 10
    upload_limit_mb: int = Field(default=500, ge=10)  # of all files of one form together
    prefect_api_url: str = Field(validation_alias="PREFECT_API_URL")
    prefect_auth: SecretStr = Field(validation_alias="PREFECT_API_AUTH_STRING")

    @property
    def origin(self) -> str:
        return self.gateway_url.rstrip("/")

    @property
    def secure(self) -> bool:
        return urlsplit(self.origin).scheme == "https"

    @property
    def upstream(self) -> str:
        """Prefect's root, without /api."""
        return self.prefect_api_url.rstrip("/").removesuffix("/api")
