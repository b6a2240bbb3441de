"""Results of parts: one for each item in the form of its endpoint, and one usage row."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.errors import UpstreamError
from gateway.storage.batch_parts_store import READ
from gateway.storage.batch_tables import FAILED, SUCCEEDED, WAITING
from gateway.upstream.message_batches import MessageBatchClient
from gateway.usage.events import TokenUsage
from gateway.usage.pricing import cost_usd
from tests.contract.harness.simulator import Simulator, running_simulator
from tests.integration.batches.upstream_world import CATALOG, World, question, world_of
from tests.integration.batches.worker import MODEL, states, usage


@pytest.fixture(scope="module")
def running() -> Iterator[Simulator]:
    with running_simulator("--batch-seconds", "0") as simulator:
        yield simulator


@pytest.fixture
async def world(engine: AsyncEngine, running: Simulator) -> AsyncIterator[World]:
    async with MessageBatchClient(running.base_url, "key", timeout_seconds=20.0) as client:
        yield world_of(engine, running, client)
    running.call("POST", "reset")


async def test_an_answer_has_the_form_of_its_endpoint_and_half_the_price(world: World) -> None:
    batch = await world.planned([question("[[sim:text It is blue.]]", model="gpt-5")])
    await world.brought(batch)
    (item,) = await world.items(batch)
    body = item["body"]
    assert (item["state"], body["object"]) == (SUCCEEDED, "chat.completion")
    assert body["choices"][0]["message"]["content"] == "It is blue."
    assert body["choices"][0]["finish_reason"] == "stop"
    (row,) = await world.usage_rows(batch)
    assert (row["asked_model"], row["model"], row["upstream"]) == ("gpt-5", MODEL, "sim")
    assert (row["endpoint"], row["status"], row["http_status"]) == (batch.endpoint, "ok", 200)
    assert (row["project"], row["key_id"]) == (batch.project_id, batch.key_id)
    assert row["service_tier"] == "batch"
    used = TokenUsage(input_tokens=row["input_tokens"], output_tokens=row["output_tokens"])
    live = cost_usd(CATALOG.find(MODEL), used)
    assert live is not None
    assert row["cost_usd"] == live / 2
    assert body["usage"]["prompt_tokens"] == row["input_tokens"]


@pytest.mark.parametrize(
    ("endpoint", "body", "text"),
    [
        (
            "/v1/responses",
            {"model": MODEL, "input": "[[sim:text It is blue.]]"},
            lambda said: said["output"][-1]["content"][0]["text"],
        ),
        (
            "/v1/messages",
            question("[[sim:text It is blue.]]"),
            lambda said: said["content"][-1]["text"],
        ),
    ],
)
async def test_other_endpoints_get_their_own_form(
    world: World, endpoint: str, body: dict[str, Any], text: Any
) -> None:
    batch = await world.planned([body], endpoint=endpoint)
    await world.brought(batch)
    (item,) = await world.items(batch)
    assert text(item["body"]) == "It is blue."
    assert len(await world.usage_rows(batch)) == 1


async def test_refused_items_fail_and_what_may_pass_is_left(world: World) -> None:
    bodies = [
        question("fine"),
        question("[[sim:error invalid_request_error message='no good']]"),
        question("[[sim:error overloaded_error]]"),
        question("[[sim:error api_error]]"),
        question("[[sim:error authentication_error]]"),
    ]
    batch = await world.planned(bodies)
    await world.brought(batch)
    assert await states(world.engine, batch) == {SUCCEEDED: 1, FAILED: 2, WAITING: 2}
    _, refused, unauthorized = await world.items(batch)
    assert refused["error"] == {
        "code": "invalid_value",
        "message": "no good",
        "param": None,
        "status": 400,
        "type": "invalid_request_error",
    }
    assert unauthorized["error"]["status"] == 502
    rows = await world.usage_rows(batch)
    failed = [row for row in rows if row["status"] == "error"]
    assert len(rows) == 3
    assert [(row["cost_usd"], row["output_tokens"]) for row in failed] == [(0, 0)] * 2


async def test_results_that_break_off_are_read_on(world: World) -> None:
    count = 450
    batch = await world.planned([question(f"[[sim:text answer {n}]]") for n in range(count)])
    await world.parts.create(batch, 0, 1)
    await world.until_ended(batch)
    for lines in (10, 230, 430):
        world.fault(on="results", cut_lines=lines)
        with pytest.raises(UpstreamError) as caught:
            await world.results.read(batch, 0)
        assert caught.value.retryable
    stored = (await world.row(batch)).results_read
    assert stored >= 200
    assert (await states(world.engine, batch))[SUCCEEDED] == stored
    assert await world.results.read(batch, 0) == READ
    assert await states(world.engine, batch) == {SUCCEEDED: count}
    assert await usage(world.engine, batch) == (count, count)
    for item in await world.items(batch):
        said = item["body"]["choices"][0]["message"]["content"]
        assert said == f"answer {item['number']}"


async def test_results_in_another_order_are_all_read(world: World) -> None:
    world.simulator.set(batch_results_shuffled=True)
    count = 450
    batch = await world.planned([question(f"[[sim:text answer {n}]]") for n in range(count)])
    await world.parts.create(batch, 0, 1)
    await world.until_ended(batch)
    world.fault(on="results", cut_lines=400)
    with pytest.raises(UpstreamError):
        await world.results.read(batch, 0)
    assert await world.results.read(batch, 0) == READ
    assert await states(world.engine, batch) == {SUCCEEDED: count}
    assert await usage(world.engine, batch) == (count, count)


@pytest.mark.parametrize("kind", ["overloaded_error", "rate_limit_error", "permission_error"])
async def test_results_that_cannot_be_had_now_are_asked_for_again(world: World, kind: str) -> None:
    batch = await world.planned([question("hi")])
    await world.parts.create(batch, 0, 1)
    await world.until_ended(batch)
    world.fault(on="results", error={"type": kind})
    with pytest.raises(UpstreamError) as caught:
        await world.results.read(batch, 0)
    assert caught.value.retryable
    assert await world.results.read(batch, 0) == READ
    assert await states(world.engine, batch) == {SUCCEEDED: 1}


async def test_results_that_are_gone_leave_their_items(world: World) -> None:
    batch = await world.planned([question("hi")])
    await world.parts.create(batch, 0, 1)
    await world.until_ended(batch)
    world.fault(on="results", error={"type": "not_found_error"})
    assert await world.results.read(batch, 0) == READ
    assert await states(world.engine, batch) == {WAITING: 1}


async def test_two_readers_store_everything_once(world: World) -> None:
    count = 450
    batch = await world.planned([question(f"q {n}") for n in range(count)])
    await world.parts.create(batch, 0, 1)
    await world.until_ended(batch)
    read = await asyncio.gather(*(world.results.read(batch, 0) for _ in range(3)))
    assert set(read) == {READ}
    assert await world.results.read(batch, 0) == READ
    assert await states(world.engine, batch) == {SUCCEEDED: count}
    assert await usage(world.engine, batch) == (count, count)
    fresh = await world.results.items.results(batch.id, -1, 1)
    assert fresh[0].number == 0
