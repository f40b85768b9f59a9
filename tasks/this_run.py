"""The flow run that this code belongs to."""

from __future__ import annotations

from prefect.context import FlowRunContext

from blocks.ids import FlowRunId


def this_run() -> FlowRunId | None:
    """Id of the flow run that goes on in this context; None outside one."""
    context = FlowRunContext.get()
    return FlowRunId(context.flow_run.id) if context is not None and context.flow_run is not None else None
