"""Large requests, read a few at a time.

While it is prepared, a conversation takes seven times its size. All of one moment at once would
take much memory, and end together instead of one after the other; the CPU that does it is one.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeAlias, TypeVar

_LARGE_BYTES = 64 * 1024
_AT_ONCE = 3  # one at work while others wait for what is known of their conversations

Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")
Work: TypeAlias = Callable[Arguments, Coroutine[Any, Any, Result]]


def is_large(body: bytes) -> bool:
    """True for a body that waits for its turn to be read."""
    return len(body) >= _LARGE_BYTES


class LargeBodies:
    """The line of a process's large requests."""

    def __init__(self, at_once: int = _AT_ONCE) -> None:
        self._places = asyncio.Semaphore(at_once)

    def in_turn(self, body: bytes, work: Work[Arguments, Result]) -> Work[Arguments, Result]:
        """`work` on a body, whenever it is its turn; with a small one there is none to wait for."""
        if not is_large(body):
            return work

        async def waiting(*given: Arguments.args, **named: Arguments.kwargs) -> Result:
            async with self._places:
                return await work(*given, **named)

        return waiting
