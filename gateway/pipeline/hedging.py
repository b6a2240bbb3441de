"""A second request for an answer that is slow to begin: whichever begins first is taken."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

_Result = TypeVar("_Result")


async def first_to_begin(
    primary: Callable[[], Awaitable[_Result]],
    second: Callable[[], Awaitable[_Result]],
    after_seconds: float,
    drop: Callable[[_Result], None],
) -> _Result:
    """The result of `primary`, or of `second`, which is begun when the first takes longer.

    The slower one is cancelled, or given to `drop` when it has begun all the same. Raises what
    `primary` raised when both fail.
    """
    taken: asyncio.Future[_Result] | None = None
    tasks = [asyncio.ensure_future(primary())]
    try:
        done, _ = await asyncio.wait(tasks, timeout=after_seconds)
        if not done:
            tasks.append(asyncio.ensure_future(second()))
        waiting = set(tasks)
        while waiting:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task in done and task.exception() is None:
                    taken = task
                    return task.result()
        return tasks[0].result()
    finally:
        for task in tasks:
            if task is not taken:
                task.cancel()
                task.add_done_callback(partial(_let_go, drop))
        try:
            await asyncio.gather(*tasks, return_exceptions=True)
        except asyncio.CancelledError:  # nobody waits for the one that was taken any more
            if taken is not None:
                drop(taken.result())
            raise


def _let_go(drop: Callable[[_Result], None], task: asyncio.Future[_Result]) -> None:
    if not task.cancelled() and task.exception() is None:
        drop(task.result())
