"""Large requests, read a few at a time.

While it is prepared, a conversation takes seven times its size. All of one moment at once would
take much memory, and end together instead of one after the other; the CPU that does it is one.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

_LARGE_BYTES = 64 * 1024
_AT_ONCE = 3  # one at work while others wait for what is known of their conversations

Result = TypeVar("Result")


def is_large(body: bytes) -> bool:
    """True for a body that waits for its turn to be read."""
    return len(body) >= _LARGE_BYTES


class LargeBodies:
    """The line of a process's large requests."""

    def __init__(self, at_once: int = _AT_ONCE) -> None:
        self._places = asyncio.Semaphore(at_once)

    def read(
        self, body: bytes, work: Callable[[], Coroutine[Any, Any, Result]]
    ) -> Coroutine[Any, Any, Result]:
        """What `work` makes of `body`, when it is its turn; a small one has no turn to wait for."""
        return self._in_turn(work) if is_large(body) else work()

    async def _in_turn(self, work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        async with self._places:
            return await work()
