"""The usage journal: what every request used, on the local disk before anyone is told.

Each record is one line and one `write`, so a process killed at any point leaves whole lines and at
most one torn one. The journal is synchronous: it is written where awaiting is forbidden, and one
line costs a few microseconds. `recorder` ships the files to PostgreSQL.

With the disk full, events wait in memory and the recorder takes them from there; only a crash on
top of that loses them.
"""

import logging
from collections import deque
from pathlib import Path
from typing import Protocol

from gateway import wire
from gateway.usage.events import (
    RequestOpened,
    UsageEvent,
    UsageNumbers,
    UsageStarted,
    start_record,
)
from gateway.usage.segments import Segment, make_segment

SEGMENT_BYTES = 8 * 1024 * 1024
"""Size after which a new file is begun and the old one ends with its last open request."""

OVERFLOW_EVENTS = 50_000
"""How many events wait in memory while the disk is full, about 50 MB."""

_log = logging.getLogger(__name__)


class UsageLog(Protocol):
    """Takes note of requests. Synchronous: it is written where awaiting is forbidden."""

    @property
    def is_failing(self) -> bool:
        """True while nothing can be noted."""

    def open(self, opened: RequestOpened) -> None:
        """Notes an admitted request."""

    def start(
        self,
        event_id: str,
        usage: UsageNumbers,
        *,
        model: str,
        upstream: str,
        first_token_ms: float | None = None,
    ) -> None:
        """Notes what a request owes already, when the upstream's first event has come."""

    def close(self, event: UsageEvent) -> None:
        """Notes the end of a request."""


class Journal:
    """The journal of one process. Not for use from several threads.

    `writer_id` is part of the file names, for people; it need not be unique.
    """

    def __init__(
        self, directory: Path, writer_id: str, *, segment_bytes: int = SEGMENT_BYTES
    ) -> None:
        self.directory = directory
        self.overflow: deque[UsageEvent] = deque()
        self.lost_events = 0
        self._writer_id = writer_id
        self._segment_bytes = segment_bytes
        self._current: Segment | None = None
        self._retired: list[Segment] = []
        self._homes: dict[str, Segment] = {}
        self._failing = False

    @property
    def in_flight(self) -> int:
        """Requests that are opened and not closed."""
        return len(self._homes)

    @property
    def is_failing(self) -> bool:
        """True while lines cannot be written."""
        return self._failing

    def open(self, opened: RequestOpened) -> None:
        """Notes an admitted request."""
        segment = self._append(None, opened)
        if segment is not None:
            segment.in_flight += 1
            self._homes[opened.event_id] = segment

    def start(
        self,
        event_id: str,
        usage: UsageNumbers,
        *,
        model: str,
        upstream: str,
        first_token_ms: float | None = None,
    ) -> None:
        """Notes what a request owes already, when the upstream's first event has come."""
        record = start_record(event_id, model, upstream, usage, first_token_ms)
        self._append(self._homes.get(event_id), record)

    def close(self, event: UsageEvent) -> None:
        """Notes the end of a request; the event will be stored exactly once."""
        home = self._homes.pop(event.event_id, None)
        written = self._append(home, event)
        if home is not None:
            home.in_flight -= 1
        if written is None:
            self._keep_in_memory(event)

    def segments(self) -> list[Segment]:
        """The files of this process, oldest first."""
        return [*self._retired, *([self._current] if self._current is not None else [])]

    def remove(self, segment: Segment) -> None:
        """Removes a file that is complete and stored."""
        self._retired.remove(segment)
        segment.remove()

    def retire(self) -> None:
        """Ends the current file; the next record begins a new one."""
        if self._current is not None:
            self._current.retired = True
            self._retired.append(self._current)
            self._current = None

    def shut(self) -> None:
        """Lets go of all files. What is not stored is taken by the next process."""
        for segment in self.segments():
            segment.release()
        self._current, self._retired = None, []
        self._homes.clear()

    def _append(
        self, home: Segment | None, record: RequestOpened | UsageStarted | UsageEvent
    ) -> Segment | None:
        """The file the record went to: that of its request, else the current one."""
        try:
            segment = home or self._writable()
            segment.write(wire.dumps_struct(record) + b"\n")
        except OSError as error:
            self._failed(error)
            return None
        if self._failing:
            self._failing = False
            _log.warning("usage journal: the disk takes events again")
        return segment

    def _writable(self) -> Segment:
        if self._current is not None and self._current.size >= self._segment_bytes:
            self.retire()
        if self._current is None:
            self._current = make_segment(self.directory, self._writer_id)
        return self._current

    def _failed(self, error: OSError) -> None:
        if not self._failing:
            self._failing = True
            _log.error(
                "usage journal: cannot write (%s); events go straight to the database",
                error.strerror,
            )

    def _keep_in_memory(self, event: UsageEvent) -> None:
        if len(self.overflow) >= OVERFLOW_EVENTS:
            self.overflow.popleft()
            self.lost_events += 1
            _log.error("usage journal: disk and database are both down, an event is lost")
        self.overflow.append(event)
