"""Settings of the officer gateway, from the environment (``SOHOA_GATEWAY_*``, ``SOHOA_OIDC_*``)."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator
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
    oidc_bind_first: bool = True  # the first account with an officer's name becomes theirs; else `sohoa officer bind`
    oidc_acr: str = ""  # acr values that are asked for at sign-in, separated by spaces; one of them must come back
    oidc_step_up_acr: str = ""  # the same before a signature is allowed; empty: as at sign-in
    oidc_max_age_minutes: int = Field(default=600, ge=0)  # how long ago at most at the provider; 0: isn't asked
    step_up_minutes: int = Field(default=5, ge=1, le=60)  # how long ago at most before a signature is allowed
    session_idle_minutes: int = 60
    session_hours: int = 10
    trusted_proxies: list[str] = []  # networks whose X-Forwarded-For is believed: ["127.0.0.1/32"]
    requests_a_minute: int = Field(default=3000, ge=60)  # of one session
    stranger_requests_a_minute: int = Field(default=600, ge=60)  # of one address without a session
    refusals_a_minute: int = Field(default=120, ge=10)  # of one officer in the audit trail; then nothing for a minute
    connections: int = Field(default=1000, ge=10)  # at once
    connections_an_address: int = Field(default=200, ge=10)  # at once, but from trusted proxies
    upload_quota_mb: int = Field(default=5000, ge=10)  # of one officer in 24 hours
    uploads_at_once: int = Field(default=2, ge=1)  # of one officer
    spool_limit_mb: int = Field(default=4000, ge=20)  # of all uploads that are on their way
    upload_limit_mb: int = Field(default=500, ge=10)  # of all files of one form together
    prefect_api_url: str = Field(validation_alias="PREFECT_API_URL")
    prefect_auth: SecretStr = Field(validation_alias="PREFECT_API_AUTH_STRING")

    @field_validator("oidc_issuer")
    @classmethod
    def _safe_issuer(cls, issuer: str) -> str:
        """https, but on this machine."""
        place = urlsplit(issuer)
        if place.scheme == "https" or (place.scheme == "http" and is_loopback(place.hostname)):
            return issuer
        raise ValueError("SOHOA_OIDC_ISSUER must begin with https://")

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


def is_loopback(host: str | None) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host or "").is_loopback
    except ValueError:
        return False
