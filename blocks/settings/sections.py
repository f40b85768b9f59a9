"""The settings of an installation by subject; docs/settings.md is made from them (`make docs-data`).

Each is read from the environment when it is made (``SOHOA_…``, see `blocks.settings`). A value that nobody can guess
has no default: what needs it says which variable is missing.
"""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from blocks.settings import Settings


class Section(BaseSettings):
    """Settings of one subject. The docstring of a section is its heading in the reference."""

    model_config = SettingsConfigDict(env_prefix="SOHOA_", extra="ignore", populate_by_name=True, env_ignore_empty=True)


class StaffSettings(Section):
    """Who is assigned to what."""

    staff_file: Path | None = Field(
        None, description="The office's list of staff (YAML). Required in production; in test the TEST list."
    )
    four_eyes: bool = Field(True, description="Who captured may not confirm the data; false for an office of one.")
    inbox_file: Path | None = Field(
        None, description="Whose scans each folder of the inbox brings; default: inbox.yml of the installation."
    )


class ReminderSettings(Section):
    """When officers are reminded and leaders told."""

    remind_after_days: int = Field(1, ge=0, description="Working days that a pause may wait before a reminder.")
    escalate_after_days: int = Field(3, ge=0, description="Working days before the leader of the unit is told.")


class MailSettings(Section):
    """E-mail to officers; off where no server is named."""

    smtp_url: str = Field("", description="smtp://user@host:port or smtps://…; empty: no mail is sent.")
    smtp_password: str = Field("", description="A reference to the password: env:NAME or file:path (0600).")
    smtp_from: str = Field("", description="Address of the sender.")


class PreservationSettings(Section):
    """How stored records are looked after."""

    fixity_days: int = Field(90, description="Every stored object is read again at least so often (days).")
    renewal_days: int = Field(365, description="Days before the last time-stamp's certificate ends: renewed from then.")
    copies_days: int = Field(30, ge=0, description="Days after the result until working copies are dropped.")
    abandoned_days: int = Field(90, ge=1, description="Days after which a hand-in that became no dossier is dropped.")
    retention_override_days: int | None = Field(
        None, description="Shortens the locks of records, in test only; production refuses to start with it."
    )


class ReadingSettings(Section):
    """How pages are read."""

    ocr_engine: Literal["onnxruntime", "paddle"] = Field(
        "onnxruntime", description="Library that computes the networks; both read the same."
    )


class OutageSettings(Section):
    """Dossiers that wait for a service that is away."""

    outage_pauses: str = Field(
        "60,120,300,600,1200",
        description="Seconds until the first, second … try; the last counts for all further ones.",
    )


class ConnectionSettings(Section):
    """Other systems."""

    portal_url: str = Field("", description="The national portal's interface; empty: no connection.")
    portal_token: SecretStr = Field(SecretStr(""), description="Its token; stands with the secrets of the worker.")
    fetch_hosts: str = Field(
        "",
        description="Hosts of certificate status services beside those of the trust folder, separated by commas; "
        "host:port, or host=address where it isn't public.",
    )


class StepUpSettings(Section):
    """How fresh a sign-in must be: the desk asks for it, the worker looks at it again."""

    step_up_minutes: int = Field(5, ge=1, le=60, description="How old a sign-in may be at a signature.")


class GatewaySettings(StepUpSettings):
    """The officers' desk: sign-in, sessions and limits. Its secrets come only to its own process."""

    gateway_url: str = Field(description="The desk as browsers know it: http(s)://host[:port], without path.")
    gateway_port: int = Field(validation_alias="SOHOA_PORT_GATEWAY", description="Port on loopback.")
    gateway_private_key_file: Path = Field(description="Key that attests decisions; `make up` makes it.")
    gateway_secret: SecretStr = Field(description="Signs the cookie of a sign-in under way; `make up` makes it.")
    oidc_issuer: str = Field(description="The office's identity provider (OpenID Connect); https, but on this machine.")
    oidc_client_id: str = Field("sohoa", description="The desk's client id there.")
    oidc_client_secret: SecretStr = Field(SecretStr(""), description="Its secret (gateway/client-secret, 0600).")
    oidc_officer_claim: str = Field("preferred_username", description="Claim with the officer's id in the staff list.")
    oidc_groups_claim: str = Field("groups", description="Claim with groups: “sohoa/<unit>/<ROLE>”, one each.")
    oidc_bind_first: bool = Field(
        True, description="The first account with an officer's name becomes theirs; else `sohoa officer bind`."
    )
    oidc_acr: str = Field("", description="acr values asked for at sign-in, separated by spaces; one must come back.")
    oidc_step_up_acr: str = Field("", description="The same before a signature is allowed; empty: as at sign-in.")
    oidc_max_age_minutes: int = Field(600, ge=0, description="How old the sign-in may be there; 0: it isn't asked.")
    session_idle_minutes: int = Field(60, description="A session ends after so long without a request.")
    session_hours: int = Field(10, description="A session ends after so long in any case.")
    trusted_proxies: list[str] = Field([], description='Networks whose X-Forwarded-For is believed: ["127.0.0.1/32"].')
    requests_a_minute: int = Field(3000, ge=60, description="Of one session.")
    stranger_requests_a_minute: int = Field(600, ge=60, description="Of one address without a session.")
    refusals_a_minute: int = Field(120, ge=10, description="Of one officer in the audit trail.")
    connections: int = Field(1000, ge=10, description="At once.")
    connections_an_address: int = Field(200, ge=10, description="At once of one address, but of trusted proxies.")
    upload_quota_mb: int = Field(5000, ge=10, description="Of one officer in 24 hours (MB).")
    uploads_at_once: int = Field(2, ge=1, description="Of one officer.")
    spool_limit_mb: int = Field(4000, ge=20, description="Of all uploads under way (MB).")
    upload_limit_mb: int = Field(500, ge=10, description="Of all files of one form together (MB).")
    prefect_api_url: str = Field(validation_alias="PREFECT_API_URL", description="Prefect's API; `make up` sets it.")
    prefect_auth: SecretStr = Field(validation_alias="PREFECT_API_AUTH_STRING", description="Its user and password.")

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


class MachineSettings(Section):
    """The machine that the parts run on."""

    worker_limit: int | None = Field(None, ge=1, description="Flow runs at once; default: one a processor core.")
    # Six misses: a process tells each 30 s that it lives (PREFECT_FLOWS_HEARTBEAT_FREQUENCY).
    silent_seconds: float = Field(180.0, gt=0, description="A flow run that is silent for so long is taken as lost.")
    log_mb: float = Field(20.0, gt=0, description="Size of a part's log file before the next one begins (MB).")
    port_gateway: int = Field(24204, description="Port of the desk on loopback.")
    port_metrics: int = Field(24203, description="Port of the metrics on loopback.")


SECTIONS: tuple[type[BaseSettings], ...] = (
    Settings, StaffSettings, GatewaySettings, ReminderSettings, MailSettings, PreservationSettings,
    ReadingSettings, OutageSettings, ConnectionSettings, MachineSettings,
)  # fmt: skip


def is_loopback(host: str | None) -> bool:
    """Whether it is this machine. A name counts only where it is `localhost`: others may change their address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host or "").is_loopback
    except ValueError:
        return False
