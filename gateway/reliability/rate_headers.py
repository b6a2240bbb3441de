"""What a client is told of its limits, with every answer.

`X-RateLimit-*` count requests, the reset in seconds; `x-ratelimit-*-requests` and `-tokens` are
OpenAI's, whose resets are durations such as `1s` or `6m0s`
(https://platform.openai.com/docs/guides/rate-limits, "Rate limits in headers").
"""

import math
from functools import lru_cache

from gateway.reliability.limits import Admission


def rate_headers(admission: Admission) -> dict[str, str]:
    """The headers for an admission or a refusal; none where nothing is counted."""
    headers: dict[str, str] = {}
    if (requests := admission.requests) is not None:
        limit, remaining = str(requests.limit), str(requests.remaining)
        headers = {
            "X-RateLimit-Limit": limit,
            "X-RateLimit-Remaining": remaining,
            "X-RateLimit-Reset": str(math.ceil(requests.reset_seconds)),
            "x-ratelimit-limit-requests": limit,
            "x-ratelimit-remaining-requests": remaining,
            "x-ratelimit-reset-requests": _duration(requests.reset_seconds),
        }
    if (tokens := admission.tokens) is not None:
        headers |= {
            "x-ratelimit-limit-tokens": str(tokens.limit),
            "x-ratelimit-remaining-tokens": str(tokens.remaining),
            "x-ratelimit-reset-tokens": _duration(tokens.reset_seconds),
        }
    return headers


@lru_cache(maxsize=256)  # what is left of requests is free again in a whole window, mostly
def _duration(seconds: float) -> str:
    """Seconds as Go prints them, rounded up: 0s, 250ms, 12s, 6m0s, 3h0m0s."""
    if seconds <= 0:
        return "0s"
    if seconds < 1:
        return f"{math.ceil(seconds * 1000)}ms"
    whole = math.ceil(seconds)
    hours, minutes, rest = whole // 3600, whole % 3600 // 60, whole % 60
    if hours:
        return f"{hours}h{minutes}m{rest}s"
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
