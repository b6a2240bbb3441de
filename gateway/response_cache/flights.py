"""Identical requests of one process: the first one asks, the others wait for its answer.

When the first one ends without an answer (it failed, or its client left), the next one takes its
place. When its answer may not be given again, all others ask at once, each for itself. Nobody waits
longer than a limit, and a request that leaves disturbs nobody.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from gateway.structs import Struct, field

Answer = TypeVar("Answer")


class _Flight(Struct, Generic[Answer]):
    """One question on its way: since when, and who waits for it."""

    key: Hashable
    token: str
    began_at: float
    waiting: "deque[asyncio.Future[Answer | Lead[Answer] | None]]" = field(default_factory=deque)


class Lead(Generic[Answer]):
    """The duty to ask for all: ended by exactly one of `give`, `disband`, `pass_on`; idempotent.

    `token` is the same for all who lead one flight after the other.
    """

    def __init__(self, flights: "Flights[Answer]", flight: _Flight[Answer]) -> None:
        self._flights = flights
        self._flight = flight
        self._ended = False
        self.token = flight.token

    def give(self, answer: Answer) -> None:
        """Everybody who waits gets this answer."""
        self._end_flight(answer)

    def disband(self) -> None:
        """Everybody who waits asks for himself."""
        self._end_flight(None)

    def pass_on(self) -> bool:
        """The next one asks; False when nobody waits, and the flight is over."""
        if self._ended:
            return True
        waiting = self._flight.waiting
        while waiting:
            next_one = waiting.popleft()
            if not next_one.done():
                self._ended = True
                next_one.set_result(self._flights.lead_of(self._flight))
                return True
        self._end_flight(None)
        return False

    def _end_flight(self, answer: Answer | None) -> None:
        if self._ended:
            return
        self._ended = True
        self._flights.remove(self._flight)
        for waiting in self._flight.waiting:
            if not waiting.done():
                waiting.set_result(answer)


class Flights(Generic[Answer]):
    """The flights that are under way. `new_token` makes the token of a flight."""

    def __init__(self, new_token: Callable[[], str], *, wait_seconds: float) -> None:
        self._new_token = new_token
        self._wait_seconds = wait_seconds
        self._under_way: dict[Hashable, _Flight[Answer]] = {}

    def __len__(self) -> int:
        return len(self._under_way)

    async def join(self, key: Hashable) -> Answer | Lead[Answer] | None:
        """The answer of the one who asked first, the lead, or None: ask, but for yourself alone."""
        loop = asyncio.get_running_loop()
        flight = self._under_way.get(key)
        if flight is None or loop.time() - flight.began_at > self._wait_seconds:
            flight = self._under_way[key] = _Flight(key, self._new_token(), loop.time())
            return Lead(self, flight)
        waiting: asyncio.Future[Answer | Lead[Answer] | None] = loop.create_future()
        flight.waiting.append(waiting)
        try:
            async with asyncio.timeout(self._wait_seconds):
                return await waiting
        except TimeoutError:
            return _given(waiting)
        except asyncio.CancelledError:
            # The lead may have come in the same moment, and nobody else would ever get it.
            given = _given(waiting)
            if isinstance(given, Lead):
                given.pass_on()
            raise
        finally:
            if waiting in flight.waiting:
                flight.waiting.remove(waiting)

    # --- for Lead ---

    def lead_of(self, flight: _Flight[Answer]) -> Lead[Answer]:
        """The lead for the next one, who begins now."""
        flight.began_at = asyncio.get_running_loop().time()
        return Lead(self, flight)

    def remove(self, flight: _Flight[Answer]) -> None:
        """Nobody may join it any more."""
        if self._under_way.get(flight.key) is flight:
            del self._under_way[flight.key]


def _given(
    waiting: "asyncio.Future[Answer | Lead[Answer] | None]",
) -> Answer | Lead[Answer] | None:
    """What came in the last moment."""
    return waiting.result() if waiting.done() and not waiting.cancelled() else None
