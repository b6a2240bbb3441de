"""The way of an event from the journal to its row, with processes and servers that die."""

import asyncio
import collections
import contextlib
import os
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.catalog.models import load_catalog
from gateway.errors import UnavailableError
from gateway.storage.database import create_engine
from gateway.storage.usage_store import UsageStore
from gateway.usage.events import (
    Outcome,
    RequestOpened,
    TokenUsage,
    UsageEvent,
    close_event,
    new_event_id,
)
from gateway.usage.journal import Journal
from gateway.usage.recorder import Recorder
from gateway.usage.segments import files_in

WRITER = Path(__file__).with_name("journal_writer.py")
ROOT = Path(__file__).parents[2]


def request(**values: object) -> RequestOpened:
    started_at = datetime(2026, 11, 22, 23, 59, 59, tzinfo=UTC)
    fixed = {
        "event_id": new_event_id(),
        "day": started_at.date(),
        "started_at": started_at,
        "project": "default",
        "key_id": "bootstrap",
        "request_id": "req_1",
        "endpoint": "chat_completions",
        "model": "claude-sonnet-5-5",
    }
    return RequestOpened(**{**fixed, **values})  # type: ignore[arg-type] # a test's shorthand


def event(opened: RequestOpened, **values: object) -> UsageEvent:
    outcome = Outcome("ok", 200, cost_usd=Decimal("0.001"), price_date="2026-11-22")
    return close_event(opened, outcome, TokenUsage(input_tokens=10, output_tokens=5))


async def rows(engine: AsyncEngine) -> list[dict[str, object]]:
    async with engine.connect() as connection:
        found = await connection.execute(text("select * from usage_events order by event_id"))
        return [dict(each) for each in found.mappings()]


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    journal = Journal(tmp_path, "api")
    yield journal
    journal.shut()


@pytest.fixture
def recorder(journal: Journal, engine: AsyncEngine) -> Recorder:
    return Recorder(journal, UsageStore(engine), load_catalog())


async def test_a_closed_request_becomes_one_row_with_every_field(
    journal: Journal, recorder: Recorder, engine: AsyncEngine
) -> None:
    opened = request(session_id="s", client="continue", stream=True)
    journal.open(opened)
    await recorder.ship()
    assert await rows(engine) == []
    journal.close(event(opened))
    await recorder.ship()
    await recorder.ship()
    (row,) = await rows(engine)
    assert row["day"] == opened.day
    assert row["started_at"] == opened.started_at
    assert (row["session_id"], row["client"], row["stream"]) == ("s", "continue", True)
    assert (row["input_tokens"], row["output_tokens"]) == (10, 5)
    assert row["cost_usd"] == Decimal("0.001")


async def test_text_that_postgresql_refuses_is_made_to_fit(
    journal: Journal, recorder: Recorder, engine: AsyncEngine
) -> None:
    opened = request(asked_model="nul\x00" + "x" * 500, session_id="half\ud83d", agent_id="é\u2028")
    journal.open(opened)
    journal.close(event(opened))
    await recorder.ship()
    (row,) = await rows(engine)
    assert str(row["asked_model"]).startswith("nul\ufffdxxx")
    assert row["session_id"] == "half\ufffd"
    assert row["agent_id"] == "é\u2028"


async def test_p46_a_request_whose_process_died_is_billed_with_what_is_known(
    tmp_path: Path, journal: Journal, recorder: Recorder, engine: AsyncEngine
) -> None:
    dead = Journal(tmp_path, "dead")
    admitted, started, finished = request(), request(), request()
    for opened in (admitted, started, finished):
        dead.open(opened)
    usage = TokenUsage(input_tokens=1_000_000, output_tokens=1)
    dead.start(started.event_id, usage, model="claude-opus-5-5", upstream="anthropic")
    dead.close(event(finished))
    with (tmp_path / os.listdir(tmp_path)[0]).open("ab") as torn:
        torn.write(b'{"record":"close","event_id":"' + started.event_id.encode())
    await recorder.ship()
    assert await rows(engine) == []  # its writer lives
    dead.shut()
    recorder._next_orphan_scan = 0.0
    await recorder.ship()
    stored = {row["event_id"]: row for row in await rows(engine)}
    assert stored[finished.event_id]["status"] == "ok"
    assert stored[admitted.event_id]["status"] == "aborted"
    assert stored[admitted.event_id]["cost_usd"] == 0
    cut = stored[started.event_id]
    assert (cut["status"], cut["model"], cut["estimated"]) == ("aborted", "claude-opus-5-5", True)
    assert cut["cost_usd"] == Decimal("4.00002")
    assert files_in(tmp_path) == []


async def test_an_orphan_that_is_shipped_again_changes_nothing(
    tmp_path: Path, journal: Journal, recorder: Recorder, engine: AsyncEngine
) -> None:
    dead = Journal(tmp_path, "dead")
    opened = request()
    dead.open(opened)
    dead.shut()
    (file,) = files_in(tmp_path)
    content = file.read_bytes()
    for _ in range(2):  # the second time as if the first had been killed before it removed the file
        file.write_bytes(content)
        recorder._next_orphan_scan = 0.0
        await recorder.ship()
    assert len(await rows(engine)) == 1


async def test_full_files_end_with_their_last_request_and_are_removed(
    tmp_path: Path, engine: AsyncEngine
) -> None:
    journal = Journal(tmp_path, "api", segment_bytes=1)
    recorder = Recorder(journal, UsageStore(engine), load_catalog())
    slow, quick = request(), request()
    journal.open(slow)
    journal.open(quick)
    journal.close(event(quick))
    await recorder.ship()
    assert len(files_in(tmp_path)) == 2  # the first waits for its request
    journal.close(event(slow))
    await recorder.ship()
    assert len(files_in(tmp_path)) == 1
    await recorder.finish()
    assert files_in(tmp_path) == []
    assert len(await rows(engine)) == 2
    async with engine.connect() as connection:
        left = await connection.execute(text("select count(*) from journal_offsets"))
        assert left.scalar_one() == 0


async def test_nothing_is_lost_while_postgresql_is_down(
    tmp_path: Path, database_url: str, engine: AsyncEngine, caplog: pytest.LogCaptureFixture
) -> None:
    """The database is out of reach at first, then comes: one log line for each change."""
    journal = Journal(tmp_path, "api")
    down = create_engine("postgresql://gateway@127.0.0.1:1/none")
    recorder = Recorder(journal, UsageStore(down), load_catalog())
    opened = request()
    journal.open(opened)
    journal.close(event(opened))
    running = asyncio.create_task(recorder.run())
    await until(lambda: not recorder.state.healthy)
    await until(lambda: recorder.state.unshipped_bytes > 0)
    recorder._store = UsageStore(engine)
    await until(lambda: recorder.state.healthy and recorder.state.unshipped_bytes == 0)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    await recorder.finish()
    await down.dispose()
    assert len(await rows(engine)) == 1
    assert caplog.text.count("cannot store events") == 1
    assert caplog.text.count("stored again") == 1


async def test_connections_that_break_in_the_middle_lose_and_double_nothing(
    journal: Journal, recorder: Recorder, engine: AsyncEngine, database_url: str
) -> None:
    """The server ends every connection, again and again, while events are shipped."""
    axe = asyncio.create_task(break_connections(database_url))
    ids: list[str] = []
    broken = 0
    try:
        while broken < 10:
            for _ in range(20):
                opened = request()
                ids.append(opened.event_id)
                journal.open(opened)
                journal.close(event(opened))
            try:
                await recorder.ship()
            except UnavailableError:
                broken += 1
    finally:
        axe.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await axe
    await recorder.ship()
    assert [row["event_id"] for row in await rows(engine)] == sorted(ids)


async def break_connections(database_url: str) -> None:
    axe = create_engine(database_url, application_name="axe")
    try:
        while True:
            async with axe.connect() as connection:
                await connection.execute(
                    text(
                        "select pg_terminate_backend(pid) from pg_stat_activity"
                        " where datname = current_database() and application_name != 'axe'"
                    )
                )
            await asyncio.sleep(random.uniform(0, 0.05))
    finally:
        await axe.dispose()


async def test_without_a_disk_events_go_straight_to_the_database(
    tmp_path: Path, engine: AsyncEngine, caplog: pytest.LogCaptureFixture
) -> None:
    journal = Journal(Path("/dev/full/journal"), "api")
    recorder = Recorder(journal, UsageStore(engine), load_catalog())
    for _ in range(3):
        opened = request()
        journal.open(opened)
        journal.close(event(opened))
    assert journal.is_failing
    assert len(journal.overflow) == 3
    await recorder.ship()
    assert len(await rows(engine)) == 3
    assert not journal.overflow
    assert caplog.text.count("cannot write") == 1


async def test_what_cannot_be_shipped_at_the_end_is_left_for_the_next_start(
    tmp_path: Path, engine: AsyncEngine
) -> None:
    down = create_engine("postgresql://gateway@127.0.0.1:1/none")
    journal = Journal(tmp_path, "api")
    opened = request()
    journal.open(opened)
    journal.close(event(opened))
    await Recorder(journal, UsageStore(down), load_catalog()).finish()
    await down.dispose()
    following = Journal(tmp_path, "api")
    recorder = Recorder(following, UsageStore(engine), load_catalog())
    await recorder.ship()
    (row,) = await rows(engine)
    assert row["status"] == "ok"
    await recorder.finish()


async def until(condition: object, seconds: float = 20.0) -> None:
    assert callable(condition)
    deadline = asyncio.get_running_loop().time() + seconds
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, "it did not happen in time"
        await asyncio.sleep(0.02)


def start_writer(directory: Path, database_url: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, WRITER, directory, database_url],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


async def kill_after(writer: subprocess.Popen[bytes], steps: int) -> str:
    """What the process said before it was killed, which happens after so many steps."""
    assert writer.stdout is not None
    head = b""
    for _ in range(steps):
        head += await asyncio.to_thread(writer.stdout.readline)
    writer.send_signal(signal.SIGKILL)
    tail = await asyncio.to_thread(writer.stdout.read)
    await asyncio.to_thread(writer.wait)
    writer.stdout.close()
    return (head + tail).decode()


@pytest.mark.timeout(120)
async def test_killed_processes_lose_and_double_nothing(
    tmp_path: Path, database_url: str, engine: AsyncEngine
) -> None:
    """Processes ship their own and each other's files and are killed -9 wherever they are."""
    said: dict[str, str] = {}
    for _ in range(3):
        writers = [start_writer(tmp_path, database_url) for _ in range(3)]
        steps = [random.randint(300, 1500) for _ in writers]
        for output in await asyncio.gather(*map(kill_after, writers, steps)):
            for line in output.splitlines():
                step, event_id = line.split(" ")
                said[event_id] = step
    journal = Journal(tmp_path, "last")
    recorder = Recorder(journal, UsageStore(engine), load_catalog())
    await recorder.ship()
    await recorder.finish()
    stored = {str(row["event_id"]): row for row in await rows(engine)}
    steps_of_lost = [said[event_id] for event_id in said.keys() - stored.keys()]
    assert steps_of_lost == []
    # A process may be killed between a record and the line that tells of it: at most one each.
    assert len(stored.keys() - said.keys()) <= 9
    kinds = collections.Counter((said.get(key), row["status"]) for key, row in stored.items())
    assert kinds["closed", "aborted"] == 0
    assert kinds["closed", "ok"] > 500
    assert kinds["opened", "aborted"] + kinds["started", "aborted"] > 0
    for key, row in stored.items():
        if row["status"] == "aborted" and said.get(key) == "started":
            assert (row["input_tokens"], row["cost_usd"]) == (100, Decimal("0.00021"))
    assert files_in(tmp_path) == []
