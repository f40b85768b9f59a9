"""For partners that use Prefect's own client: its id of the deployment, one run of an own submission, that run.

Nothing that the client sends is passed on but the submission: no job variable, state, tag, queue or other deployment.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from sqlmodel import select

from blocks.errors import Remedy, SohoaError
from blocks.ids import FlowRunId
from blocks.objects import ObjectStore
from blocks.orchestrator import INTEGRATORS, Orchestrator, PrefectUnavailable
from blocks.records import RecordsDatabase
from blocks.records.partners import Partner, PartnerCase
from deployments.partners.access import Access, needs
from deployments.partners.routes import FAULTS
from tasks.intake.begin import Ended, ended
from tasks.intake.names import SUBMISSION_ID, part_of
from tasks.partner_cases.cases import hand_over
from tasks.partner_cases.errors import CaseUnknown
from tasks.progress import STATE as STATE_TAG

ID = r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"
DEPLOYMENT = ("id", "name", "flow_id", "parameter_openapi_schema", "enforce_parameter_schema", "tags")
RUN = (
    "id", "created", "updated", "name", "flow_id", "deployment_id", "parameters", "idempotency_key", "tags",
    "state_type", "state_name", "run_count", "expected_start_time", "start_time", "end_time", "total_run_time",
)  # fmt: skip
STATE = ("id", "type", "name", "timestamp")


class RunUnknown(SohoaError):
    code, status = "RUN_UNKNOWN", 404
    message = "Không có lượt xử lý nào của đối tác mang mã này."
    remedy = Remedy.OFFICER


def _empty(value: Any) -> None:
    """What Prefect's client always sends must say nothing."""
    if value not in (None, {}, [], ""):
        raise ValueError("must be left out")


Nothing = Annotated[None, BeforeValidator(_empty)]


class Parameters(BaseModel):
    model_config = ConfigDict(extra="forbid")
    submission: Annotated[str, Field(pattern=SUBMISSION_ID)]


class Run(BaseModel):
    """``{"parameters": {"submission": …}, "idempotency_key": …}``, the key equal to the submission."""

    model_config = ConfigDict(extra="forbid")
    parameters: Parameters
    idempotency_key: str | None = None
    job_variables: Nothing = None
    tags: Nothing = None
    context: Nothing = None
    labels: Nothing = None

    @model_validator(mode="after")
    def _one_key(self) -> Run:
        if self.idempotency_key not in (None, self.parameters.submission):
            raise ValueError("idempotency_key must be the submission")
        return self


def prefect_routes(records: RecordsDatabase, objects: ObjectStore, prefect: Orchestrator, access: Access) -> APIRouter:
    router = APIRouter(responses=FAULTS, tags=["prefect"])
    submit, read = Depends(needs(access, "submit")), Depends(needs(access, "read"))

    def deployment() -> dict[str, Any]:
        found = prefect.call("GET", f"/deployments/name/{INTEGRATORS}")
        if found.status_code != 200:
            raise PrefectUnavailable()
        told: dict[str, Any] = found.json()
        return told

    def shown(case: PartnerCase) -> dict[str, Any]:
        answer = prefect.call("GET", f"/flow_runs/{case.flow_run_id}")
        if answer.status_code == HTTPStatus.NOT_FOUND:
            if (known := ended(records, case.submission)) is None:
                raise RunUnknown()
            return _shown(_as_run(case, known, deployment()))
        run: dict[str, Any] = answer.raise_for_status().json()
        return _shown(run)

    @router.get("/api/deployments/name/dossier/integrators", summary="Prefect's id of the deployment")
    def known(partner: Partner = read) -> dict[str, Any]:
        return {name: value for name, value in deployment().items() if name in DEPLOYMENT}

    @router.post("/api/deployments/{deployment_id}/create_flow_run", status_code=201, summary="Start an own submission")
    def create(deployment_id: UUID, run: Run, partner: Partner = submit) -> dict[str, Any]:
        if str(deployment_id) != deployment()["id"]:
            raise RunUnknown()
        with records.session() as session:
            query = select(PartnerCase).where(
                PartnerCase.partner_id == partner.id, PartnerCase.submission == run.parameters.submission
            )
            case = session.exec(query).first()
        if case is None:
            raise CaseUnknown()
        started = hand_over(records, objects, prefect, partner, case.reference, part_of(1))
        return shown(started)

    @router.get("/api/flow_runs/{flow_run_id}", summary="An own run")
    def follow(flow_run_id: FlowRunId, partner: Partner = read) -> dict[str, Any]:
        with records.session() as session:
            query = select(PartnerCase).where(
                PartnerCase.partner_id == partner.id, PartnerCase.flow_run_id == flow_run_id
            )
            case = session.exec(query).first()
            if case is None:
                raise RunUnknown()
            session.expunge(case)
        return shown(case)

    return router


def _as_run(case: PartnerCase, known: Ended, deployment: dict[str, Any]) -> dict[str, Any]:
    """What became of a dossier that has ended, as the run that Prefect has forgotten would tell it."""
    done = {"state_type": "COMPLETED", "state_name": "Completed"}
    return done | {
        "id": str(case.flow_run_id),
        "created": case.started_at,
        "name": known.code or f"moi-{case.submission[:12]}",
        "flow_id": deployment["flow_id"],
        "deployment_id": deployment["id"],
        "parameters": {"submission": case.submission},
        "idempotency_key": case.submission,
        "tags": [f"{STATE_TAG}{known.state.value}"],
        "state": {"type": "COMPLETED", "name": "Completed"},
    }


def _shown(run: dict[str, Any]) -> dict[str, Any]:
    state = run.get("state") or {}
    pause = (state.get("state_details") or {}).get("pause_key")
    answer = {name: state.get(name) for name in STATE} | {"state_details": {"pause_key": pause}}
    return {name: run.get(name) for name in RUN} | {"state": answer}
