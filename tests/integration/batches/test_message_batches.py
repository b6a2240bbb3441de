"""Batches through Claude's Message Batches as they run: worker, Temporal, simulated upstream."""

import signal
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from gateway.durable import batch_workflow_id
from gateway.storage.batch_parts_store import BatchPartStore
from gateway.storage.batch_store import BatchRow, BatchStore
from gateway.storage.batch_tables import CANCELLED, SUCCEEDED
from tests.contract.harness.simulator import Simulator
from tests.integration.batches.worker import (
    BatchWorker,
    accepted,
    ended,
    started,
    states,
    until,
    usage,
)
from workflows.client import TemporalEngine

SECRET = "the heron is blue"

pytestmark = pytest.mark.timeout(150)


def created(simulator: Simulator) -> int:
    """How many Message Batches the simulator was asked for."""
    records = simulator.call("GET", "requests?path=/v1/messages/batches")["requests"]
    return sum(1 for record in records if record["method"] == "POST")


async def is_upstream(engine: AsyncEngine, batch: BatchRow) -> bool:
    row = await BatchPartStore(engine).get(batch.id, 0)
    return row is not None and row.upstream_id is not None


async def test_a_batch_that_is_not_urgent_costs_half(
    engine: AsyncEngine,
    durable: TemporalEngine,
    worker: BatchWorker,
    simulator: Simulator,
    client: Client,
) -> None:
    await worker.start("batch")
    questions = [f"[[sim:text answer {number}]] {SECRET}" for number in range(150)]
    questions[7] = "[[sim:error invalid_request_error]]"
    batch = await accepted(engine, questions, mode="auto")
    await started(durable, batch)
    row = await ended(engine, batch)
    assert (row.status, row.succeeded, row.failed) == ("completed", 149, 1)
    assert (row.chosen_mode, row.mode_reason) == (
        "anthropic",
        "150 items, not urgent: half the price",
    )
    assert await usage(engine, batch) == (150, 150)
    assert (created(simulator), simulator.requests()) == (1, [])
    history: Any = await client.get_workflow_handle(batch_workflow_id(batch.id)).fetch_history()
    assert SECRET not in history.to_json()
    assert SECRET not in worker.log


async def test_a_worker_that_dies_makes_no_part_twice(
    engine: AsyncEngine, durable: TemporalEngine, worker: BatchWorker, simulator: Simulator
) -> None:
    simulator.set(batch_seconds=900.0)
    await worker.start("batch")
    batch = await accepted(engine, ["Hi"] * 120, mode="anthropic")
    await started(durable, batch)
    await until(lambda: is_upstream(engine, batch))
    await worker.end(signal.SIGKILL)
    simulator.set(batch_seconds=0.0)
    await worker.start("batch")
    row = await ended(engine, batch, 100)
    assert (row.status, row.succeeded) == ("completed", 120)
    assert await usage(engine, batch) == (120, 120)
    assert (created(simulator), simulator.requests()) == (1, [])


async def test_a_lost_creation_and_what_is_overloaded_end_well(
    engine: AsyncEngine, durable: TemporalEngine, worker: BatchWorker, simulator: Simulator
) -> None:
    simulator.call("POST", "batch_faults", {"on": "create", "done": True, "cut": True})
    simulator.call("POST", "batch_faults", {"on": "results", "cut_lines": 60})
    simulator.script(
        {"match": {"contains": "unlucky"}, "error": {"type": "overloaded_error"}, "times": 1}
    )
    await worker.start("batch")
    batch = await accepted(engine, [*["Hi"] * 119, "unlucky"], mode="anthropic")
    await started(durable, batch)
    row = await ended(engine, batch)
    assert (row.status, row.succeeded) == ("completed", 120)
    assert await usage(engine, batch) == (120, 120)
    # One part upstream, and one item by itself.
    assert (created(simulator), len(simulator.requests())) == (1, 1)


async def test_a_cancel_reaches_what_is_upstream(
    engine: AsyncEngine, durable: TemporalEngine, worker: BatchWorker, simulator: Simulator
) -> None:
    simulator.set(batch_seconds=900.0, batch_first_share=0.25)
    await worker.start("batch")
    batch = await accepted(engine, ["Hi"] * 120, mode="anthropic")
    await started(durable, batch)
    await until(lambda: is_upstream(engine, batch))
    await BatchStore(engine).set_status(batch.id, "cancelling")
    await durable.cancel_batch(batch.id)
    row = await ended(engine, batch)
    assert (row.status, row.succeeded, row.cancelled) == ("cancelled", 30, 90)
    assert await states(engine, batch) == {SUCCEEDED: 30, CANCELLED: 90}
    assert await usage(engine, batch) == (30, 30)


async def test_an_upstream_without_message_batches_is_asked_item_by_item(
    engine: AsyncEngine, durable: TemporalEngine, worker: BatchWorker, simulator: Simulator
) -> None:
    simulator.call("POST", "batch_faults", {"on": "create", "error": {"type": "not_found_error"}})
    await worker.start("batch")
    batch = await accepted(engine, ["Hi"] * 20, mode="anthropic")
    await started(durable, batch)
    row = await ended(engine, batch)
    assert (row.status, row.succeeded) == ("completed", 20)
    assert len(simulator.requests()) == 20
