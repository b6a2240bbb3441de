"""The durable part as it runs: the worker process, its schedule, and what happens without them."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client, ScheduleOverlapPolicy
from temporalio.service import RPCError

from gateway.durable import (
    BATCH_SWEEP_ID,
    MAINTENANCE_QUEUE,
    RETENTION_ID,
    ROUTING_OUTCOMES_ID,
    SEARCH_ATTRIBUTES,
    USAGE_ROLLUP_ID,
    USAGE_ROLLUP_WORKFLOW,
    DurableEngine,
    DurableUnavailableError,
    EngineAddress,
    UsageRollupInput,
    UsageRollupResult,
)
from gateway.storage.usage_store import UsageStore
from workflows.client import TemporalEngine
from workflows.connection import connect
from workflows.schedules import BY_THE_CLOCK, ROLLUP_INTERVAL, ensure_schedules

ROOT = Path(__file__).parents[2]


@pytest.fixture
async def client(temporal_address: str) -> AsyncIterator[Client]:
    """A client; at the end the schedule and its runs are gone."""
    client = await connect(EngineAddress(temporal_address))
    yield client
    for clean_up in (
        client.get_schedule_handle(USAGE_ROLLUP_ID).delete(),
        client.get_schedule_handle(RETENTION_ID).delete(),
        client.get_schedule_handle(ROUTING_OUTCOMES_ID).delete(),
        client.get_schedule_handle(BATCH_SWEEP_ID).delete(),
        client.get_workflow_handle(f"{USAGE_ROLLUP_ID}-test").terminate(),
    ):
        try:
            await clean_up
        except RPCError:
            continue  # it was not there


class WorkerProcess:
    """`python worker.py` on the test's servers."""

    def __init__(self, address: str, database_url: str, directory: Path) -> None:
        self.ready_file = directory / "worker-ready"
        self.ready_file.unlink(missing_ok=True)
        environment = {
            **os.environ,
            "DATABASE_URL": database_url,
            "TEMPORAL_ADDRESS": address,
        }
        self.process = subprocess.Popen(
            [sys.executable, "worker.py", "--ready-file", self.ready_file],
            cwd=ROOT,
            env=environment,
            stderr=subprocess.DEVNULL,
        )

    async def ready(self) -> None:
        async def is_ready() -> bool:
            assert self.process.poll() is None, "the worker has stopped"
            return self.ready_file.exists()

        await until(is_ready)

    async def stop(self, signal_number: int) -> int:
        self.process.send_signal(signal_number)
        return await asyncio.to_thread(self.process.wait, 30)


@pytest.fixture
async def start_worker(
    temporal_address: str, database_url: str, tmp_path: Path
) -> AsyncIterator[Callable[[], Awaitable[WorkerProcess]]]:
    """Starts worker processes that end with the test."""
    started: list[WorkerProcess] = []

    async def start() -> WorkerProcess:
        worker = WorkerProcess(temporal_address, database_url, tmp_path)
        started.append(worker)
        await worker.ready()
        return worker

    yield start
    for worker in started:
        worker.process.kill()
        worker.process.wait()


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 50.0) -> None:
    deadline = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.05)


async def store_events(engine: AsyncEngine, count: int) -> None:
    started_at = datetime(2026, 11, 22, 10, 30, tzinfo=UTC)
    rows = [
        {
            "event_id": f"e{number:06}",
            "day": "2026-11-22",
            "started_at": started_at.isoformat(),
            "model": "claude-sonnet-5-5",
            "status": "ok",
            "input_tokens": number,
        }
        for number in range(count)
    ]
    await UsageStore(engine).store(rows)


async def rolled_up(engine: AsyncEngine) -> tuple[int, int]:
    """Requests and input tokens in the daily rows."""
    async with engine.connect() as connection:
        found = await connection.execute(
            text(
                "select coalesce(sum(requests), 0)::bigint,"
                " coalesce(sum(input_tokens), 0)::bigint from usage_daily"
            )
        )
        requests, tokens = found.one()
        return requests, tokens


@pytest.mark.timeout(120)
async def test_the_worker_rolls_up_by_the_schedule_and_stops_cleanly(
    client: Client,
    engine: AsyncEngine,
    temporal_address: str,
    start_worker: Callable[[], Awaitable[WorkerProcess]],
) -> None:
    await store_events(engine, 100)
    worker = await start_worker()
    durable: DurableEngine = TemporalEngine(EngineAddress(temporal_address))
    assert await durable.is_reachable()
    await durable.roll_up_usage_now()

    async def done() -> bool:
        return (await rolled_up(engine))[0] == 100

    await until(done)
    schedule = await client.get_schedule_handle(USAGE_ROLLUP_ID).describe()
    assert schedule.schedule.policy.overlap is ScheduleOverlapPolicy.SKIP

    async def is_listed() -> bool:
        runs = client.list_workflows("GatewayKind = 'usage-rollup'")
        return any([run.id.startswith(USAGE_ROLLUP_ID) async for run in runs])

    await until(is_listed)
    assert await worker.stop(signal.SIGTERM) == 0
    assert not worker.ready_file.exists()
    await durable.close()


@pytest.mark.timeout(180)
async def test_a_killed_worker_costs_time_and_nothing_else(
    client: Client, engine: AsyncEngine, start_worker: Callable[[], Awaitable[WorkerProcess]]
) -> None:
    await store_events(engine, 600)
    first = await start_worker()
    # A run by the clock, which may come at any moment, would leave nothing to do.
    await client.get_schedule_handle(USAGE_ROLLUP_ID).pause()
    run = await client.start_workflow(
        USAGE_ROLLUP_WORKFLOW,
        UsageRollupInput(events_per_step=5, steps=1000),
        id=f"{USAGE_ROLLUP_ID}-test",
        task_queue=MAINTENANCE_QUEUE,
        result_type=UsageRollupResult,
    )

    async def is_under_way() -> bool:
        return (await rolled_up(engine))[0] > 20

    await until(is_under_way)
    await first.stop(signal.SIGKILL)
    assert (await rolled_up(engine))[0] < 600
    await start_worker()
    result = await run.result()
    assert not result.more
    assert await rolled_up(engine) == (600, sum(range(600)))


async def test_schedules_are_made_once_and_keep_an_operators_pause(client: Client) -> None:
    handle = client.get_schedule_handle(USAGE_ROLLUP_ID)

    async def last_update() -> datetime | None:
        return (await handle.describe()).info.last_updated_at

    async def is_updated() -> bool:
        return await last_update() != before  # the server applies an update after its answer

    await ensure_schedules(client)
    before = await last_update()
    await ensure_schedules(client)
    await until(is_updated)
    await handle.pause(note="by an operator")

    async def is_paused() -> bool:
        return (await handle.describe()).schedule.state.paused

    await until(is_paused)
    before = await last_update()
    await ensure_schedules(client)
    await until(is_updated)
    standing = (await handle.describe()).schedule
    assert standing.state.paused
    assert standing.state.note == "by an operator"
    assert [each.every for each in standing.spec.intervals] == [ROLLUP_INTERVAL]

    async def names() -> bool:
        listed = {each.id async for each in await client.list_schedules()}
        return listed == {each.id for each in BY_THE_CLOCK}

    await until(names)
    for name in SEARCH_ATTRIBUTES:  # the server refuses a query by one that is not registered
        assert (await client.count_workflows(f"{name} = 'nothing has this'")).count == 0


async def test_a_server_that_is_down_or_silent_is_given_up_in_time() -> None:
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    for address in ("127.0.0.1:1", f"127.0.0.1:{port}"):
        durable = TemporalEngine(EngineAddress(address), deadline_seconds=0.5)
        began = time.monotonic()
        assert not await durable.is_reachable()
        with pytest.raises(DurableUnavailableError):
            await durable.roll_up_usage_now()
        with pytest.raises(DurableUnavailableError):
            await durable.ensure_schedules()
        assert time.monotonic() - began < 10
        await durable.close()
    silent.close()


async def test_the_worker_waits_for_temporal_and_can_be_stopped_meanwhile() -> None:
    nowhere = {
        "DATABASE_URL": "postgresql://gateway@127.0.0.1:1/none",
        "TEMPORAL_ADDRESS": "127.0.0.1:1",
    }
    worker = await asyncio.to_thread(
        subprocess.Popen,
        [sys.executable, "worker.py"],
        cwd=ROOT,
        env={**os.environ, **nowhere},
        stderr=subprocess.PIPE,
    )
    assert worker.stderr is not None
    with worker.stderr:
        for queue in (b"batch", b"background"):  # it was given no key of an upstream
            said = await asyncio.to_thread(worker.stderr.readline)
            assert b"leaves task queue %b to others" % queue in said
        said = await asyncio.to_thread(worker.stderr.readline)
        assert b"waits for Temporal" in said
        worker.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(worker.wait, 30) == 0


@pytest.mark.parametrize(
    "missing", [{"TEMPORAL_ADDRESS": "127.0.0.1:1"}, {"DATABASE_URL": "postgresql://127.0.0.1/x"}]
)
def test_the_worker_says_in_one_line_what_it_needs(missing: dict[str, str], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "worker.py"],
        check=False,
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **missing},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert done.stderr == "DATABASE_URL and TEMPORAL_ADDRESS: the worker needs both\n"


def test_the_client_imports_neither_temporal_nor_a_workflow() -> None:
    program = (
        "import sys, workflows.client;"
        "heavy = {'temporalio', 'sqlalchemy', 'activities', 'workflows.usage_rollup'};"
        "sys.exit(' '.join(heavy & sys.modules.keys()) or None)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
