"""The office's identity provider: what it is asked, and what of its answers is believed (OpenID Connect Core 1.0).

Its issuer is the one that was configured, whatever its own metadata say, and only over https outside this machine.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
from authlib.integrations.base_client import OAuthError  # type: ignore[import-untyped]
from authlib.integrations.httpx_client._compat import (  # type: ignore[import-untyped]
    httpx2 as wire,  # whichever it speaks HTTP with: its errors are of that library
)
from authlib.integrations.starlette_client import OAuth  # type: ignore[import-untyped]
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry
from starlette.requests import Request
from starlette.responses import Response

from blocks.settings.sections import GatewaySettings, is_loopback
from deployments.desk.auth.sessions import grants_of

ALGORITHMS = "id_token_signing_alg_values_supported"
PUBLIC_KEY_ALGORITHMS = {f"{kind}{size}" for kind in ("RS", "PS", "ES") for size in (256, 384, 512)} | {"EdDSA"}
ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri", "end_session_endpoint", "userinfo_endpoint")
LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
LEEWAY = 120  # seconds between its clock and ours
LOGOUT_TOKEN_SECONDS = 600  # an older logout token is none
KEYS_SECONDS = 60  # between two times that its keys are asked for because of an unknown one
AWAY = (wire.HTTPError, httpx.HTTPError)  # it doesn't answer
# What fails while it is asked; nothing of it opens anything.
FAULTS = (OAuthError, JoseError, *AWAY, KeyError, ValueError, TypeError, RuntimeError)


class ProviderRefused(OAuthError):  # type: ignore[misc]
    """What the provider says doesn't fit what was asked. error: a code for the log."""


@dataclass(frozen=True)
class Account:
    """Whom the provider has authenticated, and how. told: (unit, role) pairs of its groups; officer: "" if none."""

    issuer: str
    sub: str
    sid: str
    officer: str
    told: frozenset[tuple[str, str]]
    acr: str = ""
    auth_time: datetime | None = None
    refresh_token: str = ""


class Provider:
    def __init__(self, settings: GatewaySettings) -> None:
        self.settings = settings
        oauth = OAuth()
        oauth.register(
            "office",
            server_metadata_url=f"{settings.oidc_issuer.rstrip('/')}/.well-known/openid-configuration",
            client_id=settings.oidc_client_id,
            client_secret=settings.oidc_client_secret.get_secret_value() or None,
            client_kwargs={"scope": "openid profile", "code_challenge_method": "S256", "timeout": 10},
        )
        self.client = oauth.office
        self._keys_asked = 0.0

    async def metadata(self) -> dict[str, Any]:
        """Its metadata. Raises ProviderRefused when another issuer speaks, or an address isn't safe."""
        told: dict[str, Any] = await self.client.load_server_metadata()
        if (
            told.get("issuer") != self.settings.oidc_issuer.rstrip("/")
            and told.get("issuer") != self.settings.oidc_issuer
        ):
            self.client.server_metadata.pop("_loaded_at", None)  # asked anew next time
            raise ProviderRefused("wrong_issuer")
        for name in ENDPOINTS:
            place = urlsplit(str(told.get(name) or "https://none"))
            if place.scheme != "https" and not (place.scheme == "http" and is_loopback(place.hostname)):
                raise ProviderRefused("endpoint_without_tls")
        # What the provider lists may hold "none", and the library would take it.
        told[ALGORITHMS] = [alg for alg in told.get(ALGORITHMS, []) if alg in PUBLIC_KEY_ALGORITHMS]
        return told

    async def ask(self, request: Request, back: str, *, again: bool = False) -> Response:
        """To the provider's page. again: whoever is signed in there must prove anew who they are."""
        told, settings = await self.metadata(), self.settings
        more: dict[str, Any] = {"scope": "openid profile"}
        if "offline_access" in told.get("scopes_supported", []):
            more["scope"] += " offline_access"
        acr = (settings.oidc_step_up_acr if again else "") or settings.oidc_acr
        if acr:
            more["acr_values"] = acr
        if again:
            more |= {"prompt": "login", "max_age": 0}
        elif settings.oidc_max_age_minutes:
            more["max_age"] = settings.oidc_max_age_minutes * 60
        answer: Response = await self.client.authorize_redirect(request, back, **more)
        return answer

    async def account(self, request: Request, *, again: bool = False) -> Account:
        """Of the answer that a browser brought back. Raises one of FAULTS; then nobody is signed in."""
        told, settings = await self.metadata(), self.settings
        said = request.query_params.get("iss")
        if said is not None and said != told["issuer"]:  # RFC 9207: the answer of another provider
            raise ProviderRefused("wrong_issuer")
        wanted = {
            "iss": {"essential": True, "values": [told["issuer"]]},
            "aud": {"essential": True, "value": settings.oidc_client_id},  # else azp alone would do
        }
        token = await self.client.authorize_access_token(request, claims_options=wanted)
        claims = token.get("userinfo") or {}
        account = self._account(claims, str(token.get("refresh_token") or ""))
        asked = settings.oidc_step_up_acr if again and settings.oidc_step_up_acr else settings.oidc_acr
        if asked and account.acr not in asked.split():
            raise ProviderRefused("acr")
        oldest = settings.step_up_minutes if again else settings.oidc_max_age_minutes
        if oldest:
            if account.auth_time is None:
                raise ProviderRefused("no_auth_time")
            if not -LEEWAY <= time.time() - account.auth_time.timestamp() <= oldest * 60 + (0 if again else LEEWAY):
                raise ProviderRefused("auth_time")
        return account

    def _account(self, claims: Mapping[str, Any], refresh_token: str = "") -> Account:
        settings, groups = self.settings, claims.get(self.settings.oidc_groups_claim)
        at = claims.get("auth_time")
        known = isinstance(at, int | float) and not isinstance(at, bool) and 0 < at < 1 << 33
        return Account(
            issuer=str(claims["iss"]),
            sub=str(claims["sub"])[:255],
            sid=str(claims.get("sid") or "")[:255],
            officer=str(claims.get(settings.oidc_officer_claim) or ""),
            told=grants_of(groups if isinstance(groups, list) else []),
            acr=str(claims.get("acr") or "")[:255],
            auth_time=datetime.fromtimestamp(at, UTC) if known else None,  # type: ignore[arg-type]
            refresh_token=refresh_token,
        )

    async def still(self, account_sub: str, refresh_token: str) -> tuple[str, frozenset[tuple[str, str]] | None]:
        """Whether an account is still good: (the next refresh token, groups where it told any).

        Raises ProviderRefused when the provider refuses; another fault when it doesn't answer.
        """
        try:
            metadata = await self.metadata()
        except ProviderRefused as error:  # says nothing about this account
            raise ValueError(str(error.error)) from error
        async with self.client._get_oauth_client(**metadata) as client:
            try:
                token = await client.refresh_token(metadata["token_endpoint"], refresh_token=refresh_token)
            except OAuthError as error:
                if error.error in ("server_error", "temporarily_unavailable", "slow_down"):
                    raise ValueError(error.error) from error
                raise ProviderRefused(str(error.error)) from error
            if not token.get("access_token"):
                raise ValueError("no token")
            place = metadata.get("userinfo_endpoint")
            if not place:
                return str(token.get("refresh_token") or refresh_token), None
            client.token = token
            answer = await client.get(place)
        if answer.status_code in (401, 403):
            raise ProviderRefused("userinfo")
        claims = answer.raise_for_status().json()
        if claims.get("sub") != account_sub:
            raise ProviderRefused("userinfo")
        groups = claims.get(self.settings.oidc_groups_claim)
        return (
            str(token.get("refresh_token") or refresh_token),
            grants_of(groups) if isinstance(groups, list) else None,
        )

    async def logout(self, text: str) -> dict[str, Any]:
        """The claims of a logout token (OpenID Connect Back-Channel Logout 1.0, 2.6). Raises one of FAULTS."""
        metadata = await self.metadata()
        registry = JWSRegistry(algorithms=metadata[ALGORITHMS] or ["RS256"], strict_check_header=False)
        token = await self._decoded(text, registry)
        claims, now = token.claims, time.time()
        audience = claims.get("aud")
        events, issued, until = claims.get("events"), claims.get("iat"), claims.get("exp")
        fits = (
            str(token.header.get("typ", "logout+jwt")).lower() in ("logout+jwt", "jwt")
            and claims.get("iss") == metadata["issuer"]
            and self.settings.oidc_client_id in (audience if isinstance(audience, list) else [audience])
            and isinstance(events, dict) and isinstance(events.get(LOGOUT_EVENT), dict)
            and "nonce" not in claims
            and isinstance(claims.get("jti"), str) and 0 < len(claims["jti"]) <= 255
            and any(isinstance(claims.get(name), str) and claims[name] for name in ("sub", "sid"))
            and isinstance(issued, int | float) and now - LOGOUT_TOKEN_SECONDS <= issued <= now + LEEWAY
            and isinstance(until, int | float) and now - LEEWAY < until
        )  # fmt: skip
        if not fits:
            raise ProviderRefused("logout_token")
        return dict(claims)

    async def _decoded(self, text: str, registry: JWSRegistry) -> jwt.Token:
        try:
            return jwt.decode(text, KeySet.import_key_set(await self.client.fetch_jwk_set()), registry=registry)
        except InvalidKeyIdError:
            if time.monotonic() - self._keys_asked < KEYS_SECONDS and self._keys_asked:
                raise
            self._keys_asked = time.monotonic()
            keys = KeySet.import_key_set(await self.client.fetch_jwk_set(force=True))
            return jwt.decode(text, keys, registry=registry)

    async def leave(self) -> str:
        """Where its own session is ended, which would sign the next person at a shared desk in as this one.

        OpenID Connect RP-Initiated Logout 1.0; empty when it has no such page, or doesn't answer.
        """
        try:
            place = (await self.metadata()).get("end_session_endpoint")
        except FAULTS:
            return ""
        back = {"client_id": self.settings.oidc_client_id, "post_logout_redirect_uri": self.settings.origin + "/"}
        return str(httpx.URL(place).copy_merge_params(back)) if place else ""


def kind_of(error: Exception) -> str:
    """For the log: the code of a fault, never what was in it."""
    return json.dumps(str(error.error if isinstance(error, OAuthError) else type(error).__name__)[:80])[1:-1]
