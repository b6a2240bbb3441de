"""One chunk of a batch on a real database: what is done when workers die or prefixes are cold."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.batches.execution import Answered, ChunkNotes, ChunkRun, Execute, LaterError, NotYet
from gateway.batches.pacing import WarmPrefixes
from gateway.storage.batch_items_store import BatchItemStore, ItemResult, ItemRow
from gateway.storage.batch_store import BatchRow
from gateway.storage.batch_tables import FAILED, SUCCEEDED
from gateway.structs import to_builtins
from tests.integration.batches.worker import accepted, states


def good(row: ItemRow) -> Answered:
    return Answered(ItemResult(row.number, SUCCEEDED, 200, b"{}"))


def chunk_of(
    engine: AsyncEngine, batch: BatchRow, execute: Execute, notes: ChunkNotes | None = None
) -> ChunkRun:
    store, warm = BatchItemStore(engine), WarmPrefixes()
    return ChunkRun(
        batch.id, store, execute, 4, warm, notes or ChunkNotes(), lambda: False, grace_seconds=0.1
    )


async def lives(engine: AsyncEngine, batch: BatchRow, poison: Sequence[int]) -> int:
    """How many workers it takes to finish a batch whose poisoned items kill them."""
    last: dict[str, Any] = to_builtins(ChunkNotes())
    for life in range(1, 20):
        notes = ChunkNotes(**last)
        notes.begin_again(crashed=life > 1)
        dead = asyncio.Event()

        async def execute(row: ItemRow, notes: ChunkNotes = notes, dead: Any = dead) -> Answered:
            if row.number in poison:
                last.update(to_builtins(notes))  # the last heartbeat before the worker dies
                dead.set()
                await asyncio.Event().wait()
            await asyncio.sleep(0)
            return good(row)

        chunk = chunk_of(engine, batch, execute, notes)
        running = asyncio.ensure_future(chunk.run(0, batch.total))
        dying = asyncio.ensure_future(dead.wait())
        await asyncio.wait([running, dying], return_when=asyncio.FIRST_COMPLETED)
        dying.cancel()
        if running.done():
            running.result()
            return life
        running.cancel()
        await asyncio.wait([running])
    raise AssertionError("the batch never ends")


async def test_an_item_that_kills_workers_is_left_alone_and_the_others_are_done(
    engine: AsyncEngine,
) -> None:
    batch = await accepted(engine, ["Hi"] * 30)
    assert await lives(engine, batch, [13]) <= 4
    assert await states(engine, batch) == {SUCCEEDED: 29, FAILED: 1}
    errors = await BatchItemStore(engine).first_errors(batch.id, 5)
    assert [(error["index"], error["error"]["code"]) for error in errors] == [
        (13, "worker_crashed")
    ]


async def test_of_items_with_one_prefix_the_first_warms_the_cache(engine: AsyncEngine) -> None:
    batch = await accepted(engine, ["Hi"] * 12, prefix=b"same")
    under_way, most, first_done = 0, 0, False

    async def execute(row: ItemRow) -> Answered:
        nonlocal under_way, most, first_done
        under_way += 1
        most = max(most, under_way)
        assert first_done or under_way == 1
        await asyncio.sleep(0.01)
        under_way -= 1
        first_done = True
        return good(row)

    await chunk_of(engine, batch, execute).run(0, 11)
    assert most == 4
    assert await states(engine, batch) == {SUCCEEDED: 12}


async def test_a_limit_of_the_project_stops_the_whole_chunk_and_says_until_when(
    engine: AsyncEngine,
) -> None:
    batch = await accepted(engine, ["Hi"] * 20)
    calls = 0

    async def execute(row: ItemRow) -> Answered | NotYet:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0)
        if calls > 8:
            failed = Answered(ItemResult(row.number, FAILED, 429))
            return NotYet("limit", 40.0, failed)
        return good(row)

    with pytest.raises(LaterError) as raised:
        await chunk_of(engine, batch, execute).run(0, 19)
    assert 30 < (raised.value.retry_after_seconds or 0) <= 40
    assert calls <= 8 + 4
    done = (await states(engine, batch))[SUCCEEDED]
    assert done == 8


async def test_what_fails_by_a_fault_of_ours_is_tried_and_then_fails(engine: AsyncEngine) -> None:
    batch = await accepted(engine, ["Hi"] * 3)
    notes = ChunkNotes(tries={"1": 4})

    async def execute(row: ItemRow) -> Answered:
        await asyncio.sleep(0)
        if row.number == 1:
            raise ValueError("a fault")
        return good(row)

    await chunk_of(engine, batch, execute, notes).run(0, 2)
    assert await states(engine, batch) == {SUCCEEDED: 2, FAILED: 1}
