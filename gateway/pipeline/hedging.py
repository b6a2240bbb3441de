"""A second request for an answer that is slow to begin: whichever begins first is taken."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

_Result = TypeVar("_Result")


async def first_to_begin(
    primary: Callable[[], Awaitable[_Result]],
    second: Callable[[], Awaitable[_Result]],
    after_seconds: float,
) -> _Result:
    """The result of `primary`, or of `second`, which is begun when the first takes longer.

    The slower one is cancelled. Raises what `primary` raised when both fail.
    """
    tasks = [asyncio.ensure_future(primary())]
    try:
        done, _ = await asyncio.wait(tasks, timeout=after_seconds)
        if not done:
            tasks.append(asyncio.ensure_future(second()))
        waiting = set(tasks)
        while waiting:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                if task.exception() is None:
                    return task.result()
        return tasks[0].result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
