"""Batches as they run: a worker process against real servers and the simulated upstream."""

import signal

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from gateway.durable import BatchProgress, batch_workflow_id
from gateway.storage.batch_items_store import BatchItemStore
from gateway.storage.batch_store import BatchStore
from gateway.storage.batch_tables import CANCELLED, FAILED, SUCCEEDED
from tests.integration.batches.worker import (
    BatchWorker,
    accepted,
    ended,
    finished,
    started,
    states,
    until,
    usage,
)
from workflows.client import TemporalEngine

SECRET = "the heron is blue"

pytestmark = pytest.mark.timeout(150)


async def test_every_item_gets_its_answer_and_one_usage_row(
    engine: AsyncEngine, durable: TemporalEngine, worker: BatchWorker, client: Client
) -> None:
    await worker.start("batch")
    questions = [f"[[sim:text answer {number}]] {SECRET}" for number in range(250)]
    questions[7] = "[[sim:error invalid_request_error]]"
    batch = await accepted(engine, questions)
    await started(durable, batch)
    row = await ended(engine, batch)
    assert (row.status, row.succeeded, row.failed, row.total) == ("completed", 249, 1, 250)
    assert await states(engine, batch) == {SUCCEEDED: 249, FAILED: 1}
    assert await usage(engine, batch) == (250, 250)
    assert row.cost_usd > 0
    results = await BatchItemStore(engine).results(batch.id, -1, 300)
    assert [item.number for item in results] == list(range(250))
    for item in results:
        if item.number != 7:
            assert f"answer {item.number}".encode() in (item.result or b"")
    failed = results[7].error
    assert isinstance(failed, dict)
    assert failed["status"] == 400
    handle = client.get_workflow_handle(batch_workflow_id(batch.id))
    progress: BatchProgress = await handle.query("progress", result_type=BatchProgress)
    assert (progress.state, progress.mode, progress.counts.succeeded) == ("ended", "paced", 249)
    history = (await handle.fetch_history()).to_json()
    assert SECRET not in history
    assert "answer 3" not in history
    assert len(history) < 250 * 1000


async def test_workflows_of_batches_are_found_by_project_kind_and_status(
    engine: AsyncEngine, durable: TemporalEngine, worker: BatchWorker, client: Client
) -> None:
    await worker.start("batch")
    batch = await accepted(engine, ["Hi"])
    await started(durable, batch)
    await ended(engine, batch)

    async def is_listed() -> bool:
        wanted = "GatewayKind = 'batch' and GatewayProject = 'default'"
        runs = client.list_workflows(f"{wanted} and GatewayStatus = 'completed'")
        return any([run.id == batch_workflow_id(batch.id) async for run in runs])

    await until(is_listed)


async def test_a_cancelled_batch_keeps_what_it_has(
    engine: AsyncEngine, durable: TemporalEngine, worker: BatchWorker
) -> None:
    await worker.start("batch")
    batch = await accepted(engine, ["[[sim:head 0.3]] Hi"] * 300, parallelism=4)
    await started(durable, batch)

    async def some() -> bool:
        return await finished(engine, batch) >= 20

    await until(some)
    await BatchStore(engine).set_status(batch.id, "cancelling")
    await durable.cancel_batch(batch.id)
    row = await ended(engine, batch, 30)
    assert row.status == "cancelled"
    assert row.succeeded >= 20
    assert row.succeeded + row.cancelled == 300
    assert await states(engine, batch) == {SUCCEEDED: row.succeeded, CANCELLED: row.cancelled}
    assert await usage(engine, batch) == (row.succeeded, row.succeeded)


async def test_a_pause_outlasts_the_worker_and_a_resume_goes_on(
    engine: AsyncEngine, durable: TemporalEngine, worker: BatchWorker, client: Client
) -> None:
    await worker.start("batch")
    batch = await accepted(engine, ["[[sim:head 0.1]] Hi"] * 150, parallelism=4)
    await started(durable, batch)

    async def some() -> bool:
        return await finished(engine, batch) >= 10

    await until(some)
    store = BatchStore(engine)
    await store.set_status(batch.id, "paused")
    await durable.pause_batch(batch.id)
    handle = client.get_workflow_handle(batch_workflow_id(batch.id))

    async def rests() -> bool:
        progress: BatchProgress = await handle.query("progress", result_type=BatchProgress)
        return progress.state == "paused" and progress.chunks_under_way == 0

    await until(rests)
    before = await finished(engine, batch)
    assert before < 150
    assert await worker.end(signal.SIGTERM) == 0
    await worker.start("batch")
    assert await finished(engine, batch) == before
    await store.set_status(batch.id, "in_progress")
    await durable.resume_batch(batch.id)
    row = await ended(engine, batch)
    assert (row.status, row.succeeded) == ("completed", 150)
    assert await usage(engine, batch) == (150, 150)
