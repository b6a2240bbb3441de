import pytest

from gateway.context import Project
from gateway.policies import Limits
from gateway.reliability.limits import (
    Admission,
    Allowance,
    LimitReachedError,
    Refusal,
    Subject,
)
from gateway.reliability.rate_headers import rate_headers
from gateway.reliability.token_estimate import estimated_tokens


def test_nothing_is_said_where_nothing_is_counted() -> None:
    assert rate_headers(Admission()) == {}


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0s"), (0.2501, "251ms"), (1.2, "2s"), (60, "1m0s"), (361.5, "6m2s"), (7200, "2h0m0s")],
)
def test_openai_headers_show_durations(seconds: float, shown: str) -> None:
    headers = rate_headers(Admission(Allowance(60, 59, seconds), Allowance(9000, 8000, seconds)))
    assert headers["x-ratelimit-reset-requests"] == shown
    assert headers["x-ratelimit-reset-tokens"] == shown
    assert (headers["X-RateLimit-Limit"], headers["X-RateLimit-Remaining"]) == ("60", "59")
    assert headers["x-ratelimit-limit-tokens"] == "9000"
    assert headers["x-ratelimit-remaining-tokens"] == "8000"


@pytest.mark.parametrize(
    ("limit", "code", "retryable"),
    [
        ("requests", "rate_limit_exceeded", True),
        ("tokens", "rate_limit_exceeded", True),
        ("concurrent_requests", "concurrency_limit_exceeded", True),
        ("day", "insufficient_quota", False),
        ("month", "insufficient_quota", False),
    ],
)
def test_a_refusal_says_which_limit_of_whom(limit: str, code: str, retryable: bool) -> None:
    subject = Subject("team", "k1", "tag", Limits(60, 9000, 3, 1.5, 20))
    refusal = Refusal(subject, limit, 12.0)
    error = LimitReachedError(Admission(refusal=refusal), refusal)
    assert (error.status, error.code, error.retryable) == (429, code, retryable)
    assert error.retry_after_seconds == 12.0
    assert "of this key" in error.message or "for this key" in error.message
    assert Project("team").limits.any is False


def test_files_count_by_their_number_and_texts_by_their_length() -> None:
    text = b'{"content": "' + b"word " * 4000 + b'"}'
    image = b'{"url": "data:image/png;base64,' + b"A" * 4_000_000 + b'"}'
    document = b'{"type": "base64", "data": "' + b"B" * 900_000 + b'"}'
    assert estimated_tokens(text) == pytest.approx(6_000, rel=0.05)
    assert estimated_tokens(image + document) < 6_000
    assert estimated_tokens(b"{}") == 1000
