"""Has summaries prepared for conversations that will soon be cut. No request ever waits for it."""

import asyncio
import logging
from collections.abc import Sequence

from gateway.durable import ContextSummaryInput, DurableEngine
from gateway.errors import UnavailableError
from gateway.reduction.context_summary import SummarySource, SummaryStore
from gateway.reduction.context_transcript import transcript
from gateway.storage.shelf import Shelf
from gateway.structs import Struct
from gateway.wire import JSONObject

_MOST_WAITING = 64  # each holds the messages of a conversation
_ASKED_ENTRIES = 5_000
_ASKED_SECONDS = 3_000.0
_AGAIN_SECONDS = 60.0  # after a part was down

_log = logging.getLogger("gateway.summaries")


class _Wanted(Struct, frozen=True):
    project: str
    key: str
    messages: Sequence[JSONObject]
    max_chars: int


class SummaryRequests:
    """Takes what is to be summarised from the live path; `run` hands it to the durable engine."""

    def __init__(self, store: SummaryStore, durable: DurableEngine) -> None:
        self._store = store
        self._durable = durable
        self._waiting: asyncio.Queue[_Wanted] = asyncio.Queue(_MOST_WAITING)
        self._asked: Shelf[tuple[str, str], bool] = Shelf(max_entries=_ASKED_ENTRIES)

    def want(self, project: str, key: str, messages: Sequence[JSONObject], max_chars: int) -> None:
        """Have the summary of `messages` prepared under `key`, once. Never waits, never raises.

        The messages must not be changed afterwards.
        """
        if self._waiting.full() or self._asked.get((project, key)):
            return
        self._asked.put((project, key), True, _ASKED_SECONDS)
        self._waiting.put_nowait(_Wanted(project, key, messages, max_chars))

    async def run(self) -> None:
        """Hands over what is wanted, until cancelled."""
        while True:
            await self.hand_over(await self._waiting.get())

    async def finish(self) -> None:
        """Hands over what waits, at the end of the process."""
        while not self._waiting.empty():
            await self.hand_over(self._waiting.get_nowait())

    async def hand_over(self, wanted: _Wanted) -> None:
        """Keeps the text sealed and starts the workflow. A part that is down is only logged."""
        project, key = wanted.project, wanted.key
        sealed = await asyncio.to_thread(self._sealed, wanted)
        try:
            if not await self._store.put_source(project, key, sealed):
                return
            try:
                await self._durable.start_context_summary(ContextSummaryInput(project, key))
            except UnavailableError:
                await self._store.drop_source(project, key)
                raise
        except UnavailableError as error:
            self._asked.put((project, key), True, _AGAIN_SECONDS)
            _log.warning("context_summary_not_started", extra={"reason": error.code})

    def _sealed(self, wanted: _Wanted) -> str:
        source = SummarySource(transcript(wanted.messages), wanted.max_chars)
        return self._store.sealed_source(wanted.project, wanted.key, source)
