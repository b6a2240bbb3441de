"""Parts on their way to Message Batches: each made once, whatever fails or is repeated."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway import wire
from gateway.batches.execution import LaterError
from gateway.batches.part_plan import custom_id
from gateway.errors import UpstreamError
from gateway.storage.batch_items_store import BatchItemStore, ItemResult
from gateway.storage.batch_parts_store import CALLED, IN_PROGRESS, PLANNED, READ, UNSURE
from gateway.storage.batch_store import BatchStore
from gateway.storage.batch_tables import FAILED, SUCCEEDED, WAITING
from gateway.structs import replace
from gateway.upstream.message_batches import MessageBatchClient
from tests.contract.harness.simulator import Simulator, running_simulator
from tests.integration.batches.upstream_world import World, question, world_of
from tests.integration.batches.worker import states

THREE = [question(f"question {number}") for number in range(3)]


@pytest.fixture(scope="module")
def running() -> Iterator[Simulator]:
    with running_simulator("--batch-seconds", "0") as simulator:
        yield simulator


@pytest.fixture
async def world(engine: AsyncEngine, running: Simulator) -> AsyncIterator[World]:
    async with MessageBatchClient(running.base_url, "key", timeout_seconds=20.0) as client:
        yield world_of(engine, running, client)
    running.call("POST", "reset")


# --- planning ---


async def test_a_plan_is_made_once(world: World) -> None:
    batch = await world.batch([question("hi")] * 25)
    parts = world.with_limits(10)
    assert await parts.plan(batch) == 3
    assert await parts.plan(batch) == 3
    rows = [await world.row(batch, part) for part in range(3)]
    assert [(row.first, row.last, row.state) for row in rows] == [
        (0, 9, PLANNED),
        (10, 19, PLANNED),
        (20, 24, PLANNED),
    ]


async def test_failed_items_that_are_retried_get_a_part_of_their_own(world: World) -> None:
    batch = await world.planned(THREE)
    items = BatchItemStore(world.engine)
    results = [ItemResult(n, FAILED if n == 1 else SUCCEEDED, 200) for n in range(3)]
    await items.store_results(batch.id, results, {})
    assert await world.parts.plan(batch) == 1
    assert await items.retry_failed(batch.id) == 1
    assert await world.parts.plan(batch) == 2
    row = await world.row(batch, 1)
    assert (row.first, row.last) == (1, 1)


async def test_few_items_go_upstream_only_when_that_was_asked_for(world: World) -> None:
    assert await world.parts.plan(await world.batch(THREE, mode="auto")) == 0
    assert await world.parts.plan(await world.batch(THREE)) == 1
    many = await world.batch([question("hi")] * 100, mode="auto")
    assert await world.parts.plan(many) == 1


async def test_batches_stay_here_for_a_reason(world: World) -> None:
    batch = await world.batch(THREE)
    assert await world.parts.why_not(batch) is None
    poor = replace(batch, project_id="poor")
    assert await world.parts.why_not(poor) == "a budget can only be kept item by item"
    off = replace(world.parts, enabled=False)
    assert await off.why_not(batch) == "switched off by ENABLE_MESSAGE_BATCHES"


# --- creating ---


async def test_a_part_that_is_created_twice_is_there_once(world: World) -> None:
    batch = await world.planned(THREE)
    for _ in range(3):
        assert await world.parts.create(batch, 0, 1) == IN_PROGRESS
    (made,) = await world.upstream()
    assert (made.requests, made.id) == (3, (await world.row(batch)).upstream_id)


LOST: list[dict[str, Any]] = [
    {"done": True, "cut": True},
    {"done": True, "cut": True, "reset": True},
    {"done": True, "error": {"type": "api_error"}},
    {"done": True, "error": {"type": "overloaded_error"}},
]


@pytest.mark.parametrize("ended", [False, True])
@pytest.mark.parametrize("fault", LOST)
async def test_a_part_whose_creation_is_lost_on_the_way_back_is_found(
    world: World, fault: dict[str, Any], ended: bool
) -> None:
    world.simulator.set(batch_seconds=0.0 if ended else 900.0)
    batch = await world.planned(THREE)
    world.fault(on="create", **fault)
    with pytest.raises(UpstreamError) as caught:
        await world.parts.create(batch, 0, 1)
    assert caught.value.retryable
    assert (await world.row(batch)).state == CALLED
    assert await world.parts.create(batch, 0, 2) == IN_PROGRESS
    assert len(await world.upstream()) == 1
    if not ended:
        assert (await world.row(batch)).state == UNSURE
    world.simulator.set(batch_seconds=0.0)
    await world.until_ended(batch)
    assert await world.results.read(batch, 0) == READ
    assert await states(world.engine, batch) == {SUCCEEDED: 3}


async def test_a_creation_that_made_nothing_is_repeated_once_that_is_sure(world: World) -> None:
    batch = await world.planned(THREE)
    world.fault(on="create", error={"type": "api_error"})
    with pytest.raises(UpstreamError):
        await world.parts.create(batch, 0, 1)
    with pytest.raises(LaterError) as later:
        await world.parts.create(batch, 0, 2)
    assert 25 < (later.value.retry_after_seconds or 0) <= 30
    assert await world.upstream() == []
    assert await world.with_settled(0.0).create(batch, 0, 3) == IN_PROGRESS
    assert len(await world.upstream()) == 1


async def test_a_worker_killed_before_its_call_leaves_nothing_behind(world: World) -> None:
    batch = await world.planned(THREE)
    await world.parts.store.call(batch.id, 0, "sim", 3)
    with pytest.raises(LaterError):
        await world.parts.create(batch, 0, 2)
    assert await world.with_settled(0.0).create(batch, 0, 3) == IN_PROGRESS
    assert len(await world.upstream()) == 1


@pytest.mark.parametrize("faster", ["finds", "makes"])
async def test_of_two_tries_at_once_one_batch_is_left(world: World, faster: str) -> None:
    world.simulator.set(batch_seconds=900.0, batch_cancel_seconds=900.0)
    batch = await world.planned(THREE)

    class Slow(MessageBatchClient):
        async def create(self, requests: Any) -> Any:
            if faster == "makes":
                assert await world.with_settled(0.0).create(batch, 0, 2) == IN_PROGRESS
            made = await super().create(requests)
            if faster == "finds":
                assert await world.parts.create(batch, 0, 2) == IN_PROGRESS
                assert (await world.row(batch)).state == UNSURE
            return made

    async with Slow(world.simulator.base_url, "key", timeout_seconds=20.0) as slow:
        slower = world_of(world.engine, world.simulator, slow).parts
        assert await slower.create(batch, 0, 1) == IN_PROGRESS
    row = await world.row(batch)
    assert row.state == IN_PROGRESS
    running = [each.id for each in await world.upstream() if each.status == "in_progress"]
    assert running == [row.upstream_id]


async def test_a_limit_is_waited_for_as_long_as_it_says(world: World) -> None:
    batch = await world.planned(THREE)
    world.fault(on="create", error={"type": "rate_limit_error", "retry_after": 17})
    with pytest.raises(UpstreamError) as caught:
        await world.parts.create(batch, 0, 1)
    assert (caught.value.retryable, caught.value.retry_after_seconds) == (True, 17.0)
    assert (await world.row(batch)).state == PLANNED
    assert await world.parts.create(batch, 0, 2) == IN_PROGRESS


@pytest.mark.parametrize("kind", ["permission_error", "not_found_error", "request_too_large"])
async def test_a_part_that_is_refused_is_left_to_be_executed_one_by_one(
    world: World, kind: str
) -> None:
    batch = await world.planned(THREE)
    world.fault(on="create", error={"type": kind})
    assert await world.parts.create(batch, 0, 1) == READ
    assert await world.parts.poll(batch, 0) == READ
    assert await states(world.engine, batch) == {WAITING: 3}


async def test_lost_parts_of_one_size_wait_until_their_results_tell_them_apart(
    world: World,
) -> None:
    world.simulator.set(batch_seconds=900.0)
    batch = await world.batch([question(f"q {n}") for n in range(6)])
    parts = world.with_limits(3)
    assert await parts.plan(batch) == 2
    for part in range(2):
        world.fault(on="create", done=True, cut=True)
        with pytest.raises(UpstreamError):
            await parts.create(batch, part, 1)
    for part in range(2):
        with pytest.raises(LaterError, match="several"):
            await parts.create(batch, part, 2)
    world.simulator.set(batch_seconds=0.0)
    for part in range(2):
        assert await parts.create(batch, part, 3) == IN_PROGRESS
        await world.until_ended(batch, part)
        await world.results.read(batch, part)
    assert len(await world.upstream()) == 2
    assert await states(world.engine, batch) == {SUCCEEDED: 6}


async def test_what_may_be_somebody_elses_is_neither_cancelled_nor_taken(world: World) -> None:
    world.simulator.set(batch_seconds=900.0)
    batch = await world.planned(THREE)
    await world.parts.store.call(batch.id, 0, "sim", 3)
    foreign = [wire.dumps({"custom_id": f"x{n}", "params": THREE[n]}) for n in range(3)]
    theirs = await world.client.create(foreign)
    assert await world.parts.create(batch, 0, 2) == IN_PROGRESS
    assert (await world.row(batch)).state == UNSURE
    await world.parts.cancel(batch, 0)
    assert (await world.client.get(theirs.id)).status == "in_progress"
    world.simulator.set(batch_seconds=0.0)
    await world.until_ended(batch)
    assert await world.results.read(batch, 0) == READ
    assert await states(world.engine, batch) == {WAITING: 3}


async def test_another_part_with_our_tag_pattern_is_not_ours(world: World) -> None:
    batch = await world.planned(THREE)
    await world.parts.store.call(batch.id, 0, "sim", 3)
    foreign = [
        wire.dumps({"custom_id": custom_id("0" * 12, n), "params": THREE[n]}) for n in range(3)
    ]
    theirs = await world.client.create(foreign)
    while (await world.client.get(theirs.id)).status != "ended":
        pass
    assert await world.with_settled(0.0).create(batch, 0, 2) == IN_PROGRESS
    assert len(await world.upstream()) == 2
    assert (await world.row(batch)).upstream_id != theirs.id


async def test_nothing_is_created_for_a_batch_that_is_over_or_paused(world: World) -> None:
    store = BatchStore(world.engine)
    paused = await world.planned(THREE)
    moved = await store.set_status(paused.id, "paused")
    with pytest.raises(LaterError, match="paused"):
        await world.parts.create(moved, 0, 1)
    over = await world.planned(THREE)
    moved = await store.set_status(over.id, "cancelling")
    assert await world.parts.create(moved, 0, 1) == READ
    assert await world.upstream() == []


async def test_items_that_message_batches_do_not_take_stay_behind(world: World) -> None:
    bodies = [question("hi"), question("hi", speed="fast")]
    batch = await world.planned(bodies, endpoint="/v1/messages")
    await world.brought(batch)
    (made,) = await world.upstream()
    assert made.requests == 1
    assert await states(world.engine, batch) == {SUCCEEDED: 1, WAITING: 1}


# --- watching and cancelling ---


async def test_a_part_that_is_gone_upstream_is_left(world: World) -> None:
    batch = await world.planned(THREE)
    await world.parts.create(batch, 0, 1)
    world.simulator.call("POST", "reset")
    assert await world.parts.poll(batch, 0) == READ
    assert await states(world.engine, batch) == {WAITING: 3}


async def test_a_look_that_fails_is_repeated(world: World) -> None:
    batch = await world.planned(THREE)
    await world.parts.create(batch, 0, 1)
    for kind in ("overloaded_error", "authentication_error", "rate_limit_error"):
        world.fault(on="get", error={"type": kind})
        with pytest.raises(UpstreamError) as caught:
            await world.parts.poll(batch, 0)
        assert caught.value.retryable
    await world.until_ended(batch)


async def test_a_cancel_keeps_what_is_done_and_may_come_late_or_twice(world: World) -> None:
    world.simulator.set(batch_seconds=900.0, batch_first_share=0.5)
    batch = await world.planned([question(f"q {n}") for n in range(10)])
    await world.parts.create(batch, 0, 1)
    assert await world.parts.cancel(batch, 0) in (IN_PROGRESS, "ended")
    await world.until_ended(batch)
    assert await world.parts.cancel(batch, 0) == IN_PROGRESS
    assert await world.results.read(batch, 0) == READ
    assert await world.parts.cancel(batch, 0) == READ
    assert await states(world.engine, batch) == {SUCCEEDED: 5, WAITING: 5}
    assert len(await world.usage_rows(batch)) == 5


async def test_what_expires_upstream_is_left_to_its_batch(world: World) -> None:
    world.simulator.set(batch_seconds=900.0, batch_first_share=0.2)
    batch = await world.planned([question(f"q {n}") for n in range(5)])
    await world.parts.create(batch, 0, 1)
    world.simulator.set(batch_expiry_seconds=0.0)
    await world.until_ended(batch)
    await world.results.read(batch, 0)
    assert await states(world.engine, batch) == {SUCCEEDED: 1, WAITING: 4}
