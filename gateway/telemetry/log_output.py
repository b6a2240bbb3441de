"""Log lines on their way out: gathered, written together by a thread, and bounded.

The caller never waits for a slow reader of standard error; with the buffer full, lines are dropped
and their number is told later.
"""

import atexit
import os
import select
import threading
import time

from gateway import wire

_LINGER_SECONDS = 0.2
_WRITE_AT_BYTES = 2**16
_MAX_BUFFERED_BYTES = 4 * 2**20
_LAST_WORDS_SECONDS = 1.0  # what a stalled reader may delay the end of the process
_PIPE_CHUNK_BYTES = 4096  # a pipe that is ready takes this much without blocking


class LogOutput:
    """Writes lines to a file descriptor. Usable from every thread; `close()` writes the rest."""

    def __init__(self, descriptor: int = 2) -> None:
        self._descriptor = descriptor
        self._condition = threading.Condition()
        self._lines: list[bytes] = []
        self._bytes = 0
        self._dropped = 0
        self._urgent = False
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="log-output", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def write(self, line: bytes, *, urgent: bool) -> None:
        """Take a line that ends in a newline; an urgent one is written at once."""
        with self._condition:
            if self._closed:
                return
            if self._bytes + len(line) > _MAX_BUFFERED_BYTES:
                self._dropped += 1
                return
            self._lines.append(line)
            self._bytes += len(line)
            if urgent or self._bytes >= _WRITE_AT_BYTES:
                self._urgent = True
                self._condition.notify()
            elif len(self._lines) == 1:
                self._condition.notify()

    def close(self) -> None:
        """Write what is left, within a second, and stop."""
        atexit.unregister(self.close)
        with self._condition:
            if self._closed:
                return
            self._closed = True
            self._condition.notify()
        self._thread.join(_LAST_WORDS_SECONDS)
        if not self._thread.is_alive():
            self._write_within(self._take(), _LAST_WORDS_SECONDS)

    def _run(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._lines or self._closed)
                self._condition.wait_for(lambda: self._urgent or self._closed, _LINGER_SECONDS)
                if self._closed:
                    return
                batch = self._take()
            _write_all(self._descriptor, batch)

    def _take(self) -> bytes:
        """The buffered lines as one batch, with the number of dropped ones at its end."""
        lines, self._lines = self._lines, []
        if self._dropped:
            note = {"level": "warning", "event": "log_lines_dropped", "count": self._dropped}
            lines.append(wire.dumps(note) + b"\n")
            self._dropped = 0
        self._bytes = 0
        self._urgent = False
        return b"".join(lines)

    def _write_within(self, batch: bytes, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        view = memoryview(batch)
        try:
            while view and (remaining := deadline - time.monotonic()) > 0:
                if not select.select([], [self._descriptor], [], remaining)[1]:
                    return
                view = view[os.write(self._descriptor, view[:_PIPE_CHUNK_BYTES]) :]
        except (OSError, ValueError):
            return


def _write_all(descriptor: int, batch: bytes) -> None:
    """Write everything; a reader that is gone ends it."""
    view = memoryview(batch)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except BlockingIOError:
            select.select([], [descriptor], [], _LINGER_SECONDS)
        except OSError:
            return
