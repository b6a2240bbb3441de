"""Liveness, readiness, and the state of each part. No key is needed and no secret is shown.

The first two pass the origin lock as well: they say nothing but `status`.
"""

from fastapi import APIRouter, Request

from api.deps import services_of
from gateway.errors import UnavailableError
from gateway.version import VERSION
from gateway.wire import JSONObject

router = APIRouter(tags=["health"])


@router.get("/health/live", summary="The process runs")
async def live() -> JSONObject:
    """Always ok: restart the process only when this fails."""
    return {"status": "ok"}


@router.get("/health/ready", summary="The process can serve chat")
async def ready(request: Request) -> JSONObject:
    """Ok once started: chat is served without Valkey, PostgreSQL and Temporal.

    503 once told to stop: what comes now should go to another process.
    """
    if request.app.state.edge.is_draining:
        raise UnavailableError("this process is about to end")
    return {"status": "ok"}


@router.get("/health", summary="The state of each part")
async def health(request: Request) -> JSONObject:
    """`status` is ok or degraded (200 in both); `parts` tells which part is down."""
    services = services_of(request)
    parts = await services.part_states()
    down = [name for name, state in parts.items() if state != "ok"]
    return {
        "status": "degraded" if down else "ok",
        "version": VERSION,
        "model_source": services.model_source,
        "simulator": services.settings.upstream_is_simulator,
        "parts": parts,
    }


@router.head("/", include_in_schema=False)
@router.get("/", summary="What this is")
@router.head("/api/hello", include_in_schema=False)
async def hello(request: Request) -> JSONObject:
    """Name and version; Claude Code probes `HEAD /` and `HEAD /api/hello` before it starts."""
    return {"service": services_of(request).settings.gateway_name, "version": VERSION}
