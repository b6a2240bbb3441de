from dataclasses import dataclass

import pytest

from gateway.reliability.admission import LocalWindow


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def window(clock: Clock) -> LocalWindow:
    return LocalWindow(clock)


def test_the_window_slides_and_tells_exactly_when_a_slot_frees(
    window: LocalWindow, clock: Clock
) -> None:
    assert window.admit("p", 2).remaining == 1
    clock.now += 20
    assert window.admit("p", 2).remaining == 0
    clock.now += 10
    refused = window.admit("p", 2)
    assert not refused.admitted
    assert refused.degraded
    assert refused.retry_after_seconds == 30.0
    assert refused.reset_seconds == 50.0
    clock.now += refused.retry_after_seconds
    assert window.admit("p", 2).admitted
    assert not window.admit("p", 2).admitted


def test_no_window_of_sixty_seconds_ever_holds_more_than_the_limit(
    window: LocalWindow, clock: Clock
) -> None:
    admitted: list[float] = []
    for step in range(3000):
        clock.now += (step * 7 % 11) / 5
        if window.admit("p", 10).admitted:
            admitted.append(clock.now)
    for first, beyond in zip(admitted, admitted[10:], strict=False):
        assert beyond - first >= 60.0


def test_what_was_admitted_elsewhere_counts(window: LocalWindow) -> None:
    for _ in range(5):
        window.record("p", 3)
    assert not window.admit("p", 3).admitted
    assert window.admit("q", 3).admitted


def test_a_changed_limit_keeps_the_latest_requests(window: LocalWindow) -> None:
    for _ in range(4):
        window.admit("p", 4)
    assert not window.admit("p", 2).admitted
    assert window.admit("p", 5).remaining == 2
