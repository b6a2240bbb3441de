"""Ships the journal to PostgreSQL: this process's files as they grow, dead processes' to the end.

A batch of events and the byte it ends at are stored in one transaction, and an event that is there
already changes nothing: killed at any point, the next try neither loses nor doubles one.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Iterable
from pathlib import Path

from gateway import wire
from gateway.catalog.models import Catalog
from gateway.errors import GatewayError
from gateway.storage.usage_store import UsageStore
from gateway.structs import Struct
from gateway.usage.events import (
    NOTHING_USED,
    Outcome,
    RequestOpened,
    UsageEvent,
    close_event,
    opened_of,
    usage_of,
)
from gateway.usage.journal import Journal
from gateway.usage.pricing import cost_usd
from gateway.usage.savings import ledger_of, savings_of
from gateway.usage.segments import Segment, adopted, files_in, read_all, read_chunk
from gateway.wire import JSONObject

POLL_SECONDS = 0.5
"""How often the journal is looked at: an event is stored within a second or so."""

_ORPHAN_SECONDS = 2.0
_SLOWEST_RETRY_SECONDS = 5.0
_OVERFLOW_BATCH = 500
_ABORTED = "gateway_stopped"
_REJECTED = "rejected.jsonl"
_log = logging.getLogger(__name__)


class RecorderState(Struct):
    """How shipping goes, for health and metrics. `unshipped_bytes` are of this process's files."""

    healthy: bool = True
    unshipped_bytes: int = 0
    waiting_in_memory: int = 0
    stored_events: int = 0
    orphans_closed: int = 0
    rejected_events: int = 0
    last_stored_at: float = 0.0


class Recorder:
    """Ships one process's journal and, beside others, the files of dead processes."""

    def __init__(self, journal: Journal, store: UsageStore, catalog: Catalog) -> None:
        self.state = RecorderState()
        self._journal = journal
        self._store = store
        self._catalog = catalog
        self._positions: dict[Path, int] = {}
        self._next_orphan_scan = 0.0
        self._turn = asyncio.Lock()

    async def run(self) -> None:
        """Ships until cancelled. A database that is down costs one log line, and later another."""
        delay = POLL_SECONDS
        while True:
            try:
                await self.ship()
            except (GatewayError, OSError) as error:
                self._note_failure(error)
                delay = min(delay * 2, _SLOWEST_RETRY_SECONDS)
            else:
                self._note_success()
                delay = POLL_SECONDS
            self._measure()
            await asyncio.sleep(delay * random.uniform(0.8, 1.0))  # noqa: S311 - spreads processes

    async def ship(self) -> None:
        """Stores everything that is in the journal now, orphans at most every two seconds.

        Raises UnavailableError or OSError; what was stored until then stays stored.
        """
        async with self._turn:
            await self._ship_overflow()
            for segment in self._journal.segments():
                await self._ship_segment(segment)
            if time.monotonic() >= self._next_orphan_scan:
                self._next_orphan_scan = time.monotonic() + _ORPHAN_SECONDS
                await self._ship_orphans()

    async def finish(self, timeout_seconds: float = 5.0) -> None:
        """Ships the rest at the end of the process and lets go of the files.

        What does not get through in time stays on disk for the next process. Call it after `run`
        has ended and the last request is closed.
        """
        self._journal.retire()
        try:
            async with asyncio.timeout(timeout_seconds):
                await self.ship()
        except (GatewayError, OSError, TimeoutError) as error:
            _log.warning(
                "usage journal: left for the next start (%s), %d events in memory",
                type(error).__name__,
                len(self._journal.overflow),
            )
        self._journal.shut()

    async def _ship_overflow(self) -> None:
        overflow = self._journal.overflow
        while overflow:
            batch = [overflow[index] for index in range(min(len(overflow), _OVERFLOW_BATCH))]
            await self._put(list(map(wire.dumps_struct, batch)), None, 0)
            for event in batch:  # the oldest may have been dropped while the database was asked
                with contextlib.suppress(ValueError):
                    overflow.remove(event)

    async def _ship_segment(self, segment: Segment) -> None:
        end = await self._ship_file(segment.path, segment.size)
        if segment.is_complete and not self._journal.overflow and end >= segment.size:
            await self._store.forget(segment.path.name)
            self._positions.pop(segment.path, None)
            self._journal.remove(segment)

    async def _ship_file(self, path: Path, size: int | None = None) -> int:
        """Stores the events of whole lines and returns where they end.

        `size` spares looking at a file that has not grown.
        """
        position = self._positions.get(path)
        if position is None:
            position = await self._store.position(path.name)
        while size is None or position < size:
            chunk = await asyncio.to_thread(read_chunk, path, position)
            if chunk.end == position:
                break
            self._positions.pop(path, None)  # unknown until the transaction is known to be done
            await self._put(chunk.closes(), path.name, chunk.end)
            self._positions[path] = position = chunk.end
        self._positions[path] = position
        return position

    async def _ship_orphans(self) -> None:
        own = {segment.path for segment in self._journal.segments()}
        for path in await asyncio.to_thread(files_in, self._journal.directory):
            if path in own:
                continue
            with adopted(path) as is_orphan:
                if is_orphan:
                    await self._ship_orphan(path)

    async def _ship_orphan(self, path: Path) -> None:
        await self._ship_file(path)
        unfinished = await asyncio.to_thread(_unfinished, path)
        events = [self._aborted(opened, start) for opened, start in unfinished]
        await self._put(list(map(wire.dumps_struct, events)), None, 0)
        # Forgotten first: a file that outlives its offset is shipped again and changes nothing.
        await self._store.forget(path.name)
        self._positions.pop(path, None)
        await asyncio.to_thread(path.unlink, missing_ok=True)
        self.state.orphans_closed += len(events)
        if events:
            _log.warning(
                "usage journal: %d requests of a process that stopped are closed as aborted",
                len(events),
            )

    def _aborted(self, opened: RequestOpened, start: JSONObject | None) -> UsageEvent:
        """The event of a request whose process died: billed with what its records know."""
        usage = NOTHING_USED if start is None else usage_of(start)
        started = start or {}
        model = started.get("model") or opened.model
        known, batch = self._catalog.find(model), opened.batch_id is not None
        price = cost_usd(known, usage, batch=batch)
        savings = savings_of(known, usage, opened.reduction, batch=batch)
        outcome = Outcome(
            status="aborted",
            http_status=0 if start is None else 200,
            model=model,
            upstream=started.get("upstream") or opened.upstream,
            error_code=_ABORTED,
            estimated=True,
            cost_usd=price,
            price_date=None if price is None else self._catalog.collected_on,
            first_token_ms=started.get("first_token_ms"),
        )
        return close_event(opened, outcome, usage, ledger_of(savings))

    async def _put(self, lines: list[bytes], file: str | None, position: int) -> None:
        if not lines and file is None:
            return
        stored = await self._store.store_lines(lines, file=file, position=position)
        self.state.stored_events += stored.new
        self.state.last_stored_at = time.time()
        if stored.rejected:
            self.state.rejected_events += len(stored.rejected)
            await asyncio.to_thread(_put_aside, self._journal.directory, stored.rejected)

    def _measure(self) -> None:
        self.state.waiting_in_memory = len(self._journal.overflow)
        self.state.unshipped_bytes = sum(
            segment.size - self._positions.get(segment.path, 0)
            for segment in self._journal.segments()
        )

    def _note_failure(self, error: Exception) -> None:
        if self.state.healthy:
            self.state.healthy = False
            detail = getattr(error, "detail", "") or type(error).__name__
            _log.warning(
                "usage recorder: cannot store events (%s); they stay in the journal", detail
            )

    def _note_success(self) -> None:
        if not self.state.healthy:
            self.state.healthy = True
            _log.warning("usage recorder: events are stored again")


def _unfinished(path: Path) -> list[tuple[RequestOpened, JSONObject | None]]:
    """The requests of a file that were opened and never closed, with their `start` record."""
    opened: dict[str, JSONObject] = {}
    started: dict[str, JSONObject] = {}
    for record in read_all(path):
        kind, event_id = record.get("record"), str(record.get("event_id"))
        if kind == "open":
            opened[event_id] = record
        elif kind == "start" and event_id in opened:
            started[event_id] = record
        elif kind == "close":
            opened.pop(event_id, None)
            started.pop(event_id, None)
    return [
        (request, started.get(event_id))
        for event_id, record in opened.items()
        if (request := _request(record)) is not None
    ]


def _request(record: JSONObject) -> RequestOpened | None:
    try:
        return opened_of(record)
    except (KeyError, TypeError, ValueError):
        _log.error("usage journal: an open record without the fields of one was left out")
        return None


def _put_aside(directory: Path, lines: Iterable[bytes]) -> None:
    """Keeps what the database will never take where an operator can look at it."""
    try:
        with (directory / _REJECTED).open("ab") as file:
            file.writelines(line + b"\n" for line in lines)
    except OSError as error:
        _log.error("usage recorder: events the database refuses are lost (%s)", error.strerror)
    else:
        _log.error("usage recorder: events the database refuses are in %s", _REJECTED)
