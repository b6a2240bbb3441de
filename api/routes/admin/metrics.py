"""GET /admin/metrics: Prometheus text over all API processes."""

from fastapi import APIRouter, Depends, Request
from starlette.responses import PlainTextResponse, Response

from api.deps import require_admin, services_of
from gateway.errors import NotFoundError
from gateway.telemetry.metrics import CONTENT_TYPE

router = APIRouter(dependencies=[Depends(require_admin)], tags=["admin"])


@router.get(
    "/admin/metrics",
    summary="Prometheus metrics of all API processes",
    response_class=PlainTextResponse,
)
async def metrics(request: Request) -> Response:
    """Any process may be scraped: the answer sums all of them, the dead ones' counters included."""
    services = services_of(request)
    if not services.settings.prometheus_enabled:
        raise NotFoundError("metrics are switched off (PROMETHEUS_ENABLED=0)")
    return Response(await services.metrics.render(), media_type=CONTENT_TYPE)
