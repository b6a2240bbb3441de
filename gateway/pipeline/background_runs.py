"""One attempt at a response in the background, in a worker.

Events are written as they come, so that clients can follow and come back. The attempt that ends
writes the answer, the last events and the usage row in one transaction; one that fails leaves its
events to nobody, since the next attempt begins a stream of its own.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from gateway import wire
from gateway.batches.execution import LaterError
from gateway.context import Caller, RequestContext
from gateway.errors import ConflictError, GatewayError, UnavailableError
from gateway.pipeline.background_ends import (
    CANCELLED,
    NOT_IN_TIME,
    ended_without_answer,
    stored_error,
    usage_row,
)
from gateway.pipeline.background_vault import BackgroundVault
from gateway.pipeline.kept_reply import KeptAs, KeptReply
from gateway.pipeline.unattended import CollectedUsage, refused_event, told_error, wait_after
from gateway.protocols.background import numbered
from gateway.storage.background_store import BackgroundRow, BackgroundStore, Ended, Ending, EventRow
from gateway.structs import Struct
from gateway.wire import JSONObject

MOST_PAID = 5
"""How many attempts may fail by themselves after the model has begun; waits do not count."""

_WRITE_SECONDS = 0.1
_WRITE_AGAIN_SECONDS = 1.0
_log = logging.getLogger("gateway.background")


class OpenKept(Protocol):
    """Opens a request whose answer is promised under an id."""

    def __call__(self, context: RequestContext, body: bytes, kept: KeptAs) -> Awaitable[KeptReply]:
        """The reply. Raises GatewayError."""


class OvertakenError(ConflictError):
    """The response was ended, or another attempt has begun: this one is of no use any more."""


class BackgroundRuns(Struct, frozen=True):
    """Makes responses with the pipelines of live requests, by endpoint."""

    store: BackgroundStore
    vault: BackgroundVault
    openers: Mapping[str, OpenKept]
    usage: CollectedUsage
    caller_of: Callable[[str, str], Awaitable[Caller]]

    async def run(self, response_id: str) -> BackgroundRow:
        """One attempt, unless the response has ended; the response after it.

        Raises LaterError and retryable errors when there must be another one.
        """
        row = await self.store.begin(response_id)
        if row is None:
            return await self._settled(await self.store.get(response_id))
        caller = await self.caller_of(row.project_id, row.key_id)
        try:
            ended = await self._attempt(row, caller)
        except OvertakenError:
            await self._left(row)
        except GatewayError as error:
            await self._failed(row, caller, error)
        except asyncio.CancelledError:
            await self._left(row)
            raise
        else:
            await self._end(row, ended)
        return await self.store.get(response_id)

    async def give_up(self, response_id: str, status: Ending) -> BackgroundRow:
        """Ends a response that no attempt will end."""
        row = await self.store.get(response_id)
        error: GatewayError = CANCELLED
        if status == "failed":
            error = NOT_IN_TIME if row.failure is None else stored_error(row.failure)
        return await self._settled(
            await ended_without_answer(self.store, self.vault, row, error, row.usage)
        )

    async def _attempt(self, row: BackgroundRow, caller: Caller) -> Ended:
        sealed = await self.store.request(row.id)
        body = self.vault.open(row.project_id, row.id, "request", sealed)
        context = RequestContext(row.id, row.endpoint, {}, time.monotonic(), caller)
        kept = KeptAs(row.id, int(row.created_at.timestamp()), row.next_event)
        reply = await self.openers[row.endpoint](context, body, kept)
        try:
            return await self._recorded(row, reply)
        finally:
            reply.settle()

    async def _recorded(self, row: BackgroundRow, reply: KeptReply) -> Ended:
        """The end of an answer whose events were written as they came, but for the last ones."""
        events = EventLog(self.store, self.vault, row)
        reading = asyncio.ensure_future(reply.next())
        try:
            while True:
                timeout = _WRITE_SECONDS if events.waiting else None
                done, _ = await asyncio.wait({reading}, timeout=timeout)
                if done:
                    data = reading.result()
                    if data is None:
                        break
                    events.add(data)
                    reading = asyncio.ensure_future(reply.next())
                if events.is_due:
                    await events.write()
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
        await events.settle()
        whole = wire.loads_object(reply.final())
        status: Ending = "incomplete" if whole.get("status") == "incomplete" else "completed"
        shown = self.vault.seal(row.project_id, row.id, "shown", wire.dumps(whole))
        return Ended(status, shown, events.rest())

    async def _end(self, row: BackgroundRow, ended: Ended) -> None:
        """Writes the end, however long PostgreSQL is away: the answer would be lost."""
        usage = usage_row(row.id, self.usage.take(row.id), row.usage)
        ended = Ended(ended.status, ended.shown, ended.events, usage)
        while True:
            try:
                if not await self.store.end(row.id, row.attempt, ended) and usage is not None:
                    await self.store.add_usage(usage)
            except UnavailableError:
                await asyncio.sleep(_WRITE_AGAIN_SECONDS)
            else:
                return

    async def _failed(self, row: BackgroundRow, caller: Caller, error: GatewayError) -> None:
        """Notes a failure; ends the response when no other attempt can help."""
        event = self.usage.take(row.id)
        wait = wait_after(error)
        _log.warning(
            "background_attempt_failed",
            extra={"response": row.id, "attempt": row.attempt, "code": error.code},
        )
        paid = _paid(row.failure) + (event is not None and event.input_tokens > 0)
        if wait is None or paid >= MOST_PAID:
            event = event or refused_event(
                row.id, row.endpoint, caller.project.id, caller.key_id, error
            )
            usage = usage_row(row.id, event, row.usage)
            _ = await ended_without_answer(self.store, self.vault, row, error, usage)
            return
        usage = usage_row(row.id, event, row.usage)
        failure = {**told_error(error), "paid": paid}
        await self.store.note_failure(row.id, row.attempt, failure, usage)
        if wait.why == "failure":
            error.retryable = True
            raise error
        raise LaterError(error.message, retry_after_seconds=wait.seconds) from None

    async def _left(self, row: BackgroundRow) -> None:
        """The attempt is over, without an end of its own: what it has used is kept."""
        usage = usage_row(row.id, self.usage.take(row.id), row.usage)
        if usage is None:
            return
        error = UnavailableError("the worker has left the response")
        failure = {**told_error(error), "paid": _paid(row.failure)}
        if not await self.store.note_failure(row.id, row.attempt, failure, usage):
            await self._add_usage_of_ended(row, usage)

    async def _add_usage_of_ended(self, row: BackgroundRow, usage: JSONObject) -> None:
        """The response was ended from outside, or is another attempt's, which counts its own."""
        try:
            now = await self.store.get(row.id)
        except GatewayError:  # deleted meanwhile
            await self.store.add_usage(usage)
            return
        if now.has_ended and now.attempt == row.attempt:
            await self.store.add_usage(usage)

    async def _settled(self, row: BackgroundRow) -> BackgroundRow:
        """A response that was ended from outside has the usage of its attempts as its row."""
        if row.has_ended and row.usage is not None:
            await self.store.add_usage(row.usage)
        return row


def _paid(failure: JSONObject | None) -> int:
    """How many attempts have failed by themselves after the model had begun."""
    return 0 if failure is None else int(failure.get("paid", 0))


class EventLog:
    """The events of one attempt on their way to PostgreSQL, some at a time."""

    def __init__(self, store: BackgroundStore, vault: BackgroundVault, row: BackgroundRow) -> None:
        self._store = store
        self._vault = vault
        self._row = row
        self._next = row.next_event
        self._events: list[bytes] = []
        self._count = 0
        self._due_at = 0.0
        self._unsure: EventRow | None = None  # was written, or not

    @property
    def waiting(self) -> bool:
        """True while events are to be written."""
        return self._count > 0 or self._unsure is not None

    @property
    def is_due(self) -> bool:
        """True when what waits has waited long enough."""
        return self.waiting and time.monotonic() >= self._due_at

    def add(self, data: bytes) -> None:
        """Takes the events in `data`."""
        events, count = numbered(data, self._next + self._count)
        if not count:
            return
        if not self.waiting:
            self._due_at = time.monotonic() + _WRITE_SECONDS
        self._events.append(events)
        self._count += count

    async def write(self) -> None:
        """Writes what waits; while PostgreSQL is away it goes on waiting. Raises OvertakenError."""
        is_new = self._unsure is None
        rows = self._unsure or self.rest()
        self._unsure = rows
        try:
            written = await self._store.append(self._row.id, self._row.attempt, rows)
            if not written and (is_new or not await self._stands_behind(rows)):
                raise OvertakenError("another attempt has begun, or the response was ended")
        except UnavailableError:
            self._due_at = time.monotonic() + _WRITE_AGAIN_SECONDS
            return
        self._unsure = None

    async def settle(self) -> None:
        """Writes what may have been written or not, however long PostgreSQL is away."""
        while self._unsure is not None:
            await self.write()
            if self._unsure is not None:
                await asyncio.sleep(_WRITE_AGAIN_SECONDS)

    def rest(self) -> EventRow:
        """What waits, as it is stored; it waits no longer."""
        row, first, count = self._row, self._next, self._count
        data = b"".join(self._events)
        self._next, self._events, self._count = first + count, [], 0
        return self._vault.seal_events(row.project_id, row.id, first, count, data)

    async def _stands_behind(self, rows: EventRow) -> bool:
        """Whether an earlier try, whose end nobody heard of, has written these events."""
        now = await self._store.get(self._row.id)
        mine = now.attempt == self._row.attempt and not now.has_ended
        return mine and now.next_event == rows.last + 1
