"""What the tests of batches share: a worker process, batches in the database, how they ended."""

import asyncio
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway import wire
from gateway.durable import BatchInput
from gateway.storage.batch_items_store import NewItem
from gateway.storage.batch_store import BatchRow, BatchStore, NewBatch
from workflows.client import TemporalEngine

ROOT = Path(__file__).parents[3]
MODEL = "claude-sonnet-5-5"


def chat(question: str) -> bytes:
    """A chat completion without a system text."""
    return wire.dumps(
        {
            "model": MODEL,
            "max_tokens": 4096,
            "messages": [{"role": "user", "content": question}],
        }
    )


async def accepted(
    engine: AsyncEngine, questions: Sequence[str], prefix: bytes = b"", **values: Any
) -> BatchRow:
    """A batch of chat completions as the API stores it."""
    new = NewBatch(
        id=f"batch_{uuid.uuid4().hex[:24]}",
        project_id="default",
        key_id="bootstrap",
        **{
            "form": "short",
            "mode": "paced",
            "endpoint": "/v1/chat/completions",
            "expires_at": datetime.now(UTC) + timedelta(hours=24),
            **values,
        },
    )
    items = [
        NewItem(number, f"q-{number}", chat(question), prefix)
        for number, question in enumerate(questions)
    ]
    batch, _ = await BatchStore(engine).create_batch(new, items)
    return batch


async def started(durable: TemporalEngine, batch: BatchRow) -> None:
    """Hands the batch to Temporal."""
    await durable.start_batch(BatchInput(batch.id, batch.project_id))


async def until(condition: Callable[[], Awaitable[object]], seconds: float = 60.0) -> None:
    """Waits for a fact; a database that is away is no answer."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if await condition():
                return
        except (DBAPIError, OSError):
            await asyncio.sleep(0.2)
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.05)


async def ended(engine: AsyncEngine, batch: BatchRow, seconds: float = 60.0) -> BatchRow:
    """The batch once it has ended."""
    store = BatchStore(engine)

    async def has_ended() -> bool:
        return (await store.get(batch.id)).has_ended

    await until(has_ended, seconds)
    return await store.get(batch.id)


async def finished(engine: AsyncEngine, batch: BatchRow) -> int:
    """How many items have a result now."""
    return (await BatchStore(engine).get(batch.id)).finished


async def states(engine: AsyncEngine, batch: BatchRow) -> dict[int, int]:
    """How many items are in each state."""
    statement = text("select state, count(*) from batch_items where batch_id = :id group by state")
    async with engine.connect() as connection:
        rows = await connection.execute(statement, {"id": batch.id})
        return {row[0]: row[1] for row in rows}


async def usage(engine: AsyncEngine, batch: BatchRow) -> tuple[int, int]:
    """How many usage rows the batch has, and of how many items."""
    statement = text(
        "select count(*), count(distinct event_id) from usage_events where batch_id = :id"
    )
    async with engine.connect() as connection:
        row = (await connection.execute(statement, {"id": batch.id})).one()
        return row[0], row[1]


class BatchWorker:
    """A running `python worker.py --task-queue batch --task-queue maintenance`.

    `program` is the directory that its worker.py is in.
    """

    def __init__(self, directory: Path, **environment: str) -> None:
        self._directory = directory
        self.program = ROOT
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        return (self._directory / "worker.log").read_text()

    async def start(self, *queues: str) -> None:
        """Starts it and waits until it polls."""
        ready = self._directory / f"ready-{uuid.uuid4().hex}"
        arguments = [word for queue in queues for word in ("--task-queue", queue)]
        with (self._directory / "worker.log").open("ab") as log:
            self._process = await asyncio.to_thread(
                subprocess.Popen,
                [
                    sys.executable,
                    str(self.program / "worker.py"),
                    "--ready-file",
                    str(ready),
                    *arguments,
                ],
                cwd=ROOT,
                env={**os.environ, **self._environment},
                stdout=log,
                stderr=log,
            )

        async def polls() -> bool:
            assert self._process is not None
            assert self._process.poll() is None, self.log
            return ready.exists()

        await until(polls)

    async def end(self, signal_number: int) -> int:
        """Sends a signal and waits for the end."""
        assert self._process is not None
        self._process.send_signal(signal_number)
        return await asyncio.to_thread(self._process.wait, 40)

    def kill(self) -> None:
        """Ends it if it runs."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
