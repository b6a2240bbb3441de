"""Usage events on their way in: from lines of a journal to rows, each exactly once.

PostgreSQL reads the lines: reading and writing them here would cost an API process several times
what it takes to hand them over.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from functools import lru_cache

from sqlalchemy import (
    ColumnElement,
    DefaultClause,
    Insert,
    Text,
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
from gateway.wire import JSON, JSONObject

_NO_PARTITION = "23514"  # how PostgreSQL reports a row that fits no partition
_BAD_VALUE = frozenset({"22", "23"})  # classes of states that blame the row, not the server
_LONG_LABEL = 100  # six of these, four bytes a letter, fit PostgreSQL's largest index entry
_DAY = b'"day":"'
_NUL = b"\\u0000"  # no text of PostgreSQL can have one


class Stored(Struct, frozen=True):
    """What became of a batch: rows that are new, and lines the database will never take."""

    new: int
    rejected: list[bytes] = field(default_factory=list)


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
        """`store_lines` of rows that are objects."""
        return await self.store_lines(list(map(wire.dumps, rows)), file=file, position=position)

    async def store_lines(
        self, lines: Sequence[bytes], *, file: str | None = None, position: int = 0
    ) -> Stored:
        """Stores rows in JSON, and in the same transaction that `file` is stored up to `position`.

        A row whose (day, event_id) is there already changes nothing. Long texts are cut.
        """
        days = {_day_of(line) for line in lines}
        await self.make_days(day for day in days if day is not None)
        if None not in days:
            async with database_errors():
                try:
                    async with self._engine.begin() as connection:
                        new = await self._insert_lines(connection, lines)
                        await _advance(connection, file, position)
                        return Stored(new)
                except DBAPIError as error:
                    if sqlstate(error) == _NO_PARTITION:
                        self._known_days.clear()
                        raise UnavailableError("the day's partition is gone; try again") from error
                    if sqlstate(error)[:2] not in _BAD_VALUE:
                        raise
        return await self._store_one_by_one(lines, file, position)

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
        return await self._insert_lines(connection, list(map(wire.dumps, rows)))

    async def _insert_lines(self, connection: AsyncConnection, lines: Sequence[bytes]) -> int:
        if not lines:
            return 0
        rows = b"[%b]" % b",".join(lines)
        if _NUL in rows:
            rows = wire.dumps(_without_nul(rows))
        done = await connection.execute(self._insert, {"rows": rows.decode(errors="replace")})
        return done.rowcount

    async def _store_one_by_one(
        self, lines: Sequence[bytes], file: str | None, position: int
    ) -> Stored:
        """One bad row must not hold up the others for ever."""
        new = 0
        rejected = [line for line in lines if _day_of(line) is None]
        async with database_errors(), self._engine.begin() as connection:
            for line in lines:
                if _day_of(line) is None:
                    continue
                try:
                    async with connection.begin_nested():
                        new += await self._insert_lines(connection, [line])
                except DBAPIError as error:
                    if sqlstate(error)[:2] not in _BAD_VALUE:
                        raise
                    rejected.append(line)
            await _advance(connection, file, position)
        return Stored(new, rejected)


def _day_of(line: bytes) -> date | None:
    """The day of a row; None when it has none."""
    begin = line.find(_DAY) + len(_DAY)
    return _day(line[begin : line.find(b'"', begin)]) if begin >= len(_DAY) else None


@lru_cache(maxsize=64)
def _day(text: bytes) -> date | None:
    try:
        return date.fromisoformat(text.decode())
    except ValueError:
        return None


def _without_nul(rows: bytes) -> JSON:
    """The rows with U+FFFD for what no text of PostgreSQL can have; as they are when damaged."""
    try:
        return [
            {
                name: value.replace("\x00", "\ufffd") if isinstance(value, str) else value
                for name, value in row.items()
            }
            for row in wire.loads(rows)
        ]
    except (wire.JSONDecodeError, AttributeError):
        return wire.Fragment(rows)


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
        if isinstance(each.type, Text):
            value = func.left(value, _LONG_LABEL)
        if isinstance(each.server_default, DefaultClause):
            value = func.coalesce(value, each.server_default.arg)
        values.append(value)
    statement = insert(usage_events).from_select(list(EVENT_COLUMNS), select(*values))
    return statement.on_conflict_do_nothing(index_elements=["day", "event_id"])
