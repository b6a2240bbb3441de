"""Limits of one process, without Valkey."""

from dataclasses import dataclass

import pytest

from gateway.policies import Limits
from gateway.reliability.limits import Admission, Subject, periods
from gateway.reliability.local_limits import Estimate, LocalLimits
from gateway.reliability.spending import Spending
from tests.support.clock import Clock

NOW = 1_780_000_000.0
WHEN = periods(NOW)


@dataclass
class Door:
    """One process's limits, and requests numbered by themselves."""

    clock: Clock
    limits: LocalLimits
    spending: Spending
    count: int = 0

    def ask(self, subject: Subject, tokens: int = 0, micro_dollars: int = 0) -> Admission:
        self.count += 1
        estimate = Estimate(tokens, micro_dollars)
        return self.limits.admit([subject], str(self.count), estimate, WHEN)


@pytest.fixture
def door() -> Door:
    clock, spending = Clock(1000.0), Spending(None, wall_clock=lambda: NOW)
    return Door(clock, LocalLimits(spending, clock=clock), spending)


def project(name: str = "p", **limits: float) -> Subject:
    return Subject(name, None, f"gateway:{{{name}}}", Limits(**limits))  # type: ignore[arg-type]


def test_the_window_slides_and_tells_exactly_when_a_slot_frees(door: Door) -> None:
    subject = project(requests_per_minute=2)
    assert left(door.ask(subject)) == 1
    door.clock.now += 20
    assert left(door.ask(subject)) == 0
    door.clock.now += 10
    refused = door.ask(subject)
    assert refused.refusal is not None
    assert refused.degraded
    assert refused.refusal.wait_seconds == 30.0
    assert refused.requests is not None
    assert refused.requests.reset_seconds == 50.0
    door.clock.now += refused.refusal.wait_seconds
    assert door.ask(subject).admitted
    assert not door.ask(subject).admitted


def test_no_window_of_sixty_seconds_ever_holds_more_than_the_limit(door: Door) -> None:
    admitted: list[float] = []
    for step in range(3000):
        door.clock.now += (step * 7 % 11) / 5
        if door.ask(project(requests_per_minute=10)).admitted:
            admitted.append(door.clock.now)
    for first, beyond in zip(admitted, admitted[10:], strict=False):
        assert beyond - first >= 60.0


def test_what_was_admitted_elsewhere_counts(door: Door) -> None:
    subject = project(requests_per_minute=3)
    for number in range(5):
        door.limits.record([subject], f"elsewhere {number}", Estimate())
    assert not door.ask(subject).admitted
    assert door.ask(project("q", requests_per_minute=3)).admitted


def test_a_changed_limit_keeps_the_latest_requests(door: Door) -> None:
    for _ in range(4):
        door.ask(project(requests_per_minute=4))
    assert not door.ask(project(requests_per_minute=2)).admitted
    assert left(door.ask(project(requests_per_minute=5))) == 2


def test_tokens_are_reserved_by_estimate_and_settled_by_use(door: Door) -> None:
    subject = project(tokens_per_minute=1000)
    assert door.ask(subject, 600).admitted
    refused = door.ask(subject, 600)
    assert refused.refusal is not None
    assert (refused.refusal.limit, refused.refusal.wait_seconds) == ("tokens", 60.0)
    door.limits.settle([subject], "1", 100)
    assert door.ask(subject, 600).admitted
    # An estimate above the limit waits for an empty window, and is served then.
    assert not door.ask(subject, 50_000).admitted
    door.clock.now += 61
    assert door.ask(subject, 50_000).admitted


def test_requests_at_once_end_when_they_are_settled(door: Door) -> None:
    subject = project(concurrent_requests=2)
    assert door.ask(subject).admitted
    assert door.ask(subject).admitted
    refused = door.ask(subject)
    assert refused.refusal is not None
    assert refused.refusal.limit == "concurrent_requests"
    door.limits.settle([subject], "2", 0)
    assert door.ask(subject).admitted
    assert not door.ask(subject).admitted


def test_a_budget_counts_what_is_reserved_and_what_was_spent(door: Door) -> None:
    subject = project(budget_day_usd=1.0)
    assert door.ask(subject, micro_dollars=700_000).admitted
    assert door.ask(subject, micro_dollars=700_000).admitted  # reserved dollars leave 0.3
    refused = door.ask(subject, micro_dollars=1)
    assert refused.refusal is not None
    assert refused.refusal.limit == "day"
    assert refused.refusal.wait_seconds == WHEN.day_ends_at - NOW
    for request in ("1", "2"):
        door.limits.settle([subject], request, 0)
        door.spending.add(subject, WHEN, 10_000)
    assert door.ask(subject, micro_dollars=1).admitted
    door.spending.learn(subject, WHEN.day, 1_000_000)
    assert not door.ask(subject, micro_dollars=1).admitted


def test_several_processes_share_rates_and_not_budgets() -> None:
    limits = LocalLimits(Spending(None), processes=4, clock=Clock(1000.0))
    subject = project(requests_per_minute=8, budget_day_usd=1.0)
    outcomes = [limits.admit([subject], str(n), Estimate(0, 1), WHEN) for n in range(3)]
    assert [outcome.admitted for outcome in outcomes] == [True, True, False]


@pytest.mark.parametrize(
    ("now", "day", "month", "day_ends_in", "month_ends_in"),
    [
        (1_772_323_199.0, "2026-02-28", "2026-02", 1.0, 1.0),
        (1_709_164_800.0, "2024-02-29", "2024-02", 86_400.0, 86_400.0),
        (1_767_225_600.0, "2026-01-01", "2026-01", 86_400.0, 31 * 86_400.0),
    ],
)
def test_periods_end_with_the_utc_day_and_month(
    now: float, day: str, month: str, day_ends_in: float, month_ends_in: float
) -> None:
    found = periods(now)
    assert (found.day, found.month) == (day, month)
    assert (found.day_ends_at - now, found.month_ends_at - now) == (day_ends_in, month_ends_in)


def left(admission: Admission) -> int:
    assert admission.requests is not None
    return admission.requests.remaining
