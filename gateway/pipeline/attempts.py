"""Attempts at the upstream until its first event: the only place that tries again.

Nothing has been promised to the client yet, so a failure can still be repeated, repaired, or
reported with its true HTTP status. The first event is read before an attempt counts as good: an
overloaded upstream answers 200 and then sends an error event.
"""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from gateway import wire
from gateway.context import RequestContext
from gateway.errors import (
    UnavailableError,
    UpstreamCutError,
    UpstreamError,
    UpstreamTimeoutError,
)
from gateway.pipeline.hedging import first_to_begin
from gateway.protocols.shared.failures import (
    unreadable_event,
    upstream_error,
    upstream_event_error,
)
from gateway.protocols.shared.sse import SSEFramer
from gateway.reliability.circuit_breaker import CircuitBreaker, Passage
from gateway.reliability.retry import RetryBudget, RetryPolicy, is_of_the_key
from gateway.structs import Struct, field, replace
from gateway.upstream.http_connection import Take
from gateway.upstream.pool import Upstream, UpstreamPool

_log = logging.getLogger("gateway.upstream")

_ERROR_BODY_LIMIT_BYTES = 2**20
_REFUSED_KEY_SECONDS = 60.0  # it may have been put right by then

Event = tuple[str, bytes]


class Repair(Struct, frozen=True):
    """A changed request that avoids a refusal; each name is used once."""

    name: str
    body: bytes


def no_repair(_: UpstreamError) -> Repair | None:
    """Requests that are not ours to change."""
    return None


class UpstreamCall(Struct, frozen=True):
    """What is sent upstream for one request.

    `family` is the model's class, for the breaker; `affinity` names the conversation, which keeps
    its upstream. `client_retries` is how often the client has repeated it already; `repair` offers
    another body after a refusal that the gateway itself has caused. `context` is None for what no
    client asked. An answer that has not begun `hedge_after_seconds` later is asked for a second
    time, 0 for never. `joins`: the answer is of use as a whole only, see `join_deltas`.
    """

    path: str
    body: bytes
    headers: Mapping[str, str]
    model: str
    family: str = "other"
    affinity: str = ""
    streamed: bool = True
    joins: bool = False
    hedge_after_seconds: float = 0.0
    client_retries: int = 0
    repair: Callable[[UpstreamError], Repair | None] = no_repair
    context: RequestContext | None = None


class FailedAttempt(Struct, frozen=True):
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

    @property
    def headers(self) -> Mapping[str, str]:
        """Its headers by lower-case name."""

    async def read(self) -> bytes:
        """All bytes that have arrived since the last call, at least one; b"" at the end."""

    def pass_on(self, take: Take) -> Awaitable[None]:
        """Gives to `take` what comes, in the call it comes by, for as long as it returns True."""

    def arrived(self) -> bytes:
        """What `read` gives without waiting."""

    async def read_all(self, limit_bytes: float = math.inf) -> bytes:
        """The rest of the body."""

    @property
    def is_complete(self) -> bool:
        """True when all of it has come, the end of its framing as well."""

    async def finish(self) -> None:
        """Read the end of the framing after the last event."""

    def abort(self) -> None:
        """Let go of an unfinished answer. Idempotent."""


class Begun(Struct):
    """An upstream answer that has begun well: the rest comes from `response`.

    `raw` are the bytes read so far and `events` what they hold; both are empty for an answer that
    is not streamed. `passage` waits for how the rest goes; None when no upstream was asked.
    """

    response: AnswerBody
    framer: SSEFramer
    events: list[Event]
    raw: bytes
    attempts: int
    upstream: str = ""
    passage: Passage | None = None
    hedged: bool = False

    def forget(self) -> None:
        """Let go of what was read so far: it was passed on."""
        self.events, self.raw = [], b""


class _Course(Struct):
    """How the attempts of one request have gone so far.

    `failed` are upstreams to leave alone for now; `counted` those whose breaker knows of a failure:
    a request that fails three times is one that fails, not three.
    """

    call: UpstreamCall
    order: Sequence[Upstream]
    started: float
    attempt: int = 0
    repaired: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    counted: set[str] = field(default_factory=set)
    error: UpstreamError | None = None


class Attempts(Struct):
    """Sends requests to the upstreams of `pool` by the rules of `policy`.

    `on_failure` is told of every failed attempt, for metrics and error events; `error_of` makes the
    error of an answer's status, headers and body.
    """

    pool: UpstreamPool
    breaker: CircuitBreaker
    policy: RetryPolicy
    on_failure: Callable[[FailedAttempt], None]
    error_of: Callable[[int, Mapping[str, str], bytes], UpstreamError] = upstream_error
    budgets: dict[str, RetryBudget] = field(default_factory=dict)

    async def begin(self, call: UpstreamCall) -> Begun:
        """The first good answer. Raises the last UpstreamError when none comes, and
        CircuitOpenError when nobody may be asked.
        """
        affinity = call.affinity or (call.context.request_id if call.context else "")
        course = _Course(call, self.pool.order(affinity), asyncio.get_running_loop().time())
        upstream = self._available(call, course.order)
        if upstream is None:
            raise self._nobody(course)
        self._budget(upstream).request()
        while True:
            course.attempt += 1
            try:
                if call.hedge_after_seconds > 0 and course.attempt == 1:
                    return await self._hedged(course, upstream)
                return await self._once(course, upstream, course.attempt)
            except UpstreamError as error:
                upstream = await self._after(course, upstream, error)

    async def _after(self, course: _Course, upstream: Upstream, error: UpstreamError) -> Upstream:
        """Who is asked next after a failure, once it is time. Raises `error` when nobody is."""
        course.error = error
        call = course.call
        repair = call.repair(error)
        if repair is not None and repair.name not in course.repaired:
            course.repaired.add(repair.name)
            self._failed(course, upstream, error, is_final=False)
            course.call = replace(call, body=repair.body)
            return upstream
        if is_of_the_key(error):
            upstream.cool(_REFUSED_KEY_SECONDS)
        elif _is_limited(error):
            upstream.cool(error.retry_after_seconds)
        course.failed.add(upstream.name)
        following, delay = self._following(course, upstream, error)
        if following is None or not self._budget(following).retry():
            self._failed(course, upstream, error, is_final=True)
            raise error
        self._failed(course, upstream, error, is_final=False)
        _log.info(
            "upstream_retry",
            extra={"attempt": course.attempt, "code": error.code, "upstream": following.name},
        )
        if delay > 0:
            await asyncio.sleep(delay)
        return following

    def _following(
        self, course: _Course, upstream: Upstream, error: UpstreamError
    ) -> tuple[Upstream | None, float]:
        """The upstream of the next attempt and the wait before it; None when there is none."""
        elapsed = asyncio.get_running_loop().time() - course.started
        others = [each for each in course.order if each.name not in course.failed]
        other = self._available(course.call, others)
        if other is not None and self.policy.may_escape(
            error, course.attempt, elapsed, course.call.client_retries
        ):
            return other, 0.0
        delay = self.policy.delay(error, course.attempt, elapsed, course.call.client_retries)
        if delay is None:
            return None, 0.0
        course.failed.clear()
        again = self._available(course.call, [upstream, *course.order])
        return again, delay

    def _nobody(self, course: _Course) -> UnavailableError:
        """Why no upstream may be asked now. Raises CircuitOpenError, which says until when."""
        for each in course.order:
            if each.has_room:
                self.breaker.enter(each.circuit(course.call.family)).dropped()
        return UnavailableError("every upstream is at its limit", retry_after_seconds=1.0)

    def _available(self, call: UpstreamCall, order: Sequence[Upstream]) -> Upstream | None:
        """The first upstream of the order that may be asked now."""
        for upstream in order:
            if upstream.has_room and self.breaker.may_enter(upstream.circuit(call.family)):
                return upstream
        return None

    async def _hedged(self, course: _Course, upstream: Upstream) -> Begun:
        """The first attempt, with a second one beside it when it is slow to begin."""
        call = course.call
        others = [each for each in course.order if each is not upstream]
        other = self._available(call, others) or upstream

        async def second() -> Begun:
            if not self._budget(other).retry():
                raise UpstreamTimeoutError("the upstream is slow to begin", status=504)
            return replace(await self._once(course, other, 2), hedged=True)

        return await first_to_begin(
            lambda: self._once(course, upstream, 1), second, call.hedge_after_seconds, _let_go
        )

    def _failed(
        self, course: _Course, upstream: Upstream, error: UpstreamError, *, is_final: bool
    ) -> None:
        call = course.call
        self.on_failure(
            FailedAttempt(upstream.name, call.model, course.attempt, error, call.context, is_final)
        )

    def _budget(self, upstream: Upstream) -> RetryBudget:
        budget = self.budgets.get(upstream.name)
        if budget is None:
            budget = self.budgets[upstream.name] = RetryBudget(self.policy.budget_ratio)
        return budget

    async def _once(self, course: _Course, upstream: Upstream, attempt: int) -> Begun:
        passage = self.breaker.enter(upstream.circuit(course.call.family))
        try:
            return await self._asked(course.call, upstream, attempt, passage)
        except UpstreamError as error:
            if upstream.name in course.counted:
                passage.dropped()
            else:
                course.counted.add(upstream.name)
                tell_breaker(passage, error)
            raise
        except BaseException:
            passage.dropped()
            raise

    async def _asked(
        self, call: UpstreamCall, upstream: Upstream, attempt: int, passage: Passage
    ) -> Begun:
        upstream.asked()
        response = await upstream.transport.open(call.path, call.body, call.headers)
        try:
            if call.context is not None:
                await call.context.cohorts.enter(again=True)
            if response.status != 200:
                said = await response.read_all(_ERROR_BODY_LIMIT_BYTES)
                raise self.error_of(response.status, response.headers, said)
            begun = Begun(
                response,
                SSEFramer(joins=call.joins),
                [],
                b"",
                attempt,
                upstream=upstream.name,
                passage=passage,
            )
            if call.streamed:
                await _first_event(begun, upstream.transport.first_byte_seconds)
            return begun
        except BaseException:
            response.abort()
            raise


async def _first_event(begun: Begun, seconds: float) -> None:
    """Read up to the first event; whatever goes wrong until then may be tried again."""
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


def _let_go(begun: Begun) -> None:
    """Somebody else's answer is taken."""
    begun.response.abort()
    if begun.passage is not None:
        begun.passage.dropped()


def tell_breaker(passage: Passage, error: UpstreamError) -> None:
    """Tell the breaker: only the upstream's own failures count against it."""
    if error.upstream_status is None or error.upstream_status >= 500:
        passage.failed()
    else:
        passage.succeeded()


def _is_limited(error: UpstreamError) -> bool:
    """True when the limit of the key is used up; a 429 that tells no times is about the request."""
    headers = error.upstream_headers
    return error.upstream_status == 429 and (
        error.retry_after_seconds is not None
        or any(name.startswith("anthropic-ratelimit-") for name in headers)
    )


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
