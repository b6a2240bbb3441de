"""Requests take their steps together, and nobody waits for one that does something else."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cohorts import APART, Apart, Cohorts


class Walkers:
    """Requests on their way; `steps` are those that were taken, in order."""

    def __init__(self, cohorts: Apart) -> None:
        self.cohorts = cohorts
        self.steps: list[str] = []
        self.door = asyncio.Event()

    async def walk(self, name: str, steps: int = 3) -> None:
        await self.cohorts.enter()
        for step in range(steps):
            self.steps.append(f"{name}{step}")
            await self.cohorts.step()

    async def wait_between(self, name: str) -> None:
        """A step, a wait for somebody else, and one more step."""
        await self.walk(name, 1)
        await self.door.wait()
        self.steps.append(f"{name}!")

    def begin(self, *names: str, steps: int = 3) -> list[asyncio.Task[None]]:
        return [asyncio.create_task(self.walk(name, steps)) for name in names]


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def in_time(*awaitables: Awaitable[Any]) -> None:
    async with asyncio.timeout(5):
        await asyncio.gather(*awaitables)


async def test_each_step_is_taken_by_all_before_the_next() -> None:
    walkers = Walkers(Cohorts())
    await in_time(*walkers.begin("a", "b", "c"))
    assert walkers.steps == ["a0", "b0", "c0", "a1", "b1", "c1", "a2", "b2", "c2"]


async def test_one_that_is_alone_takes_all_its_steps_in_one_turn() -> None:
    walkers = Walkers(Cohorts())
    walkers.begin("a", steps=10)
    await turns(2)  # it has entered; the line opens
    assert not walkers.steps
    await turns(1)
    assert len(walkers.steps) == 10


async def test_who_comes_later_waits_until_nobody_is_between_two_steps() -> None:
    walkers = Walkers(Cohorts())
    early = walkers.begin("a", "b")
    await turns(3)
    assert walkers.steps == ["a0", "b0"]
    late = walkers.begin("c", "d", steps=1)
    await in_time(*early, *late)
    assert walkers.steps == ["a0", "b0", "a1", "b1", "a2", "b2", "c0", "d0"]


async def test_one_that_waits_for_somebody_else_keeps_nobody_waiting() -> None:
    walkers = Walkers(Cohorts())
    early = [asyncio.create_task(walkers.wait_between(name)) for name in "ab"]
    await turns(6)
    await in_time(*walkers.begin("c", "d", steps=1))
    assert walkers.steps == ["a0", "b0", "c0", "d0"]
    walkers.door.set()
    await in_time(*early)


async def test_who_comes_back_goes_before_who_is_new() -> None:
    walkers = Walkers(Cohorts(1))
    tasks = walkers.begin("a", "b", steps=1)

    async def comes_back() -> None:
        await walkers.cohorts.enter(again=True)
        walkers.steps.append("back")

    await in_time(asyncio.create_task(comes_back()), *tasks)
    assert walkers.steps == ["back", "a0", "b0"]


async def test_no_more_than_a_few_set_out_together() -> None:
    walkers = Walkers(Cohorts(2))
    await in_time(*walkers.begin("a", "b", "c", "d", "e", steps=2))
    expected = ["a0", "b0", "a1", "b1", "c0", "d0", "c1", "d1", "e0", "e1"]
    assert walkers.steps == expected


async def test_many_that_take_no_step_let_the_next_set_out() -> None:
    walkers = Walkers(Cohorts(2))
    await in_time(*walkers.begin("a", "b", "c", "d", "e", steps=0))


@pytest.mark.parametrize("where", ["in the line", "between two steps"])
async def test_one_that_is_given_up_keeps_nobody_waiting(where: str) -> None:
    walkers = Walkers(Cohorts())
    given_up, other = walkers.begin("a", "b")
    await turns(1 if where == "in the line" else 3)
    later = walkers.begin("c", steps=1)
    given_up.cancel()
    await in_time(other, *later)
    assert given_up.cancelled()
    assert walkers.steps[-1] == "c0"


async def test_one_that_fails_keeps_nobody_waiting() -> None:
    walkers = Walkers(Cohorts())

    async def fails() -> None:
        await walkers.cohorts.enter()
        await walkers.cohorts.step()
        raise ValueError("no step further")

    failing = asyncio.create_task(fails())
    others = walkers.begin("a")
    await turns(3)
    later = walkers.begin("b", steps=1)
    await in_time(*others, *later)
    with pytest.raises(ValueError, match="no step further"):
        await failing


async def test_apart_from_others_no_step_waits() -> None:
    walkers = Walkers(APART)
    await walkers.walk("a")
    assert walkers.steps == ["a0", "a1", "a2"]


@given(
    plans=st.lists(
        st.tuples(
            st.integers(0, 4),  # turns before it comes
            st.integers(0, 5),  # steps
            st.booleans(),  # whether it waits for something else in between
            st.none() | st.integers(0, 8),  # turns until it is given up
        ),
        max_size=12,
    ),
    most=st.integers(1, 4),
)
def test_whatever_becomes_of_them_everybody_arrives(
    plans: list[tuple[int, int, bool, int | None]], most: int
) -> None:
    cohorts = Cohorts(most)
    arrived: set[int] = set()

    async def request(number: int, before: int, steps: int, waits: bool) -> None:
        await turns(before)
        await cohorts.enter()
        for step in range(steps):
            await cohorts.step()
            if waits and step == 1:
                await asyncio.sleep(0.001)
                await cohorts.enter(again=True)
        arrived.add(number)

    async def all_of_them() -> None:
        requests = [
            asyncio.create_task(request(number, before, steps, waits))
            for number, (before, steps, waits, _) in enumerate(plans)
        ]
        for turn in range(9):
            for task, plan in zip(requests, plans, strict=True):
                if plan[3] == turn:
                    task.cancel()
            await turns(1)
        async with asyncio.timeout(5):
            await asyncio.gather(*requests, return_exceptions=True)
        given_up = {number for number, task in enumerate(requests) if task.cancelled()}
        assert arrived | given_up == set(range(len(plans)))

    asyncio.run(all_of_them())
