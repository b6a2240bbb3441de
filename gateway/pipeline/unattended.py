"""Requests that no client waits for: when to try them again, and where their usage goes."""

from typing import Literal

from gateway.errors import GatewayError, UnavailableError, UpstreamError
from gateway.reliability.limits import LimitReachedError
from gateway.reliability.retry import is_of_the_key
from gateway.structs import Struct, replace
from gateway.usage.events import (
    NOTHING_USED,
    Outcome,
    RequestOpened,
    UsageEvent,
    UsageNumbers,
    close_event,
    now,
)
from gateway.wire import JSONObject

SUMMED = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "thinking_tokens",
    "web_search_requests",
)
"""What the tries of a request have used together."""

_MOST_EARLIER = 10_000
_REFUSED_KEY_SECONDS = 60.0  # an operator has to mend it, and the work can wait
_BUSY = frozenset({429, 503, 529})


class Wait(Struct, frozen=True):
    """A failure after which another try may succeed, in `seconds` where somebody said so.

    `why`: a limit of the project, which holds for all its requests; an upstream that is busy or
    down; or a failure of this very request.
    """

    why: Literal["limit", "busy", "failure"]
    seconds: float | None


def wait_after(error: GatewayError) -> Wait | None:
    """Whether to try again; None when the failure is the request's own."""
    seconds = error.retry_after_seconds
    if isinstance(error, LimitReachedError):
        return Wait("limit", seconds)
    if isinstance(error, UpstreamError) and is_of_the_key(error):
        return Wait("busy", seconds or _REFUSED_KEY_SECONDS)
    if isinstance(error, UpstreamError) and error.upstream_status is None:
        return Wait("failure", seconds)  # cut or unreadable: nobody has refused anything
    if not error.retryable:
        return None
    status = error.upstream_status if isinstance(error, UpstreamError) else error.status
    busy = isinstance(error, UnavailableError) or status in _BUSY
    return Wait("busy" if busy else "failure", seconds)


class CollectedUsage:
    """Keeps the usage of requests until it is stored together with their results.

    Implements `gateway.usage.journal.UsageLog`.
    """

    is_failing = False

    def __init__(self) -> None:
        self._events: dict[str, UsageEvent] = {}
        self._earlier: dict[str, UsageEvent] = {}

    def open(self, opened: RequestOpened) -> None:
        """A request that is not finished is done again, so there is nothing to note."""

    def start(
        self,
        event_id: str,
        usage: UsageNumbers,
        *,
        model: str,
        upstream: str,
        first_token_ms: float | None = None,
    ) -> None:
        """A request that is not finished is done again, so there is nothing to note."""

    def close(self, event: UsageEvent) -> None:
        """Keeps the event until it is taken."""
        self._events[event.request_id] = event

    def take(self, request_id: str) -> UsageEvent | None:
        """The event of a request with what its earlier tries have used; it is forgotten here."""
        event, earlier = self._events.pop(request_id, None), self._earlier.pop(request_id, None)
        return event if earlier is None else summed(event, earlier)

    def try_again(self, event: UsageEvent) -> None:
        """The request failed and is made again: what it has used counts with its next event."""
        if event.input_tokens == 0 and event.output_tokens == 0:
            return
        self._earlier[event.request_id] = event
        while len(self._earlier) > _MOST_EARLIER:  # tries of these go on in another worker
            del self._earlier[next(iter(self._earlier))]


def summed(event: UsageEvent | None, earlier: UsageEvent) -> UsageEvent:
    """The event of a request with what an earlier try of it has used."""
    if event is None:
        return earlier
    tokens = {name: getattr(event, name) + getattr(earlier, name) for name in SUMMED}
    cost = event.cost_usd
    if cost is not None and earlier.cost_usd is not None:
        cost += earlier.cost_usd
    return replace(event, cost_usd=cost, **tokens)


def refused_event(
    request_id: str, endpoint: str, project: str, key_id: str, error: GatewayError
) -> UsageEvent:
    """The event of a request that was refused before it had one of its own."""
    started_at, day = now()
    opened = RequestOpened(
        event_id=request_id,
        day=day,
        started_at=started_at,
        project=project,
        key_id=key_id,
        request_id=request_id,
        endpoint=endpoint,
    )
    return close_event(opened, Outcome("error", error.status, error_code=error.code), NOTHING_USED)


def told_error(error: GatewayError) -> JSONObject:
    """What the forms of all endpoints make their errors of."""
    return {
        "code": error.code,
        "message": error.message,
        "param": error.param,
        "status": error.status,
        "type": error.upstream_kind if isinstance(error, UpstreamError) else error.kind,
    }
