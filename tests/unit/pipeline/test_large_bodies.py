"""Large requests are read a few at a time; small ones never wait."""

import asyncio

import pytest

from gateway.pipeline.large_bodies import LargeBodies

LARGE = b"x" * 100_000


class Work:
    """Work that goes on until it is told to end; `most` is how much went on at once."""

    def __init__(self) -> None:
        self.begun = 0
        self.most = 0
        self.end = asyncio.Event()

    async def __call__(self) -> str:
        self.begun += 1
        self.most = max(self.most, self.begun)
        await self.end.wait()
        self.begun -= 1
        return "done"


async def begun(*requests: asyncio.Task[str]) -> None:
    for _ in range(5):
        await asyncio.sleep(0)
    assert not any(request.done() for request in requests)


async def test_no_more_than_a_few_large_ones_are_read_at_once() -> None:
    line, work = LargeBodies(at_once=2), Work()
    requests = [asyncio.create_task(line.in_turn(LARGE, work)()) for _ in range(5)]
    await begun(*requests)
    assert work.begun == 2
    work.end.set()
    assert await asyncio.gather(*requests) == ["done"] * 5
    assert work.most == 2


async def test_a_small_one_does_not_wait_behind_large_ones() -> None:
    line, work, small = LargeBodies(at_once=1), Work(), Work()
    large = asyncio.create_task(line.in_turn(LARGE, work)())
    await begun(large)
    small.end.set()
    assert await line.in_turn(b"{}", small)() == "done"
    work.end.set()
    await large


async def test_one_that_fails_or_is_given_up_makes_room() -> None:
    line, work = LargeBodies(at_once=1), Work()

    async def fails() -> str:
        raise ValueError("not JSON")

    with pytest.raises(ValueError, match="not JSON"):
        await line.in_turn(LARGE, fails)()
    left = asyncio.create_task(line.in_turn(LARGE, work)())
    waiting = asyncio.create_task(line.in_turn(LARGE, work)())
    await begun(left, waiting)
    left.cancel()
    work.end.set()
    assert await waiting == "done"


async def test_a_body_that_is_read_again_for_another_model_waits_again() -> None:
    line, work = LargeBodies(at_once=1), Work()
    again = line.in_turn(LARGE, work)
    requests = [asyncio.create_task(again()) for _ in range(2)]
    await begun(*requests)
    assert work.begun == 1
    work.end.set()
    assert await asyncio.gather(*requests) == ["done"] * 2
    assert work.most == 1


async def test_what_is_done_with_a_body_is_told_what_it_was_called_with() -> None:
    async def named(first: int, *, second: str) -> str:
        return f"{first}{second}"

    for body in (LARGE, b"{}"):
        assert await LargeBodies().in_turn(body, named)(1, second="a") == "1a"
