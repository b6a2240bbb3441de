"""The items of batches in PostgreSQL: taken, finished exactly once, read page by page."""

import zlib
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    Integer,
    LargeBinary,
    Numeric,
    RowMapping,
    SmallInteger,
    Text,
    bindparam,
    cast,
    column,
    func,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway import wire
from gateway.storage.batch_tables import (
    CANCELLED,
    EXPIRED,
    FAILED,
    RUNNING,
    SUCCEEDED,
    WAITING,
    batch_items,
    batches,
)
from gateway.storage.database import database_errors
from gateway.storage.usage_store import UsageStore
from gateway.structs import Struct
from gateway.wire import JSON, JSONObject

_LEVEL = 1  # bodies are text: the fastest level already makes them four times smaller
_COUNTS = {SUCCEEDED: "succeeded", FAILED: "failed", CANCELLED: "cancelled", EXPIRED: "expired"}

_FIELDS = {
    "number": Integer,
    "state": SmallInteger,
    "status_code": Integer,
    "result": LargeBinary,
    "error": Text,
    "request_id": Text,
    "input_tokens": BigInteger,
    "output_tokens": BigInteger,
    "cache_read_tokens": BigInteger,
    "cost_usd": Numeric,
}


class NewItem(Struct, frozen=True):
    """An item to accept; `prefix` is the digest of what its prompt begins with."""

    number: int
    custom_id: str
    body: bytes
    prefix: bytes = b""


class ItemRow(Struct, frozen=True):
    """An item to execute. `attempts` counts the times it was tried before."""

    number: int
    custom_id: str
    body: bytes
    prefix: bytes
    state: int
    upstream_part: int | None
    attempts: int


class ItemResult(Struct, frozen=True):
    """How an item ended. `result` is the JSON body a live client would have got.

    `error` is `{"code", "message", "param", "status"}`, of what is not SUCCEEDED.
    """

    number: int
    state: int
    status_code: int | None = None
    result: bytes | None = None
    error: JSONObject | None = None
    request_id: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cost_usd: Decimal | None = None


class FinishedItem(Struct, frozen=True):
    """An item with its result, as clients read it."""

    number: int
    custom_id: str
    state: int
    status_code: int | None
    result: bytes | None
    error: JSON
    request_id: str | None
    finished_at: datetime


class Counts(Struct, frozen=True):
    """The counts of a batch after a step."""

    total: int
    succeeded: int
    failed: int
    cancelled: int
    expired: int


_COUNT_COLUMNS = [batches.c[name] for name in Counts.__struct_fields__]


class BatchItemStore:
    """Statements on `batch_items`. Raises UnavailableError; every method may run twice."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._usage = UsageStore(engine)

    async def take(self, batch_id: str, first: int, last: int) -> list[ItemRow]:
        """The items from `first` to `last` that have no result yet, marked as running."""
        columns = [batch_items.c[name] for name in ItemRow.__struct_fields__]
        statement = (
            update(batch_items)
            .where(
                batch_items.c.batch_id == batch_id,
                batch_items.c.number.between(first, last),
                batch_items.c.state.in_((WAITING, RUNNING)),
            )
            .values(state=RUNNING)
            .returning(*columns)
        )
        async with database_errors(), self._engine.begin() as connection:
            found = (await connection.execute(statement)).mappings().all()
        rows = [ItemRow(**{**row, "body": unpacked(row["body"])}) for row in found]
        return sorted(rows, key=lambda row: row.number)

    async def prefixes(self, batch_id: str) -> list[tuple[int, bytes]]:
        """Number and prefix of each item without a result, for an order that warms the cache."""
        statement = (
            select(batch_items.c.number, batch_items.c.prefix)
            .where(batch_items.c.batch_id == batch_id, batch_items.c.state.in_((WAITING, RUNNING)))
            .order_by(batch_items.c.number)
        )
        async with database_errors(), self._engine.connect() as connection:
            return [(row[0], row[1]) for row in await connection.execute(statement)]

    async def store_results(
        self,
        batch_id: str,
        results: Sequence[ItemResult],
        usage_rows: Mapping[int, JSONObject],
    ) -> Counts:
        """Stores the results of items that have none yet, and the counts of their batch.

        One transaction. `usage_rows` are rows of `usage_events` by the numbers of the items; those
        of items that had a result before are left out, so each item has one of both.
        """
        days = {date.fromisoformat(row["day"]) for row in usage_rows.values()}
        await self._usage.make_days(days)
        async with database_errors(), self._engine.begin() as connection:
            await _lock(connection, batch_id)
            parameters = {"batch": batch_id, **_arrays(results)}
            done = (await connection.execute(_STORE, parameters)).mappings().all()
            fresh = [usage_rows[row["number"]] for row in done if row["number"] in usage_rows]
            await self._usage.insert_within(connection, fresh)
            return await _count(connection, batch_id, done)

    async def finish_rest(self, batch_id: str, state: int, error: JSONObject) -> Counts:
        """Gives every item without a result this `state` and `error`: CANCELLED or EXPIRED."""
        statement = (
            update(batch_items)
            .where(batch_items.c.batch_id == batch_id, batch_items.c.state.in_((WAITING, RUNNING)))
            .values(state=state, error=error, finished_at=func.clock_timestamp())
            .returning(
                batch_items.c.state,
                batch_items.c.cost_usd,
                batch_items.c.input_tokens,
                batch_items.c.output_tokens,
            )
        )
        async with database_errors(), self._engine.begin() as connection:
            await _lock(connection, batch_id)
            done = (await connection.execute(statement)).mappings().all()
            return await _count(connection, batch_id, done)

    async def retry_failed(self, batch_id: str) -> int:
        """Takes the results of failed items away and has the batch started again; how many.

        What they cost stays counted. The batch becomes `in_progress`; with no failed item nothing
        changes.
        """
        again = (
            update(batch_items)
            .where(batch_items.c.batch_id == batch_id, batch_items.c.state == FAILED)
            .values(
                state=WAITING,
                status_code=None,
                result=None,
                error=None,
                upstream_part=None,
                finished_at=None,
                attempts=batch_items.c.attempts + 1,
            )
            .returning(batch_items.c.number)
        )
        async with database_errors(), self._engine.begin() as connection:
            await _lock(connection, batch_id)
            count = len((await connection.execute(again)).all())
            if count:
                await connection.execute(_reopened(batch_id, count))
        return count

    async def results(self, batch_id: str, after: int, limit: int) -> list[FinishedItem]:
        """Up to `limit` finished items whose numbers are greater than `after`, in order."""
        columns = [batch_items.c[name] for name in FinishedItem.__struct_fields__]
        statement = (
            select(*columns)
            .where(
                batch_items.c.batch_id == batch_id,
                batch_items.c.number > after,
                batch_items.c.state.not_in((WAITING, RUNNING)),
            )
            .order_by(batch_items.c.number)
            .limit(limit)
        )
        async with database_errors(), self._engine.connect() as connection:
            found = (await connection.execute(statement)).mappings().all()
        return [FinishedItem(**{**row, "result": _unpacked(row["result"])}) for row in found]

    async def finished_after(
        self, batch_id: str, last: FinishedItem | None, limit: int
    ) -> list[FinishedItem]:
        """Up to `limit` items that were finished after `last`, in the order they were finished.

        Items are finished one transaction after the other, each at a later time, so that none can
        appear behind a place that was read already.
        """
        finished_at, number = batch_items.c.finished_at, batch_items.c.number
        statement = (
            select(*(batch_items.c[name] for name in FinishedItem.__struct_fields__))
            .where(batch_items.c.batch_id == batch_id, finished_at.is_not(None))
            .order_by(finished_at, number)
            .limit(limit)
        )
        if last is not None:
            place = tuple_(finished_at, number)
            statement = statement.where(place > tuple_(last.finished_at, last.number))
        async with database_errors(), self._engine.connect() as connection:
            found = (await connection.execute(statement)).mappings().all()
        return [FinishedItem(**{**row, "result": _unpacked(row["result"])}) for row in found]

    async def first_errors(self, batch_id: str, limit: int) -> list[JSONObject]:
        """The errors of the first failed items: `{"index", "custom_id", "error"}`."""
        statement = (
            select(batch_items.c.number, batch_items.c.custom_id, batch_items.c.error)
            .where(batch_items.c.batch_id == batch_id, batch_items.c.state == FAILED)
            .order_by(batch_items.c.number)
            .limit(limit)
        )
        async with database_errors(), self._engine.connect() as connection:
            found = (await connection.execute(statement)).all()
        return [{"index": row[0], "custom_id": row[1], "error": row[2]} for row in found]


def packed(body: bytes) -> bytes:
    """`body` compressed."""
    return zlib.compress(body, _LEVEL)


def unpacked(data: bytes) -> bytes:
    """What was packed."""
    return zlib.decompress(data)


def _unpacked(data: bytes | None) -> bytes | None:
    return None if data is None else unpacked(data)


async def _lock(connection: AsyncConnection, batch_id: str) -> None:
    """Steps of one batch come one after the other, so that no two wait for each other's items."""
    await connection.execute(select(batches.c.id).where(batches.c.id == batch_id).with_for_update())


def _reopened(batch_id: str, count: int) -> Any:
    ended = ("completed_at", "failed_at", "cancelling_at", "cancelled_at", "expired_at")
    return (
        update(batches)
        .where(batches.c.id == batch_id)
        .values(
            status="in_progress",
            failed=batches.c.failed - count,
            workflow_started_at=None,
            # As long as it had at first.
            expires_at=func.now() + (batches.c.expires_at - batches.c.created_at),
            **dict.fromkeys((*ended, "finalizing_at")),
        )
    )


async def _count(connection: AsyncConnection, batch_id: str, done: Sequence[RowMapping]) -> Counts:
    """Adds what was just finished to the counts of the batch, and gives them."""
    values: dict[str, Any] = {}
    for state, name in _COUNTS.items():
        if number := sum(1 for row in done if row["state"] == state):
            values[name] = batches.c[name] + number
    for name in ("input_tokens", "output_tokens"):
        values[name] = batches.c[name] + sum(row[name] for row in done)
    cost = sum((row["cost_usd"] or Decimal(0) for row in done), Decimal(0))
    values["cost_usd"] = batches.c.cost_usd + cost
    counted = (
        update(batches).where(batches.c.id == batch_id).values(values).returning(*_COUNT_COLUMNS)
    )
    return Counts(**(await connection.execute(counted)).mappings().one())


def _arrays(results: Sequence[ItemResult]) -> dict[str, list[Any]]:
    """The results column by column."""
    arrays: dict[str, list[Any]] = {
        f"given_{name}": [getattr(result, name) for result in results] for name in _FIELDS
    }
    arrays["given_result"] = [
        None if result.result is None else packed(result.result) for result in results
    ]
    arrays["given_error"] = [
        None if result.error is None else wire.dumps_text(result.error) for result in results
    ]
    return arrays


def _store_statement() -> Any:
    """One statement for any number of results; finished items stay as they are."""
    given = (
        func.unnest(
            *(bindparam(f"given_{name}", type_=ARRAY(kind)) for name, kind in _FIELDS.items())
        )
        .table_valued(*(column(name, kind) for name, kind in _FIELDS.items()))
        .render_derived(name="given")
    )
    values = {name: given.c[name] for name in _FIELDS if name not in {"number", "error"}}
    return (
        update(batch_items)
        .where(
            batch_items.c.batch_id == bindparam("batch"),
            batch_items.c.number == given.c.number,
            batch_items.c.state.in_((WAITING, RUNNING)),
        )
        .values(error=cast(given.c.error, JSONB), finished_at=func.clock_timestamp(), **values)
        .returning(
            *(
                batch_items.c[name]
                for name in ("number", "state", "cost_usd", "input_tokens", "output_tokens")
            )
        )
    )


_STORE = _store_statement()
