import pytest

from gateway.errors import UpstreamError
from gateway.reliability.retry import RetryBudget, RetryPolicy, client_retry_count


def failure(*, retryable: bool = True, retry_after: float | None = None) -> UpstreamError:
    error = UpstreamError("overloaded", retry_after_seconds=retry_after)
    error.retryable = retryable
    return error


def policy(chance: float = 0.5, *, enabled: bool = True, attempts: int = 3) -> RetryPolicy:
    return RetryPolicy(enabled, attempts, 1.0, random=lambda: chance)


def test_the_wait_doubles_with_full_jitter() -> None:
    longest = policy(chance=1.0, attempts=10)
    waits = [longest.delay(failure(), attempt, 0.0) for attempt in range(1, 8)]
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 20.0, 20.0]
    assert policy(chance=0.0).delay(failure(), 1, 0.0) == 0.0
    assert policy(chance=0.25).delay(failure(), 2, 0.0) == 0.5


def test_the_last_attempt_and_hopeless_errors_are_reported() -> None:
    assert policy().delay(failure(), 2, 0.0) is not None
    assert policy().delay(failure(), 3, 0.0) is None
    assert policy().delay(failure(retryable=False), 1, 0.0) is None
    assert policy(enabled=False).delay(failure(), 1, 0.0) is None


def test_retry_after_is_waited_for_and_a_little_more() -> None:
    wait = policy(chance=0.5).delay(failure(retry_after=10.0), 1, 0.0)
    assert wait == pytest.approx(10.5)
    soon = policy(chance=0.5).delay(failure(retry_after=0.0), 1, 0.0)
    assert soon is not None
    assert 0.0 < soon < 0.1


def test_a_wait_beyond_the_window_is_left_to_the_client() -> None:
    assert policy().delay(failure(retry_after=120.0), 1, 0.0) is None
    assert policy().delay(failure(), 1, 59.8) is None
    assert policy().delay(failure(), 1, 50.0) is not None


def test_p51_retries_of_the_client_are_taken_off_the_gateway_s_own() -> None:
    assert policy().delay(failure(), 1, 0.0, client_retries=1) is not None
    assert policy().delay(failure(), 2, 0.0, client_retries=1) is None
    assert policy().delay(failure(), 1, 0.0, client_retries=2) is None
    assert policy().delay(failure(), 1, 0.0, client_retries=9) is None


@pytest.mark.parametrize(
    ("value", "count"), [("2", 2), ("0", 0), ("", 0), ("-1", 0), ("x", 0), ("²", 0), ("9999", 0)]
)
def test_p51_the_client_s_count_is_read_from_its_header(value: str, count: int) -> None:
    assert client_retry_count({"x-stainless-retry-count": value}) == count
    assert client_retry_count({}) == 0


def test_retries_are_a_bounded_share_of_the_requests() -> None:
    now = [0.0]
    budget = RetryBudget(0.2, lambda: now[0])
    for _ in range(1000):
        budget.request()
    assert sum(budget.retry() for _ in range(1000)) == 200
    now[0] += 10.1
    assert sum(budget.retry() for _ in range(1000)) == 100  # a quiet gateway may try again


def test_a_refused_key_is_a_reason_to_ask_another_upstream_and_not_the_same_again() -> None:
    error = UpstreamError("refused")
    error.upstream_status = 401
    policy = RetryPolicy(True, 3, 1.0)
    assert policy.may_escape(error, 1, 0.0)
    assert policy.delay(error, 1, 0.0) is None
    assert not policy.may_escape(error, 3, 0.0)
    assert not policy.may_escape(error, 1, 61.0)
    assert not policy.may_escape(error, 2, 0.0, client_retries=1)
    assert not RetryPolicy(False, 3, 1.0).may_escape(error, 1, 0.0)
