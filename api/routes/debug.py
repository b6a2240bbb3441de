"""GET /debug/config: the effective settings."""

from fastapi import APIRouter, Depends, Request

from api.deps import require_admin, services_of
from gateway.config import redacted
from gateway.wire import JSONObject

router = APIRouter(dependencies=[Depends(require_admin)], tags=["admin"])


@router.get("/debug/config", summary="Effective settings, secrets hidden")
async def effective_settings(request: Request) -> JSONObject:
    """Every setting by name; a secret shows only whether it is set."""
    return redacted(services_of(request).settings)
