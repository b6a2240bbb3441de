"""The side effects of a batch that goes through Claude's Message Batches, part by part."""

from collections.abc import Awaitable, Callable

from temporalio import activity

from activities.failures import later, reported
from activities.heartbeats import beating
from gateway.batches.execution import LaterError
from gateway.batches.part_results import PartResults
from gateway.batches.upstream_parts import UpstreamParts
from gateway.durable import BatchCounts, PartInput, PartState
from gateway.storage.batch_store import BatchRow, BatchStore


class MessageBatchActivities:
    """Creates, watches, reads and cancels parts; each step may run twice."""

    def __init__(self, batches: BatchStore, parts: UpstreamParts, results: PartResults) -> None:
        self._batches = batches
        self._parts = parts
        self._results = results

    @activity.defn
    async def create_part(self, wanted: PartInput) -> PartState:
        """Has the part made upstream, once."""
        attempt = activity.info().attempt
        return await self._stepped(
            wanted,
            lambda batch: self._parts.create(batch, wanted.part, attempt),
        )

    @activity.defn
    async def poll_part(self, wanted: PartInput) -> PartState:
        """How the part stands upstream."""
        return await self._stepped(wanted, lambda batch: self._parts.poll(batch, wanted.part))

    @activity.defn
    async def read_results(self, wanted: PartInput) -> PartState:
        """Stores the results of a part that has ended."""
        return await self._stepped(wanted, lambda batch: self._results.read(batch, wanted.part))

    @activity.defn
    async def cancel_part(self, wanted: PartInput) -> PartState:
        """Has the part end early."""
        return await self._stepped(wanted, lambda batch: self._parts.cancel(batch, wanted.part))

    async def _stepped(
        self, wanted: PartInput, step: Callable[[BatchRow], Awaitable[str]]
    ) -> PartState:
        async with reported():
            try:
                async with beating():
                    state = await step(await self._batches.get(wanted.batch_id))
            except LaterError as error:
                raise later(error) from None
            batch = await self._batches.get(wanted.batch_id)
        counts = (batch.total, batch.succeeded, batch.failed, batch.cancelled, batch.expired)
        return PartState(state, BatchCounts(*counts))
