"""The stream of a response in the background, read from PostgreSQL as it grows.

Any API process can give it, from any event on, to any number of clients.
"""

import asyncio
import time

from gateway.errors import ConflictError, GatewayError, NotFoundError, UnavailableError
from gateway.pipeline.background_vault import BackgroundVault
from gateway.pipeline.reply import WriteNow
from gateway.protocols.background import told_events
from gateway.storage.background_store import BackgroundRow, BackgroundStore, EventRow

_ROWS = 50
_SOON_SECONDS = 0.05
_LATER_SECONDS = 1.0
_SLOWER = 1.5


class BackgroundStream:
    """A live reply that follows a response behind event `after`; -1 for all of it.

    Leaving it ends nothing but this connection.
    """

    status = 200
    stream = True
    keep_alive = b": ping\n\n"

    def __init__(
        self, store: BackgroundStore, vault: BackgroundVault, row: BackgroundRow, after: int
    ) -> None:
        self._store = store
        self._vault = vault
        self._row = row
        self._after = after
        self._pause = _SOON_SECONDS
        self._finished = False

    async def pass_on(self, write: WriteNow) -> None:
        """Nothing comes by itself: what there is has to be looked for."""

    async def next(self) -> bytes | None:
        """The next events; nothing, now and then, while there are none; None after the last."""
        deadline = time.monotonic() + _LATER_SECONDS
        while not self._finished:
            begin = self._begin
            try:
                self._row, events = await self._store.read(self._row.id, begin, _ROWS)
            except UnavailableError:
                await asyncio.sleep(_LATER_SECONDS)
                return b""  # the stream outlives a restart of PostgreSQL
            except NotFoundError as error:  # it was deleted
                self._finished = True
                return self._told(error)
            if 0 <= self._after < self._row.first_event:
                return self._overtaken()
            if self._begin != begin:
                continue  # nothing was sent yet, and another attempt has begun
            # What was written since is of the next look: it may be another attempt's.
            known = [each for each in events if each.last < self._row.next_event]
            if known:
                self._pause = _SOON_SECONDS
                return self._opened(known)
            if self._row.has_ended:
                self._finished = True
            elif time.monotonic() >= deadline:
                return b""
            else:
                await asyncio.sleep(self._pause)
                self._pause = min(self._pause * _SLOWER, _LATER_SECONDS)
        return None

    async def whole(self) -> bytes:
        """Not for streams."""
        raise RuntimeError("this reply is streamed")

    def interrupt(self, error: GatewayError) -> bytes:
        """The last bytes of a connection that is ended here."""
        return b"" if self._finished else self._told(error)

    def settle(self) -> None:
        """Nothing is held."""

    @property
    def _begin(self) -> int:
        """The event to go on behind; who has seen nothing begins with the present attempt."""
        return self._after if self._after >= 0 else self._row.first_event - 1

    def _overtaken(self) -> bytes:
        """The client has events of an attempt that another one has followed."""
        self._finished = True
        return self._told(
            ConflictError(
                "the worker that made this response was lost, and it is made anew: "
                "read the stream from its beginning",
                code="response_made_anew",
            )
        )

    def _told(self, error: GatewayError) -> bytes:
        return told_events(self._row.endpoint, error, self._after + 1)

    def _opened(self, events: list[EventRow]) -> bytes:
        row, after = self._row, self._begin
        data = [self._vault.open_events(row.project_id, row.id, each, after) for each in events]
        self._after = events[-1].last
        return b"".join(data)
