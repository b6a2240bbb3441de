"""Attempts at the upstream until its first event: the only place that tries again.

Nothing has been promised to the client yet, so a failure can still be repeated, repaired, or
reported with its true HTTP status. The first event is read before an attempt counts as good: an
overloaded upstream answers 200 and then sends an error event.
"""

import asyncio
import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from gateway import wire
from gateway.context import RequestContext
from gateway.errors import UpstreamCutError, UpstreamError, UpstreamTimeoutError
from gateway.protocols.shared.failures import (
    unreadable_event,
    upstream_error,
    upstream_event_error,
)
from gateway.protocols.shared.sse import SSEFramer
from gateway.reliability.retry import RetryPolicy
from gateway.upstream.transport import UpstreamTransport

_log = logging.getLogger("gateway.upstream")

_ERROR_BODY_LIMIT_BYTES = 2**20

Event = tuple[str, bytes]


@dataclass(frozen=True, slots=True)
class Repair:
    """A changed request that avoids a refusal; each name is used once."""

    name: str
    body: bytes


def no_repair(_: UpstreamError) -> Repair | None:
    """Requests that are not ours to change."""
    return None


@dataclass(frozen=True, slots=True)
class UpstreamCall:
    """What is sent upstream for one request.

    `client_retries` is how often the client has repeated it already; `repair` offers another body
    after a refusal that the gateway itself has caused. `context` is None for what no client asked.
    """

    path: str
    body: bytes
    headers: Mapping[str, str]
    model: str
    streamed: bool = True
    client_retries: int = 0
    repair: Callable[[UpstreamError], Repair | None] = no_repair
    context: RequestContext | None = None


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """A failed attempt, the first being 1; `is_final` when no other follows.

    `context` is None for what no client asked.
    """

    upstream: str
    model: str
    attempt: int
    error: UpstreamError
    context: RequestContext | None
    is_final: bool


class AnswerBody(Protocol):
    """The rest of an answer, see `UpstreamResponse`."""

    headers: Mapping[str, str]

    async def read(self) -> bytes:
        """All bytes that have arrived since the last call, at least one; b"" at the end."""

    def arrived(self) -> bytes:
        """What `read` gives without waiting."""

    async def read_all(self, limit_bytes: float = math.inf) -> bytes:
        """The rest of the body."""

    async def finish(self) -> None:
        """Read the end of the framing after the last event."""

    def abort(self) -> None:
        """Let go of an unfinished answer. Idempotent."""


@dataclass(slots=True)
class Begun:
    """An upstream answer that has begun well: the rest comes from `response`.

    `raw` are the bytes read so far and `events` what they hold; both are empty for an answer that
    is not streamed.
    """

    response: AnswerBody
    framer: SSEFramer
    events: list[Event]
    raw: bytes
    attempts: int


@dataclass(slots=True)
class Attempts:
    """Sends requests to one upstream by the rules of `policy`.

    `upstream` is its name; `on_failure` is told of every failed attempt, for metrics and error
    events; `error_of` makes the error of an answer's status, headers and body.
    """

    upstream: str
    transport: UpstreamTransport
    policy: RetryPolicy
    on_failure: Callable[[FailedAttempt], None]
    error_of: Callable[[int, Mapping[str, str], bytes], UpstreamError] = upstream_error

    async def begin(self, call: UpstreamCall) -> Begun:
        """The first good answer. Raises the last UpstreamError when none comes."""
        repaired: set[str] = set()
        attempt = 0
        started = asyncio.get_running_loop().time()
        while True:
            attempt += 1
            try:
                return await self._once(call, attempt)
            except UpstreamError as error:
                repair = call.repair(error)
                if repair is not None and repair.name not in repaired:
                    repaired.add(repair.name)
                    self._failed(call, attempt, error, is_final=False)
                    call = replace(call, body=repair.body)
                    continue
                elapsed = asyncio.get_running_loop().time() - started
                delay = self.policy.delay(error, attempt, elapsed, call.client_retries)
                self._failed(call, attempt, error, is_final=delay is None)
                if delay is None:
                    raise
                _log.info("upstream_retry", extra={"attempt": attempt, "code": error.code})
                await asyncio.sleep(delay)

    def _failed(
        self, call: UpstreamCall, attempt: int, error: UpstreamError, *, is_final: bool
    ) -> None:
        self.on_failure(
            FailedAttempt(self.upstream, call.model, attempt, error, call.context, is_final)
        )

    async def _once(self, call: UpstreamCall, attempt: int) -> Begun:
        response = await self.transport.open(call.path, call.body, call.headers)
        try:
            if response.status != 200:
                said = await response.read_all(_ERROR_BODY_LIMIT_BYTES)
                raise self.error_of(response.status, response.headers, said)
            begun = Begun(response, SSEFramer(), [], b"", attempt)
            if call.streamed:
                await self._first_event(begun)
            return begun
        except BaseException:
            response.abort()
            raise

    async def _first_event(self, begun: Begun) -> None:
        """Read up to the first event; whatever goes wrong until then may be tried again."""
        seconds = self.transport.first_byte_seconds
        try:
            if _has_begun(_events_in(begun.response.arrived(), begun)):
                return  # it came with the head, so no timer is needed
            async with asyncio.timeout(seconds) as deadline:
                while not _has_begun(await _more_events(begun)):
                    # Only pings so far: the upstream lives and thinks.
                    deadline.reschedule(asyncio.get_running_loop().time() + seconds)
        except TimeoutError as error:
            raise UpstreamTimeoutError(
                "the upstream did not answer in time", status=504, retryable=True
            ) from error
        except (UpstreamCutError, UpstreamTimeoutError) as error:
            error.retryable = True
            raise


async def _more_events(begun: Begun) -> list[Event]:
    """The events of the next read. Raises UpstreamCutError at the end of the body."""
    data = await begun.response.read()
    if not data:
        raise UpstreamCutError("the upstream ended its answer before it began")
    return _events_in(data, begun)


def _events_in(data: bytes, begun: Begun) -> list[Event]:
    begun.raw += data
    fresh = begun.framer.feed(data)
    begun.events += fresh
    return fresh


def _has_begun(events: list[Event]) -> bool:
    """True when one of the events is no ping. Raises when that is an error."""
    for name, payload in events:
        if name == "error":
            raise _event_error(payload)
        if name != "ping":
            return True
    return False


def _event_error(payload: bytes) -> UpstreamError:
    try:
        return upstream_event_error(wire.loads(payload))
    except wire.JSONDecodeError as error:
        return unreadable_event(error)
