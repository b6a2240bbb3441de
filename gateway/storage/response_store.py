"""Stored responses: sealed items and answers by project and id, with an end."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, func, literal, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.storage.database import database_errors
from gateway.storage.retention import delete_expired
from gateway.storage.tables import responses
from gateway.structs import Struct

MAX_CHAIN = 1000
"""The most responses one conversation is followed back."""

_COLUMNS = (
    responses.c.id,
    responses.c.created_at,
    responses.c.expires_at,
    responses.c.previous_id,
    responses.c.status,
    responses.c.sealed,
)


class ResponseRow(Struct, frozen=True):
    """One stored response; `sealed` holds everything that was said."""

    project: str
    id: str
    created_at: datetime
    expires_at: datetime
    previous_id: str | None
    status: str
    sealed: str


class ResponseKey(Struct, frozen=True):
    """Where a stored response stands: its project, its id and the one it goes on from."""

    project: str
    id: str
    previous_id: str | None


class ResponseTable:
    """Statements on `responses`. Every method raises UnavailableError and may run twice."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def save(self, rows: Sequence[ResponseRow]) -> None:
        """Stores `rows`; a row of the same project and id is replaced."""
        if not rows:
            return
        statement = insert(responses)
        statement = statement.on_conflict_do_update(
            index_elements=["project", "id"],
            set_={
                name: statement.excluded[name]
                for name in ("expires_at", "previous_id", "status", "sealed")
            },
        )
        ordered = sorted(rows, key=lambda row: (row.project, row.id))
        values = [
            {
                "project": row.project,
                "id": row.id,
                "created_at": row.created_at,
                "expires_at": row.expires_at,
                "previous_id": row.previous_id,
                "status": row.status,
                "sealed": row.sealed,
            }
            for row in ordered
        ]
        async with database_errors(), self._engine.begin() as connection:
            await connection.execute(statement, values)

    async def find_chain(
        self, project: str, response_id: str, limit: int = MAX_CHAIN
    ) -> list[ResponseRow]:
        """The response and those it goes on from, newest first; ends where one is missing."""
        alive = (responses.c.project == project, responses.c.expires_at > func.now())
        newest = select(*_COLUMNS, literal(1).label("depth")).where(
            *alive, responses.c.id == response_id
        )
        chain = newest.cte("chain", recursive=True)
        earlier = select(*_COLUMNS, chain.c.depth + 1).where(
            *alive, responses.c.id == chain.c.previous_id, chain.c.depth < limit
        )
        chain = chain.union_all(earlier)
        statement = select(chain).order_by(chain.c.depth)
        async with database_errors(), self._engine.connect() as connection:
            rows = (await connection.execute(statement)).all()
        return [_row(project, row) for row in rows]

    async def keys(self, project: str | None) -> list[ResponseKey]:
        """All responses that are alive, of one project or of every one, oldest first."""
        statement = (
            select(responses.c.project, responses.c.id, responses.c.previous_id)
            .where(responses.c.expires_at > func.now())
            .order_by(responses.c.created_at, responses.c.project, responses.c.id)
        )
        if project is not None:
            statement = statement.where(responses.c.project == project)
        async with database_errors(), self._engine.connect() as connection:
            rows = (await connection.execute(statement)).all()
        return [ResponseKey(row.project, row.id, row.previous_id) for row in rows]

    async def find(self, project: str, response_id: str) -> ResponseRow | None:
        """The response of that id, None when there is none."""
        rows = await self.find_chain(project, response_id, limit=1)
        return rows[0] if rows else None

    async def delete(self, project: str, response_id: str) -> bool:
        """Removes the response; False when there was none."""
        statement = (
            delete(responses)
            .where(responses.c.project == project, responses.c.id == response_id)
            .returning(responses.c.id)
        )
        async with database_errors(), self._engine.begin() as connection:
            return (await connection.execute(statement)).one_or_none() is not None

    async def delete_expired(self, limit: int) -> int:
        """Removes up to `limit` rows whose time is over, and returns how many."""
        return await delete_expired(self._engine, responses, limit)


def _row(project: str, row: Row[Any]) -> ResponseRow:
    return ResponseRow(
        project,
        row.id,
        row.created_at,
        row.expires_at,
        row.previous_id,
        row.status,
        row.sealed,
    )
