import pytest

from gateway.reliability.circuit_breaker import CircuitBreaker, CircuitOpenError, CircuitState
from tests.support.clock import Clock

UP = "anthropic/sonnet"


@pytest.fixture
def clock() -> Clock:
    return Clock(100.0)


@pytest.fixture
def changes() -> list[tuple[str, CircuitState]]:
    return []


@pytest.fixture
def breaker(clock: Clock, changes: list[tuple[str, CircuitState]]) -> CircuitBreaker:
    breaker = CircuitBreaker(enabled=True, threshold=3, timeout_seconds=60, clock=clock)
    breaker.on_change = lambda upstream, state: changes.append((upstream, state))
    return breaker


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


def test_asking_whether_one_may_enter_changes_nothing(
    breaker: CircuitBreaker, clock: Clock, changes: list[tuple[str, CircuitState]]
) -> None:
    assert breaker.may_enter("nobody/yet")
    assert "nobody/yet" not in breaker.states()
    fail(breaker, 3)
    assert not breaker.may_enter(UP)
    clock.now += 60
    assert breaker.may_enter(UP)
    assert breaker.may_enter(UP)
    breaker.enter(UP)
    assert not breaker.may_enter(UP)
    assert changes == [(UP, CircuitState.OPEN), (UP, CircuitState.HALF_OPEN)]


def test_a_half_open_breaker_lets_its_quota_through_at_once(clock: Clock) -> None:
    breaker = CircuitBreaker(
        enabled=True, threshold=1, timeout_seconds=60, half_open_requests=3, clock=clock
    )
    fail(breaker, 1)
    clock.now += 60
    probes = [breaker.enter(UP) for _ in range(3)]
    with pytest.raises(CircuitOpenError):
        breaker.enter(UP)
    probes[0].dropped()
    breaker.enter(UP).failed()
    assert breaker.state(UP) is CircuitState.OPEN
    probes[1].succeeded()  # of a time that is over
    assert breaker.state(UP) is CircuitState.OPEN


def test_what_is_decided_elsewhere_holds_here_and_is_not_told_again(
    breaker: CircuitBreaker, clock: Clock, changes: list[tuple[str, CircuitState]]
) -> None:
    breaker.apply(UP, CircuitState.OPEN, 20)
    with pytest.raises(CircuitOpenError) as refused:
        breaker.enter(UP)
    assert refused.value.retry_after_seconds == 20
    breaker.apply(UP, CircuitState.HALF_OPEN, 0)
    breaker.enter(UP)
    breaker.apply(UP, CircuitState.CLOSED, 0)
    assert changes == []
    breaker.apply(UP, CircuitState.OPEN, 0)  # by hand, until it is closed by hand
    clock.now += 1e6
    assert not breaker.may_enter(UP)
    with pytest.raises(CircuitOpenError) as refused:
        breaker.enter(UP)
    assert refused.value.retry_after_seconds == 300


def test_a_clock_that_stands_still_or_jumps_leaves_a_way_out(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    fail(breaker, 3)
    clock.now -= 50
    assert breaker.seconds_open(UP) == 110
    clock.now += 110
    breaker.enter(UP).succeeded()
    assert breaker.state(UP) is CircuitState.CLOSED
