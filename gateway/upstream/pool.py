"""The upstreams a gateway may ask: several keys, several addresses, one order for a conversation.

A conversation keeps its upstream, where its prompt cache is, as long as that one serves. It leaves
for the next of its own order while the upstream is limited, full or failing, and comes back after.
"""

import hashlib
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from gateway.upstream.specs import UpstreamSpec
from gateway.upstream.transport import UpstreamTransport

_WINDOW_SECONDS = 60.0
_LONGEST_COOLING_SECONDS = 300.0
_COOLING_SECONDS = 5.0  # limited, and nobody says for how long


class Upstream:
    """One upstream at work: its connections and how it is doing."""

    def __init__(
        self,
        spec: UpstreamSpec,
        transport: UpstreamTransport,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = spec.name
        self.spec = spec
        self.transport = transport
        self._clock = clock
        self._cooling_until = 0.0
        self._sent: deque[float] = deque()

    @property
    def is_cooling(self) -> bool:
        """True while it has said that its limits are used up."""
        return self._clock() < self._cooling_until

    @property
    def has_room(self) -> bool:
        """True while its own limits let another request through."""
        spec = self.spec
        if spec.concurrent_requests and self.transport.in_flight >= spec.concurrent_requests:
            return False
        if spec.requests_per_minute:
            edge = self._clock() - _WINDOW_SECONDS
            while self._sent and self._sent[0] <= edge:
                self._sent.popleft()
            return len(self._sent) < spec.requests_per_minute
        return True

    def circuit(self, family: str) -> str:
        """The name of its circuit breaker for a class of models."""
        return f"{self.name}/{family}"

    def cool(self, seconds: float | None) -> None:
        """Leave it alone for that long; it is asked all the same when no other is left."""
        wait = _COOLING_SECONDS if seconds is None else min(seconds, _LONGEST_COOLING_SECONDS)
        self._cooling_until = max(self._cooling_until, self._clock() + wait)

    def asked(self) -> None:
        """A request is about to be sent to it."""
        if self.spec.requests_per_minute:
            self._sent.append(self._clock())


class UpstreamPool:
    """All upstreams. Use `async with`, which opens and closes their connections."""

    def __init__(self, upstreams: Sequence[Upstream]) -> None:
        if not upstreams:
            raise ValueError("there is no upstream")
        self.upstreams = tuple(upstreams)
        self._exits = AsyncExitStack()

    @property
    def has_choice(self) -> bool:
        """True when there is more than one."""
        return len(self.upstreams) > 1

    @property
    def requests_sent(self) -> int:
        """Requests sent to all of them since the start."""
        return sum(upstream.transport.requests_sent for upstream in self.upstreams)

    async def __aenter__(self) -> Self:
        for upstream in self.upstreams:
            await self._exits.enter_async_context(upstream.transport)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._exits.aclose()

    def order(self, affinity: str) -> Sequence[Upstream]:
        """Who is asked first, second, ... for a conversation; those that are limited come last.

        Rendezvous hashing: an upstream that is added takes over its share and moves nobody else.
        """
        if len(self.upstreams) == 1:
            return self.upstreams
        return sorted(
            self.upstreams,
            key=lambda upstream: (upstream.is_cooling, -_preference(upstream.spec, affinity)),
        )


def _preference(spec: UpstreamSpec, affinity: str) -> float:
    digest = hashlib.blake2b(f"{spec.name}\x00{affinity}".encode(), digest_size=8).digest()
    uniform = (int.from_bytes(digest, "big") + 1) / (2**64 + 2)
    return -spec.weight / math.log(uniform)
