"""Error events in PostgreSQL: written in batches, read by filter, counted."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.storage.database import database_errors
from gateway.storage.retention import delete_expired
from gateway.storage.tables import error_events
from gateway.structs import Struct
from gateway.wire import JSONObject

AXES = ("source", "kind", "code", "status", "model", "upstream", "project", "endpoint")
"""What events can be counted by, besides time."""


class ErrorFilter(Struct, frozen=True):
    """Which events; None is all. `before_id` is the id of the last event of the page before."""

    since: datetime | None = None
    until: datetime | None = None
    equals: tuple[tuple[str, str | int | bool], ...] = ()
    before_id: str | None = None


class ErrorStore:
    """Statements on `error_events`. Raises UnavailableError."""

    name = "postgres"

    def __init__(self, engine: AsyncEngine, *, days: int) -> None:
        self._engine = engine
        self._kept = timedelta(days=days)

    async def write(self, rows: Sequence[JSONObject]) -> None:
        """Store events in one transaction; one that is there changes nothing."""
        values = []
        for row in rows:
            at = datetime.fromtimestamp(row["at"], UTC)
            values.append({**row, "at": at, "expires_at": at + self._kept})
        statement = insert(error_events).on_conflict_do_nothing()
        async with database_errors(), self._engine.begin() as connection:
            await connection.execute(statement, values)

    async def page(self, wanted: ErrorFilter, limit: int) -> list[JSONObject]:
        """Up to `limit` events, the newest first."""
        columns = [column for column in error_events.columns if column.name != "expires_at"]
        statement = (
            select(*columns)
            .where(*_conditions(wanted))
            .order_by(error_events.c.id.desc())
            .limit(limit)
        )
        async with database_errors(), self._engine.connect() as connection:
            found = (await connection.execute(statement)).mappings().all()
        return [{**row, "at": row["at"].isoformat()} for row in found]

    async def counts(self, wanted: ErrorFilter, by: Sequence[str]) -> list[JSONObject]:
        """How many events there are, by these of AXES and by hour, the newest hour first."""
        hour = func.date_trunc("hour", error_events.c.at).label("hour")
        axes = [error_events.c[name] for name in by]
        statement = (
            select(hour, *axes, func.count().label("events"))
            .where(*_conditions(wanted))
            .group_by(hour, *axes)
            .order_by(hour.desc(), func.count().desc(), *axes)
            .limit(5000)
        )
        async with database_errors(), self._engine.connect() as connection:
            found = (await connection.execute(statement)).mappings().all()
        return [{**row, "hour": row["hour"].isoformat()} for row in found]

    async def delete_expired(self, limit: int) -> int:
        """Removes up to `limit` events whose time is over, and returns how many."""
        return await delete_expired(self._engine, error_events, limit)


def _conditions(wanted: ErrorFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [
        error_events.c[name] == value for name, value in wanted.equals
    ]
    if wanted.since is not None:
        conditions.append(error_events.c.at >= wanted.since)
    if wanted.until is not None:
        conditions.append(error_events.c.at < wanted.until)
    if wanted.before_id is not None:
        conditions.append(error_events.c.id < wanted.before_id)
    return conditions
