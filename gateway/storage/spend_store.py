"""What projects and keys have spent, from the usage that is stored."""

from datetime import UTC, datetime

from sqlalchemy import case, func, select, union_all
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.storage.database import database_errors
from gateway.storage.tables import usage_daily, usage_events


class SpendStore:
    """Sums of dollars: the roll-up plus every event that is not rolled up yet."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def spent(self, project: str, key_id: str | None) -> tuple[float, float]:
        """Dollars of the UTC day and month. Raises UnavailableError."""
        today = datetime.now(UTC).date()
        sums = union_all(
            *(
                select(
                    func.coalesce(
                        func.sum(case((table.c.day == today, table.c.cost_usd), else_=0)), 0
                    ).label("of_day"),
                    func.coalesce(func.sum(table.c.cost_usd), 0).label("of_month"),
                ).where(
                    table.c.day >= today.replace(day=1),
                    table.c.project == project,
                    *([table.c.key_id == key_id] if key_id is not None else []),
                    *([~table.c.rolled_up] if table is usage_events else []),
                )
                for table in (usage_daily, usage_events)
            )
        ).subquery()
        statement = select(func.sum(sums.c.of_day), func.sum(sums.c.of_month))
        async with database_errors(), self._engine.connect() as connection:
            of_day, of_month = (await connection.execute(statement)).one()
        return float(of_day), float(of_month)
