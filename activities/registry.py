"""The activities of each task queue, on the stores they need."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from activities.retention import RetentionActivities
from activities.usage_rollup import UsageRollupActivities
from gateway.storage.database import create_engine
from gateway.storage.response_store import ResponseTable
from gateway.storage.turn_store import TurnTable
from gateway.storage.usage_rollup import UsageRollupStore
from gateway.storage.usage_store import UsageStore


@asynccontextmanager
async def maintenance_activities(database_url: str) -> AsyncIterator[list[Callable[..., Any]]]:
    """What runs by the clock. Connections are closed on leaving."""
    engine = create_engine(database_url, application_name="coding-gateway worker")
    usage = UsageRollupActivities(UsageStore(engine), UsageRollupStore(engine))
    retention = RetentionActivities(
        {
            "turns": TurnTable(engine).delete_expired,
            "responses": ResponseTable(engine).delete_expired,
        }
    )
    try:
        yield [usage.make_usage_partitions, usage.fold_usage, retention.remove_expired]
    finally:
        await engine.dispose()
