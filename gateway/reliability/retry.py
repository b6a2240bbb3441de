"""Whether and when a failed attempt at the upstream is repeated.

The rules only; the loop that uses them is the pipeline's, and it is the only one: SDK and transport
do not retry, and attempts the client says it has made already are taken off the gateway's own.
"""

import random
import time
from collections import deque
from collections.abc import Callable, Mapping

from gateway.errors import UpstreamError
from gateway.structs import Struct

_LONGEST_BACKOFF_SECONDS = 20.0
_BUDGET_SECONDS = 10.0
_LEAST_RETRIES = 100  # in the same time, so that a quiet gateway tries again at all
_WINDOW_SECONDS = 60.0  # longer waits are better seen, and decided on, by the client
_RETRY_AFTER_SPREAD = 0.1  # clients told the same moment must not all come back at it


class RetryPolicy(Struct, frozen=True):
    """Retry with full jitter, honouring `retry-after`, inside one window for all attempts.

    `random` gives a number in [0, 1). `window_seconds` is counted from the first attempt; no retry
    begins after it. `budget_ratio` is for `RetryBudget`.
    """

    enabled: bool
    max_attempts: int
    backoff_base_seconds: float
    window_seconds: float = _WINDOW_SECONDS
    budget_ratio: float = 0.2
    random: Callable[[], float] = random.random

    def delay(
        self,
        error: UpstreamError,
        attempt: int,
        elapsed_seconds: float,
        client_retries: int = 0,
    ) -> float | None:
        """Seconds to wait before the next attempt; None when `error` has to be reported.

        `attempt` is the number of attempts made, 1 after the first; `client_retries` the number of
        times the client has sent this same request before.
        """
        if not self._allows(attempt, client_retries) or not error.retryable:
            return None
        if error.retry_after_seconds is not None:
            asked = max(0.0, error.retry_after_seconds)
            wait = asked + self.random() * max(0.05, asked * _RETRY_AFTER_SPREAD)
        else:
            longest = self.backoff_base_seconds * 2 ** (attempt - 1)
            wait = self.random() * min(_LONGEST_BACKOFF_SECONDS, longest)
        return wait if elapsed_seconds + wait < self.window_seconds else None

    def may_escape(
        self,
        error: UpstreamError,
        attempt: int,
        elapsed_seconds: float,
        client_retries: int = 0,
    ) -> bool:
        """True when another upstream may be asked at once: it may have no part in `error`.

        A key that is refused or has no credit is no reason for another one to be.
        """
        return (
            (error.retryable or is_of_the_key(error))
            and self._allows(attempt, client_retries)
            and elapsed_seconds < self.window_seconds
        )

    def _allows(self, attempt: int, client_retries: int) -> bool:
        return self.enabled and attempt < max(1, self.max_attempts - client_retries)


def is_of_the_key(error: UpstreamError) -> bool:
    """True when the upstream refuses a key, or has no credit for it."""
    return error.upstream_status in (401, 402) or error.code == "insufficient_quota"


class RetryBudget:
    """Bounds what retries add to the load of one upstream, however many requests fail at once.

    In ten seconds no more than `ratio` of the requests are retries, or a hundred when that is more.
    """

    def __init__(self, ratio: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._ratio = ratio
        self._clock = clock
        self._requests: deque[float] = deque()
        self._retries: deque[float] = deque()

    def request(self) -> None:
        """A request is sent for the first time."""
        now = self._clock()
        self._requests.append(now)
        self._forget(self._requests, now)

    def retry(self) -> bool:
        """Takes a retry out of the budget; False when it is used up."""
        now = self._clock()
        self._forget(self._requests, now)
        self._forget(self._retries, now)
        if len(self._retries) >= max(_LEAST_RETRIES, self._ratio * len(self._requests)):
            return False
        self._retries.append(now)
        return True

    def _forget(self, moments: deque[float], now: float) -> None:
        edge = now - _BUDGET_SECONDS
        while moments and moments[0] <= edge:
            moments.popleft()


def client_retry_count(headers: Mapping[str, str]) -> int:
    """How often the client says it has repeated this request (`x-stainless-retry-count`).

    The header is sent by the official OpenAI and Anthropic SDKs; 0 when absent or nonsense.
    """
    text = headers.get("x-stainless-retry-count", "")
    return int(text) if text.isdecimal() and text.isascii() and len(text) <= 3 else 0
