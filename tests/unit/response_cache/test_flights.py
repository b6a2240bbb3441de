"""Identical requests: one asks, the others wait, and nobody is left behind."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from gateway.response_cache.flights import Flights, Lead


def flights(wait_seconds: float = 20.0) -> Flights[str]:
    return Flights(lambda: "token", wait_seconds=wait_seconds)


async def lead_of(joined: Awaitable[Any]) -> Lead[str]:
    lead = await joined
    assert isinstance(lead, Lead)
    return lead


async def started(waiting: Flights[str], count: int) -> list[asyncio.Task[Any]]:
    """Requests that have joined and wait."""
    tasks = [asyncio.ensure_future(waiting.join("k")) for _ in range(count)]
    await asyncio.sleep(0)
    return tasks


async def test_all_who_wait_get_the_answer_of_the_first() -> None:
    under_way = flights()
    lead = await lead_of(under_way.join("k"))
    tasks = await started(under_way, 3)
    other = await lead_of(under_way.join("another"))
    lead.give("answer")
    assert await asyncio.gather(*tasks) == ["answer"] * 3
    other.give("unused")
    assert len(under_way) == 0


async def test_when_the_first_ends_without_an_answer_the_next_one_asks() -> None:
    under_way = flights()
    lead = await lead_of(under_way.join("k"))
    second, third = await started(under_way, 2)
    assert lead.pass_on()
    assert lead.pass_on()  # ended: nothing more happens
    lead.give("too late")
    next_lead = await lead_of(second)
    assert next_lead.token == lead.token
    assert not third.done()
    next_lead.give("answer")
    assert await third == "answer"
    assert len(under_way) == 0


async def test_when_nobody_waits_the_flight_is_over() -> None:
    under_way = flights()
    lead = await lead_of(under_way.join("k"))
    assert not lead.pass_on()
    assert len(under_way) == 0


async def test_an_answer_that_may_not_be_given_lets_all_ask_at_once() -> None:
    under_way = flights()
    lead = await lead_of(under_way.join("k"))
    tasks = await started(under_way, 3)
    lead.disband()
    assert await asyncio.gather(*tasks) == [None] * 3
    assert len(under_way) == 0


async def test_one_who_leaves_disturbs_nobody() -> None:
    under_way = flights()
    lead = await lead_of(under_way.join("k"))
    tasks = await started(under_way, 3)
    tasks[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await tasks[0]
    lead.pass_on()
    next_lead = await lead_of(tasks[1])
    next_lead.give("answer")
    assert await tasks[2] == "answer"


async def test_a_lead_that_comes_to_one_who_just_leaves_goes_to_the_next() -> None:
    under_way = flights()
    lead = await lead_of(under_way.join("k"))
    second, third = await started(under_way, 2)
    lead.pass_on()
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    (await lead_of(third)).give("answer")
    assert len(under_way) == 0


async def test_nobody_waits_longer_than_the_limit() -> None:
    under_way = flights(wait_seconds=0.01)
    lead = await lead_of(under_way.join("k"))
    assert await under_way.join("k") is None
    # One that takes too long is not waited for again.
    newer = await lead_of(under_way.join("k"))
    lead.give("late")
    (waiting,) = await started(under_way, 1)
    newer.give("answer")
    assert await waiting == "answer"
    assert len(under_way) == 0
