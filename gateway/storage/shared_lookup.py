"""Values that several parts ask for at once: one MGET, one round trip for all of them."""

import asyncio
from collections.abc import Awaitable, Generator, Sequence
from typing import Any

from gateway.storage.valkey import Valkey

Values = list[bytes | None]


class SharedLookup:
    """Gathers names; `send` asks for all of them. Created per request.

    What `ask` returns may be awaited after `send`, or dropped. It fails with ValkeyDown.
    """

    def __init__(self, valkey: Valkey) -> None:
        self._valkey = valkey
        self._names: list[str] = []
        self._reply: asyncio.Future[Any] | None = None

    def ask(self, names: Sequence[str]) -> Awaitable[Values]:
        """The values of `names`, in their order."""
        begin = len(self._names)
        self._names += names
        return _Share(self, begin, len(self._names))

    def send(self) -> None:
        """Ask now. Waits for nothing."""
        if self._names:
            self._reply = self._valkey.call("MGET", *self._names)

    def reply(self) -> asyncio.Future[Any]:
        """What Valkey answers to all that was asked."""
        if self._reply is None:
            raise RuntimeError("nothing was asked, or it was not sent")
        return self._reply


class _Share:
    """The part of the answer that one asker gets."""

    __slots__ = ("_begin", "_end", "_lookup")

    def __init__(self, lookup: SharedLookup, begin: int, end: int) -> None:
        self._lookup = lookup
        self._begin = begin
        self._end = end

    def __await__(self) -> Generator[Any, None, Values]:
        values: Values = yield from self._lookup.reply().__await__()
        return values[self._begin : self._end]
