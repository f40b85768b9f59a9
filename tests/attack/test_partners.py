"""Partners: what one can do with its own secret, and what nobody can do with it or without it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import schemathesis
import uvicorn
from cryptography.exceptions import InvalidSignature
from jsonschema import Draft202012Validator
from sqlmodel import Session, col, func, select
from starlette.testclient import TestClient

from blocks.catalog import Catalog
from blocks.objects import Bucket, ObjectStore
from blocks.records import RecordsDatabase
from blocks.records.partners import Partner, PartnerCase, PartnerFile, authenticate, partner_of, revoke, rotate
from blocks.records.sources import source_of
from blocks.records.tables import AuditEntry, Outbox, now
from blocks.webhooks import KEY, CallbackFailed, CallbackRefused, admit, deliver, new_key, public_of, signed, verified
from deployments.partners.tokens import Meter, Tokens
from infra.local.process import free_port
from tasks.partner_cases.callbacks import MINUTES, TOPIC, again, dead, look, send
from tests.attack.conftest import PrefectServer
from tests.attack.partner_client import BASE, DECLARATION, PAGE, PartnerClient, Receiver, example, register
from tests.attack.plugin import Attack
from tests.faults.stack import until


def kept(records: RecordsDatabase) -> tuple[int, int]:
    """How many cases and files there are."""
    with records.session() as session:
        return tuple(session.exec(select(func.count()).select_from(t)).one() for t in (PartnerCase, PartnerFile))  # type: ignore[return-value]


def noted(records: RecordsDatabase) -> list[tuple[str, str]]:
    """Actor and code of the refusals in the audit trail."""
    with records.session() as session:
        query = select(AuditEntry).where(AuditEntry.action == "refuse").order_by(col(AuditEntry.seq))
        return [(entry.actor, str(entry.details["code"])) for entry in session.exec(query)]


# -- the way of a case ----------------------------------------------------------------------------------------------
def test_a_case_from_opening_to_the_run_and_again(
    post: PartnerClient, records: RecordsDatabase, objects: ObjectStore, prefect_server: PrefectServer
) -> None:
    first, again_ = post.open("HS-2026-1"), post.open("HS-2026-1")
    assert (first.status_code, again_.status_code) == (201, 200) and first.json() == again_.json()
    submission = first.json()["submission"]
    assert post.call("GET", "submissions/HS-2026-1").json()["phase"] == "OPEN"
    files = [post.put("submissions/HS-2026-1/r1/c1/0001.jpg") for _ in range(2)]
    assert [f.status_code for f in files] == [200, 200] and files[0].json() == files[1].json()
    declared = post.call("PUT", "submissions/HS-2026-1/r1/declaration", json=DECLARATION)
    assert declared.json()["missing"] == []
    started = [post.call("POST", "submissions/HS-2026-1/r1/start").json() for _ in range(2)]
    assert started[0] == started[1] and started[0]["flow_run_id"]
    run = prefect_server.prefect.run(started[0]["flow_run_id"])
    assert run["parameters"] == {"submission": submission}
    assert objects.unproven(Bucket.INBOX, f"{submission}/r1/c1/0001.jpg")[0] == PAGE
    with records.session() as session:
        source = source_of(session, submission)
        assert source is not None and (source.kind, source.source, source.officer) == ("PARTNER", "buu-dien", "tnhs.01")
        assert set(source.files) == {"r1/c1/0001.jpg", "r1/dossier.yaml"}
        actions = session.exec(select(AuditEntry.action).where(AuditEntry.actor == "partner:buu-dien")).all()
    assert sorted(actions) == ["partner-case", "partner-declaration", "partner-file", "partner-handed-in"]
    assert post.call("GET", "submissions/HS-2026-1").json()["phase"] == "HANDED_IN"


def test_a_wrong_declaration_names_each_field_and_is_not_kept(post: PartnerClient, records: RecordsDatabase) -> None:
    post.open("a1")
    wrong = DECLARATION | {"originals": -1, "owner": DECLARATION["owner"] | {"birth_date": "1955-02-30"}, "more": 1}
    told = post.call("PUT", "submissions/a1/r1/declaration", json=wrong)
    assert told.status_code == 422 and told.headers["content-type"] == "application/problem+json"
    assert {e["field"] for e in told.json()["errors"]} == {"originals", "owner.birth_date", "more"}
    assert "1955" not in told.text and kept(records) == (1, 0)
    bare = DECLARATION | {"owner": DECLARATION["owner"] | {"birth_date": 86400}}
    assert post.call("PUT", "submissions/a1/r1/declaration", json=bare).status_code == 422  # no seconds since 1970
    deep: Any = "x"
    for _ in range(400):
        deep = [deep]
    assert post.call("PUT", "submissions/a1/r1/declaration", json=deep).status_code == 422
    assert post.call("PUT", "submissions/a1/r1/declaration", content=b"[" * 100_000).status_code == 400
    late = post.call("PUT", "submissions/a1/r1/declaration", json=DECLARATION | {"captured_at": "2099-01-01T08:00:00"})
    assert late.status_code == 422 and [e["field"] for e in late.json()["errors"]] == ["captured_at"]
    empty = post.call("POST", "submissions/a1/r1/start")
    assert (empty.status_code, empty.json()["code"]) == (409, "NOT_DECLARED")


def test_prefects_own_client_starts_and_follows(post: PartnerClient, gate: TestClient) -> None:
    submission = post.open("p1").json()["submission"]
    post.put("submissions/p1/r1/c1/0001.jpg")
    post.call("PUT", "submissions/p1/r1/declaration", json=DECLARATION)
    known = post.call("GET", "/api/deployments/name/dossier/integrators").json()
    body = {"parameters": {"submission": submission}, "idempotency_key": submission}
    runs = [post.call("POST", f"/api/deployments/{known['id']}/create_flow_run", json=body) for _ in range(2)]
    assert [r.status_code for r in runs] == [201, 201] and runs[0].json()["id"] == runs[1].json()["id"]
    seen = post.call("GET", f"/api/flow_runs/{runs[0].json()['id']}").json()
    assert seen["parameters"] == {"submission": submission} and seen["state"]["type"] == "SCHEDULED"
    assert post.call("POST", "submissions/p1/r1/start").json()["flow_run_id"] == seen["id"]


@contextmanager
def served(app: Any) -> Iterator[str]:
    """The address of the front as a real server, without TLS."""
    server = uvicorn.Server(uvicorn.Config(app, port=free_port(), log_level="warning", lifespan="off"))
    thread = Thread(target=server.run, daemon=True)
    thread.start()
    until(lambda: server.started)
    yield f"http://127.0.0.1:{server.config.port}"
    server.should_exit = True
    thread.join()


def test_the_examples_of_the_documentation_run(post: PartnerClient, gate: TestClient, tmp_path: Path) -> None:
    """curl, twice, and Prefect's own client; with nothing but id and secret in their environment."""
    (tmp_path / "c1").mkdir()
    (tmp_path / "c1" / "0001.jpg").write_bytes(PAGE)
    (tmp_path / "declaration.json").write_text(json.dumps(DECLARATION))
    with served(gate.app) as url:
        known = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "SOHOA_GATEWAY_URL": url}
        known |= {"CLIENT_ID": post.name, "CLIENT_SECRET": post.secret, "CASE": "HS-1", "TOKEN": post.token}

        def run(*command: str, **more: str) -> str:
            env = known | more
            done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=tmp_path, timeout=120)
            assert done.returncode == 0, done.stderr + done.stdout
            return done.stdout

        curl = ("bash", "-euo", "pipefail", "-c", example("curl-begin", "curl-example"))
        started = [json.loads(text[text.rindex("{") :]) for text in (run(*curl), run(*curl))]
        assert started[0] == started[1] and started[0]["flow_run_id"]
        client = run(sys.executable, "-c", example("prefect-example"), SUBMISSION=started[0]["submission"])
        assert client.strip() in {"Scheduled", "Late"}


def test_the_declaration_of_the_documentation_lacks_nothing(post: PartnerClient) -> None:
    declared = json.loads(example("declaration-example"))
    files = [name for component in declared["components"] for name in component["files"]]
    post.open("d1")
    for name in files:
        assert post.put(f"submissions/d1/r1/{name}").status_code == 200
    told = post.call("PUT", "submissions/d1/r1/declaration", json=declared)
    assert told.status_code == 200 and told.json() | {"sha256": ""} == {"sha256": "", "missing": [], "unused": []}
    procedure = Catalog().procedure(declared["procedure"], now().date())
    assert procedure.missing([component["type"] for component in declared["components"]]) == []
    assert declared["originals"] == len(declared["components"])


def test_B3a_a_file_that_would_be_part_of_nothing_is_told(post: PartnerClient, records: RecordsDatabase) -> None:
    """Before the declaration by its answer, after it at once."""
    post.open("d2")
    for name in ("c1/0001.jpg", "c7/0001.jpg"):
        assert post.put(f"submissions/d2/r1/{name}").status_code == 200
    told = post.call("PUT", "submissions/d2/r1/declaration", json=DECLARATION).json()
    assert (told["missing"], told["unused"]) == ([], ["c7/0001.jpg"])
    before = kept(records)
    answer = post.put("submissions/d2/r1/c2/0001.jpg")
    assert (answer.status_code, answer.json()["code"]) == (409, "FILE_NOT_DECLARED")
    assert "c2/0001.jpg" in answer.json()["detail"] and kept(records) == before
    assert post.put("submissions/d2/r1/c7/0001.jpg").status_code == 200  # it has come: the same answer


# -- attacks --------------------------------------------------------------------------------------------------------
def test_prefect_through_a_token_does_one_thing(attack: Attack, post: PartnerClient, other: PartnerClient) -> None:
    submission = post.hand_in("x1").json()["submission"]
    deployment = post.call("GET", "/api/deployments/name/dossier/integrators").json()["id"]
    path = f"/api/deployments/{deployment}/create_flow_run"
    body = {"parameters": {"submission": submission}}
    run = post.call("GET", "submissions/x1")
    runs = lambda: post.call("POST", path, json=body).json()["id"]  # noqa: E731
    for name, value in {
        "job_variables": {"command": "touch /tmp/loot"},
        "state": {"type": "COMPLETED"},
        "tags": ["unit:BHXH-KHAC"],
        "work_queue_name": "watch",
        "enforce_parameter_schema": False,
        "idempotency_key": "another",
    }.items():
        with attack(f"create_flow_run by a partner's token with {name}", watch=runs) as told:
            answer = post.call("POST", path, json=body | {name: value})
            told.answered(f"HTTP {answer.status_code}")
            assert answer.status_code == 422
    with attack("another parameter beside the submission", watch=runs) as told:
        more = {"parameters": {"submission": submission, "owner": "x"}}
        told.answered(f"HTTP {(answer := post.call('POST', path, json=more)).status_code}")
        assert answer.status_code == 422
    with attack("another partner starts my submission", watch=runs) as told:
        told.answered(f"HTTP {(answer := other.call('POST', path, json=body)).status_code}")
        assert answer.status_code == 404
    with attack("another partner reads my run", watch=runs) as told:
        told.answered(f"HTTP {(answer := other.call('GET', f'/api/flow_runs/{runs()}')).status_code}")
        assert answer.status_code == 404
    with attack("a token reads and changes what else Prefect knows", watch=runs) as told:
        answers = [
            post.call("POST", "/api/flow_runs/filter", json={}),
            post.call("PATCH", f"/api/deployments/{deployment}", json={"entrypoint": "x.py:x"}),
            post.call("POST", f"/api/flow_runs/{runs()}/set_state", json={"state": {"type": "CANCELLED"}}),
            post.call("POST", f"/api/flow_runs/{runs()}/resume", json={"run_input": {"decision": "KY"}}),
            post.call("GET", "/api/block_documents/filter"),
        ]
        told.answered("HTTP " + ", ".join(str(a.status_code) for a in answers))
        assert {a.status_code for a in answers} <= {404, 405}
    assert run.status_code == 200


def test_nothing_of_one_partner_is_visible_to_another(
    attack: Attack, post: PartnerClient, other: PartnerClient, records: RecordsDatabase
) -> None:
    post.hand_in("mine")
    for method, path in (
        ("GET", "submissions/mine"),
        ("PUT", "submissions/mine/r1/declaration"),
        ("POST", "submissions/mine/r1/start"),
    ):
        with attack(f"token of one partner on another's submission: {method}", watch=lambda: kept(records)) as told:
            answer = other.call(method, path, **({"json": DECLARATION} if method == "PUT" else {}))
            unknown = other.call(
                method, path.replace("mine", "nobody"), **({"json": DECLARATION} if method == "PUT" else {})
            )
            told.answered(f"HTTP {answer.status_code} {answer.json()['code']}, as for one that nobody has")
            assert answer.status_code == 404 and answer.json() == unknown.json()
    assert other.open("mine").status_code == 201  # the same id is another case there
    assert other.call("GET", "submissions/mine").json()["phase"] == "OPEN"


def test_secrets_that_have_ended_open_nothing(
    attack: Attack, gate: TestClient, post: PartnerClient, records: RecordsDatabase
) -> None:
    old = post.secret
    with records.session() as session:
        new = rotate(session, post.name, timedelta(days=7), "test")
    assert post.ask_token().status_code == 200 == PartnerClient(gate, post.name, new).ask_token().status_code
    with records.session() as session:
        rotate(session, post.name, timedelta(0), "test")  # the middle one ends at once, the first, too
    for name, secret in (("expired", old), ("rotated", new), ("wrong", "x" * 43), ("hashed", "scrypt$16384$8$1$a$b")):
        with attack(f"{name} secret of a partner", watch=lambda: kept(records)) as told:
            answer = PartnerClient(gate, post.name, secret).ask_token()
            told.answered(f"HTTP {answer.status_code} {answer.json()['error']}")
            told.audited(noted(records)[-1])
            assert answer.status_code == 401 and answer.json() == {"error": "invalid_client"}
    with attack("token that was given for a secret that has ended", watch=lambda: kept(records)) as told:
        told.answered(f"HTTP {(answer := post.open('late')).status_code}")
        told.audited(noted(records)[-1])
        assert answer.status_code == 401 and noted(records)[-1] == ("partner:buu-dien", "PARTNER_ENDED")


def test_a_revoked_partner_is_out_at_once(attack: Attack, other: PartnerClient, records: RecordsDatabase) -> None:
    other.hand_in("before")
    with records.session() as session:
        revoke(session, other.name, "test")
    with attack("revoked partner with a living token and its secret", watch=lambda: kept(records)) as told:
        answers = [other.call("GET", "submissions/before"), other.open("after"), other.ask_token()]
        told.answered("HTTP " + ", ".join(str(a.status_code) for a in answers))
        told.audited(noted(records)[-1])
        assert {a.status_code for a in answers} == {401}


def test_tokens_that_are_none(attack: Attack, post: PartnerClient, records: RecordsDatabase) -> None:
    cookie = {"cookie": "sohoa=" + "a" * 43, "origin": "http://127.0.0.1"}
    for name, token, more in (
        ("no token, but a cookie", "", cookie),
        ("a token in capitals", post.token.swapcase(), {}),
        ("a token that was cut", post.token[:-1], {}),
        ("an unsigned JWT", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJidXUtZGllbiJ9.", {}),
    ):
        with attack(name, watch=lambda: kept(records)) as told:
            answer = post.call("GET", "submissions/a", headers={"authorization": f"Bearer {token}"} | more)
            told.answered(f"HTTP {answer.status_code} {answer.json()['code']}")
            assert answer.status_code == 401
    assert Tokens(life=-1).find(Tokens(life=-1).issue("x", None, frozenset())) is None  # type: ignore[arg-type]
    short = Tokens(life=-1)
    assert short.find(short.issue("x", None, frozenset())) is None  # type: ignore[arg-type]  # over


def test_scopes_and_bounds_hold(
    attack: Attack, gate: TestClient, post: PartnerClient, records: RecordsDatabase
) -> None:
    reader = PartnerClient(gate, post.name, post.secret)
    reader.token = reader.ask_token(scope="read").json()["access_token"]
    for name, attempt in {
        "reading token hands in": lambda: reader.open("r"),
        "case of another unit": lambda: post.open("u", unit="BHXH-KHAC"),
        "case of another procedure": lambda: post.open("v", procedure="1.002179"),
    }.items():
        with attack(name, watch=lambda: kept(records)) as told:
            told.answered(f"HTTP {(answer := attempt()).status_code} {answer.json()['code']}")
            assert answer.status_code == 403
    with attack("scope that the partner doesn't have", watch=lambda: kept(records)) as told:
        told.answered(f"HTTP {(answer := post.ask_token(scope='read admin')).status_code} {answer.json()['error']}")
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_scope")
    post.open("w")
    with attack("scans in the name of an officer who isn't the partner's", watch=lambda: kept(records)) as told:
        answer = post.call("PUT", "submissions/w/r1/declaration", json=DECLARATION | {"captured_by": "ld.01"})
        told.answered(f"HTTP {answer.status_code} {answer.json()['code']}")
        assert answer.json()["code"] == "NOT_THE_CAPTURER"
    with attack("personal number as id of a case", watch=lambda: kept(records)) as told:
        told.answered(f"HTTP {(answer := post.open('001099012345')).status_code} {answer.json()['code']}")
        assert answer.json()["code"] == "REFERENCE_PERSONAL"


def test_the_same_key_with_other_content_is_refused(
    attack: Attack, post: PartnerClient, records: RecordsDatabase, objects: ObjectStore
) -> None:
    with records.session() as session:
        partner = partner_of(session, post.name)
        partner.procedures = [*partner.procedures, "1.002179"]
        session.add(partner)
    submission = post.open("k").json()["submission"]
    post.put("submissions/k/r1/c1/0001.jpg")
    bytes_ = lambda: objects.unproven(Bucket.INBOX, f"{submission}/r1/c1/0001.jpg")[0]  # noqa: E731
    with attack("replayed idempotency key with other content", watch=lambda: kept(records)) as told:
        told.answered(f"HTTP {(answer := post.open('k', procedure='1.002179')).status_code} {answer.json()['code']}")
        assert answer.status_code == 409
    with attack("other bytes under the name of a file", watch=bytes_) as told:
        answer = post.put("submissions/k/r1/c1/0001.jpg", b"other")
        told.answered(f"HTTP {answer.status_code} {answer.json()['code']}")
        assert answer.status_code == 409
    with attack("bytes that aren't those of the digest", watch=lambda: kept(records)) as told:
        answer = post.put("submissions/k/r1/c1/0002.jpg", b"other", digest=b"\0" * 32)
        told.answered(f"HTTP {answer.status_code} {answer.json()['code']}")
        assert answer.status_code == 422
    post.call("PUT", "submissions/k/r1/declaration", json=DECLARATION)
    with attack("another declaration after the first", watch=lambda: kept(records)) as told:
        answer = post.call("PUT", "submissions/k/r1/declaration", json=DECLARATION | {"originals": 2})
        told.answered(f"HTTP {answer.status_code} {answer.json()['code']}")
        assert answer.status_code == 409
    post.call("POST", "submissions/k/r1/start")
    for name, path in (
        ("a file after the hand-in", "r1/c1/0009.jpg"),
        ("a supplement that nobody asked for", "r2/c1/0001.jpg"),
        ("a rescan that nobody asked for", "rescan/1/2/0001.jpg"),
    ):
        with attack(name, watch=lambda: kept(records)) as told:
            answer = post.put(f"submissions/k/{path}")
            told.answered(f"HTTP {answer.status_code} {answer.json()['code']}")
            assert answer.status_code == 409


@pytest.mark.parametrize(
    "name",
    ["../0001.jpg", "..%2f..%2f0001.jpg", "%2e%2e/0001.jpg", "0001.jpg/x", "dossier.yaml", "NguyenVanA.jpg", "1.php",
     "0001.jpg%00.pdf", "0001.JPG", "a\\0001.jpg", ".jpg", "1234567890.jpg"],
)  # fmt: skip
def test_file_names_lead_nowhere(attack: Attack, post: PartnerClient, records: RecordsDatabase, name: str) -> None:
    post.open("n")
    with attack(f"file name {name!r}", watch=lambda: kept(records)) as told:
        answer = post.put(f"submissions/n/r1/c1/{name}")
        told.answered(f"HTTP {answer.status_code}")
        assert answer.status_code in {400, 404, 405, 422}


def test_limits_come_before_the_work(
    attack: Attack, gate: TestClient, post: PartnerClient, records: RecordsDatabase
) -> None:
    post.open("l")
    with attack("a file of 300 MB, as it says", watch=lambda: kept(records)) as told:
        answer = post.call(
            "PUT",
            "submissions/l/r1/c1/0001.jpg",
            content=b"x",
            headers={"content-length": "300000000", "content-digest": "sha-256=:" + "A" * 43 + "=:"},
        )
        told.answered(f"HTTP {answer.status_code}, before a byte was read")
        assert answer.status_code == 413
    with attack("a body without a length", watch=lambda: kept(records)) as told:
        answer = post.call("PUT", "submissions/l/r1/declaration", content=iter([b"{}"]))
        told.answered(f"HTTP {answer.status_code}")
        assert answer.status_code == 411
    small = PartnerClient(gate, "nho", register(records, "nho", open_limit=2, minute_limit=5)).sign_in()
    assert [small.open(f"o{n}").status_code for n in range(2)] == [201, 201]
    with attack("more open cases than the partner may have", watch=lambda: kept(records)) as told:
        told.answered(f"HTTP {(answer := small.open('o3')).status_code} {answer.json()['code']}")
        assert (answer.status_code, answer.json()["code"]) == (429, "QUOTA_REACHED")
    with attack("more requests a minute than the partner may make", watch=lambda: kept(records)) as told:
        answers = [small.call("GET", "submissions/o1").status_code for _ in range(4)]
        told.answered(f"HTTP {answers}")
        assert answers[:2] == [200, 200] and answers[2:] == [429, 429]
    assert post.open("l").status_code == 200  # the others are not slowed down
    with attack("guessing a secret, 150 tries", watch=lambda: authenticate_none(records)) as told:
        answers = [PartnerClient(gate, "buu-dien", f"guess-{n}").ask_token().status_code for n in range(150)]
        told.answered(f"401 × {answers.count(401)}, 429 × {answers.count(429)}")
        assert answers[-1] == 429 and answers.count(401) == 120
        assert post.ask_token().status_code == 200  # and shuts the partner itself not out
    assert len([code for _, code in noted(records) if code == "PARTNER_SECRET"]) == 60  # the trail isn't filled


def authenticate_none(records: RecordsDatabase) -> bool:
    with records.session() as session:
        return authenticate(session, "buu-dien", "guess-1") is None


# -- call-backs -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "url",
    ["http://169.254.169.254/latest/meta-data", "https://169.254.169.254/", "https://127.0.0.1/", "https://10.0.0.8/",
     "https://[::1]/", "https://[::ffff:169.254.169.254]/", "https://2130706433/", "https://0x7f000001/",
     "https://evil.example/", "http://partner.example/hook", "https://partner.example:8443/hook",
     "https://user:pw@partner.example/hook", "https://partner.example@evil.example/", "file:///etc/passwd", "https://"],
)  # fmt: skip
def test_call_backs_go_to_allowed_public_hosts_only(
    attack: Attack, gate: TestClient, records: RecordsDatabase, url: str
) -> None:
    hosts = ["partner.example", "169.254.169.254", "127.0.0.1:444", "10.0.0.8", "2130706433", "0x7f000001"]
    one = PartnerClient(gate, "mot", register(records, "mot", hosts=hosts)).sign_in()
    with attack(f"call-back to {url}", watch=lambda: one.call("GET", "callback").json()) as told:
        answer = one.call("PUT", "callback", json={"url": url})
        told.answered(f"HTTP {answer.status_code} {answer.json().get('code')}")
        assert answer.status_code == 422
    assert one.call("PUT", "callback", json={"url": "https://partner.example/hook"}).status_code == 200


def test_a_name_that_stands_for_a_private_address_is_not_called(attack: Attack) -> None:
    with attack("call-back to a name that DNS leads to this machine") as told:
        with pytest.raises(CallbackRefused) as refused:
            deliver("https://localhost/hook", ["localhost"], {}, b"{}")
        told.answered(refused.value.code)
        told.proved("no connection was made: the address is checked before")
    for address in ("64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1", "fe80::1", "224.0.0.1", "0.0.0.0"):
        with attack(f"call-back to a host that the list leads to {address}") as told:
            with pytest.raises(CallbackRefused) as refused:
                admit("https://x.example/", [f"x.example={address}"])
            told.answered(refused.value.code)
            told.proved("refused before a connection")
    assert admit("https://noi-bo.example/hook", ["noi-bo.example=10.1.2.3"]).fixed == "10.1.2.3"  # named by hand
    with pytest.raises(CallbackRefused):
        admit("https://noi-bo.example/hook", ["noi-bo.example=169.254.169.254"])


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setenv(KEY, new_key())
    server = Receiver()
    yield server
    server.shutdown()
    server.server_close()


def test_call_backs_are_signed_tried_again_and_given_up(
    attack: Attack,
    gate: TestClient,
    records: RecordsDatabase,
    prefect_server: PrefectServer,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = f"127.0.0.1:{receiver.server_port}"
    one = PartnerClient(gate, "goi-lai", register(records, "goi-lai", hosts=[place])).sign_in()
    assert one.call("PUT", "callback", json={"url": f"http://{place}/hook"}).status_code == 200
    one.hand_in("c1")
    for expected in (1, 0):  # each change once
        assert look(records, Catalog(), prefect_server.prefect).written == expected
    receiver.status = 302
    assert send(records).failed == 1 and len(receiver.got) == 1  # a redirect isn't followed
    receiver.status = 204
    assert send(records).delivered == 0  # not at once again
    later = now() + timedelta(minutes=2)
    assert send(records, later).delivered == 1 and send(records, later).delivered == 0
    (_, first), (headers, body) = receiver.got
    event = json.loads(body)
    assert first == body and event["data"]["reference"] == "c1" and event["data"]["phase"] == "HANDED_IN"
    assert "Nguyễn" not in body.decode() and "001099012345" not in body.decode()
    public = public_of(os.environ[KEY])
    assert verified(public, headers, body, now=time.time())
    with attack("call-back changed on the way", watch=lambda: verified(public, headers, body, now=time.time())) as told:
        forged = body.replace(b"HANDED_IN", b"ENDED____")
        told.answered("the receiver's check says no")
        assert not verified(public, headers, forged, now=time.time())
    with attack("call-back replayed after six minutes, and with a newer time") as told:
        assert not verified(public, headers, body, now=time.time() + 360)
        newer = headers | {"webhook-timestamp": str(int(time.time()) + 360)}
        assert not verified(public, newer, body, now=time.time() + 360)
        told.answered("the receiver's check says no")
        told.proved(f"within five minutes webhook-id {headers['webhook-id'][:8]}… is known")
    with attack("call-back signed by another key") as told:
        other = signed(new_key(), headers["webhook-id"], int(time.time()), body)
        assert not verified(public, other, body, now=time.time())
        told.answered("the receiver's check says no")
        told.proved("nothing is taken")
    one.hand_in("c2")
    look(records, Catalog(), prefect_server.prefect)
    receiver.status = 500
    for minutes in MINUTES:
        assert send(records, now() + timedelta(minutes=minutes, seconds=5)).failed == 1
    assert send(records, now() + timedelta(days=9)).failed == 0  # given up
    assert [row.payload["partner"] for row in dead(records)] == ["goi-lai"]
    receiver.status = 204
    assert again(records, "goi-lai") == 1 and send(records).delivered == 1 and dead(records) == []


def test_one_partner_that_does_not_answer_stops_no_other(
    gate: TestClient, records: RecordsDatabase, receiver: Receiver
) -> None:
    place = f"127.0.0.1:{receiver.server_port}"
    with records.session() as session:
        for name, url in (("im-lang", "http://127.0.0.1:1/"), ("tra-loi", f"http://{place}/")):
            register_in(session, name, url, [place, "127.0.0.1:1"])
            for number in range(5):
                event = {"id": f"{name}-{number}", "data": {}}
                session.add(
                    Outbox(topic=TOPIC, dedup_key=f"{name}:{number}", payload={"partner": name, "event": event})
                )
    told = send(records)
    assert (told.delivered, told.failed) == (5, 3)
    with pytest.raises(CallbackFailed):
        deliver("http://127.0.0.1:1/", ["127.0.0.1:1"], {}, b"")


def register_in(session: Session, name: str, url: str, hosts: list[str]) -> None:
    session.add(
        Partner(id=name, name=name, units=[], procedures=[], officers=[], scopes=[], hosts=hosts, callback_url=url)
    )


# -- the front and the document -------------------------------------------------------------------------------------
def test_only_partners_paths_and_tokens_leave_the_officers_application(gate: TestClient) -> None:
    assert gate.get("/viec").status_code == 418 == gate.post("/api/flow_runs/filter", json={}).status_code
    assert gate.get("/api/flow_runs/x", headers={"authorization": "Basic eDp5"}).status_code == 418
    assert gate.get("/api/flow_runs/x", headers={"authorization": "Bearer x"}).status_code in {401, 404, 422}
    assert gate.get(f"{BASE}/nothing").status_code == 404
    assert gate.get("/api/partners/v1evil").status_code == 418


def test_meters_forget() -> None:
    meter = Meter(keys=2)
    assert [meter.admits("a", 2) for _ in range(3)] == [True, True, False]
    assert meter.admits("b", 1) and meter.admits("c", 1) and meter.admits("a", 2)  # a was the oldest


def test_the_document_is_openapi_3_1(gate: TestClient) -> None:
    """By the schema of OpenAPI 3.1 itself, and each schema in it by JSON Schema's."""
    document = gate.get(f"{BASE}/openapi.json").json()
    assert document["openapi"].startswith("3.1") and "submission.changed" in document["webhooks"]
    schemathesis.openapi.from_dict(document).validate()
    for model in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(model)
    document["components"]["securitySchemes"]["partner"]["flows"]["clientCredentials"]["tokenUrl"] = "/oauth/token"
    with pytest.raises(Exception, match="tokenUrl"):
        schemathesis.openapi.from_dict(document).validate()


def test_the_application_keeps_to_its_document(gate: TestClient, post: PartnerClient) -> None:
    post.hand_in("doc")
    schema = schemathesis.openapi.from_dict(gate.get(f"{BASE}/openapi.json").json())
    statuses = set()
    for result in schema.get_all_operations():
        operation = result.ok()
        case = next_case(operation)
        if case is None:
            continue
        answer = gate.request(
            operation.method,
            case.formatted_path,
            json=case.body if isinstance(case.body, (dict, list)) else None,
            headers={"authorization": f"Bearer {post.token}"},
        )
        assert answer.status_code < 500, (operation.label, answer.text)
        declared = operation.definition.raw["responses"][str(answer.status_code)]["content"]
        assert answer.headers["content-type"] in declared, operation.label
        operation.validate_response(answer)
        statuses.add((operation.label, answer.status_code))
    assert len(statuses) >= 12 and {422, 200} <= {status for _, status in statuses}
    view = schema[f"{BASE}/submissions/{{reference}}"]["GET"]
    view.validate_response(post.call("GET", "submissions/doc"))


def next_case(operation: Any) -> Any:
    """One random case of an operation."""
    from hypothesis import HealthCheck, Phase, given, settings

    found: list[Any] = []

    @settings(max_examples=1, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(operation.as_strategy())
    def once(case: Any) -> None:
        found.append(case)

    once()
    return found[0] if found else None


def test_the_check_of_the_documentation_takes_what_is_signed_and_nothing_else() -> None:
    """docs/en/integrators.md, the example for receivers."""
    space: dict[str, Any] = {}
    exec(example("callback-example"), space)
    key, body = new_key(), b'{"id":"1"}'
    good = signed(key, "1", int(time.time()), body)
    space["check"](public_of(key), good, body)
    for headers, what in ((good, body + b" "), (good | {"webhook-timestamp": str(int(time.time()) - 400)}, body)):
        with pytest.raises((AssertionError, InvalidSignature)):
            space["check"](public_of(key), headers, what)
