"""What may happen to a batch on its way: updates, its hour, limits of its project, many chunks."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity
from temporalio.client import Client
from temporalio.worker import Worker

from gateway.durable import (
    BATCH_WORKFLOW,
    BatchCounts,
    BatchInput,
    BatchOf,
    BatchPlan,
    BatchProgress,
    EndBatchInput,
    EndBatchResult,
    RunItemsInput,
    RunItemsResult,
    batch_workflow_id,
)
from gateway.storage.batch_tables import CANCELLED, EXPIRED, SUCCEEDED
from tests.integration.batches.worker import (
    BatchWorker,
    accepted,
    ended,
    finished,
    started,
    states,
    until,
)
from workflows.client import TemporalEngine
from workflows.registry import ALL_WORKFLOWS

pytestmark = pytest.mark.timeout(150)


async def test_an_operator_pauses_resumes_and_cancels_by_updates(
    engine: AsyncEngine, durable: TemporalEngine, worker: BatchWorker, client: Client
) -> None:
    await worker.start("batch")
    batch = await accepted(engine, ["[[sim:head 0.2]] Hi"] * 400, parallelism=4)
    await started(durable, batch)
    handle = client.get_workflow_handle(batch_workflow_id(batch.id))

    async def some() -> bool:
        return await finished(engine, batch) >= 4

    await until(some)
    paused: BatchProgress = await handle.execute_update("pause", result_type=BatchProgress)
    assert (paused.state, paused.chunks_under_way) == ("paused", 0)
    done = await finished(engine, batch)
    going: BatchProgress = await handle.execute_update("resume", result_type=BatchProgress)
    assert going.state == "running"

    async def more() -> bool:
        return await finished(engine, batch) > done

    await until(more)
    over: BatchProgress = await handle.execute_update("cancel", result_type=BatchProgress)
    assert over.state == "ended"
    assert over.counts.succeeded + over.counts.cancelled == 400
    row = await ended(engine, batch)
    assert row.status == "cancelled"
    assert set(await states(engine, batch)) == {SUCCEEDED, CANCELLED}


async def test_a_batch_whose_time_is_up_keeps_what_it_has(
    engine: AsyncEngine, durable: TemporalEngine, worker: BatchWorker
) -> None:
    await worker.start("batch")
    batch = await accepted(
        engine,
        ["[[sim:head 0.2]] Hi"] * 400,
        parallelism=4,
        expires_at=datetime.now(UTC) + timedelta(seconds=4),
    )
    await started(durable, batch)
    row = await ended(engine, batch)
    assert row.status == "expired"
    assert row.succeeded + row.expired == 400
    assert await states(engine, batch) == {SUCCEEDED: row.succeeded, EXPIRED: row.expired}


async def test_live_requests_keep_their_share_of_the_limits(
    engine: AsyncEngine,
    durable: TemporalEngine,
    limited_worker: BatchWorker,
    client: Client,
) -> None:
    await limited_worker.start("batch")
    batch = await accepted(engine, ["Hi"] * 30)
    await started(durable, batch)
    handle = client.get_workflow_handle(batch_workflow_id(batch.id))

    async def waits_durably() -> bool:
        pending = (await handle.describe()).raw_description.pending_activities
        waiting = [each for each in pending if "LaterError" in str(each.last_failure)]
        return len(waiting) == len(pending) > 0

    await until(waits_durably)
    assert await finished(engine, batch) == 20  # half of 40 a minute
    await handle.execute_update("cancel", result_type=BatchProgress)


@dataclass
class Scripted:
    """Activities of a batch of that many items in chunks of one."""

    total: int
    executed: list[int] = field(default_factory=list)

    @property
    def counts(self) -> BatchCounts:
        return BatchCounts(self.total, succeeded=len(self.executed))

    @activity.defn
    async def plan_batch(self, wanted: BatchOf) -> BatchPlan:
        return BatchPlan("in_progress", "paced", "asked for", self.counts, 8, 1, 8, 86_400.0)

    @activity.defn
    async def run_items(self, wanted: RunItemsInput) -> RunItemsResult:
        self.executed += range(wanted.first, wanted.last + 1)
        return RunItemsResult(self.counts, "in_progress")

    @activity.defn
    async def end_batch(self, wanted: EndBatchInput) -> EndBatchResult:
        return EndBatchResult(self.counts, has_webhook=False)


async def test_a_long_batch_goes_on_in_new_runs(client: Client) -> None:
    scripted = Scripted(900)
    activities: list[Callable[..., Any]] = [
        scripted.plan_batch,
        scripted.run_items,
        scripted.end_batch,
    ]
    async with Worker(
        client, task_queue="long-batch", workflows=ALL_WORKFLOWS, activities=activities
    ):
        counts: BatchCounts = await client.execute_workflow(
            BATCH_WORKFLOW,
            BatchInput("batch_long", "default", searchable=False),
            id=batch_workflow_id("batch_long"),
            task_queue="long-batch",
            start_signal="begin",
            result_type=BatchCounts,
        )
    assert (counts.succeeded, sorted(scripted.executed)) == (900, list(range(900)))

    async def has_three_runs() -> bool:
        wanted = f"WorkflowId = '{batch_workflow_id('batch_long')}'"
        return len([run async for run in client.list_workflows(wanted)]) == 3

    await until(has_three_runs)
