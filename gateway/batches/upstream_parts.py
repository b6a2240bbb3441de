"""Parts of batches at Claude's Message Batches: planned, created once, looked at, cancelled.

Creation is not idempotent, and Claude's API shows no name of a batch before its results. So a call
is noted before it is made. After one that nobody knows the end of, a batch that may be it is looked
for among the recent ones by its time and its number of requests: one that has ended by the tag in
its results, one that has not is `unsure` until its results are read.
"""

import hashlib
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from datetime import UTC, datetime, timedelta

from gateway import wire
from gateway.batches.choice import LEAST_ITEMS
from gateway.batches.execution import LaterError
from gateway.batches.part_plan import (
    ITEM_BYTES,
    MOST_BYTES,
    PartLimits,
    Splitting,
    custom_id,
    number_of,
)
from gateway.batches.upstream_port import PartItems, UpstreamBatch, UpstreamBatches
from gateway.errors import UpstreamError
from gateway.storage.batch_parts_store import (
    CALLED,
    IN_PROGRESS,
    PLANNED,
    READ,
    UNSURE,
    BatchPartStore,
    PartRow,
)
from gateway.storage.batch_store import BatchRow
from gateway.structs import Struct

SETTLED_SECONDS = 30.0
"""How long after a lost call a batch may still appear."""

ENDED = "ended"
"""The part has ended upstream, and its results can be read."""

_CLOCKS_APART = timedelta(seconds=60)
_PAGE = 500
_PAUSED_SECONDS = 10.0
_AMBIGUOUS = 500  # from this status on, and without one, the batch may have been made
_AMBIGUOUS_TOO = frozenset({408})
_OVER = frozenset({"cancelling", "cancelled", "completed", "expired", "failed"})
_log = logging.getLogger("gateway.batches")


class UpstreamParts(Struct, frozen=True):
    """Brings parts upstream. Every step may run twice, and says the state of the part after it:
    in_progress, ended or read. `read` parts need nothing more; items that they leave without a
    result are executed one by one.

    `upstreams` are by name; `has_budget` tells of a batch whose money is limited. Implements
    `PartsPlanner` of the activities.
    """

    store: BatchPartStore
    items: PartItems
    upstreams: Mapping[str, UpstreamBatches]
    limits: PartLimits
    has_budget: Callable[[BatchRow], Awaitable[bool]]
    enabled: bool = True
    settled_seconds: float = SETTLED_SECONDS

    async def why_not(self, batch: BatchRow) -> str | None:
        """Why this batch cannot go there, in words for people; None when it can."""
        if not self.enabled:
            return "switched off by ENABLE_MESSAGE_BATCHES"
        if await self.has_budget(batch):
            return "a budget can only be kept item by item"
        return None

    async def plan(self, batch: BatchRow) -> int:
        """Splits what has no part yet; how many parts the batch has.

        Few items, such as those of a retry, are left to be executed one by one unless the client
        has asked for Message Batches.
        """
        known = await self.store.count(batch.id)
        splitting = Splitting(batch.id, known, self.limits)
        after, found = -1, 0
        while page := await self.store.unplanned(batch.id, after, _PAGE):
            for row in page:
                splitting.add(row)
            after = page[-1].number
            found += len(page)
        if batch.mode != "anthropic" and found < LEAST_ITEMS:
            return known
        return await self.store.plan(batch.id, splitting.finish())

    async def create(self, batch: BatchRow, part: int, attempt: int) -> str:
        """Has the part made upstream, once.

        Raises LaterError and UpstreamError, retryable, when it must be tried again.
        """
        row = await self._row(batch, part)
        if row.state == CALLED:
            row = await self._looked_for(batch, row)
        if row.state != PLANNED:
            return _shown(row.state)
        if batch.status in _OVER:
            return await self._given_up(batch, row, "the batch is over")
        if batch.status == "paused":
            raise LaterError("the batch is paused", retry_after_seconds=_PAUSED_SECONDS)
        requests = await self._requests(batch, row)
        if not requests:
            return await self._given_up(batch, row, "no item can go")
        return await self._called(batch, row, requests, self._choose(row.tag, attempt))

    async def poll(self, batch: BatchRow, part: int) -> str:
        """How the part stands."""
        row = await self._row(batch, part)
        if row.state == CALLED:
            row = await self._looked_for(batch, row)
        if row.state == PLANNED:  # the batch was over before it was made
            return await self._given_up(batch, row, "the batch is over")
        if row.state == READ:
            return READ
        upstream = self.upstreams.get(row.upstream)
        if upstream is None:
            return await self._given_up(batch, row, "its upstream is gone")
        try:
            found = await upstream.get(row.upstream_id or "")
        except UpstreamError as error:
            if error.upstream_status != 404:
                raise _again(error) from error
            return await self._given_up(batch, row, "the batch upstream is gone")
        return ENDED if found.status == "ended" else IN_PROGRESS

    async def cancel(self, batch: BatchRow, part: int) -> str:
        """Has the part end early, unless it may be somebody else's."""
        row = await self._row(batch, part)
        upstream = self.upstreams.get(row.upstream)
        if row.state != IN_PROGRESS or upstream is None:
            return _shown(row.state)
        try:
            found = await upstream.cancel(row.upstream_id or "")
        except UpstreamError as error:
            if error.retryable or error.upstream_status is None:
                raise _again(error) from error
            return IN_PROGRESS  # it has ended meanwhile; the next look says so
        return ENDED if found.status == "ended" else IN_PROGRESS

    # --- creation ---

    async def _called(
        self, batch: BatchRow, row: PartRow, requests: Sequence[bytes], name: str
    ) -> str:
        await self.store.call(batch.id, row.part, name, len(requests))
        try:
            made = await self.upstreams[name].create(requests)
        except UpstreamError as error:
            if _may_be_made(error):
                raise _again(error) from error
            await self.store.change(batch.id, row.part, (CALLED,), state=PLANNED)
            if error.retryable:
                raise
            return await self._given_up(batch, row, f"refused: {error.code}")
        values = {"state": IN_PROGRESS, "upstream_id": made.id}
        if not await self.store.change(batch.id, row.part, (CALLED,), **values):
            await self._met(batch, row.part, made, self.upstreams[name])
        return IN_PROGRESS

    async def _met(
        self, batch: BatchRow, part: int, made: UpstreamBatch, upstream: UpstreamBatches
    ) -> None:
        """Another try has gone on meanwhile: with the batch of this one, or with its own."""
        row = await self._row(batch, part)
        if row.upstream_id == made.id:
            await self.store.change(batch.id, part, (UNSURE,), state=IN_PROGRESS)
        else:
            await upstream.cancel(made.id)

    async def _requests(self, batch: BatchRow, row: PartRow) -> list[bytes]:
        """The requests of the part, up to what one batch takes."""
        requests: list[bytes] = []
        after, size = row.first - 1, 0
        while page := await self.store.items(batch.id, row.part, after, _PAGE):
            for item in page:
                params = self.items.params(batch, item)
                if params is None or size + len(params) + ITEM_BYTES > MOST_BYTES:
                    continue
                name = wire.dumps(custom_id(row.tag, item.number))
                requests.append(b'{"custom_id":%s,"params":%s}' % (name, params))
                size += len(params) + ITEM_BYTES
            after = page[-1].number
        return requests

    def _choose(self, tag: str, attempt: int) -> str:
        """An upstream, another one at the next attempt."""
        names = list(self.upstreams)
        start = int.from_bytes(hashlib.blake2b(tag.encode(), digest_size=4).digest(), "big")
        return names[(start + attempt) % len(names)]

    # --- after a call whose end nobody knows ---

    async def _looked_for(self, batch: BatchRow, row: PartRow) -> PartRow:
        """The part with the batch that its call has made, or planned when it has made none.

        Raises LaterError as long as that cannot be told.
        """
        upstream = self.upstreams.get(row.upstream)
        called_at = row.called_at or datetime.now(UTC)
        if upstream is not None:
            found = await self._found(batch, row, upstream, called_at - _CLOCKS_APART)
            if found is not None:
                values = {"state": found[1], "upstream_id": found[0].id}
                await self.store.change(batch.id, row.part, (CALLED,), **values)
                return await self._row(batch, row.part)
        left = self.settled_seconds - (datetime.now(UTC) - called_at).total_seconds()
        if left > 0:
            raise LaterError("a lost batch may still appear", retry_after_seconds=left)
        await self.store.change(batch.id, row.part, (CALLED,), state=PLANNED)
        return await self._row(batch, row.part)

    async def _found(
        self, batch: BatchRow, row: PartRow, upstream: UpstreamBatches, since: datetime
    ) -> tuple[UpstreamBatch, str] | None:
        try:
            recent = await upstream.recent(since)
            candidates = [each for each in recent if each.requests == row.requests]
            known = await self.store.known([each.id for each in candidates])
            open_ones = []
            for each in candidates:
                if each.id in known:
                    continue
                if each.status != "ended":
                    open_ones.append(each)
                elif await _has_tag(upstream, each.id, row.tag):
                    return each, IN_PROGRESS
        except UpstreamError as error:
            if error.retryable or error.upstream_status is None:
                raise _again(error) from error
            return None  # an upstream that shows no batches cannot be looked at
        if not open_ones:
            return None
        if len(open_ones) > 1 or await self.store.rivals(batch.id, row):
            raise LaterError("several batches may be this part", retry_after_seconds=30.0)
        return open_ones[0], UNSURE

    async def _given_up(self, batch: BatchRow, row: PartRow, why: str) -> str:
        """Closes the part; what it leaves is executed one by one."""
        states = (PLANNED, IN_PROGRESS, UNSURE)
        await self.store.change(batch.id, row.part, states, state=READ)
        _log.warning("batch_part_left", extra={"batch": batch.id, "part": row.part, "why": why})
        return READ

    async def _row(self, batch: BatchRow, part: int) -> PartRow:
        row = await self.store.get(batch.id, part)
        if row is None:
            raise LookupError(f"batch {batch.id} has no part {part}")
        return row


def _shown(state: str) -> str:
    return IN_PROGRESS if state == UNSURE else state


def _may_be_made(error: UpstreamError) -> bool:
    status = error.upstream_status
    return status is None or status >= _AMBIGUOUS or status in _AMBIGUOUS_TOO


def _again(error: UpstreamError) -> UpstreamError:
    """The error as one that is tried again: a part has all the time of its batch."""
    error.retryable = True
    return error


async def _has_tag(upstream: UpstreamBatches, upstream_id: str, tag: str) -> bool:
    """Whether the results of an ended batch are those of the part with this tag."""
    async with aclosing(upstream.results(upstream_id)) as lines:
        async for line in lines:
            return number_of(tag, line.get("custom_id")) is not None
    return False
