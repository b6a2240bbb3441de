"""Responses in the background in PostgreSQL: begun attempt by attempt, ended exactly once.

An attempt is fenced by its number: what a worker writes after another one has begun, or after the
response has ended, changes nothing and is answered with False.
"""

from datetime import date, datetime
from typing import Any, Literal

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.errors import NotFoundError
from gateway.storage.background_tables import background_events, background_responses
from gateway.storage.database import database_errors
from gateway.storage.retention import delete_marked
from gateway.storage.usage_store import UsageStore
from gateway.structs import Struct
from gateway.wire import JSONObject

OPEN = ("queued", "in_progress")
"""Statuses of a response that has not ended."""

Ending = Literal["completed", "incomplete", "failed", "cancelled"]
"""How a response ends."""

_table = background_responses


class NewBackground(Struct, frozen=True):
    """A response to accept; `request` and `shown` are sealed."""

    id: str
    project_id: str
    key_id: str
    endpoint: str
    request: str
    shown: str
    idempotency_key: str | None
    body_digest: bytes
    created_at: datetime
    expires_at: datetime
    kept_until_at: datetime
    status: str = "queued"


class BackgroundRow(Struct, frozen=True):
    """A response as it is now.

    Events of the present attempt begin with `first_event`; `next_event` is the number of the one
    that comes next. `failure` is how the last attempt ended when it failed, and `usage` the row of
    `usage_events` of all attempts that have ended so far.
    """

    id: str
    project_id: str
    key_id: str
    endpoint: str
    status: str
    attempt: int
    first_event: int
    next_event: int
    failure: JSONObject | None
    usage: JSONObject | None
    body_digest: bytes | None
    created_at: datetime
    ended_at: datetime | None
    expires_at: datetime

    @property
    def has_ended(self) -> bool:
        """True when nothing more will happen."""
        return self.status not in OPEN


class EventRow(Struct, frozen=True):
    """Some events of a stream by their numbers, both ends included; `data` is sealed."""

    first: int
    last: int
    data: str


class Ended(Struct, frozen=True):
    """The end of a response: what is shown from now on, its last events and its usage row.

    `failure` is why there is no answer.
    """

    status: Ending
    shown: str
    events: EventRow
    usage: JSONObject | None = None
    failure: JSONObject | None = None


_COLUMNS = [_table.c[name] for name in BackgroundRow.__struct_fields__]


class BackgroundStore:
    """Statements on responses in the background. Raises UnavailableError."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._usage = UsageStore(engine)

    async def create(self, new: NewBackground) -> tuple[BackgroundRow, bool]:
        """The response, and whether it is new: one of the same idempotency key is given instead."""
        values = {name: getattr(new, name) for name in NewBackground.__struct_fields__}
        made = (
            insert(_table)
            .values(values)
            .on_conflict_do_nothing(constraint="background_idempotency_key")
            .returning(*_COLUMNS)
        )
        same = select(*_COLUMNS).where(
            _table.c.project_id == new.project_id, _table.c.idempotency_key == new.idempotency_key
        )
        async with database_errors(), self._engine.begin() as connection:
            row = (await connection.execute(made)).mappings().one_or_none()
            if row is not None:
                return BackgroundRow(**row), True
            return BackgroundRow(**(await connection.execute(same)).mappings().one()), False

    async def get(self, response_id: str, project_id: str | None = None) -> BackgroundRow:
        """A response, of this project when one is given. Raises NotFoundError."""
        return BackgroundRow(**await self._one(_COLUMNS, response_id, project_id))

    async def request(self, response_id: str) -> str:
        """What was asked, sealed. Raises NotFoundError."""
        return str((await self._one([_table.c.request], response_id))["request"])

    async def shown(self, response_id: str) -> str:
        """What a client that looks is shown, sealed. Raises NotFoundError."""
        return str((await self._one([_table.c.shown], response_id))["shown"])

    async def begin(self, response_id: str) -> BackgroundRow | None:
        """A new attempt, after which no earlier one can write; None when the response has ended."""
        statement = (
            update(_table)
            .where(_table.c.id == response_id, _table.c.status.in_(OPEN))
            .values(
                status="in_progress",
                attempt=_table.c.attempt + 1,
                first_event=_table.c.next_event,
                started_at=func.coalesce(_table.c.started_at, func.now()),
            )
            .returning(*_COLUMNS)
        )
        async with database_errors(), self._engine.begin() as connection:
            row = (await connection.execute(statement)).mappings().one_or_none()
        return None if row is None else BackgroundRow(**row)

    async def append(self, response_id: str, attempt: int, events: EventRow) -> bool:
        """Adds events of an attempt; False when it is not the present one any more."""
        async with database_errors(), self._engine.begin() as connection:
            values = {"next_event": events.last + 1}
            if not await _change(connection, response_id, attempt, values, events.first):
                return False
            await _write(connection, response_id, events)
            return True

    async def note_failure(
        self, response_id: str, attempt: int, failure: JSONObject, usage: JSONObject | None
    ) -> bool:
        """Notes how an attempt has failed that is followed by another one, and its usage."""
        values = {"failure": failure, "usage": usage}
        async with database_errors(), self._engine.begin() as connection:
            return await _change(connection, response_id, attempt, values)

    async def end(self, response_id: str, attempt: int, ended: Ended) -> bool:
        """Ends a response, in one transaction with its usage row; only the first one does.

        False, too, when another attempt has begun or events were written meanwhile.
        """
        if ended.usage is not None:
            await self._usage.make_days([date.fromisoformat(ended.usage["day"])])
        values = {
            "status": ended.status,
            "shown": ended.shown,
            "failure": ended.failure,
            "next_event": ended.events.last + 1,
            "ended_at": func.now(),
        }
        async with database_errors(), self._engine.begin() as connection:
            if not await _change(connection, response_id, attempt, values, ended.events.first):
                return False
            await _write(connection, response_id, ended.events)
            if ended.usage is not None:
                await self._usage.insert_within(connection, [ended.usage])
            return True

    async def add_usage(self, usage: JSONObject) -> None:
        """Stores the usage row of a response that was ended from outside; once, by its id."""
        await self._usage.make_days([date.fromisoformat(usage["day"])])
        async with database_errors(), self._engine.begin() as connection:
            await self._usage.insert_within(connection, [usage])

    async def read(
        self, response_id: str, after: int, limit: int
    ) -> tuple[BackgroundRow, list[EventRow]]:
        """How the response stands, and up to `limit` rows of its events behind number `after`.

        The events are read later than the state: a state that has ended comes with all of them.
        """
        state = select(*_COLUMNS).where(_table.c.id == response_id)
        columns = [background_events.c[name] for name in EventRow.__struct_fields__]
        events = (
            select(*columns)
            .where(background_events.c.response_id == response_id, background_events.c.last > after)
            .order_by(background_events.c.first)
            .limit(limit)
        )
        async with database_errors(), self._engine.connect() as connection:
            found = (await connection.execute(state)).mappings().one_or_none()
            if found is None:
                raise _not_found(response_id)
            row = BackgroundRow(**found)
            if row.next_event <= after + 1:
                return row, []
            return row, [EventRow(*each) for each in await connection.execute(events)]

    async def not_started(self, limit: int) -> list[BackgroundRow]:
        """Accepted responses whose workflow nobody has started, the oldest first."""
        statement = (
            select(*_COLUMNS)
            .where(_table.c.workflow_started_at.is_(None), _table.c.status.in_(OPEN))
            .order_by(_table.c.created_at)
            .limit(limit)
        )
        async with database_errors(), self._engine.connect() as connection:
            found = (await connection.execute(statement)).mappings().all()
        return [BackgroundRow(**row) for row in found]

    async def workflow_started(self, response_id: str) -> None:
        """Notes that the workflow of the response runs."""
        noted = func.coalesce(_table.c.workflow_started_at, func.now())
        statement = (
            update(_table).where(_table.c.id == response_id).values(workflow_started_at=noted)
        )
        async with database_errors(), self._engine.begin() as connection:
            await connection.execute(statement)

    async def delete(self, response_id: str) -> bool:
        """Removes a response with its events; False when there is none."""
        statement = delete(_table).where(_table.c.id == response_id)
        async with database_errors(), self._engine.begin() as connection:
            return (await connection.execute(statement)).rowcount > 0

    async def delete_expired(self, limit: int) -> int:
        """Removes up to `limit` responses that are kept no longer."""
        return await delete_marked(
            self._engine, _table, _table.c.kept_until_at <= func.now(), limit
        )

    async def _one(
        self, columns: list[Any], response_id: str, project_id: str | None = None
    ) -> dict[str, Any]:
        statement = select(*columns).where(_table.c.id == response_id)
        if project_id is not None:
            statement = statement.where(_table.c.project_id == project_id)
        async with database_errors(), self._engine.connect() as connection:
            found = (await connection.execute(statement)).mappings().one_or_none()
        if found is None:
            raise _not_found(response_id)
        return dict(found)


async def _change(
    connection: AsyncConnection,
    response_id: str,
    attempt: int,
    values: dict[str, Any],
    next_event: int | None = None,
) -> bool:
    """Changes an open response while `attempt` is the present one, and events stand so far."""
    statement = update(_table).where(
        _table.c.id == response_id, _table.c.status.in_(OPEN), _table.c.attempt == attempt
    )
    if next_event is not None:
        statement = statement.where(_table.c.next_event == next_event)
    return (await connection.execute(statement.values(**values))).rowcount > 0


async def _write(connection: AsyncConnection, response_id: str, events: EventRow) -> None:
    if events.last < events.first:
        return
    values = {name: getattr(events, name) for name in EventRow.__struct_fields__}
    statement = insert(background_events).values(response_id=response_id, **values)
    await connection.execute(statement.on_conflict_do_nothing())


def _not_found(response_id: str) -> NotFoundError:
    return NotFoundError(
        f"Response with id '{response_id[:100]}' not found.",
        param="response_id",
        code="response_not_found",
    )
