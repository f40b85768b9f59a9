"""Folder inbox, command line, REST: one submission is one dossier, parameters are ids only, nothing personal leaks."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import psycopg
import pytest
import yaml
from sqlmodel import func, select

from blocks.records.states import DossierState
from blocks.records.tables import Dossier
from blocks.settings import gateway_url, home, read_env
from tests.attack.partner_client import example
from tests.faults.stack import until
from tests.journeys.conftest import Journey
from tests.players.officers import Sample

ROOT = Path(__file__).resolve().parents[2]


def sohoa(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "sohoa"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | {"COLUMNS": "200"}, timeout=120)


def dossiers(journey: Journey) -> int:
    with journey.officers.records.session() as session:
        return session.exec(select(func.count()).select_from(Dossier)).one()


def test_CO06_the_same_folder_twice_is_the_same_run_and_dossier(played: Journey) -> None:
    sample = played.variant("bang-lenh", "01-om-dau")
    played.officers.hand_in(sample, "command")
    until(lambda: played.officers.dossier(sample) is not None)
    before = dossiers(played)
    done = sohoa("submit", str(sample.folder))
    assert done.returncode == 0 and sample.run_id in done.stdout.replace("\n", "") and sample.submission in done.stdout
    assert dossiers(played) == before


def test_a_bad_declaration_is_refused_at_the_door_with_code_and_sentence(played: Journey) -> None:
    done = sohoa("submit", str(played.samples["d31-ten-nfd"].folder))
    assert done.returncode == 2 and "NAME_NFD" in done.stderr and "vui lòng" in done.stderr


def test_P03_sohoa_status_shows_the_public_value(played: Journey) -> None:
    dossier = played.officers.dossier(played.samples["01-om-dau"])
    assert dossier is not None and dossier.code
    done = sohoa("status", dossier.code)
    assert done.returncode == 0 and "Bảo hiểm xã hội đã trả kết quả" in done.stdout
    assert dossier.owner_name not in done.stdout
    assert sohoa("status", "BHXH-TEST-260101-9999").returncode == 2


def test_the_inbox_folder_is_taken_once(played: Journey) -> None:
    sample = played.variant("hop-nhan", "d06-thieu-thanh-phan", captured_by="tnhs.02")
    inbox = Path(os.environ["SOHOA_INBOX_DIR"]) / "tnhs.02"  # bound to this officer
    inbox.mkdir(exist_ok=True)
    shutil.copytree(sample.folder, inbox / "quay-3")
    bad = inbox / "hong"
    bad.mkdir()
    (bad / "dossier.yaml").write_text("version: 1\n")
    older = inbox / "ngay-sinh-khong-co"  # stands before the others in each look
    older.mkdir()
    (older / "dossier.yaml").write_text("version: 1\nowner: {birth_date: 1955-02-30}\n")
    (older / "anh.jpg").symlink_to("/etc/shadow")
    os.mkfifo(older / "ong")
    until(lambda: (inbox / "quay-3" / ".sohoa-submission").exists(), 150)
    before = dossiers(played)
    assert (bad / "KHONG_TIEP_NHAN.txt").read_text().startswith("MANIFEST_INVALID: ")
    assert (older / "KHONG_TIEP_NHAN.txt").read_text().startswith("MANIFEST_INVALID: ")
    deployment = played.prefect.call("GET", "/deployments/name/inbox/folders").json()["id"]
    again = played.prefect.call("POST", f"/deployments/{deployment}/create_flow_run", {}).json()["id"]
    until(lambda: played.prefect.run(again)["state_type"] in {"COMPLETED", "CANCELLED"})
    assert dossiers(played) in (before, before + 1)  # the run itself may register the dossier just now
    sample.submission = (inbox / "quay-3" / ".sohoa-submission").read_text().strip()
    until(lambda: played.officers.dossier(sample) is not None)


def as_partner(sample: Sample, folder: Path) -> None:
    """The sample as a partner sends it: files by number in a folder of each component, the declaration as JSON."""
    declared = yaml.safe_load((sample.folder / "dossier.yaml").read_text(encoding="utf-8"))
    for number, component in enumerate(declared["components"], 1):
        place = folder / f"c{number}"
        place.mkdir(parents=True)
        names = [f"{ordinal:04d}{Path(file).suffix.lower()}" for ordinal, file in enumerate(component["files"], 1)]
        for name, file in zip(names, component["files"], strict=True):
            shutil.copy(sample.folder / file, place / name)
        component["files"] = [f"c{number}/{name}" for name in names]
    (folder / "declaration.json").write_text(json.dumps(declared, default=str, ensure_ascii=False), encoding="utf-8")


@pytest.mark.long
def test_the_examples_of_the_documentation_work(played: Journey, tmp_path: Path) -> None:
    """A partner hands a case in with curl, twice; Prefect's own client finds the run; nobody else's is found."""
    sample = played.variant("doi-tac", "01-om-dau", captured_by="tnhs.02")
    as_partner(sample, tmp_path)
    scope = ("--unit", "BHXH-TEST", "--procedure", "1.001667", "--officer", "tnhs.02")
    added = sohoa("partner", "add", "buu-dien", "--name", "Bưu điện", *scope)
    secret = re.search(r"client_secret: (\S+)", added.stdout)
    assert added.returncode == 0 and secret, added.stderr
    known = {"CLIENT_ID": "buu-dien", "CLIENT_SECRET": secret[1], "CASE": "HS-1", "SOHOA_GATEWAY_URL": gateway_url()}

    def run(*command: str, **more: str) -> str:
        env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **known, **more}  # nothing of the stack's secrets
        done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=tmp_path, timeout=120)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    outputs = [run("bash", "-euo", "pipefail", "-c", example("curl-begin", "curl-example")) for _ in range(2)]
    runs = {json.loads(output[output.rindex("{") :])["flow_run_id"] for output in outputs}
    assert len(runs) == 1
    sample.run_id, sample.submission = runs.pop(), json.loads(outputs[0][: outputs[0].index("}") + 1])["submission"]
    asked = httpx.post(
        f"{gateway_url()}/oauth/token", data={"grant_type": "client_credentials"}, auth=("buu-dien", secret[1])
    )
    token = {"TOKEN": asked.json()["access_token"], "SUBMISSION": sample.submission}
    assert run(sys.executable, "-c", example("prefect-example"), **token).strip()
    bearer = {"authorization": f"Bearer {token['TOKEN']}"}
    status = f"{gateway_url()}/api/partners/v1/submissions/HS-1"
    until(lambda: httpx.get(status, headers=bearer).json()["code"])
    told = httpx.get(status, headers=bearer)
    dossier = played.officers.dossier(sample)
    assert dossier is not None and dossier.code == told.json()["code"] and dossier.owner_name not in told.text
    strange = played.samples["01-om-dau"].run_id
    assert httpx.get(f"{gateway_url()}/api/flow_runs/{strange}", headers=bearer).status_code == 404


def test_unknown_or_wrong_parameters_are_refused(played: Journey) -> None:
    for name in ("integrators", "counter"):
        deployment = played.prefect.call("GET", f"/deployments/name/dossier/{name}").json()["id"]
        for parameters in (
            {"submission": "a" * 32, "owner_name": "x"},
            {"submission": 12},
            {},
        ):
            answer = played.prefect.call(
                "POST", f"/deployments/{deployment}/create_flow_run", {"parameters": parameters}
            )
            assert answer.status_code == 409, (parameters, answer.text)


def test_WH04_prefect_knows_no_name_and_no_id(played: Journey) -> None:
    """Everything that Prefect keeps as text is searched for the owners of all dossiers."""
    with played.officers.records.session() as session:
        rows = session.exec(select(Dossier.owner_name, Dossier.owner_id)).all()
    secrets = {name for name, _ in rows if len(name) > 6} | {number for _, number in rows if number}
    kept = read_env(home() / "secrets" / "prefect.env")["PREFECT_SERVER_DATABASE_CONNECTION_URL"]
    url = kept.replace("+asyncpg", "")  # of Prefect's own role: no other may look into its database
    leaks = []
    with psycopg.connect(url) as connection:
        columns = connection.execute(
            "select table_name, column_name from information_schema.columns where table_schema = 'public' "
            "and data_type in ('text', 'character varying', 'json', 'jsonb')"
        ).fetchall()
        for table, column in columns:
            query = psycopg.sql.SQL("select count(*) from {t} where {c}::text like any(%s)").format(
                t=psycopg.sql.Identifier(table), c=psycopg.sql.Identifier(column)
            )
            found = connection.execute(query, ([f"%{secret}%" for secret in secrets],)).fetchone()
            if found and found[0]:
                leaks.append((table, column, found[0]))
    logs = "".join(played.stack.log(name) for name in ("worker", "prefect", "supervisor", "setup"))
    assert not leaks and not [secret for secret in secrets if secret in logs]


def test_doctor_finds_every_part_fit(played: Journey) -> None:
    """`sohoa doctor` on the stack that has just played all samples."""
    done = sohoa("doctor", "--json")
    found = json.loads(done.stdout)
    assert done.returncode == 0 and not [item for item in found if item["state"] == "LỖI"], found
    assert len(found) >= 12


def test_KH03_metrics_tell_what_was_played_and_alerts_ask_for_what_is_told(played: Journey) -> None:
    told = httpx.get(f"http://127.0.0.1:{os.environ['SOHOA_PORT_METRICS']}/metrics", timeout=30).text
    assert told.count("sohoa_source_up{") == 3 and 'sohoa_source_up{source="prefect"} 1.0' in told
    archived = re.search(r'^sohoa_dossiers{state="LUU_TRU"} (\S+)$', told, re.M)
    with played.officers.records.session() as session:
        stored = session.exec(select(func.count()).where(Dossier.state == DossierState.LUU_TRU)).one()
    assert archived and float(archived[1]) == stored > 0
    asked = set(re.findall(r"sohoa_\w+", (ROOT / "infra/monitoring/alerts.yml").read_text()))
    assert not {name for name in asked if f"# TYPE {name} " not in told}
    people = {item["fields"].get("full_name") for s in played.samples.values() for item in s.truth["documents"]} - {
        None
    }
    assert people and not [name for name in people if name in told]
