"""Sums of usage: the roll-ups plus every event that is not rolled up yet, in one snapshot."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, func, select, tuple_, union_all
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.storage.database import database_errors
from gateway.storage.tables import (
    DIMENSIONS,
    MEASURES,
    SAVINGS_DIMENSIONS,
    SAVINGS_MEASURES,
    savings_daily,
    usage_daily,
    usage_events,
)
from gateway.storage.usage_rollup import measures_of, techniques_of
from gateway.structs import Struct

_REPORT_SECONDS = 10  # someone is waiting, and a database that hangs must not keep them
_AXES = ("day", *DIMENSIONS)
_TECHNIQUE_AXES = ("protocol", "technique")


class UsageFilter(Struct, frozen=True):
    """Which usage: days (UTC) from first to last, both counted, and a project; None is all."""

    first_day: date | None = None
    last_day: date | None = None
    project: str | None = None


class UsageSum(Struct, frozen=True):
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
        async with self._reading() as connection:
            return await _sums(connection, wanted, groupings)

    async def savings(
        self, wanted: UsageFilter, groupings: Sequence[tuple[str, ...]]
    ) -> tuple[dict[tuple[str, ...], list[UsageSum]], list[UsageSum]]:
        """The sums for each of `groupings`, and what each technique saved, of one moment.

        The latter are grouped by protocol and technique and have the measures of `savings_daily`.
        """
        async with self._reading() as connection:
            sums = await _sums(connection, wanted, groupings)
            rows = (await connection.execute(_technique_statement(wanted))).mappings().all()
        techniques = [
            UsageSum(
                {name: row[name] for name in _TECHNIQUE_AXES},
                {name: row[name] for name in SAVINGS_MEASURES},
            )
            for row in rows
        ]
        return sums, techniques

    @contextlib.asynccontextmanager
    async def _reading(self) -> AsyncIterator[AsyncConnection]:
        """A connection whose statements all see the same moment."""
        async with (
            database_errors(),
            asyncio.timeout(_REPORT_SECONDS),
            self._engine.connect() as connection,
        ):
            yield await connection.execution_options(isolation_level="REPEATABLE READ")


async def _sums(
    connection: AsyncConnection, wanted: UsageFilter, groupings: Sequence[tuple[str, ...]]
) -> dict[tuple[str, ...], list[UsageSum]]:
    axes = [name for name in _AXES if any(name in grouping for grouping in groupings)]
    statement = _statement(wanted, axes, groupings)
    rows = (await connection.execute(statement)).mappings().all()
    sums: dict[tuple[str, ...], list[UsageSum]] = {grouping: [] for grouping in groupings}
    asked = {frozenset(grouping): grouping for grouping in groupings}
    for row in rows:
        grouping = asked[frozenset(name for name in axes if not row[_absent(name)])]
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


def _technique_statement(wanted: UsageFilter) -> Select[Any]:
    columns = (*SAVINGS_DIMENSIONS, *SAVINGS_MEASURES)
    rolled = select(*(savings_daily.c[name] for name in columns))
    waiting = (
        select(usage_events)
        .where(usage_events.c.rolled_up.is_(False), *_conditions(usage_events, wanted))
        .subquery("waiting")
    )
    every = union_all(
        rolled.where(*_conditions(savings_daily, wanted)), techniques_of(waiting)
    ).subquery("every")
    axes = [every.c[name] for name in _TECHNIQUE_AXES]
    sums = [func.sum(every.c[name]).label(name) for name in SAVINGS_MEASURES]
    return select(*axes, *sums).group_by(*axes)


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
