"""WH03: a leader's signature from the page to the attestation: asked anew who sits there, and nothing typed is lost."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4

import httpx
import pytest

from blocks.identity import PUBLIC_KEY_FILE, prove
from blocks.objects import ObjectStore
from blocks.records import RecordsDatabase
from blocks.records.states import DossierState
from blocks.records.tables import Dossier
from deployments.desk import decisions
from deployments.desk.auth.signin import AGAIN, CALLBACK, LOGIN
from infra.local.postgres import Postgres
from tasks.pauses.registry import pauses
from tests.deployments.desk import ORIGIN, OWN, make_gateway, staff_file
from tests.deployments.provider import Provider, signed
from tests.tasks.lawcase import make_dossier, walk_dossier
from tests.tasks.signing.conftest import signing_settings  # noqa: F401  (for each test)


class Paused:
    """Prefect's side: a run that waits for the leader. The rest is the journeys'."""

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []

    def call(self, method: str, path: str, **_: Any) -> httpx.Response:
        state = {"type": "PAUSED", "name": "Suspended", "state_details": {"pause_key": "signoff-1"}}
        told = {"state": state | {"run_input_keyset": None}, "state_type": "PAUSED"}
        return httpx.Response(200, json="" if path.endswith("description") else told)

    def resume(self, run: UUID, form: dict[str, Any]) -> None:
        self.taken.append(form)


def test_a_leader_signs_after_proving_anew_who_they_are(
    postgres: Postgres,
    records: RecordsDatabase,
    objects: ObjectStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    identity_provider: Provider,
) -> None:
    monkeypatch.setenv("SOHOA_STAFF_FILE", str(staff_file(tmp_path / "staff.yaml")))
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    office = identity_provider
    office.answer, office.issuer, office.groups = signed(preferred_username="here.lead"), "", [f"sohoa/{OWN}/LEAD"]
    gateway, prefect, run = make_gateway(records, tmp_path, postgres, oidc_issuer=office.url), Paused(), uuid4()
    monkeypatch.setattr(gateway.desk.decisions, "prefect", prefect)
    whole = replace(pauses()["signoff"], check=lambda dossier, answer: [])  # what must be whole is asked in other tests
    monkeypatch.setattr(decisions, "pauses", lambda: {"signoff": whole})
    dossier_id, _ = make_dossier(records, [])
    walk_dossier(records, dossier_id, DossierState.TRINH_KY)
    with records.session() as session:
        session.get_one(Dossier, dossier_id).flow_run_id = run

    browser = gateway.stranger()

    def through(asked: httpx.Response) -> httpx.Response:
        query = parse_qs(urlsplit(asked.headers["location"]).query)
        office.asked = {name: values[0] for name, values in query.items()}
        return browser.get(CALLBACK, params={"code": "c", "state": office.asked["state"]})

    through(browser.get(LOGIN))
    path = f"/ho-so/{dossier_id}"

    def click(page: str) -> httpx.Response:
        form = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page))
        form |= {"decision": "KY", "reason": "Đã xem đủ."}
        return browser.post(f"{path}/quyet-dinh", data=form, headers={"origin": ORIGIN, "accept": "text/html"})

    first = click(browser.get(path).text)
    assert first.status_code == 200 and "Xác thực lại" in first.text and prefect.taken == []
    (place,) = re.findall(rf'href="({AGAIN}\?viec=[^"]+)"', first.text)
    back = through(browser.get(place))
    again = browser.get(back.headers["location"])
    assert "Đã xác thực lại" in again.text and "Đã xem đủ." in again.text
    done = click(again.text)
    assert done.status_code == 303, done.text[:3000]
    (form,) = prefect.taken
    monkeypatch.setenv(PUBLIC_KEY_FILE, str(tmp_path / "gateway" / "decisions.pub"))
    said = prove(form, run=run, pause="signoff-1", accepted_at=datetime.now(UTC))
    assert (said.officer, said.acr) == ("here.lead", "high") and said.auth_time is not None
    third = click(browser.get(path).text)  # one step-up, one signature
    assert "Xác thực lại" in third.text and len(prefect.taken) == 1
