"""How fast a batch goes: no faster than limits allow, and warm prompt caches first."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable

_WARM_SECONDS = 240.0  # a prompt cache lives five minutes after its last use
_MAX_PREFIXES = 10_000


class Pace:
    """How many items of a chunk may be under way, from one to `most`.

    Each refusal of the upstream halves it and each success gives a little back, so that it settles
    where the upstream takes what it is sent. A limit of the project stops everything for a while.
    """

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = float(most)
        self._width = float(most)
        self._clock = clock
        self._stopped_until = 0.0

    @property
    def width(self) -> int:
        """How many may be under way now."""
        return 0 if self.stopped_seconds > 0 else int(self._width)

    @property
    def stopped_seconds(self) -> float:
        """How long nothing may be begun; 0 when something may."""
        return max(0.0, self._stopped_until - self._clock())

    def went_well(self) -> None:
        """An item was answered."""
        self._width = min(self._most, self._width + 1.0 / self._width)

    def refused(self) -> None:
        """The upstream has enough to do."""
        self._width = max(1.0, self._width / 2)

    def stop_for(self, seconds: float) -> None:
        """Nothing is begun for so long: a limit holds for every item."""
        self._stopped_until = max(self._stopped_until, self._clock() + seconds)


class WarmPrefixes:
    """Which beginnings of prompts Claude's cache knows, as far as this process has seen.

    Of items that share a beginning one goes first and pays for writing it; the others wait for it
    and read. Shared by all chunks of a process.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._warm_until: OrderedDict[bytes, float] = OrderedDict()
        self._leading: set[bytes] = set()
        self._changed = asyncio.Event()

    def may_begin(self, prefix: bytes) -> bool:
        """True when an item may begin; one that is the first of its prefix leads from now on."""
        if not prefix or self._warm_until.get(prefix, 0.0) > self._clock():
            return True
        if prefix in self._leading:
            return False
        self._leading.add(prefix)
        return True

    def ended(self, prefix: bytes, *, warmed: bool) -> None:
        """An item has been answered, or not; then another one leads."""
        if not prefix:
            return
        if warmed:
            self._warm_until[prefix] = self._clock() + _WARM_SECONDS
            self._warm_until.move_to_end(prefix)
            if len(self._warm_until) > _MAX_PREFIXES:
                self._warm_until.popitem(last=False)
        if prefix in self._leading:
            self._leading.discard(prefix)
            self._changed.set()
            self._changed = asyncio.Event()

    async def change(self) -> None:
        """Returns when an item that leads has ended, in whatever chunk."""
        await self._changed.wait()
