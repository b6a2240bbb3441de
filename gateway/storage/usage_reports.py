"""Sums of usage: the roll-ups plus every event that is not rolled up yet, in one snapshot."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, func, select, tuple_, union_all
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.storage.database import database_errors
from gateway.storage.tables import DIMENSIONS, MEASURES, usage_daily, usage_events
from gateway.storage.usage_rollup import measures_of

_REPORT_SECONDS = 10  # someone is waiting, and a database that hangs must not keep them
_AXES = ("day", *DIMENSIONS)


@dataclass(frozen=True, slots=True)
class UsageFilter:
    """Which usage: days (UTC) from first to last, both counted, and a project; None is all."""

    first_day: date | None = None
    last_day: date | None = None
    project: str | None = None


@dataclass(frozen=True, slots=True)
class UsageSum:
    """One sum. `group` holds the value of each axis it is grouped by, {} for the total."""

    group: dict[str, Any]
    measures: dict[str, Any]


class UsageReportStore:
    """Statements of the reports. Raises UnavailableError."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def sums(
        self, wanted: UsageFilter, groupings: Sequence[tuple[str, ...]]
    ) -> dict[tuple[str, ...], list[UsageSum]]:
        """The sums for each of `groupings`, tuples of "day", "project", "model" and so on.

        All come from one statement, so they agree with each other and with the total `()`.
        """
        axes = [name for name in _AXES if any(name in grouping for grouping in groupings)]
        statement = _statement(wanted, axes, groupings)
        async with (
            database_errors(),
            asyncio.timeout(_REPORT_SECONDS),
            self._engine.connect() as connection,
        ):
            rows = (await connection.execute(statement)).mappings().all()
        sums: dict[tuple[str, ...], list[UsageSum]] = {grouping: [] for grouping in groupings}
        for row in rows:
            grouping = tuple(name for name in axes if not row[_absent(name)])
            group = {name: row[name] for name in grouping}
            sums[grouping].append(UsageSum(group, {name: row[name] for name in MEASURES}))
        return sums


def _statement(
    wanted: UsageFilter, axes: Sequence[str], groupings: Sequence[tuple[str, ...]]
) -> Select[Any]:
    rolled = select(*(usage_daily.c[name] for name in (*_AXES, *MEASURES)))
    keys = [usage_events.c[name] for name in _AXES]
    pending = (
        select(*keys, *measures_of(usage_events.c))
        .where(usage_events.c.rolled_up.is_(False), *_conditions(usage_events, wanted))
        .group_by(*keys)
    )
    every = union_all(rolled.where(*_conditions(usage_daily, wanted)), pending).subquery("every")
    sets = [tuple_(*(every.c[name] for name in grouping)) for grouping in groupings]
    return select(
        *(every.c[name] for name in axes),
        *(func.grouping(every.c[name]).label(_absent(name)) for name in axes),
        *(func.coalesce(func.sum(every.c[name]), 0).label(name) for name in MEASURES),
    ).group_by(func.grouping_sets(*sets))


def _conditions(table: Table, wanted: UsageFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.first_day is not None:
        conditions.append(table.c.day >= wanted.first_day)
    if wanted.last_day is not None:
        conditions.append(table.c.day <= wanted.last_day)
    if wanted.project is not None:
        conditions.append(table.c.project == wanted.project)
    return conditions


def _absent(axis: str) -> str:
    return f"{axis}_is_summed"
