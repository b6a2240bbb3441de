"""Batches and files in PostgreSQL: accepted whole, finished exactly once, kept while in use."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.errors import InvalidRequestError, NotFoundError
from gateway.storage.batch_items_store import BatchItemStore, ItemResult, NewItem
from gateway.storage.batch_store import BatchStore, NewBatch
from gateway.storage.batch_tables import CANCELLED, FAILED, SUCCEEDED
from gateway.storage.file_store import CHUNK_BYTES, FileFacts, FilePage, FileStore, NewFile
from gateway.wire import JSONObject


def items(count: int) -> Iterator[NewItem]:
    for number in range(count):
        yield NewItem(number, f"item-{number}", b'{"n":%d}' % number, b"prefix")


def new(number: int = 1, **values: object) -> NewBatch:
    base: dict[str, object] = {
        "id": f"batch_{number:024x}",
        "project_id": "team",
        "key_id": "key",
        "form": "short",
        "endpoint": "/v1/chat/completions",
    }
    return NewBatch(**{**base, **values})  # type: ignore[arg-type]


def usage(batch: str, number: int) -> JSONObject:
    return {
        "event_id": f"bi_{batch}_{number}",
        "day": "2026-11-22",
        "started_at": "2026-11-22T10:00:00+00:00",
        "batch_id": batch,
    }


def done(number: int, state: int = SUCCEEDED) -> ItemResult:
    error = {"code": "bad", "message": "no"} if state == FAILED else None
    return ItemResult(number, state, 200, b'{"ok":1}', error, "req", 10, 5, 0, Decimal("0.25"))


async def test_a_batch_is_accepted_whole_or_not_at_all(engine: AsyncEngine) -> None:
    store = BatchStore(engine)
    row, is_new = await store.create_batch(new(), items(1000))
    assert (is_new, row.total, row.status) == (True, 1000, "validating")

    async def broken() -> AsyncIterator[NewItem]:
        for item in items(500):
            yield item
        raise InvalidRequestError("line 501")

    with pytest.raises(InvalidRequestError, match="line 501"):
        await store.create_batch(new(2), broken())
    with pytest.raises(NotFoundError):
        await store.get(new(2).id)
    async with engine.connect() as connection:
        found = await connection.execute(text("select count(*) from batch_items"))
        assert found.scalar_one() == 1000


async def test_a_key_gives_the_same_batch(engine: AsyncEngine) -> None:
    store = BatchStore(engine)
    made = await asyncio.gather(
        *(store.create_batch(new(n, idempotency_key="k"), items(3)) for n in range(4))
    )
    assert len({row.id for row, _ in made}) == 1
    assert [is_new for _, is_new in made].count(True) == 1
    other, is_new = await store.create_batch(
        new(9, project_id="other", idempotency_key="k"), items(1)
    )
    assert is_new
    with pytest.raises(NotFoundError):
        await store.get(other.id, "team")


async def test_each_item_has_one_result_and_one_usage_row(engine: AsyncEngine) -> None:
    batches, store = BatchStore(engine), BatchItemStore(engine)
    row, _ = await batches.create_batch(new(), items(20))
    taken = await store.take(row.id, 0, 9)
    assert [item.body for item in taken[:2]] == [b'{"n":0}', b'{"n":1}']
    rows = {number: usage(row.id, number) for number in range(10)}
    results = [done(number) for number in range(9)] + [done(9, FAILED)]
    every = await asyncio.gather(*(store.store_results(row.id, results, rows) for _ in range(4)))
    assert {(counts.succeeded, counts.failed) for counts in every} == {(9, 1)}
    assert await store.take(row.id, 0, 9) == []
    async with engine.connect() as connection:
        found = await connection.execute(text("select count(*) from usage_events"))
        assert found.scalar_one() == 10
    now = await batches.get(row.id)
    assert (now.cost_usd, now.input_tokens, now.finished) == (Decimal("2.5"), 100, 10)
    page = await store.results(row.id, 3, 4)
    assert (page[0].number, page[0].result) == (4, b'{"ok":1}')
    assert (await store.first_errors(row.id, 5))[0]["custom_id"] == "item-9"


async def test_cancel_ends_what_is_left_and_late_results_change_nothing(
    engine: AsyncEngine,
) -> None:
    batches, store = BatchStore(engine), BatchItemStore(engine)
    row, _ = await batches.create_batch(new(), items(5))
    await store.store_results(row.id, [done(0)], {})
    await batches.set_status(row.id, "cancelling")
    counts = await store.finish_rest(row.id, CANCELLED, {"code": "batch_cancelled"})
    assert (counts.succeeded, counts.cancelled) == (1, 4)
    late = await store.store_results(row.id, [done(1)], {1: usage(row.id, 1)})
    assert late == counts
    ended = await batches.set_status(row.id, "cancelled")
    assert ended.cancelled_at is not None
    assert await batches.set_status(row.id, "cancelled") == ended
    with pytest.raises(InvalidRequestError, match="cannot become paused"):
        await batches.set_status(row.id, "paused")


async def test_retry_takes_failed_items_only(engine: AsyncEngine) -> None:
    batches, store = BatchStore(engine), BatchItemStore(engine)
    row, _ = await batches.create_batch(new(), items(2))
    assert [each.id for each in await batches.not_started(10)] == [row.id]
    await batches.workflow_started(row.id)
    assert await batches.not_started(10) == []
    await store.store_results(row.id, [done(0), done(1, FAILED)], {})
    for status in ("finalizing", "completed"):
        await batches.set_status(row.id, status)
    assert await store.retry_failed(row.id) == 1
    again = await batches.get(row.id)
    assert (again.status, again.failed, again.completed_at) == ("in_progress", 0, None)
    assert [each.id for each in await batches.not_started(10)] == [row.id]
    taken = await store.take(row.id, 0, 1)
    assert [(item.number, item.attempts) for item in taken] == [(1, 1)]


async def test_a_retry_has_as_much_time_as_the_batch_had(engine: AsyncEngine) -> None:
    batches, store = BatchStore(engine), BatchItemStore(engine)
    past = datetime.now(UTC) - timedelta(hours=1)
    row, _ = await batches.create_batch(new(expires_at=past), items(1))
    async with engine.begin() as connection:
        await connection.execute(
            text("update batches set created_at = :at where id = :id"),
            {"at": past - timedelta(hours=24), "id": row.id},
        )
    await store.store_results(row.id, [done(0, FAILED)], {})
    await batches.set_status(row.id, "expired")
    assert await store.retry_failed(row.id) == 1
    again = (await batches.get(row.id)).expires_at
    assert again is not None
    assert timedelta(hours=23, minutes=59) < again - datetime.now(UTC) <= timedelta(hours=24)


async def test_items_are_read_in_the_order_they_were_finished(engine: AsyncEngine) -> None:
    batches, store = BatchStore(engine), BatchItemStore(engine)
    row, _ = await batches.create_batch(new(), items(5))
    assert await store.finished_after(row.id, None, 9) == []
    await store.store_results(row.id, [done(3), done(1)], {})
    first = await store.finished_after(row.id, None, 9)
    assert {item.number for item in first} == {1, 3}
    await store.store_results(row.id, [done(0)], {})
    await store.store_results(row.id, [done(4), done(2)], {})
    rest = await store.finished_after(row.id, first[-1], 2)
    rest += await store.finished_after(row.id, rest[-1], 2)
    assert rest[0].number == 0
    assert {item.number for item in rest[1:]} == {2, 4}


async def test_pages_of_batches(engine: AsyncEngine) -> None:
    store = BatchStore(engine)
    for number in range(5):
        await store.create_batch(new(number), items(1))
    first = await store.page("team", 2)
    assert [row.id[-1] for row in first] == ["4", "3"]
    rest = await store.page("team", 9, after=first[-1].id)
    assert [row.id[-1] for row in rest] == ["2", "1", "0"]
    assert [row.id[-1] for row in await store.page("team", 2, before=rest[0].id)] == ["4", "3"]


async def test_a_file_is_kept_in_chunks_until_nobody_reads_it(engine: AsyncEngine) -> None:
    files, batches = FileStore(engine), BatchStore(engine)
    data = bytes(range(256)) * 10_000

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(data), 70_000):
            yield data[start : start + 70_000]

    row = await files.store(
        NewFile("file-1", "team"), pieces(), lambda: FileFacts("batch", "a.jsonl")
    )
    assert (row.bytes, row.status) == (len(data), "processed")
    read = [chunk async for chunk in files.content("file-1")]
    assert b"".join(read) == data
    assert {len(chunk) for chunk in read[:-1]} == {CHUNK_BYTES}
    with pytest.raises(NotFoundError):
        await files.get("other", "file-1")
    batch, _ = await batches.create_batch(new(input_file_id="file-1"), items(1))
    await files.delete("team", "file-1")
    assert await files.page("team", FilePage(10)) == []
    assert await files.delete_expired(10) == 0
    await batches.set_status(batch.id, "failed")
    assert await files.delete_expired(10) == 1
    assert [chunk async for chunk in files.content("file-1")] == []


async def test_an_upload_that_breaks_leaves_nothing(engine: AsyncEngine) -> None:
    files = FileStore(engine)

    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * (CHUNK_BYTES + 1)
        with pytest.raises(NotFoundError):
            await files.get("team", "file-1")  # nobody sees half a file
        raise InvalidRequestError("broken")

    with pytest.raises(InvalidRequestError, match="broken"):
        await files.store(NewFile("file-1", "team"), broken(), lambda: FileFacts("batch", "a"))
    async with engine.connect() as connection:
        for table in ("files", "file_chunks"):
            found = await connection.execute(text(f"select count(*) from {table}"))
            assert found.scalar_one() == 0


async def test_uploads_of_one_key_at_once_are_one_file(engine: AsyncEngine) -> None:
    files = FileStore(engine)

    async def content() -> AsyncIterator[bytes]:
        yield b"same"

    facts = FileFacts("batch", "a", None, b"digest")
    rows = await asyncio.gather(
        *(
            files.store(NewFile(f"file-{number}", "team", "key"), content(), lambda: facts)
            for number in range(4)
        )
    )
    assert len({row.id for row in rows}) == 1
    assert await files.page("team", FilePage(10)) == [rows[0]]
