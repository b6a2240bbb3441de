"""Stored turns: sealed text by project and key, with an end. What is inside is not known here."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.storage.database import database_errors
from gateway.storage.retention import delete_expired
from gateway.storage.tables import turns
from gateway.structs import Struct


class TurnRow(Struct, frozen=True):
    """One stored turn."""

    project: str
    key: str
    sealed: str
    expires_at: datetime


class TurnTable:
    """Statements on `turns`. Every method raises UnavailableError and may run twice."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def save(self, rows: Sequence[TurnRow]) -> None:
        """Stores `rows`, each key once; a row of the same project and key is replaced."""
        if not rows:
            return
        statement = insert(turns)
        statement = statement.on_conflict_do_update(
            index_elements=["project", "key"],
            set_={
                "sealed": statement.excluded.sealed,
                "expires_at": statement.excluded.expires_at,
            },
        )
        # Rows in one order everywhere: two processes cannot lock each other out.
        ordered = sorted(rows, key=lambda row: (row.project, row.key))
        values = [
            {
                "project": row.project,
                "key": row.key,
                "sealed": row.sealed,
                "expires_at": row.expires_at,
            }
            for row in ordered
        ]
        async with database_errors(), self._engine.begin() as connection:
            await connection.execute(statement, values)

    async def find(self, project: str, keys: Sequence[str]) -> list[TurnRow]:
        """The rows of `project` under `keys` that have not expired."""
        statement = select(turns.c.key, turns.c.sealed, turns.c.expires_at).where(
            turns.c.project == project,
            turns.c.key.in_(list(keys)),
            turns.c.expires_at > func.now(),
        )
        async with database_errors(), self._engine.connect() as connection:
            rows = (await connection.execute(statement)).all()
        return [TurnRow(project, key, sealed, expires_at) for key, sealed, expires_at in rows]

    async def delete_expired(self, limit: int) -> int:
        """Removes up to `limit` rows whose time is over, and returns how many."""
        return await delete_expired(self._engine, turns, limit)
