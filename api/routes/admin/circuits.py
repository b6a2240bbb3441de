"""Circuits of upstreams: what they are now, and opening and closing them by hand."""

from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field

from api.deps import require_admin
from gateway.context import Caller
from gateway.durable import CircuitOrder, circuit_workflow_id
from gateway.reliability.circuit_sharing import SharedCircuits

router = APIRouter(tags=["circuits"])


class Order(BaseModel):
    """Why a circuit is opened or closed, and for how long it stays open."""

    reason: str = Field(default="", max_length=200)
    seconds: float = Field(
        default=0.0,
        ge=0,
        le=604_800,
        allow_inf_nan=False,
        description="Open for so long, then tried again; 0 = until it is closed by hand",
    )


def _circuits(request: Request) -> SharedCircuits:
    circuits: SharedCircuits = request.app.state.services.circuits
    return circuits


Circuits = Annotated[SharedCircuits, Depends(_circuits)]
Admin = Annotated[Caller, Depends(require_admin)]


@router.get("/admin/circuits", dependencies=[Depends(require_admin)])
async def list_circuits(circuits: Circuits) -> dict[str, Any]:
    """The circuits that were asked or heard of, as this process sees them.

    `seconds_left` is how long an open one stays so by itself, null until somebody closes it.
    """
    return {
        "circuits": [
            {**each, "workflow_id": circuit_workflow_id(each["circuit"])}
            for each in circuits.listing()
        ]
    }


@router.post("/admin/circuits/{upstream}/{model_class}/{action}")
async def order_circuit(
    upstream: str,
    model_class: str,
    action: Literal["open", "close"],
    circuits: Circuits,
    caller: Admin,
    wanted: Order | None = None,
) -> dict[str, Any]:
    """Open or close a circuit for every process, through its workflow.

    `durable` is false when Temporal did not answer and only the running processes were told.
    """
    wanted = wanted or Order()
    circuit = circuits.known(upstream, model_class)
    order = CircuitOrder(
        "open" if action == "open" else "closed",
        by=f"key {caller.key_id}",
        reason=wanted.reason or "by hand",
        manual=True,
        seconds=wanted.seconds,
    )
    view = await circuits.order(circuit, order)
    if view is None:
        return {"circuit": circuit, "state": order.state, "durable": False}
    return {**asdict(view), "durable": True, "workflow_id": circuit_workflow_id(circuit)}
