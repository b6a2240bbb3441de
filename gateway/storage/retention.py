"""Removes rows whose time is over, some at a time."""

from sqlalchemy import ColumnElement, Table, delete, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.storage.database import database_errors


async def delete_expired(engine: AsyncEngine, table: Table, limit: int) -> int:
    """Removes up to `limit` rows of a table with `expires_at`, oldest first; returns how many.

    One short transaction; rows that somebody else holds are left for the next time. May run twice
    and beside itself. Raises UnavailableError.
    """
    keys = list(table.primary_key.columns)
    expired = (
        select(*keys)
        .where(table.c.expires_at <= func.now())
        .order_by(table.c.expires_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    statement = delete(table).where(tuple_(*keys).in_(expired))
    async with database_errors(), engine.begin() as connection:
        return (await connection.execute(statement)).rowcount


async def delete_marked(
    engine: AsyncEngine, table: Table, over: ColumnElement[bool], limit: int
) -> int:
    """Removes up to `limit` rows that are `over`, as `delete_expired` does."""
    keys = list(table.primary_key.columns)
    expired = select(*keys).where(over).limit(limit).with_for_update(skip_locked=True)
    statement = delete(table).where(tuple_(*keys).in_(expired))
    async with database_errors(), engine.begin() as connection:
        return (await connection.execute(statement)).rowcount
