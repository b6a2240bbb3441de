from dataclasses import dataclass

import pytest

from gateway.reliability.circuit_breaker import CircuitBreaker, CircuitOpenError, CircuitState

UP = "anthropic/sonnet"


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def changes() -> list[tuple[str, CircuitState]]:
    return []


@pytest.fixture
def breaker(clock: Clock, changes: list[tuple[str, CircuitState]]) -> CircuitBreaker:
    return CircuitBreaker(
        enabled=True,
        threshold=3,
        timeout_seconds=60,
        clock=clock,
        on_change=lambda upstream, state: changes.append((upstream, state)),
    )


def fail(breaker: CircuitBreaker, times: int) -> None:
    for _ in range(times):
        breaker.enter(UP).failed()


def test_failures_in_a_row_open_it_and_a_success_starts_the_count_anew(
    breaker: CircuitBreaker,
) -> None:
    fail(breaker, 2)
    breaker.enter(UP).succeeded()
    fail(breaker, 2)
    assert breaker.state(UP) is CircuitState.CLOSED
    fail(breaker, 1)
    assert breaker.state(UP) is CircuitState.OPEN


def test_while_open_nothing_passes_and_the_wait_is_told(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    fail(breaker, 3)
    clock.now += 15
    with pytest.raises(CircuitOpenError) as refused:
        breaker.enter(UP)
    assert refused.value.status == 503
    assert refused.value.retry_after_seconds == 45
    breaker.enter("anthropic/opus").succeeded()


def test_one_probe_passes_after_the_time_and_closes_it_when_good(
    breaker: CircuitBreaker, clock: Clock, changes: list[tuple[str, CircuitState]]
) -> None:
    fail(breaker, 3)
    clock.now += 60
    assert breaker.states() == {UP: CircuitState.HALF_OPEN}
    probe = breaker.enter(UP)
    with pytest.raises(CircuitOpenError):
        breaker.enter(UP)
    probe.succeeded()
    breaker.enter(UP)
    breaker.enter(UP)
    assert changes == [
        (UP, CircuitState.OPEN),
        (UP, CircuitState.HALF_OPEN),
        (UP, CircuitState.CLOSED),
    ]


def test_a_bad_probe_opens_it_for_the_whole_time_again(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    fail(breaker, 3)
    clock.now += 60
    breaker.enter(UP).failed()
    clock.now += 59
    with pytest.raises(CircuitOpenError):
        breaker.enter(UP)
    clock.now += 1
    breaker.enter(UP)


def test_a_probe_whose_client_left_gives_its_place_to_the_next(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    fail(breaker, 3)
    clock.now += 60
    breaker.enter(UP).dropped()
    breaker.enter(UP).succeeded()
    assert breaker.state(UP) is CircuitState.CLOSED


def test_a_probe_that_never_reports_does_not_block_for_ever(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    fail(breaker, 3)
    clock.now += 60
    forgotten = breaker.enter(UP)
    clock.now += 121
    second = breaker.enter(UP)
    forgotten.failed()
    assert breaker.state(UP) is CircuitState.HALF_OPEN
    second.succeeded()
    assert breaker.state(UP) is CircuitState.CLOSED


def test_reports_from_before_a_change_do_not_count(breaker: CircuitBreaker, clock: Clock) -> None:
    old = [breaker.enter(UP) for _ in range(4)]
    fail(breaker, 3)
    old[0].succeeded()
    assert breaker.state(UP) is CircuitState.OPEN
    clock.now += 60
    probe = breaker.enter(UP)
    old[1].failed()
    old[2].succeeded()
    assert breaker.state(UP) is CircuitState.HALF_OPEN
    probe.succeeded()
    old[3].failed()
    assert breaker.state(UP) is CircuitState.CLOSED


def test_a_passage_reports_once(breaker: CircuitBreaker) -> None:
    passage = breaker.enter(UP)
    for _ in range(5):
        passage.failed()
    assert breaker.state(UP) is CircuitState.CLOSED


def test_switched_off_it_lets_everything_through(clock: Clock) -> None:
    breaker = CircuitBreaker(enabled=False, threshold=1, timeout_seconds=60, clock=clock)
    fail(breaker, 10)
    breaker.enter(UP)
    assert breaker.state(UP) is CircuitState.CLOSED
