"""Takes error events from requests without waiting, and brings them where they are kept."""

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from gateway.error_events.events import ErrorEvent, event_row
from gateway.errors import GatewayError
from gateway.telemetry import series
from gateway.telemetry.metrics import MetricStore
from gateway.wire import JSONObject

_log = logging.getLogger("gateway.errors")

MAX_WAITING = 10_000
"""Events kept in memory for each place; the oldest go first."""

REFUSALS_A_SECOND = 50
"""Refusals of one project that are kept in a second: a flood of them says nothing new."""

_BATCH = 500
_POLL_SECONDS = 0.5
_SLOWEST_SECONDS = 10.0


class Sink(Protocol):
    """Where events are brought."""

    @property
    def name(self) -> str:
        """What log lines and the metric call it."""

    async def write(self, rows: Sequence[JSONObject]) -> None:
        """Keep these; may be given some of them twice. Raises GatewayError or OSError."""


class ErrorEvents:
    """The events of one process on their way to every sink; each has a queue of its own."""

    def __init__(self, sinks: Sequence[Sink], metrics: MetricStore) -> None:
        self._queues = [_Queue(sink, metrics) for sink in sinks]
        self._metrics = metrics
        self._second = 0
        self._refusals: dict[str, int] = {}

    def note(self, event: ErrorEvent) -> None:
        """Take an event. Never waits and never fails."""
        if event.source == "gateway" and self._is_flood(event.project):
            self._metrics.add(series.ERROR_EVENTS_DROPPED, ("flood",))
            return
        row = event_row(event)
        for queue in self._queues:
            queue.put(row)

    async def run(self) -> None:
        """Brings events to their sinks, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for queue in self._queues:
                tasks.create_task(queue.run())

    async def finish(self, timeout_seconds: float = 3.0) -> None:
        """Bring what is left, for as long as that. Call it after `run` has ended."""
        for queue in self._queues:
            try:
                async with asyncio.timeout(timeout_seconds):
                    await queue.flush()
            except (GatewayError, OSError, TimeoutError) as error:
                _log.warning(
                    "error_events_lost",
                    extra={"sink": queue.name, "events": len(queue), "reason": _name(error)},
                )

    def _is_flood(self, project: str) -> bool:
        second = int(time.monotonic())
        if second != self._second:
            self._second = second
            self._refusals.clear()
        count = self._refusals.get(project, 0) + 1
        self._refusals[project] = count
        return count > REFUSALS_A_SECOND


class _Queue:
    """The events that wait for one sink."""

    def __init__(self, sink: Sink, metrics: MetricStore) -> None:
        self._sink = sink
        self._metrics = metrics
        self._rows: deque[JSONObject] = deque()
        self._works = True
        self.name = sink.name

    def __len__(self) -> int:
        return len(self._rows)

    def put(self, row: JSONObject) -> None:
        self._rows.append(row)
        if len(self._rows) > MAX_WAITING:
            self._rows.popleft()
            self._metrics.add(series.ERROR_EVENTS_DROPPED, (self.name,))

    async def run(self) -> None:
        delay = _POLL_SECONDS
        while True:
            await asyncio.sleep(delay * random.uniform(0.8, 1.0))  # noqa: S311 - spreads processes
            try:
                await self.flush()
            except (GatewayError, OSError) as error:
                delay = min(delay * 2, _SLOWEST_SECONDS)
                self._note(works=False, reason=_name(error))
            else:
                delay = _POLL_SECONDS
                self._note(works=True)

    async def flush(self) -> None:
        while self._rows:
            batch = [self._rows[index] for index in range(min(_BATCH, len(self._rows)))]
            await self._sink.write(batch)
            for row in batch:
                if (
                    self._rows and self._rows[0] is row
                ):  # the oldest may have been dropped meanwhile
                    self._rows.popleft()

    def _note(self, *, works: bool, reason: str = "") -> None:
        if works is not self._works:
            self._works = works
            extra = {"sink": self.name, "works": works, "reason": reason}
            _log.warning("error_events_sink", extra=extra)


def _name(error: BaseException) -> str:
    return getattr(error, "detail", "") or type(error).__name__
