"""A process that writes and ships usage events until it is killed.

Every line on standard output is a fact: "<step> <event id>" is printed after the journal took it.
"""

import asyncio
import os
import random
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from gateway.catalog.models import load_catalog
from gateway.storage.database import create_engine
from gateway.storage.usage_store import UsageStore
from gateway.usage.events import Outcome, RequestOpened, TokenUsage, close_event, new_event_id
from gateway.usage.journal import Journal
from gateway.usage.recorder import Recorder

MODEL = "claude-sonnet-5-5"
STARTED = TokenUsage(input_tokens=100, output_tokens=1)
CLOSED = TokenUsage(input_tokens=100, output_tokens=50)


def opened(event_id: str) -> RequestOpened:
    """A request of one of two days."""
    started_at = datetime(2026, 11, 22, 23, 30, tzinfo=UTC) + random.choice(
        [timedelta(0), timedelta(hours=1)]
    )
    return RequestOpened(
        event_id=event_id,
        day=started_at.date(),
        started_at=started_at,
        project="default",
        key_id="bootstrap",
        request_id=f"req_{event_id}",
        endpoint="chat_completions",
        model=MODEL,
        upstream="simulator",
    )


def say(step: str, event_id: str) -> None:
    """One system call, so that a kill never cuts what was said."""
    os.write(1, f"{step} {event_id}\n".encode())


async def one_request(journal: Journal) -> None:
    """A request that may be killed anywhere."""
    request = opened(new_event_id())
    journal.open(request)
    say("opened", request.event_id)
    await asyncio.sleep(random.uniform(0, 0.02))
    journal.start(request.event_id, STARTED, model=MODEL, upstream="simulator")
    say("started", request.event_id)
    await asyncio.sleep(random.uniform(0, 0.02))
    outcome = Outcome("ok", 200, cost_usd=Decimal("0.0007"), price_date="2026-11-22")
    journal.close(close_event(request, outcome, CLOSED))
    say("closed", request.event_id)


async def main(directory: Path, database_url: str) -> None:
    """Serves a few requests at a time for ever, in small files."""
    journal = Journal(directory, f"api-{os.getpid()}", segment_bytes=20_000)
    recorder = Recorder(journal, UsageStore(create_engine(database_url)), load_catalog())
    shipping = asyncio.create_task(ship_for_ever(recorder))
    while not shipping.done():
        await asyncio.gather(*(one_request(journal) for _ in range(8)))
    await shipping


async def ship_for_ever(recorder: Recorder) -> None:
    """Ships without a pause, so that kills hit transactions too."""
    while True:
        await recorder.ship()
        await asyncio.sleep(0)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
