"""Requests that are here at the same time take each of their steps together.

What a request goes through is more code, and more of what belongs to it, than the caches of a
processor hold: a request that goes all the way alone waits for memory most of its time, and the
next one does so again. So one step is done for all requests that are at it before any of them does
the next. Known as cohort scheduling (Larus and Parkes, USENIX Annual Technical Conference 2002).
"""

import asyncio
from collections import deque
from collections.abc import Awaitable

from gateway.waits import AT_ONCE, NEXT_TURN

MOST_TOGETHER = 32
"""With more, what the requests themselves keep in mind takes the place of the code."""


class Apart:
    """Takes the steps of a request without looking at others."""

    def enter(self, *, again: bool = False) -> Awaitable[None]:  # noqa: ARG002 - there is no line
        """Wait for those that are on their way, and set out with whoever is here by then.

        To be awaited where nothing has been taken yet; `again` after a wait for somebody else.
        """
        return AT_ONCE

    def step(self) -> Awaitable[None]:
        """A step is done: let the others of the cohort do it too.

        To be awaited where the request may be cancelled, as after any other wait.
        """
        return AT_ONCE


APART = Apart()


class Cohorts(Apart):
    """The requests of one event loop.

    Who enters waits until nobody is between two steps; those that enter again go first, so that
    what has begun is finished before more is begun. A request that waits for anything else keeps
    nobody waiting.
    """

    def __init__(self, most: int = MOST_TOGETHER) -> None:
        self._most = most
        self._new: deque[asyncio.Future[None]] = deque()
        self._back: deque[asyncio.Future[None]] = deque()
        self._together = 0  # how many set out last
        self._has_stepped = False  # somebody, since this was last looked at
        self._opens = False

    def enter(self, *, again: bool = False) -> Awaitable[None]:
        """See Apart. Whoever enters in the same turn of the loop sets out together."""
        waiter = asyncio.get_running_loop().create_future()
        (self._back if again else self._new).append(waiter)
        if not self._opens:
            self._open_next_turn()
        return waiter

    def step(self) -> Awaitable[None]:
        """See Apart. One that is alone goes on at once."""
        if self._together < 2:
            return AT_ONCE
        self._has_stepped = True
        return NEXT_TURN

    def _open_next_turn(self) -> None:
        self._opens = True
        asyncio.get_running_loop().call_soon(self._open)

    def _open(self) -> None:
        """Let those that wait set out, once a turn has gone by in which nobody took a step."""
        self._opens = False
        if self._has_stepped:
            self._has_stepped = False
        else:
            self._together = 0
            waiting = self._back or self._new
            while waiting and self._together < self._most:
                waiter = waiting.popleft()
                if not waiter.done():
                    waiter.set_result(None)
                    self._together += 1
        if self._back or self._new:
            self._open_next_turn()
