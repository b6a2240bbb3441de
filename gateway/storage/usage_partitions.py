"""The day partitions of `usage_events`."""

from collections.abc import Iterable
from datetime import date, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_LOCK = 0x7573616765  # any constant; makes makers of partitions wait for each other


async def make_partitions(connection: AsyncConnection, days: Iterable[date]) -> list[date]:
    """Makes the partitions of `days` that are missing and returns those days.

    A new table is made beside the parent and attached: that lets inserts into other days go on,
    which `create table ... partition of` would block. Runs in the caller's transaction.
    """
    missing = [day for day in sorted(set(days)) if not await _exists(connection, day)]
    if not missing:
        return []
    await connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    made = [day for day in missing if not await _exists(connection, day)]
    for day in made:
        name, following = partition_name(day), day + timedelta(days=1)
        await connection.exec_driver_sql(f"create table {name} (like usage_events including all)")
        await connection.exec_driver_sql(
            f"alter table usage_events attach partition {name}"
            f" for values from ('{day.isoformat()}') to ('{following.isoformat()}')"
        )
    return made


def partition_name(day: date) -> str:
    """The table that holds the events of `day`."""
    return f"usage_events_{day:%Y%m%d}"


async def _exists(connection: AsyncConnection, day: date) -> bool:
    # Not `to_regclass`: its cache of names need not know yet what another transaction made while
    # this one waited for the lock.
    found = await connection.execute(
        text(
            "select exists (select from pg_class where relname = :name"
            " and pg_table_is_visible(oid))"
        ),
        {"name": partition_name(day)},
    )
    return bool(found.scalar_one())
