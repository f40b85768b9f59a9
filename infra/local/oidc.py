"""``python -m infra.local.oidc PORT CLAIMS…``: the TEST identity provider. Nobody is asked for a password there.

The mock behind it knows nothing of when and how somebody signed in; here each sign-in is one of this moment, with the
class of authentication (acr) that was asked for. Its pages are our own (`signin/`): Vietnamese, each role explained,
nothing from another host. It is for tests and the demo only.
"""

from __future__ import annotations

import json
import os
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import jinja2
import uvicorn
from oidc_provider_mock import _app
from oidc_provider_mock._storage import AuthorizationCode, User

from infra.local.officers import groups

ACR, AMR = "urn:sohoa:test", ["test"]
LASTS = timedelta(hours=12)  # longer than any session at the gateway
PAGES = Path(__file__).parent / "signin"
# What a browser may do on these pages; no form-action, which browsers apply to the way back to the gateway, too.
CSP = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"


class TestCode(_app.OpenIDCode):  # type: ignore[misc]
    """Adds to the id token how the officer was authenticated."""

    __test__ = False

    def get_authorization_code_claims(self, authorization_code: AuthorizationCode) -> dict[str, Any]:
        claims: dict[str, Any] = super().get_authorization_code_claims(authorization_code)
        return claims | {"auth_time": int(time.time()), "acr": ACR, "amr": AMR, "sid": authorization_code.code[:16]}


def provider(users: list[dict[str, Any]]) -> Any:
    """The provider of these people, each given by claims: a Flask application."""
    _app.OpenIDCode = TestCode
    claims = [User(sub=user["sub"], claims={k: v for k, v in user.items() if k != "sub"}) for user in users]
    server = _app.app(user_claims=claims, access_token_max_age=LASTS)
    server.jinja_loader = jinja2.FileSystemLoader(PAGES)  # in place of the mock's own pages
    shown = groups((user.sub, user.claims) for user in claims)
    server.context_processor(lambda: {"groups": shown})

    def closed(answer: Any) -> Any:
        answer.headers["Content-Security-Policy"] = CSP
        return answer

    server.after_request(closed)
    return server


def main(arguments: list[str]) -> None:
    os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"  # http on loopback
    server = provider([json.loads(text) for text in arguments[1:]])
    uvicorn.run(server, interface="wsgi", host="127.0.0.1", port=int(arguments[0]), log_config=None)


if __name__ == "__main__":
    main(sys.argv[1:])
