"""When a part that died is started again, and when the stack gives up."""

from gateway.stack.supervisor import RestartBudget


def test_a_part_that_lived_long_starts_again_at_once_every_time() -> None:
    budget = RestartBudget()
    assert [budget.next_delay(60.0) for _ in range(50)] == [0.1] * 50


def test_dying_young_waits_twice_as_long_each_time_up_to_five_seconds() -> None:
    budget = RestartBudget()
    assert [budget.next_delay(0.0) for _ in range(7)] == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


def test_dying_young_again_and_again_ends_it() -> None:
    budget = RestartBudget(limit=3)
    delays = [budget.next_delay(0.0) for _ in range(4)]
    assert None not in delays[:3]
    assert delays[3] is None


def test_a_long_life_wins_the_budget_back() -> None:
    budget = RestartBudget(limit=2)
    for _ in range(5):
        assert budget.next_delay(0.0) is not None
        assert budget.next_delay(0.0) is not None
        assert budget.next_delay(10.0) == 0.1
