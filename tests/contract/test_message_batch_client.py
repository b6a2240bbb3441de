"""The gateway's client of Message Batches against the simulator."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from gateway import wire
from gateway.errors import UpstreamCutError, UpstreamError, UpstreamUnreachableError
from gateway.upstream.message_batches import MessageBatchClient, UpstreamBatch
from tests.contract.harness.simulator import Simulator, running_simulator


@pytest.fixture(scope="module")
def running() -> Iterator[Simulator]:
    with running_simulator("--batch-seconds", "0") as simulator:
        yield simulator


@pytest.fixture
def simulator(running: Simulator) -> Iterator[Simulator]:
    yield running
    running.call("POST", "reset")


@pytest_asyncio.fixture
async def client(simulator: Simulator) -> AsyncIterator[MessageBatchClient]:
    url = f"{simulator.base_url}/v1"
    async with MessageBatchClient(url, "key", timeout_seconds=20.0) as client:
        yield client


def request(custom_id: str, text: str = "hello", max_tokens: int = 500) -> bytes:
    params = {
        "model": "claude-sonnet-5-5",
        "max_tokens": max_tokens,
        "messages": [{"role": "user", "content": text}],
    }
    return wire.dumps({"custom_id": custom_id, "params": params})


async def ended(client: MessageBatchClient, batch_id: str) -> UpstreamBatch:
    async with asyncio.timeout(20):
        while True:
            batch = await client.get(batch_id)
            if batch.status == "ended":
                return batch


async def names(client: MessageBatchClient, batch_id: str, skip: int = 0) -> list[str]:
    return [line["custom_id"] async for line in client.results(batch_id, skip)]


async def test_a_batch_is_made_read_and_skipped_into(client: MessageBatchClient) -> None:
    made = await client.create([request(f"r{number}") for number in range(30)])
    assert made.requests == 30
    assert abs(made.created_at - datetime.now(UTC)) < timedelta(seconds=30)
    assert (await ended(client, made.id)).requests == 30
    every = await names(client, made.id)
    assert sorted(every) == sorted(f"r{number}" for number in range(30))
    assert await names(client, made.id, skip=12) == every[12:]
    assert await names(client, made.id, skip=30) == []


async def test_a_result_is_the_whole_line(client: MessageBatchClient) -> None:
    made = await client.create([request("long", "[[sim:deltas count=60000 chars=9]]", 100_000)])
    await ended(client, made.id)
    (line,) = [line async for line in client.results(made.id)]
    assert line["result"]["message"]["usage"]["service_tier"] == "batch"
    assert len(wire.dumps(line)) > 100_000


async def test_recent_batches_go_back_to_a_moment(client: MessageBatchClient) -> None:
    since = datetime.now(UTC)
    made = [(await client.create([request("a")])).id for _ in range(105)]
    assert [batch.id for batch in await client.recent(since)] == made[::-1]
    assert await client.recent(datetime.now(UTC)) == []


async def test_a_cancelled_batch_ends(client: MessageBatchClient, simulator: Simulator) -> None:
    simulator.set(batch_seconds=900)
    made = await client.create([request("a"), request("b")])
    assert (await client.cancel(made.id)).status == "canceling"
    await ended(client, made.id)
    results = [line["result"] async for line in client.results(made.id)]
    assert results == [{"type": "canceled"}] * 2
    with pytest.raises(UpstreamError) as caught:
        await client.cancel(made.id)
    assert (caught.value.upstream_status, caught.value.retryable) == (400, False)


async def test_failures_say_whether_another_try_helps(
    client: MessageBatchClient, simulator: Simulator
) -> None:
    faults: list[dict[str, Any]] = [
        {"on": "get", "error": {"type": "rate_limit_error", "retry_after": 9}},
        {"on": "get", "error": {"type": "overloaded_error"}},
        {"on": "get", "error": {"type": "authentication_error"}},
        {"on": "get", "cut": True},
    ]
    simulator.call("POST", "batch_faults", faults)
    seen = []
    for _ in range(5):
        with pytest.raises(UpstreamError) as caught:
            await client.get("msgbatch_none")
        error = caught.value
        seen.append((error.upstream_status, error.retryable, error.retry_after_seconds))
    assert seen == [
        (429, True, 9.0),
        (529, True, None),
        (401, False, None),
        (None, True, None),
        (404, False, None),
    ]


async def test_a_lost_creation_tells_no_status(
    client: MessageBatchClient, simulator: Simulator
) -> None:
    simulator.call("POST", "batch_faults", {"on": "create", "done": True, "cut": True})
    since = datetime.now(UTC)
    with pytest.raises(UpstreamUnreachableError) as caught:
        await client.create([request("a")])
    assert caught.value.upstream_status is None
    assert len(await client.recent(since)) == 1


async def test_cut_results_give_what_has_come(
    client: MessageBatchClient, simulator: Simulator
) -> None:
    made = await client.create([request(f"r{number}") for number in range(20)])
    await ended(client, made.id)
    every = await names(client, made.id)
    simulator.call("POST", "batch_faults", {"on": "results", "cut_lines": 15, "reset": True})
    seen: list[str] = []

    async def read() -> None:
        async with aclosing(client.results(made.id)) as lines:
            async for line in lines:
                seen.append(line["custom_id"])  # noqa: PERF401 - what came before the cut is kept

    with pytest.raises(UpstreamCutError) as caught:
        await read()
    assert caught.value.retryable
    assert seen == every[: len(seen)]


async def test_an_upstream_that_is_not_there_is_unreachable() -> None:
    async with MessageBatchClient("http://127.0.0.1:9", "key", timeout_seconds=5.0) as client:
        with pytest.raises(UpstreamUnreachableError) as caught:
            await client.get("msgbatch_1")
    assert caught.value.retryable
