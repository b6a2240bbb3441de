"""Whether and when a failed attempt at the upstream is repeated.

The rules only; the loop that uses them is the pipeline's, and it is the only one: SDK and transport
do not retry, and attempts the client says it has made already are taken off the gateway's own.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gateway.errors import UpstreamError

_LONGEST_BACKOFF_SECONDS = 20.0
_WINDOW_SECONDS = 60.0  # longer waits are better seen, and decided on, by the client
_RETRY_AFTER_SPREAD = 0.1  # clients told the same moment must not all come back at it


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Retry with full jitter, honouring `retry-after`, inside one window for all attempts.

    `random` gives a number in [0, 1). `window_seconds` is counted from the first attempt; no retry
    begins after it.
    """

    enabled: bool
    max_attempts: int
    backoff_base_seconds: float
    window_seconds: float = _WINDOW_SECONDS
    random: Callable[[], float] = field(default=random.random, repr=False)

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
        allowed = max(1, self.max_attempts - client_retries)
        if not self.enabled or not error.retryable or attempt >= allowed:
            return None
        if error.retry_after_seconds is not None:
            asked = max(0.0, error.retry_after_seconds)
            wait = asked + self.random() * max(0.05, asked * _RETRY_AFTER_SPREAD)
        else:
            longest = self.backoff_base_seconds * 2 ** (attempt - 1)
            wait = self.random() * min(_LONGEST_BACKOFF_SECONDS, longest)
        return wait if elapsed_seconds + wait < self.window_seconds else None


def client_retry_count(headers: Mapping[str, str]) -> int:
    """How often the client says it has repeated this request (`x-stainless-retry-count`).

    The header is sent by the official OpenAI and Anthropic SDKs; 0 when absent or nonsense.
    """
    text = headers.get("x-stainless-retry-count", "")
    return int(text) if text.isdecimal() and text.isascii() and len(text) <= 3 else 0
