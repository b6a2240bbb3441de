"""The parts of batches that Claude's Message Batches execute, in PostgreSQL.

A part is `planned`, `called` once its creation upstream was asked for, then `in_progress` there, or
`unsure` while nobody knows whether the batch upstream is really its own, and in the end `read`.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.storage.batch_items_store import ItemRow, unpacked
from gateway.storage.batch_tables import RUNNING, WAITING, batch_items, batch_parts, batches
from gateway.storage.database import database_errors
from gateway.structs import Struct

PLANNED, CALLED, UNSURE, IN_PROGRESS, READ = "planned", "called", "unsure", "in_progress", "read"


class PartRow(Struct, frozen=True):
    """A part. `upstream_id` is its batch at `upstream`, which has so many `requests`.

    `called_at` is when the newest creation was asked for; `results_read` counts lines of results.
    """

    part: int
    first: int
    last: int
    upstream: str
    upstream_id: str | None
    tag: str
    state: str
    requests: int
    called_at: datetime | None
    results_read: int


class NewPart(Struct, frozen=True):
    """A part to plan: its items by their numbers, both ends included."""

    first: int
    last: int
    tag: str


_COLUMNS = [batch_parts.c[name] for name in PartRow.__struct_fields__]
_ITEM_COLUMNS = [batch_items.c[name] for name in ItemRow.__struct_fields__]
_IS_OPEN = batch_items.c.state.in_((WAITING, RUNNING))


class BatchPartStore:
    """Statements on `batch_parts`. Raises UnavailableError; every method may run twice."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def count(self, batch_id: str) -> int:
        """How many parts the batch has."""
        statement = select(func.count()).where(batch_parts.c.batch_id == batch_id)
        async with database_errors(), self._engine.connect() as connection:
            return int((await connection.execute(statement)).scalar_one())

    async def unplanned(self, batch_id: str, after: int, limit: int) -> list[ItemRow]:
        """Up to `limit` items behind `after` that have neither a result nor a part."""
        return await self._items(
            limit,
            batch_items.c.batch_id == batch_id,
            batch_items.c.number > after,
            batch_items.c.upstream_part.is_(None),
        )

    async def plan(self, batch_id: str, wanted: Sequence[NewPart]) -> int:
        """Makes parts of items that have none yet; how many parts the batch has then."""
        async with database_errors(), self._engine.begin() as connection:
            await connection.execute(
                select(batches.c.id).where(batches.c.id == batch_id).with_for_update()
            )
            count = select(func.count()).where(batch_parts.c.batch_id == batch_id)
            part = int((await connection.execute(count)).scalar_one())
            for new in wanted:
                part += await _planned(connection, batch_id, part, new)
        return part

    async def get(self, batch_id: str, part: int) -> PartRow | None:
        """A part of a batch."""
        statement = select(*_COLUMNS).where(_is_part(batch_id, part))
        async with database_errors(), self._engine.connect() as connection:
            found = (await connection.execute(statement)).mappings().one_or_none()
        return None if found is None else PartRow(**found)

    async def items(self, batch_id: str, part: int, after: int, limit: int) -> list[ItemRow]:
        """Up to `limit` items of the part behind `after` that have no result."""
        return await self._items(
            limit,
            batch_items.c.batch_id == batch_id,
            batch_items.c.number > after,
            batch_items.c.upstream_part == part,
        )

    async def open_items(self, batch_id: str, numbers: Sequence[int]) -> dict[int, ItemRow]:
        """Those of these items that have no result, by number."""
        found = await self._items(
            len(numbers), batch_items.c.batch_id == batch_id, batch_items.c.number.in_(numbers)
        )
        return {row.number: row for row in found}

    async def open_numbers(self, batch_id: str, part: int) -> set[int]:
        """The numbers of the items of the part that have no result."""
        statement = select(batch_items.c.number).where(
            batch_items.c.batch_id == batch_id, batch_items.c.upstream_part == part, _IS_OPEN
        )
        async with database_errors(), self._engine.connect() as connection:
            return set((await connection.execute(statement)).scalars())

    async def call(self, batch_id: str, part: int, upstream: str, requests: int) -> None:
        """Notes that a batch is about to be created upstream, before it is."""
        await self.change(
            batch_id,
            part,
            (PLANNED, CALLED),
            state=CALLED,
            upstream=upstream,
            requests=requests,
            called_at=func.clock_timestamp(),
        )

    async def change(self, batch_id: str, part: int, states: Sequence[str], **values: Any) -> bool:
        """Changes a part that is in one of these states; False when it is not."""
        statement = (
            update(batch_parts)
            .where(_is_part(batch_id, part), batch_parts.c.state.in_(states))
            .values(**values)
        )
        async with database_errors(), self._engine.begin() as connection:
            return bool((await connection.execute(statement)).rowcount)

    async def known(self, upstream_ids: Sequence[str]) -> set[str]:
        """Those of these batches upstream that some part is known to have."""
        statement = select(batch_parts.c.upstream_id).where(
            batch_parts.c.upstream_id.in_(upstream_ids)
        )
        async with database_errors(), self._engine.connect() as connection:
            return set((await connection.execute(statement)).scalars())

    async def rivals(self, batch_id: str, row: PartRow) -> int:
        """How many other parts look for a batch of as many requests at the same upstream."""
        statement = (
            select(func.count())
            .select_from(batch_parts)
            .where(
                ~_is_part(batch_id, row.part),
                batch_parts.c.state == CALLED,
                batch_parts.c.upstream == row.upstream,
                batch_parts.c.requests == row.requests,
            )
        )
        async with database_errors(), self._engine.connect() as connection:
            return int((await connection.execute(statement)).scalar_one())

    async def _items(self, limit: int, *conditions: Any) -> list[ItemRow]:
        statement = (
            select(*_ITEM_COLUMNS)
            .where(*conditions, _IS_OPEN)
            .order_by(batch_items.c.number)
            .limit(limit)
        )
        async with database_errors(), self._engine.connect() as connection:
            found = (await connection.execute(statement)).mappings().all()
        return [ItemRow(**{**row, "body": unpacked(row["body"])}) for row in found]


def _is_part(batch_id: str, part: int) -> Any:
    return (batch_parts.c.batch_id == batch_id) & (batch_parts.c.part == part)


async def _planned(connection: AsyncConnection, batch_id: str, part: int, new: NewPart) -> int:
    """Makes one part of what is still free of it; 0 when somebody else was faster."""
    taken = (
        update(batch_items)
        .where(
            batch_items.c.batch_id == batch_id,
            batch_items.c.number.between(new.first, new.last),
            batch_items.c.upstream_part.is_(None),
            _IS_OPEN,
        )
        .values(upstream_part=part)
    )
    if not (await connection.execute(taken)).rowcount:
        return 0
    values = {"batch_id": batch_id, "part": part, "state": PLANNED}
    given = {"first": new.first, "last": new.last, "tag": new.tag}
    await connection.execute(insert(batch_parts).values(**values, **given))
    return 1
