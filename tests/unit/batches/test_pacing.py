"""How fast a batch goes."""

import asyncio

import pytest

from gateway.batches.pacing import Pace, WarmPrefixes
from tests.support.clock import Clock


def test_refusals_halve_the_width_and_answers_bring_it_back() -> None:
    pace = Pace(16)
    assert pace.width == 16
    pace.refused()
    pace.refused()
    assert pace.width == 4
    for _ in range(4):
        pace.went_well()
    assert pace.width == 4
    pace.went_well()
    assert pace.width == 5
    for _ in range(500):
        pace.went_well()
    assert pace.width == 16


def test_one_item_is_always_allowed() -> None:
    pace = Pace(4)
    for _ in range(20):
        pace.refused()
    assert pace.width == 1


def test_a_limit_stops_everything_until_it_is_over() -> None:
    clock = Clock(100.0)
    pace = Pace(4, clock)
    pace.stop_for(30.0)
    pace.stop_for(10.0)
    assert (pace.width, pace.stopped_seconds) == (0, 30.0)
    clock.now += 30.0
    assert (pace.width, pace.stopped_seconds) == (4, 0.0)


def test_the_first_of_a_prefix_leads_and_the_others_wait_for_it() -> None:
    warm = WarmPrefixes(Clock(100.0))
    assert warm.may_begin(b"a")
    assert not warm.may_begin(b"a")
    assert warm.may_begin(b"b")
    warm.ended(b"a", warmed=True)
    assert warm.may_begin(b"a")
    assert warm.may_begin(b"a")


def test_after_a_failure_another_one_leads() -> None:
    warm = WarmPrefixes(Clock(100.0))
    assert warm.may_begin(b"a")
    warm.ended(b"a", warmed=False)
    assert warm.may_begin(b"a")
    assert not warm.may_begin(b"a")


def test_a_cache_cools_down() -> None:
    clock = Clock(100.0)
    warm = WarmPrefixes(clock)
    assert warm.may_begin(b"a")
    warm.ended(b"a", warmed=True)
    clock.now += 250.0
    assert warm.may_begin(b"a")
    assert not warm.may_begin(b"a")


@pytest.mark.parametrize("times", [1, 5])
def test_items_without_a_prefix_wait_for_nobody(times: int) -> None:
    warm = WarmPrefixes(Clock(100.0))
    assert all(warm.may_begin(b"") for _ in range(times))


async def test_whoever_waits_hears_of_the_change() -> None:
    warm = WarmPrefixes()
    assert warm.may_begin(b"a")
    waiting = asyncio.ensure_future(warm.change())
    await asyncio.sleep(0)
    warm.ended(b"a", warmed=True)
    async with asyncio.timeout(1):
        await waiting
