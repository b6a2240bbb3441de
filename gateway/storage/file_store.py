"""Files of clients in PostgreSQL, in chunks: no process holds a whole one."""

import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import and_, delete, func, literal, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import CursorResult
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.errors import ConflictError, NotFoundError, UnavailableError
from gateway.storage.batch_tables import batches, file_chunks, files
from gateway.storage.database import database_errors
from gateway.storage.retention import delete_marked
from gateway.structs import Struct

CHUNK_BYTES = 2**20
"""Size of a chunk; the last one of a file may be smaller."""

_UPLOADING = "uploading"
_LONGEST_UPLOAD = timedelta(days=1)
_ENDED = ("completed", "failed", "cancelled", "expired")


class FileRow(Struct, frozen=True):
    """A file without its content. `status` is "processed" for one that is whole."""

    id: str
    project_id: str
    purpose: str
    filename: str
    bytes: int
    status: str
    created_at: datetime
    expires_at: datetime | None


class NewFile(Struct, frozen=True):
    """A file that is about to be stored."""

    id: str
    project_id: str
    idempotency_key: str | None = None


class FileFacts(Struct, frozen=True):
    """What is known of a file when its content has been read; `digest` is of all of it."""

    purpose: str
    filename: str
    expires_at: datetime | None = None
    digest: bytes | None = None


class FilePage(Struct, frozen=True):
    """Which page of files: those after the file `after`, newest first unless `ascending`."""

    limit: int
    after: str | None = None
    purpose: str | None = None
    ascending: bool = False


_COLUMNS = [files.c[name] for name in FileRow.__struct_fields__]


class FileStore:
    """Statements on `files` and `file_chunks`. Raises UnavailableError."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def store(
        self, new: NewFile, content: AsyncIterator[bytes], facts: Callable[[], FileFacts]
    ) -> FileRow:
        """Stores a file from pieces of any size; nobody sees it before it is whole.

        Each chunk is a transaction of its own, so that a slow client holds no connection. `facts`
        is asked when the content has been read. With a key that was used before, the file of that
        time is given; raises ConflictError when it was another one. What `content` raises passes.
        """
        begin = insert(files).values(id=new.id, project_id=new.project_id, status=_UPLOADING)
        async with database_errors(), self._engine.begin() as connection:
            await connection.execute(begin)
        kept = False
        try:
            size = await self._write_chunks(new.id, content)
            row = await self._complete(new, size, facts())
            kept = row.id == new.id
            return row
        finally:
            if not kept:
                with contextlib.suppress(UnavailableError):  # then `delete_expired` takes it
                    await self._discard(new.id)

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
        """Removes up to `limit` deleted, expired or given up files that no batch reads now."""
        in_use = select(literal(1)).where(
            batches.c.input_file_id == files.c.id, batches.c.status.not_in(_ENDED)
        )
        given_up = and_(
            files.c.status == _UPLOADING, files.c.created_at < func.now() - _LONGEST_UPLOAD
        )
        over = or_(files.c.deleted_at.is_not(None), files.c.expires_at <= func.now(), given_up)
        return await delete_marked(self._engine, files, and_(over, ~in_use.exists()), limit)

    async def _write_chunks(self, file_id: str, content: AsyncIterator[bytes]) -> int:
        """Writes `content` chunk by chunk and gives its size."""
        waiting = bytearray()
        size = number = 0
        async for piece in content:
            waiting += piece
            while len(waiting) >= CHUNK_BYTES:
                await self._write_chunk(file_id, number, bytes(waiting[:CHUNK_BYTES]))
                del waiting[:CHUNK_BYTES]
                size, number = size + CHUNK_BYTES, number + 1
        if waiting:
            await self._write_chunk(file_id, number, bytes(waiting))
        return size + len(waiting)

    async def _write_chunk(self, file_id: str, number: int, data: bytes) -> None:
        statement = insert(file_chunks).values(file_id=file_id, number=number, data=data)
        async with database_errors(), self._engine.begin() as connection:
            await connection.execute(statement)

    async def _complete(self, new: NewFile, size: int, facts: FileFacts) -> FileRow:
        whole = (
            update(files)
            .where(files.c.id == new.id)
            .values(
                bytes=size,
                status="processed",
                purpose=facts.purpose,
                filename=facts.filename,
                expires_at=facts.expires_at,
                idempotency_key=new.idempotency_key,
                body_digest=facts.digest,
            )
            .returning(*_COLUMNS)
        )
        async with database_errors(), self._engine.begin() as connection:
            if new.idempotency_key is not None:
                same = await _file_of_key(connection, new, facts)
                if same is not None:
                    return same
            return FileRow(**(await connection.execute(whole)).mappings().one())

    async def _discard(self, file_id: str) -> None:
        async with database_errors(), self._engine.begin() as connection:
            await connection.execute(delete(files).where(files.c.id == file_id))


def _readable(project_id: str) -> list[Any]:
    return [
        files.c.project_id == project_id,
        files.c.deleted_at.is_(None),
        files.c.status != _UPLOADING,
        or_(files.c.expires_at.is_(None), files.c.expires_at > func.now()),
    ]


def _no_such_file(file_id: str) -> NotFoundError:
    return NotFoundError(f"No such File object: {file_id[:100]}", param="id")


async def _file_of_key(
    connection: AsyncConnection, new: NewFile, facts: FileFacts
) -> FileRow | None:
    """The file that was stored with this key before. Raises ConflictError for another one."""
    # Of two uploads at once the second one waits here for the end of the first.
    lock = func.hashtextextended(f"{new.project_id}/{new.idempotency_key}", 0)
    await connection.execute(select(func.pg_advisory_xact_lock(lock)))
    statement = select(*_COLUMNS, files.c.body_digest).where(
        files.c.project_id == new.project_id, files.c.idempotency_key == new.idempotency_key
    )
    row = (await connection.execute(statement)).mappings().one_or_none()
    if row is None:
        return None
    found = dict(row)
    if found.pop("body_digest") != facts.digest or found["purpose"] != facts.purpose:
        raise ConflictError("this Idempotency-Key was used for another file")
    return FileRow(**found)
