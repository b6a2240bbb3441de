"""Answers that come in many quick pieces are read a few times less often, more at a time.

A read that finds the process asleep costs as much as the translation of a dozen deltas. So an
answer that keeps coming faster than anybody can follow is left alone for a moment, and what has
come by then is read at once, for all such answers in the same turn of the loop. What comes by
itself never waits. Drivers of network cards do the same with interrupts (NAPI of Linux).
"""

import asyncio
from collections.abc import Callable

REST_SECONDS = 0.008
"""The longest rest, and how close reads have to follow one another to be quick ones: 125 a second
are more than a screen shows."""

QUICK_READS = 4
"""So many quick reads in a row begin the rests."""


class GatheredReads:
    """The connections of a pool that rest. They all go on together."""

    def __init__(self) -> None:
        self._resting: list[Callable[[], None]] = []

    def rest(self, go_on: Callable[[], None]) -> None:
        """Have `go_on` called after the rest, which has begun already if others rest."""
        if not self._resting:
            asyncio.get_running_loop().call_later(REST_SECONDS, self._go_on)
        self._resting.append(go_on)

    def _go_on(self) -> None:
        resting, self._resting = self._resting, []
        for go_on in resting:
            go_on()
