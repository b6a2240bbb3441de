"""Batches whose items the tests finish by themselves, since they need to know when."""

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import asyncpg

from gateway import wire
from gateway.storage.batch_items_store import BatchItemStore, ItemResult
from gateway.storage.batch_store import BatchStore
from gateway.storage.batch_tables import FAILED, SUCCEEDED
from gateway.storage.database import create_engine
from tests.contract.harness.gateway import Gateway, frozen

MODEL = "claude-sonnet-5-5"


def chat(text: str = "hello") -> dict[str, Any]:
    return {"model": MODEL, "messages": [{"role": "user", "content": text}]}


@contextlib.contextmanager
def nothing_executed(gateway: Gateway) -> Iterator[None]:
    """The worker stands still, and nothing is left for it at the end."""

    async def end_all() -> None:
        connection = await asyncpg.connect(gateway.environment["DATABASE_URL"])
        try:
            await connection.execute("update batches set status = 'cancelled'")
        finally:
            await connection.close()

    with frozen(*gateway.pids["worker"]):
        yield
        asyncio.run(end_all())


def finish(gateway: Gateway, batch_id: str, results: list[ItemResult], *statuses: str) -> None:
    """What the workflow of the batch would write."""

    async def write() -> None:
        engine = create_engine(gateway.environment["DATABASE_URL"])
        try:
            await BatchItemStore(engine).store_results(batch_id, results, {})
            for status in statuses:
                await BatchStore(engine).set_status(batch_id, status)
        finally:
            await engine.dispose()

    asyncio.run(write())


def done(number: int, body: dict[str, Any] | None = None) -> ItemResult:
    return ItemResult(number, SUCCEEDED, 200, wire.dumps(body or {"n": number}), request_id="req_1")


def failed(number: int) -> ItemResult:
    error = {"code": "invalid_value", "message": "no", "param": None, "status": 400}
    return ItemResult(number, FAILED, 400, None, error, "req_2")
