"""Usage events on their way in: from lines of a journal to rows, each exactly once."""

from collections.abc import Iterable, Sequence
from datetime import date

from sqlalchemy import (
    ColumnElement,
    DefaultClause,
    Insert,
    bindparam,
    cast,
    column,
    delete,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway import wire
from gateway.errors import UnavailableError
from gateway.storage.database import database_errors, sqlstate
from gateway.storage.tables import EVENT_COLUMNS, journal_offsets, usage_events
from gateway.storage.usage_partitions import make_partitions
from gateway.structs import Struct, field
from gateway.wire import JSONObject

_NO_PARTITION = "23514"  # how PostgreSQL reports a row that fits no partition
_BAD_VALUE = frozenset({"22", "23"})  # classes of states that blame the row, not the server


class Stored(Struct, frozen=True):
    """What became of a batch: rows that are new, and rows the database will never take."""

    new: int
    rejected: list[JSONObject] = field(default_factory=list)


class UsageStore:
    """Writes usage events. Rows are JSON objects keyed by the columns of `usage_events`.

    Every method raises UnavailableError when the database is down, may run twice, and is safe
    beside other processes.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._insert = _insert_statement()
        self._known_days: set[date] = set()

    async def position(self, file: str) -> int:
        """How many bytes of a journal file are stored."""
        statement = select(journal_offsets.c.position).where(journal_offsets.c.file == file)
        async with database_errors(), self._engine.connect() as connection:
            return int((await connection.execute(statement)).scalar_one_or_none() or 0)

    async def store(
        self, rows: Sequence[JSONObject], *, file: str | None = None, position: int = 0
    ) -> Stored:
        """Stores `rows`, and in the same transaction that `file` is stored up to `position`.

        A row whose (day, event_id) is there already changes nothing.
        """
        await self.make_days(date.fromisoformat(row["day"]) for row in rows)
        async with database_errors():
            try:
                async with self._engine.begin() as connection:
                    new = await self.insert_within(connection, rows)
                    await _advance(connection, file, position)
                    return Stored(new)
            except DBAPIError as error:
                if sqlstate(error) == _NO_PARTITION:
                    self._known_days.clear()
                    raise UnavailableError("the day's partition is gone; try again") from error
                if sqlstate(error)[:2] not in _BAD_VALUE:
                    raise
            return await self._store_one_by_one(rows, file, position)

    async def forget(self, file: str) -> None:
        """Drops what is known of a journal file that is about to be removed."""
        statement = delete(journal_offsets).where(journal_offsets.c.file == file)
        async with database_errors(), self._engine.begin() as connection:
            await connection.execute(statement)

    async def make_days(self, days: Iterable[date]) -> list[date]:
        """Makes the partitions of `days` that are missing, and returns those."""
        unknown = set(days) - self._known_days
        if not unknown:
            return []
        async with database_errors(), self._engine.begin() as connection:
            made = await make_partitions(connection, unknown)
        self._known_days |= unknown
        return made

    async def insert_within(self, connection: AsyncConnection, rows: Sequence[JSONObject]) -> int:
        """Stores `rows` in the caller's transaction and gives how many are new.

        The days of the rows must have been made.
        """
        if not rows:
            return 0
        done = await connection.execute(self._insert, {"rows": wire.dumps(list(rows)).decode()})
        return done.rowcount

    async def _store_one_by_one(
        self, rows: Sequence[JSONObject], file: str | None, position: int
    ) -> Stored:
        """One bad row must not hold up the others for ever."""
        new = 0
        rejected = []
        async with self._engine.begin() as connection:
            for row in rows:
                try:
                    async with connection.begin_nested():
                        new += await self.insert_within(connection, [row])
                except DBAPIError as error:
                    if sqlstate(error)[:2] not in _BAD_VALUE:
                        raise
                    rejected.append(row)
            await _advance(connection, file, position)
        return Stored(new, rejected)


async def _advance(connection: AsyncConnection, file: str | None, position: int) -> None:
    if file is None:
        return
    fresh = insert(journal_offsets).values(file=file, position=position)
    await connection.execute(
        fresh.on_conflict_do_update(
            index_elements=["file"],
            set_={
                "position": func.greatest(journal_offsets.c.position, fresh.excluded.position),
                "updated_at": func.now(),
            },
        )
    )


def _insert_statement() -> Insert:
    """One statement with one JSON parameter for any number of rows.

    A column that a journal line lacks, because an older version wrote it, gets its default.
    """
    columns = [usage_events.c[name] for name in EVENT_COLUMNS]
    source = (
        func.jsonb_to_recordset(cast(bindparam("rows"), JSONB(astext_type=None)))
        .table_valued(*(column(each.name, each.type) for each in columns))
        .render_derived(name="line", with_types=True)
    )
    values: list[ColumnElement[object]] = []
    for each in columns:
        value: ColumnElement[object] = source.c[each.name]
        if isinstance(each.server_default, DefaultClause):
            value = func.coalesce(value, each.server_default.arg)
        values.append(value)
    statement = insert(usage_events).from_select(list(EVENT_COLUMNS), select(*values))
    return statement.on_conflict_do_nothing(index_elements=["day", "event_id"])
