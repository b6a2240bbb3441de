"""GET /admin/savings: what input would have cost, what was billed, and what made the difference."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from api.deps import require_admin, services_of
from api.routes.admin.usage import Wanted
from gateway.usage.savings_report import checked_group

router = APIRouter(dependencies=[Depends(require_admin)], tags=["usage"])

Group = Annotated[
    str | None, Query(description="Only this grouping: project, technique, client or day")
]


@router.get("/admin/savings")
async def savings(request: Request, wanted: Wanted, group: Group = None) -> dict[str, Any]:
    """Input dollars with the gateway and without: in total, and by what they were saved."""
    services = services_of(request)
    guard = services.live.accounting.pass_guard
    passes = guard.states() if guard is not None else []
    return await services.usage_reports.savings(wanted, passes, checked_group(group))
