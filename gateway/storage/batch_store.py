"""Batches in PostgreSQL: accepted whole, moved from status to status, read page by page."""

from collections.abc import AsyncIterable, Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any, cast

from sqlalchemy import and_, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.errors import InvalidRequestError, NotFoundError
from gateway.storage.batch_items_store import NewItem, packed
from gateway.storage.batch_tables import batches
from gateway.storage.database import database_errors
from gateway.storage.retention import delete_marked
from gateway.structs import Struct
from gateway.wire import JSON, JSONObject

ENDED = frozenset({"completed", "failed", "cancelled", "expired"})
"""Statuses that a batch leaves only by a retry."""

FROM = {
    "in_progress": ("validating", "paused", "completed", "failed", "expired", "cancelled"),
    "paused": ("validating", "in_progress"),
    "finalizing": ("validating", "in_progress", "paused"),
    "completed": ("finalizing",),
    "failed": ("validating", "in_progress", "paused", "finalizing"),
    "cancelling": ("validating", "in_progress", "paused"),
    "cancelled": ("cancelling",),
    "expired": ("validating", "in_progress", "paused", "finalizing"),
}
"""From which statuses each can be reached."""

_MOMENTS = {"in_progress": "started_at"}
_COPY_SECONDS = 600.0
_ITEM_COLUMNS = ("batch_id", "number", "custom_id", "body", "prefix")


class NewBatch(Struct, frozen=True):
    """A batch to accept. `status` is "failed" for one whose input was refused, with `errors`."""

    id: str
    project_id: str
    key_id: str
    form: str
    endpoint: str
    mode: str = "auto"
    parallelism: int = 0
    status: str = "validating"
    metadata: JSONObject | None = None
    webhook: str | None = None
    input_file_id: str | None = None
    output_expires_seconds: int | None = None
    idempotency_key: str | None = None
    body_digest: bytes | None = None
    errors: list[JSONObject] | None = None
    expires_at: datetime | None = None
    results_expire_at: datetime | None = None


class BatchRow(Struct, frozen=True):
    """A batch as it is now; counts are of items."""

    id: str
    project_id: str
    key_id: str
    form: str
    endpoint: str
    mode: str
    chosen_mode: str | None
    mode_reason: str
    parallelism: int
    status: str
    total: int
    succeeded: int
    failed: int
    cancelled: int
    expired: int
    metadata: JSON
    webhook: str | None
    input_file_id: str | None
    output_file_id: str | None
    error_file_id: str | None
    output_expires_seconds: int | None
    idempotency_key: str | None
    body_digest: bytes | None
    errors: JSON
    cost_usd: Decimal
    input_tokens: int
    output_tokens: int
    created_at: datetime
    started_at: datetime | None
    finalizing_at: datetime | None
    completed_at: datetime | None
    failed_at: datetime | None
    cancelling_at: datetime | None
    cancelled_at: datetime | None
    expires_at: datetime | None
    expired_at: datetime | None
    paused_at: datetime | None
    workflow_started_at: datetime | None
    results_expire_at: datetime | None

    @property
    def finished(self) -> int:
        """How many items have their result, of whatever kind."""
        return self.succeeded + self.failed + self.cancelled + self.expired

    @property
    def has_ended(self) -> bool:
        """True when nothing more will happen by itself."""
        return self.status in ENDED


_COLUMNS = [batches.c[name] for name in BatchRow.__struct_fields__]


class BatchStore:
    """Statements on `batches`. Raises UnavailableError."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def create_batch(
        self, new: NewBatch, items: AsyncIterable[NewItem] | Iterable[NewItem]
    ) -> tuple[BatchRow, bool]:
        """The batch, and whether it is new: one with the same idempotency key is given instead.

        One transaction; what `items` raises ends it with nothing stored, and passes.
        """
        async with self._engine.begin() as connection:
            async with database_errors():
                values = {name: getattr(new, name) for name in NewBatch.__struct_fields__}
                made = await connection.execute(
                    insert(batches)
                    .values(values)
                    .on_conflict_do_nothing(constraint="batches_idempotency_key")
                    .returning(batches.c.id)
                )
                if made.scalar_one_or_none() is None:
                    return await self._of_key(connection, new), False
            total = await _copy_items(connection, new.id, items)
            moments = {"failed_at": func.now()} if new.status == "failed" else {}
            async with database_errors():
                done = await connection.execute(
                    update(batches)
                    .where(batches.c.id == new.id)
                    .values(total=total, **moments)
                    .returning(*_COLUMNS)
                )
            return BatchRow(**done.mappings().one()), True

    async def find_by_key(self, project_id: str, idempotency_key: str) -> BatchRow | None:
        """The batch that was made with this key."""
        statement = select(*_COLUMNS).where(
            batches.c.project_id == project_id, batches.c.idempotency_key == idempotency_key
        )
        async with database_errors(), self._engine.connect() as connection:
            found = (await connection.execute(statement)).mappings().one_or_none()
        return None if found is None else BatchRow(**found)

    async def get(self, batch_id: str, project_id: str | None = None) -> BatchRow:
        """A batch, of this project when one is given. Raises NotFoundError."""
        statement = select(*_COLUMNS).where(batches.c.id == batch_id)
        if project_id is not None:
            statement = statement.where(batches.c.project_id == project_id)
        async with database_errors(), self._engine.connect() as connection:
            found = (await connection.execute(statement)).mappings().one_or_none()
        if found is None:
            raise NotFoundError(f"No such batch: {batch_id[:100]}", param="batch_id")
        return BatchRow(**found)

    async def page(
        self,
        project_id: str,
        limit: int,
        *,
        form: str | None = None,
        after: str | None = None,
        before: str | None = None,
    ) -> list[BatchRow]:
        """Up to `limit` batches, the newest first, behind `after` or in front of `before`."""
        conditions: list[Any] = [batches.c.project_id == project_id]
        order = (batches.c.created_at.desc(), batches.c.id.desc())
        if form is not None:
            conditions.append(batches.c.form == form)
        if after is not None:
            conditions.append(_older(await self.get(after, project_id)))
        elif before is not None:
            conditions.append(_newer(await self.get(before, project_id)))
            order = (batches.c.created_at.asc(), batches.c.id.asc())
        statement = select(*_COLUMNS).where(*conditions).order_by(*order).limit(limit)
        async with database_errors(), self._engine.connect() as connection:
            found = [BatchRow(**row) for row in (await connection.execute(statement)).mappings()]
        return found[::-1] if before is not None and after is None else found

    async def set_status(self, batch_id: str, status: str, **values: Any) -> BatchRow:
        """The batch in its new status, with `values` in other columns.

        A batch that has it already stays as it is, so that this may run twice. Raises
        InvalidRequestError when the batch cannot come to it from where it is.
        """
        moment = _MOMENTS.get(status, f"{status}_at")
        moved = (
            update(batches)
            .where(batches.c.id == batch_id, batches.c.status.in_(FROM[status]))
            .values(status=status, **{moment: func.coalesce(batches.c[moment], func.now())})
            .values(**values)
            .returning(*_COLUMNS)
        )
        async with database_errors(), self._engine.begin() as connection:
            found = (await connection.execute(moved)).mappings().one_or_none()
        if found is not None:
            return BatchRow(**found)
        row = await self.get(batch_id)
        if row.status != status:
            raise InvalidRequestError(
                f"a batch that is {row.status} cannot become {status}",
                param="batch_id",
                code="batch_status",
            )
        return row

    async def choose_mode(self, batch_id: str, mode: str, reason: str) -> None:
        """Notes how the batch is executed, and why."""
        statement = (
            update(batches)
            .where(batches.c.id == batch_id)
            .values(chosen_mode=mode, mode_reason=reason)
        )
        async with database_errors(), self._engine.begin() as connection:
            await connection.execute(statement)

    async def not_started(self, limit: int) -> list[BatchRow]:
        """Accepted batches whose workflow nobody has started, the oldest first."""
        statement = (
            select(*_COLUMNS)
            .where(batches.c.workflow_started_at.is_(None), batches.c.status.not_in(ENDED))
            .order_by(batches.c.created_at)
            .limit(limit)
        )
        async with database_errors(), self._engine.connect() as connection:
            return [BatchRow(**row) for row in (await connection.execute(statement)).mappings()]

    async def workflow_started(self, batch_id: str) -> None:
        """Notes that the workflow of the batch runs."""
        statement = (
            update(batches)
            .where(batches.c.id == batch_id)
            .values(workflow_started_at=func.coalesce(batches.c.workflow_started_at, func.now()))
        )
        async with database_errors(), self._engine.begin() as connection:
            await connection.execute(statement)

    async def delete(self, batch_id: str, project_id: str) -> None:
        """Removes a batch that has ended, with its items. Raises NotFoundError."""
        row = await self.get(batch_id, project_id)
        if not row.has_ended:
            raise InvalidRequestError("only a batch that has ended can be deleted")
        statement = batches.delete().where(batches.c.id == batch_id)
        async with database_errors(), self._engine.begin() as connection:
            await connection.execute(statement)

    async def delete_expired(self, limit: int) -> int:
        """Removes up to `limit` ended batches whose results are kept no longer."""
        over = and_(batches.c.results_expire_at <= func.now(), batches.c.status.in_(ENDED))
        return await delete_marked(self._engine, batches, over, limit)

    async def _of_key(self, connection: AsyncConnection, new: NewBatch) -> BatchRow:
        statement = select(*_COLUMNS).where(
            batches.c.project_id == new.project_id,
            batches.c.idempotency_key == new.idempotency_key,
        )
        return BatchRow(**(await connection.execute(statement)).mappings().one())


def _older(last: BatchRow) -> Any:
    same = and_(batches.c.created_at == last.created_at, batches.c.id < last.id)
    return or_(batches.c.created_at < last.created_at, same)


def _newer(first: BatchRow) -> Any:
    same = and_(batches.c.created_at == first.created_at, batches.c.id > first.id)
    return or_(batches.c.created_at > first.created_at, same)


async def _copy_items(
    connection: AsyncConnection, batch_id: str, items: AsyncIterable[NewItem] | Iterable[NewItem]
) -> int:
    """Writes the items by COPY, one at a time in memory, and counts them."""
    total = 0

    async def records() -> Any:
        nonlocal total
        if isinstance(items, AsyncIterable):
            async for item in items:
                yield (batch_id, item.number, item.custom_id, packed(item.body), item.prefix)
                total += 1
            return
        for item in items:
            yield (batch_id, item.number, item.custom_id, packed(item.body), item.prefix)
            total += 1

    raw = await connection.get_raw_connection()
    driver = cast(Any, raw.driver_connection)
    await driver.copy_records_to_table(
        "batch_items", records=records(), columns=_ITEM_COLUMNS, timeout=_COPY_SECONDS
    )
    return total
