"""Small bounded memories of one process."""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Shelf(Generic[Key, Value]):
    """The values used last, each for its time, within bounds of number and size."""

    def __init__(
        self,
        *,
        max_entries: int,
        max_size: int = 2**63,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max_entries = max_entries
        self._max_size = max_size
        self._clock = clock
        self._entries: OrderedDict[Key, tuple[Value, int, float]] = OrderedDict()
        self._size = 0

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, key: Key, value: Value, seconds: float, size: int = 1) -> None:
        """Keep `value` for so many seconds, or until it is the least used.

        One that is greater than all may be is not kept, and takes no other's place.
        """
        self.drop(key)
        if size > self._max_size:
            return
        self._entries[key] = (value, size, self._clock() + seconds)
        self._size += size
        while len(self._entries) > self._max_entries or self._size > self._max_size:
            _, (_, dropped, _) = self._entries.popitem(last=False)
            self._size -= dropped

    def get(self, key: Key) -> Value | None:
        """The value, None when it is gone."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry[2] <= self._clock():
            self.drop(key)
            return None
        self._entries.move_to_end(key)
        return entry[0]

    def newest(self) -> Iterator[tuple[Key, Value]]:
        """All there are, the last used first. Nothing may be changed before the next is taken."""
        now = self._clock()
        for key, (value, _, until) in reversed(self._entries.items()):
            if until > now:
                yield key, value

    def renew(self, key: Key, seconds: float) -> None:
        """Keep a value for so many seconds from now; it is the last used."""
        entry = self._entries.get(key)
        if entry is not None:
            self._entries[key] = (*entry[:2], self._clock() + seconds)
            self._entries.move_to_end(key)

    def forget(self) -> None:
        """Let go of what is too old, where nobody asks for it."""
        now = self._clock()
        for key in [key for key, (_, _, until) in self._entries.items() if until <= now]:
            self.drop(key)

    def drop(self, key: Key) -> None:
        """Forget the value."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._size -= entry[1]


class Allowance:
    """So many goes a second, saved up to a limit."""

    def __init__(
        self, per_second: float, most: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_second = per_second
        self._most = most
        self._clock = clock
        self._left = most
        self._at = clock()

    def take(self) -> bool:
        """True when there is one more go."""
        now = self._clock()
        self._left = min(self._most, self._left + (now - self._at) * self._per_second)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
