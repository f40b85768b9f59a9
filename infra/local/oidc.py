"""``python -m infra.local.oidc PORT CLAIMS…``: the TEST identity provider. Nobody is asked for a password there.

The mock behind it knows nothing of when and how somebody signed in; here each sign-in is one of this moment, with the
class of authentication (acr) that was asked for. It is for tests and the demo only.
"""

from __future__ import annotations

import json
import os
import sys
import time
from datetime import timedelta
from typing import Any

import uvicorn
from oidc_provider_mock import _app
from oidc_provider_mock._storage import AuthorizationCode, User

ACR, AMR = "urn:sohoa:test", ["test"]
LASTS = timedelta(hours=12)  # longer than any session at the gateway


class TestCode(_app.OpenIDCode):  # type: ignore[misc]
    """Adds to the id token how the officer was authenticated."""

    __test__ = False

    def get_authorization_code_claims(self, authorization_code: AuthorizationCode) -> dict[str, Any]:
        claims: dict[str, Any] = super().get_authorization_code_claims(authorization_code)
        return claims | {"auth_time": int(time.time()), "acr": ACR, "amr": AMR, "sid": authorization_code.code[:16]}


def main(arguments: list[str]) -> None:
    os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"  # http on loopback
    users = [json.loads(text) for text in arguments[1:]]
    _app.OpenIDCode = TestCode
    claims = [User(sub=user["sub"], claims={k: v for k, v in user.items() if k != "sub"}) for user in users]
    server = _app.app(user_claims=claims, access_token_max_age=LASTS)
    uvicorn.run(server, interface="wsgi", host="127.0.0.1", port=int(arguments[0]), log_config=None)


if __name__ == "__main__":
    main(sys.argv[1:])
