"""What the admin endpoints tell about usage and cost.

All sums are exact up to the events of the last second or so: roll-ups plus what is not rolled up.
Days are UTC. A cost is null when nothing in it has a known price; `unpriced_requests` says how many
requests the cost leaves out.
"""

from datetime import date
from typing import Any

from gateway.errors import InvalidRequestError
from gateway.storage.usage_reports import UsageFilter, UsageReportStore, UsageSum
from gateway.storage.usage_rollup import UsageRollupStore
from gateway.usage.savings_report import GROUPINGS, SavingsSums, savings_report
from gateway.wire import JSONObject

_PLAIN = (
    "requests",
    "errors",
    "aborted",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "thinking_tokens",
    "web_search_requests",
    "estimated_requests",
    "unpriced_requests",
)


def usage_filter(first: str | None, last: str | None, project: str | None) -> UsageFilter:
    """The filter of the query parameters `from`, `to` (days, both counted) and `project`."""
    wanted = UsageFilter(_day("from", first), _day("to", last), project or None)
    if wanted.first_day and wanted.last_day and wanted.first_day > wanted.last_day:
        raise InvalidRequestError("from must not be after to", param="from")
    return wanted


class UsageReports:
    """The reports. Every method raises UnavailableError when the database is down."""

    def __init__(self, sums: UsageReportStore, rollups: UsageRollupStore) -> None:
        self._sums = sums
        self._rollups = rollups

    async def usage(self, wanted: UsageFilter) -> JSONObject:
        """{"totals": {...}, "by_model": [...], "by_project": [...]}, the busiest first."""
        sums = await self._sums.sums(wanted, [(), ("model",), ("project",)])
        watermark = await self._rollups.watermark()
        return {
            "totals": _figures(sums[()][0]),
            "by_model": _busiest_first(sums[("model",)]),
            "by_project": _busiest_first(sums[("project",)]),
            "rolled_up_until": None if watermark is None else watermark.isoformat(),
        }

    async def daily(self, wanted: UsageFilter) -> JSONObject:
        """{"days": [...]}: the figures of each day that had requests, oldest first."""
        sums = await self._sums.sums(wanted, [("day",)])
        return {"days": sorted(map(_row, sums[("day",)]), key=lambda row: row["day"])}

    async def costs(self, wanted: UsageFilter) -> JSONObject:
        """{"totals", "by_model", "by_project", "by_day"}: dollars, and what they leave out."""
        sums = await self._sums.sums(wanted, [(), ("model",), ("project",), ("day",)])
        return {
            "totals": _costs(sums[()][0]),
            "by_model": _dearest_first(sums[("model",)]),
            "by_project": _dearest_first(sums[("project",)]),
            "by_day": sorted(map(_costs, sums[("day",)]), key=lambda row: row["day"]),
        }

    async def savings(
        self, wanted: UsageFilter, passes: list[JSONObject], group: str | None = None
    ) -> JSONObject:
        """What input would have cost and what was billed, see `savings_report`."""
        by_group, by_technique = await self._sums.savings(wanted, GROUPINGS)
        return savings_report(SavingsSums(by_group, by_technique), passes, group)


def _day(name: str, value: str | None) -> date | None:
    if not value:
        return None
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise InvalidRequestError(f"{name} must be a day, YYYY-MM-DD", param=name) from None


def _busiest_first(sums: list[UsageSum]) -> list[JSONObject]:
    rows = [_row(each) for each in sums]
    return sorted(rows, key=lambda row: (-row["requests"], row.get("model", row.get("project"))))


def _dearest_first(sums: list[UsageSum]) -> list[JSONObject]:
    return sorted(map(_costs, sums), key=lambda row: -(row["cost_usd"] or 0))


def _row(each: UsageSum) -> JSONObject:
    return {**_group(each), **_figures(each)}


def _group(each: UsageSum) -> dict[str, Any]:
    return {
        name: value.isoformat() if isinstance(value, date) else value
        for name, value in each.group.items()
    }


def _figures(each: UsageSum) -> JSONObject:
    measures = each.measures
    figures: JSONObject = {name: int(measures[name]) for name in _PLAIN}
    figures["cache_write_tokens"] = (
        figures["cache_write_5m_tokens"] + figures["cache_write_1h_tokens"]
    )
    figures["cost_usd"] = _dollars(each)
    figures["mean_latency_ms"] = _mean(measures["latency_ms"], measures["requests"])
    figures["mean_first_token_ms"] = _mean(
        measures["first_token_ms"], measures["first_token_requests"]
    )
    return figures


def _costs(each: UsageSum) -> JSONObject:
    return {
        **_group(each),
        "requests": int(each.measures["requests"]),
        "cost_usd": _dollars(each),
        "unpriced_requests": int(each.measures["unpriced_requests"]),
    }


def _dollars(each: UsageSum) -> float | None:
    """The dollars of what has a price; None rather than 0 when something has none."""
    dollars = each.measures["cost_usd"]
    return None if each.measures["unpriced_requests"] and not dollars else float(dollars)


def _mean(total: float, count: int) -> float | None:
    return round(float(total) / int(count), 1) if count else None
