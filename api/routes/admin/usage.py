"""Usage and cost: GET /admin/usage, /admin/usage/daily, /admin/costs."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from gateway.storage.usage_reports import UsageFilter
from gateway.usage.reports import UsageReports, usage_filter

router = APIRouter(tags=["usage"])


def _reports(request: Request) -> UsageReports:
    reports: UsageReports = request.app.state.services.usage_reports
    return reports


def _wanted(
    first: Annotated[str | None, Query(alias="from", description="First day, YYYY-MM-DD")] = None,
    last: Annotated[str | None, Query(alias="to", description="Last day, counted")] = None,
    project: Annotated[str | None, Query(description="Only this project")] = None,
) -> UsageFilter:
    return usage_filter(first, last, project)


Reports = Annotated[UsageReports, Depends(_reports)]
Wanted = Annotated[UsageFilter, Depends(_wanted)]


@router.get("/admin/usage")
async def usage(reports: Reports, wanted: Wanted) -> dict[str, Any]:
    """Requests, tokens and cost: in total, by model and by project."""
    return await reports.usage(wanted)


@router.get("/admin/usage/daily")
async def usage_by_day(reports: Reports, wanted: Wanted) -> dict[str, Any]:
    """Requests, tokens and cost of each day."""
    return await reports.daily(wanted)


@router.get("/admin/costs")
async def costs(reports: Reports, wanted: Wanted) -> dict[str, Any]:
    """Cost by model, project and day, and how many requests have no known price."""
    return await reports.costs(wanted)
