"""Folding usage events into hourly and daily rows.

Each event carries a mark that it was folded, set in the transaction that adds it to the sums. So a
roll-up may be repeated or killed at any point, events that arrive late or commit out of order are
taken the next time, a restored backup stays consistent, and "not yet rolled up" is exact. A
watermark over transaction ids would be smaller but is lost when a backup moves to another server.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import reduce
from operator import add
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    FromClause,
    Numeric,
    Select,
    Table,
    Text,
    and_,
    case,
    cast,
    column,
    func,
    literal_column,
    select,
    true,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, Insert, insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from gateway.storage.database import database_errors
from gateway.storage.tables import (
    AMOUNTS,
    DIMENSIONS,
    EVENT_COLUMNS,
    MEASURES,
    PROMPT_SUMS,
    SAVINGS_DIMENSIONS,
    SAVINGS_MEASURES,
    TOKEN_SUMS,
    savings_daily,
    usage_daily,
    usage_events,
    usage_hourly,
    usage_rollup_state,
)
from gateway.structs import Struct

_STATE = "usage"


class RolledUp(Struct, frozen=True):
    """What one step did. `more` says that events were left for the next step."""

    events: int
    more: bool


class UsageRollupStore:
    """Statements of the roll-up. Raises UnavailableError."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def roll_up(self, limit: int) -> RolledUp:
        """Folds up to `limit` events in one transaction; a second caller at the time waits."""
        async with database_errors(), self._engine.begin() as connection:
            await _lock_state(connection)
            folded, latest = (await connection.execute(_fold_statement(limit))).one()
            if folded:
                await _note(connection, folded, latest)
            return RolledUp(folded, more=folded == limit)

    async def watermark(self) -> datetime | None:
        """The start of the youngest event that is rolled up; None before the first."""
        statement = select(usage_rollup_state.c.watermark).where(
            usage_rollup_state.c.name == _STATE
        )
        async with database_errors(), self._engine.connect() as connection:
            found = (await connection.execute(statement)).scalar_one_or_none()
        return found if found is None else found.astimezone(UTC)


def measures_of(event: ReadOnlyColumnCollection[str, Any]) -> list[ColumnElement[Any]]:
    """The measures of a roll-up row as aggregates over `event`, named as in the tables."""
    used = func.greatest(*(event[name] for name in TOKEN_SUMS)) > 0
    measured = event.baseline_input_usd.is_not(None)
    held_out = and_(measured, event.held_out)
    prompt = reduce(add, (event[name] for name in PROMPT_SUMS))
    sums: dict[str, ColumnElement[Any]] = {
        "requests": func.count(),
        "errors": func.count().filter(event.status == "error"),
        "aborted": func.count().filter(event.status == "aborted"),
        "estimated_requests": func.count().filter(event.estimated),
        "unpriced_requests": func.count().filter(and_(event.cost_usd.is_(None), used)),
        "first_token_requests": func.count(event.first_token_ms),
        "measured_requests": func.count().filter(measured),
        "reduced_requests": func.count().filter(and_(measured, event.reduced)),
        "held_out_requests": func.count().filter(held_out),
        "measured_prompt_tokens": _total(func.sum(prompt).filter(measured)),
        "held_out_prompt_tokens": _total(func.sum(prompt).filter(held_out)),
        "held_out_input_usd": _total(func.sum(event.billed_input_usd).filter(held_out)),
    }
    for name in (*TOKEN_SUMS, *AMOUNTS):
        if name not in sums:
            sums[name] = _total(func.sum(event[name]))
    return [sums[name].label(name) for name in MEASURES]


def techniques_of(event: FromClause) -> Select[Any]:
    """The rows of `savings_daily` that the events of `event` make, as aggregates named as there.

    What is no number is left out: one odd row must not hold up the roll-up for ever.
    """
    by_technique = event.c.reduction["techniques"]
    entry = (
        func.jsonb_each(case((func.jsonb_typeof(by_technique) == "object", by_technique)))
        .table_valued(column("technique", Text), column("saving", JSONB(astext_type=Text())))
        .render_derived(name="entry")
    )
    saving = entry.c.saving
    dimensions = [
        event.c.day,
        event.c.project,
        event.c.client,
        protocol_of(event.c.endpoint).label("protocol"),
        entry.c.technique,
    ]
    return (
        select(
            *dimensions,
            func.count().label("requests"),
            func.sum(cast(saving["tokens"], Numeric)).cast(BigInteger).label("removed_tokens"),
            func.sum(cast(saving["usd"], Numeric)).label("saved_usd"),
        )
        .select_from(event.join(entry, true()))
        .where(*(func.jsonb_typeof(saving[name]) == "number" for name in ("tokens", "usd")))
        .group_by(*dimensions)
    )


def protocol_of(endpoint: ColumnElement[str]) -> ColumnElement[str]:
    """Which of the client protocols an endpoint belongs to: messages, responses or chat."""
    return case(
        (endpoint == "/v1/messages", "messages"),
        (endpoint == "/v1/responses", "responses"),
        else_="chat",
    )


def _total(total: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.coalesce(total, 0)


async def _lock_state(connection: AsyncConnection) -> None:
    await connection.execute(
        insert(usage_rollup_state).values(name=_STATE, events=0).on_conflict_do_nothing()
    )
    await connection.execute(
        select(usage_rollup_state.c.name)
        .where(usage_rollup_state.c.name == _STATE)
        .with_for_update()
    )


async def _note(connection: AsyncConnection, folded: int, latest: datetime) -> None:
    await connection.execute(
        update(usage_rollup_state)
        .where(usage_rollup_state.c.name == _STATE)
        .values(
            events=usage_rollup_state.c.events + folded,
            watermark=func.greatest(usage_rollup_state.c.watermark, latest),
            updated_at=func.now(),
        )
    )


def _fold_statement(limit: int) -> Select[int, Any]:
    """Marks events, adds them to all tables and counts them, in one statement."""
    key = tuple_(usage_events.c.day, usage_events.c.event_id)
    pending = (
        select(usage_events.c.day, usage_events.c.event_id)
        .where(usage_events.c.rolled_up.is_(False))
        .limit(limit)
    )
    fresh = (
        update(usage_events)
        .where(key.in_(pending))
        .values(rolled_up=True)
        .returning(*(usage_events.c[name] for name in EVENT_COLUMNS))
        .cte("fresh")
    )
    hour = func.date_trunc("hour", fresh.c.started_at, "UTC")
    hourly = _added(usage_hourly, fresh, hour).returning(literal_column("1")).cte("hourly")
    daily = _added(usage_daily, fresh, fresh.c.day).returning(literal_column("1")).cte("daily")
    savings = _savings_added(fresh).returning(literal_column("1")).cte("savings")
    count = select(func.count(), func.max(fresh.c.started_at)).select_from(fresh)
    return count.add_cte(hourly, daily, savings)


def _added(table: Table, fresh: CTE, period: ColumnElement[Any]) -> Insert:
    """`table` with the sums of `fresh` added to its rows."""
    dimensions = [fresh.c[name] for name in DIMENSIONS]
    sums = select(period, *dimensions, *measures_of(fresh.c)).group_by(period, *dimensions)
    columns = [table.columns[0].name, *DIMENSIONS, *MEASURES]
    return _adding(table, insert(table).from_select(columns, sums), MEASURES)


def _savings_added(fresh: CTE) -> Insert:
    columns = [*SAVINGS_DIMENSIONS, *SAVINGS_MEASURES]
    statement = insert(savings_daily).from_select(columns, techniques_of(fresh))
    return _adding(savings_daily, statement, SAVINGS_MEASURES)


def _adding(table: Table, statement: Insert, measures: Sequence[str]) -> Insert:
    """`statement`, adding to the measures of the rows that are there."""
    return statement.on_conflict_do_update(
        index_elements=[each.name for each in table.primary_key],
        set_={name: table.c[name] + statement.excluded[name] for name in measures},
    )
