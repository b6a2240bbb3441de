"""Files of clients in PostgreSQL, in chunks: no process holds a whole one."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import and_, delete, func, literal, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import CursorResult
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.errors import ConflictError, NotFoundError
from gateway.storage.batch_tables import batches, file_chunks, files
from gateway.storage.database import database_errors

CHUNK_BYTES = 2**20
"""Size of a chunk; the last one of a file may be smaller."""

_ENDED = ("completed", "failed", "cancelled", "expired")


@dataclass(frozen=True, slots=True)
class FileRow:
    """A file without its content. `status` is "processed" for one that is whole."""

    id: str
    project_id: str
    purpose: str
    filename: str
    bytes: int
    status: str
    created_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file that is about to be stored."""

    id: str
    project_id: str
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What is known of a file when its content has been read; `digest` is of all of it."""

    purpose: str
    filename: str
    expires_at: datetime | None = None
    digest: bytes | None = None


@dataclass(frozen=True, slots=True)
class FilePage:
    """Which page of files: those after the file `after`, newest first unless `ascending`."""

    limit: int
    after: str | None = None
    purpose: str | None = None
    ascending: bool = False


_COLUMNS = [files.c[name] for name in FileRow.__slots__]


class FileStore:
    """Statements on `files` and `file_chunks`. Raises UnavailableError."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def store(
        self, new: NewFile, content: AsyncIterator[bytes], facts: Callable[[], FileFacts]
    ) -> FileRow:
        """Stores a file from pieces of any size, in one transaction: it is there whole or not.

        `facts` is asked when the content has been read. With a key that was used before, the file
        of that time is given; raises ConflictError when it was another one. What `content` raises
        ends the transaction and passes.
        """
        async with self._engine.begin() as connection:
            async with database_errors():
                made = await connection.execute(
                    insert(files)
                    .values(
                        id=new.id, project_id=new.project_id, idempotency_key=new.idempotency_key
                    )
                    .on_conflict_do_nothing(constraint="files_idempotency_key")
                    .returning(files.c.id)
                )
            if made.scalar_one_or_none() is None:
                async for _ in content:
                    continue  # read to its end, for its digest
                return await _same_file(connection, new, facts())
            size = await _write_chunks(connection, new.id, content)
            known = facts()
            async with database_errors():
                done = await connection.execute(
                    update(files)
                    .where(files.c.id == new.id)
                    .values(
                        bytes=size,
                        status="processed",
                        purpose=known.purpose,
                        filename=known.filename,
                        expires_at=known.expires_at,
                        body_digest=known.digest,
                    )
                    .returning(*_COLUMNS)
                )
            return FileRow(**done.mappings().one())

    async def get(self, project_id: str, file_id: str) -> FileRow:
        """A file of the project. Raises NotFoundError."""
        statement = select(*_COLUMNS).where(*_readable(project_id), files.c.id == file_id)
        async with database_errors(), self._engine.connect() as connection:
            found = (await connection.execute(statement)).mappings().one_or_none()
        if found is None:
            raise _no_such_file(file_id)
        return FileRow(**found)

    async def page(self, project_id: str, page: FilePage) -> list[FileRow]:
        """Up to `limit` files of the project."""
        order = (files.c.created_at, files.c.id)
        conditions = [*_readable(project_id)]
        if page.purpose is not None:
            conditions.append(files.c.purpose == page.purpose)
        if page.after is not None:
            last = await self.get(project_id, page.after)
            ahead, at = files.c.id > last.id, files.c.created_at > last.created_at
            if not page.ascending:
                ahead, at = files.c.id < last.id, files.c.created_at < last.created_at
            conditions.append(or_(at, and_(files.c.created_at == last.created_at, ahead)))
        statement = (
            select(*_COLUMNS)
            .where(*conditions)
            .order_by(*(each if page.ascending else each.desc() for each in order))
            .limit(page.limit)
        )
        async with database_errors(), self._engine.connect() as connection:
            found = (await connection.execute(statement)).mappings().all()
        return [FileRow(**row) for row in found]

    async def content(self, file_id: str) -> AsyncIterator[bytes]:
        """The chunks of a file, in order; also of a deleted one that a batch still reads."""
        number = 0
        while True:
            statement = select(file_chunks.c.data).where(
                file_chunks.c.file_id == file_id, file_chunks.c.number == number
            )
            async with database_errors(), self._engine.connect() as connection:
                data = (await connection.execute(statement)).scalar_one_or_none()
            if data is None:
                return
            yield data
            number += 1

    async def delete(self, project_id: str, file_id: str) -> None:
        """Takes the file from its project at once. Raises NotFoundError.

        Its content stays until no batch that is under way reads it; `remove_deleted` takes it.
        """
        statement = (
            update(files)
            .where(*_readable(project_id), files.c.id == file_id)
            .values(deleted_at=func.now())
        )
        async with database_errors(), self._engine.begin() as connection:
            done = cast(CursorResult[Any], await connection.execute(statement))
        if not done.rowcount:
            raise _no_such_file(file_id)

    async def delete_expired(self, limit: int) -> int:
        """Removes up to `limit` deleted or expired files that no batch under way reads."""
        in_use = select(literal(1)).where(
            batches.c.input_file_id == files.c.id, batches.c.status.not_in(_ENDED)
        )
        over = (
            select(files.c.id)
            .where(
                or_(files.c.deleted_at.is_not(None), files.c.expires_at <= func.now()),
                ~in_use.exists(),
            )
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        statement = delete(files).where(files.c.id.in_(over))
        async with database_errors(), self._engine.begin() as connection:
            return cast(CursorResult[Any], await connection.execute(statement)).rowcount


def _readable(project_id: str) -> list[Any]:
    return [
        files.c.project_id == project_id,
        files.c.deleted_at.is_(None),
        or_(files.c.expires_at.is_(None), files.c.expires_at > func.now()),
    ]


def _no_such_file(file_id: str) -> NotFoundError:
    return NotFoundError(f"No such File object: {file_id[:100]}", param="id")


async def _same_file(connection: AsyncConnection, new: NewFile, facts: FileFacts) -> FileRow:
    statement = select(*_COLUMNS, files.c.body_digest).where(
        files.c.project_id == new.project_id, files.c.idempotency_key == new.idempotency_key
    )
    async with database_errors():
        found = dict((await connection.execute(statement)).mappings().one())
    if found.pop("body_digest") != facts.digest or found["purpose"] != facts.purpose:
        raise ConflictError("this Idempotency-Key was used for another file")
    return FileRow(**found)


async def _write_chunks(
    connection: AsyncConnection, file_id: str, content: AsyncIterator[bytes]
) -> int:
    """Writes `content` chunk by chunk and gives its size."""
    waiting = bytearray()
    size = number = 0
    async for piece in content:
        waiting += piece
        while len(waiting) >= CHUNK_BYTES:
            await _write_chunk(connection, file_id, number, bytes(waiting[:CHUNK_BYTES]))
            del waiting[:CHUNK_BYTES]
            size, number = size + CHUNK_BYTES, number + 1
    if waiting:
        await _write_chunk(connection, file_id, number, bytes(waiting))
    return size + len(waiting)


async def _write_chunk(connection: AsyncConnection, file_id: str, number: int, data: bytes) -> None:
    async with database_errors():
        await connection.execute(
            insert(file_chunks).values(file_id=file_id, number=number, data=data)
        )
