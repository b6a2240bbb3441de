"""The queue behind a memory: writes that nobody waits for."""

import asyncio
from collections.abc import Sequence

import pytest

from gateway.errors import InternalError, UnavailableError
from gateway.turns.write_behind import WriteBehind


class Table:
    """A place to write to that can be away."""

    def __init__(self) -> None:
        self.rows: list[str] = []
        self.batches: list[int] = []
        self.failure: Exception | None = None

    async def save(self, rows: Sequence[str]) -> None:
        if self.failure is not None:
            raise self.failure
        self.rows += rows
        self.batches.append(len(rows))


async def test_rows_are_written_in_batches_and_once() -> None:
    table = Table()
    queue: WriteBehind[str] = WriteBehind("rows", table.save)
    for number in range(450):
        queue.put(("a", str(number)), str(number), 1)
    queue.put(("a", "0"), "newer", 1)
    assert await queue.flush()
    assert table.batches == [200, 200, 50]
    assert sorted(table.rows) == sorted([*(str(n) for n in range(1, 450)), "newer"])
    assert len(queue) == 0


async def test_rows_wait_while_the_database_is_away() -> None:
    table = Table()
    queue: WriteBehind[str] = WriteBehind("rows", table.save)
    table.failure = UnavailableError("down")
    queue.put(("a", "1"), "one", 1)
    assert not await queue.flush()
    assert len(queue) == 1
    table.failure = None
    assert await queue.flush()
    assert table.rows == ["one"]


async def test_an_outage_is_told_once_at_its_beginning_and_its_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "gateway.turns")
    table = Table()
    queue: WriteBehind[str] = WriteBehind("rows", table.save)
    table.failure = UnavailableError("down")
    for number in range(5):
        queue.put(("a", str(number)), "row", 1)
        await queue.flush()
    table.failure = None
    await queue.flush()
    assert [record.getMessage() for record in caplog.records] == [
        "rows_waiting",
        "rows_written_again",
    ]


async def test_p56_the_oldest_rows_go_when_the_queue_is_full() -> None:
    table = Table()
    queue: WriteBehind[str] = WriteBehind("rows", table.save, max_rows=3, max_chars=100)
    for number in range(5):
        queue.put(("a", str(number)), str(number), 1)
    assert (len(queue), queue.dropped) == (3, 2)
    queue.put(("a", "long"), "long", 99)
    await queue.flush()
    assert table.rows == ["4", "long"]


async def test_rows_the_database_refuses_do_not_hold_up_others() -> None:
    table = Table()
    queue: WriteBehind[str] = WriteBehind("rows", table.save)
    table.failure = InternalError("refused")
    queue.put(("a", "1"), "one", 1)
    assert await queue.flush()
    assert queue.dropped == 1
    table.failure = None
    queue.put(("a", "2"), "two", 1)
    assert await queue.flush()
    assert table.rows == ["two"]


async def test_a_row_that_is_replaced_while_it_is_written_is_written_again() -> None:
    queue: WriteBehind[str]
    written: list[str] = []

    async def save(rows: Sequence[str]) -> None:
        written.extend(rows)
        if len(written) == 1:
            queue.put(("a", "1"), "newer", 1)

    queue = WriteBehind("rows", save)
    queue.put(("a", "1"), "older", 1)
    assert await queue.flush()
    assert written == ["older", "newer"]


async def test_a_row_that_is_forgotten_is_not_written() -> None:
    table = Table()
    queue: WriteBehind[str] = WriteBehind("rows", table.save)
    queue.put(("a", "1"), "one", 1)
    assert queue.get(("a", "1")) == "one"
    queue.forget(("a", "1"))
    await queue.flush()
    assert table.rows == []


async def test_finishing_gives_up_on_a_database_that_hangs(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def hang(rows: Sequence[str]) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr("gateway.turns.write_behind._FINISH_SECONDS", 0.01)
    queue: WriteBehind[str] = WriteBehind("rows", hang)
    queue.put(("a", "1"), "one", 1)
    await queue.finish()
    assert "rows_left_unwritten" in caplog.text
