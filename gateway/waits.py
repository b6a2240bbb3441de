"""What can be awaited without a future of its own."""

from collections.abc import Awaitable, Generator


class _Turns:
    """Waits for so many turns of the event loop."""

    def __init__(self, count: int) -> None:
        self._pauses = (None,) * count  # a task that is given None goes on in the next turn

    def __await__(self) -> Generator[None, None, None]:
        return iter(self._pauses)  # type: ignore[return-value]  # an await needs no more


AT_ONCE: Awaitable[None] = _Turns(0)
"""There is nothing to wait for."""

NEXT_TURN: Awaitable[None] = _Turns(1)
"""Lets everything that is ready have its turn."""
