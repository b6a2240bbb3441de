"""The activities of each task queue, on the stores they need."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from activities.retention import RetentionActivities
from activities.routing_outcomes import RoutingOutcomesActivities
from activities.usage_rollup import UsageRollupActivities
from gateway.storage.database import create_engine
from gateway.storage.response_store import ResponseTable
from gateway.storage.routing_outcomes import OutcomeBoard, RoutingOutcomeStore
from gateway.storage.turn_store import TurnTable
from gateway.storage.usage_rollup import UsageRollupStore
from gateway.storage.usage_store import UsageStore
from gateway.storage.valkey import Valkey

_VALKEY_SECONDS = 2.0  # nobody waits for the worker


@asynccontextmanager
async def maintenance_activities(
    database_url: str, valkey_url: str | None = None
) -> AsyncIterator[list[Callable[..., Any]]]:
    """What runs by the clock. Connections are closed on leaving.

    Without Valkey the API processes are not told what routing has learned.
    """
    engine = create_engine(database_url, application_name="coding-gateway worker")
    usage = UsageRollupActivities(UsageStore(engine), UsageRollupStore(engine))
    retention = RetentionActivities(
        {
            "turns": TurnTable(engine).delete_expired,
            "responses": ResponseTable(engine).delete_expired,
        }
    )
    async with AsyncExitStack() as exits:
        exits.push_async_callback(engine.dispose)
        board = None
        if valkey_url is not None:
            valkey = Valkey(valkey_url, timeout_seconds=_VALKEY_SECONDS)
            exits.push_async_callback(valkey.close)
            await valkey.start()
            board = OutcomeBoard(valkey)
        outcomes = RoutingOutcomesActivities(RoutingOutcomeStore(engine), board)
        yield [
            usage.make_usage_partitions,
            usage.fold_usage,
            retention.remove_expired,
            outcomes.fold_outcomes,
            outcomes.publish_outcomes,
        ]
