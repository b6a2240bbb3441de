"""Retention as it runs: the worker's own activities on a real database and engine."""

import asyncio
from datetime import UTC, datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client
from temporalio.worker import Worker

from activities.registry import maintenance_activities
from gateway.config import load_settings
from gateway.durable import (
    RETENTION_ID,
    RETENTION_WORKFLOW,
    EngineAddress,
    RetentionInput,
    RetentionResult,
)
from gateway.storage.response_store import ResponseRow, ResponseTable
from gateway.storage.turn_store import TurnRow, TurnTable
from workflows.connection import connect
from workflows.registry import MAINTENANCE_WORKFLOWS
from workflows.schedules import BY_THE_CLOCK, schedule_of

QUEUE = "retention-test"


async def run(client: Client, wanted: RetentionInput, run_id: str) -> RetentionResult:
    result = await client.execute_workflow(
        RETENTION_WORKFLOW,
        wanted,
        id=f"{RETENTION_ID}-{run_id}",
        task_queue=QUEUE,
        result_type=RetentionResult,
        run_timeout=timedelta(seconds=50),
    )
    assert isinstance(result, RetentionResult)
    return result


async def counted(engine: AsyncEngine, table: str) -> int:
    async with engine.connect() as connection:
        found = await connection.execute(text(f"select count(*) from {table}"))
        return int(found.scalar_one())


async def test_what_has_expired_goes_in_steps_and_the_rest_stays(
    temporal_address: str, database_url: str, engine: AsyncEngine
) -> None:
    now = datetime.now(UTC)
    past, future = now - timedelta(minutes=1), now + timedelta(hours=1)
    await TurnTable(engine).save(
        [TurnRow("a", str(n), "sealed", past if n < 45 else future) for n in range(50)]
    )
    await ResponseTable(engine).save(
        [
            ResponseRow("a", str(n), now, past if n < 7 else future, None, "completed", "sealed")
            for n in range(10)
        ]
    )
    client = await connect(EngineAddress(temporal_address))
    async with (
        maintenance_activities(load_settings(database_url=database_url)) as activities,
        Worker(client, task_queue=QUEUE, workflows=MAINTENANCE_WORKFLOWS, activities=activities),
    ):
        first = await run(client, RetentionInput(rows_per_step=10, steps=2), "first")
        others = ("error_events", "batches", "files", "background_responses")
        kinds = {"turns": 20, "responses": 7, **dict.fromkeys(others, 0)}
        assert first == RetentionResult(kinds, more=True)
        both = await asyncio.gather(
            run(client, RetentionInput(rows_per_step=10, steps=9), "second"),
            run(client, RetentionInput(rows_per_step=10, steps=9), "third"),
        )
    assert sum(each.removed["turns"] for each in both) == 25
    assert not both[0].more
    assert (await counted(engine, "turns"), await counted(engine, "responses")) == (5, 3)


def test_no_schedule_runs_two_at_a_time() -> None:
    every = {}
    for each in BY_THE_CLOCK:
        schedule = schedule_of(each)
        assert schedule.policy.overlap.name == "SKIP"
        (interval,) = schedule.spec.intervals
        every[each.id] = interval.every
    assert every[RETENTION_ID] == timedelta(hours=1)
    assert len(every) == len(BY_THE_CLOCK)
