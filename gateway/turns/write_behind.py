"""Rows on their way to PostgreSQL: gathered in memory, written in batches, never waited for."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from gateway.errors import GatewayError, UnavailableError

Row = TypeVar("Row")

_log = logging.getLogger("gateway.turns")

_GATHER_SECONDS = 0.25
_BATCH_ROWS = 200
_FIRST_BACKOFF_SECONDS = 0.5
_LONGEST_BACKOFF_SECONDS = 15.0
_FINISH_SECONDS = 5.0


class WriteBehind(Generic[Row]):
    """A bounded queue of rows by key; a newer row of a key takes the place of the older.

    `run` writes them until it is cancelled, `finish` writes what is left. While the database is
    away rows wait; past the bounds the oldest are dropped and counted in `dropped`.
    """

    def __init__(
        self,
        name: str,
        save: Callable[[Sequence[Row]], Awaitable[None]],
        *,
        max_rows: int = 5_000,
        max_chars: int = 64 * 2**20,
    ) -> None:
        self._name = name
        self._save = save
        self._max_rows = max_rows
        self._max_chars = max_chars
        self._waiting: dict[tuple[str, str], tuple[Row, int]] = {}
        self._chars = 0
        self._arrived = asyncio.Event()
        self._writing = asyncio.Lock()
        self._is_failing = False
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, key: tuple[str, str], row: Row, chars: int) -> None:
        """Have `row`, of about so many characters, written soon. Never waits."""
        self.forget(key)
        self._waiting[key] = (row, chars)
        self._chars += chars
        while self._waiting and (
            len(self._waiting) > self._max_rows or self._chars > self._max_chars
        ):
            self.forget(next(iter(self._waiting)))
            self.dropped += 1
        self._arrived.set()

    def get(self, key: tuple[str, str]) -> Row | None:
        """The waiting row of that key."""
        waiting = self._waiting.get(key)
        return waiting[0] if waiting is not None else None

    def forget(self, key: tuple[str, str]) -> None:
        """Do not write the row of that key."""
        removed = self._waiting.pop(key, None)
        if removed is not None:
            self._chars -= removed[1]

    async def run(self) -> None:
        """Writes batches as rows arrive, until cancelled."""
        backoff = 0.0
        while True:
            await self._arrived.wait()
            await asyncio.sleep(backoff or _GATHER_SECONDS)
            if await self.flush():
                backoff = 0.0
            else:
                doubled = max(backoff * 2, _FIRST_BACKOFF_SECONDS)
                backoff = min(doubled, _LONGEST_BACKOFF_SECONDS)

    async def flush(self) -> bool:
        """Writes what waits now; False when the database is away and rows still wait."""
        async with self._writing:
            while self._waiting:
                batch = dict(list(self._waiting.items())[:_BATCH_ROWS])
                if not await self._write(batch):
                    return False
            self._arrived.clear()
        return True

    async def finish(self) -> None:
        """Writes what waits, for some seconds at most."""
        try:
            async with asyncio.timeout(_FINISH_SECONDS):
                await self.flush()
        except TimeoutError:
            _log.warning("%s_left_unwritten", self._name, extra={"rows": len(self)})

    async def _write(self, batch: dict[tuple[str, str], tuple[Row, int]]) -> bool:
        try:
            await self._save([row for row, _ in batch.values()])
        except UnavailableError as error:
            self._note(failing=True, reason=error.detail)
            return False
        except GatewayError as error:
            # The database is well and refuses these rows; they would be refused for ever.
            _log.error("%s_refused", self._name, extra={"reason": error.detail})
            self.dropped += len(batch)
        else:
            self._note(failing=False, reason="")
        for key, written in batch.items():
            if self._waiting.get(key) is written:  # not replaced while it was written
                self.forget(key)
        return True

    def _note(self, *, failing: bool, reason: str) -> None:
        if failing is self._is_failing:
            return
        self._is_failing = failing
        if failing:
            _log.warning("%s_waiting", self._name, extra={"reason": reason})
        else:
            _log.info("%s_written_again", self._name, extra={"dropped": self.dropped})
