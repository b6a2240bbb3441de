"""Answers that keep coming in quick pieces are read less often, more at a time.

A read that finds the process asleep costs as much as the translation of a dozen deltas. So where
reads follow each other faster than anybody can follow, the kernel is told for a moment to wait
until much has come. What comes by itself never waits. Drivers of network cards do the same with
interrupts (NAPI of Linux).
"""

import asyncio
import socket
from collections.abc import Callable

REST_SECONDS = 0.008
"""The longest rest, and how close reads have to follow one another to be quick ones: 125 a second
are more than a screen shows."""

MOST_IN_A_ROW = 4
"""Reads that may be quick before there is a rest."""

_ENOUGH_BYTES = 2**16  # are read at once, rest or not
_ANY_BYTES = 1


class Rests:
    """The rests of a pool's connections. Those that overlap end together, by one timer."""

    def __init__(self) -> None:
        self._ends: list[Callable[[], None]] = []

    def begin(self, end: Callable[[], None]) -> None:
        """Have `end` called after the rest, which has begun already if others rest."""
        if not self._ends:
            asyncio.get_running_loop().call_later(REST_SECONDS, self._end_all)
        self._ends.append(end)

    def _end_all(self) -> None:
        ends, self._ends = self._ends, []
        for end in ends:
            end()


class QuickReads:
    """Counts the reads of one connection, and lets it rest while they are quick.

    Reading is not paused: behind TLS what comes while it is would be lost if the server closed.
    """

    def __init__(self, connection: socket.socket, rests: Rests) -> None:
        self._socket = connection
        self._rests = rests
        self._in_a_row = 0
        self._last = 0.0
        self._is_resting = False

    def begin(self) -> None:
        """Another answer is to come."""
        self._in_a_row = 0
        if self._is_resting:
            self._end_rest()

    def count(self, now: float) -> None:
        """Bytes of an answer have been read `now`, by the clock of the loop."""
        if now - self._last >= REST_SECONDS:
            self._in_a_row = 0
        else:
            self._in_a_row += 1
        self._last = now
        if (
            self._in_a_row >= MOST_IN_A_ROW
            and not self._is_resting
            and self._wait_for(_ENOUGH_BYTES)
        ):
            self._is_resting = True
            self._rests.begin(self._end_rest)

    def has_rested(self, now: float) -> bool:
        """True when bytes may be here that only wait for the end of a rest, or for their turn."""
        return self._is_resting or now - self._last < REST_SECONDS

    def _end_rest(self) -> None:
        self._is_resting = False
        # What came in the rest is read now. A read much later than that is no quick one.
        self._last = asyncio.get_running_loop().time() - REST_SECONDS / 2
        self._wait_for(_ANY_BYTES)

    def _wait_for(self, count: int) -> bool:
        """Have the connection read when so many bytes are here, or its end."""
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, count)
        except OSError:  # it is closed, or the system has no such thing
            return False
        return True
