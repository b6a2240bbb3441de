"""The side effects of a batch: its items, its statuses, its files, its webhook."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from temporalio import activity

from activities.failures import later, reported
from gateway.batches.choice import Choice, choose_mode
from gateway.batches.execution import ChunkNotes, ChunkRun, LaterError
from gateway.batches.output_files import OutputFiles
from gateway.batches.webhook import webhook_body, webhook_headers
from gateway.durable import (
    BatchCounts,
    BatchMode,
    BatchOf,
    BatchPlan,
    BatchStatus,
    EndBatchInput,
    EndBatchResult,
    FinishRestInput,
    RunItemsInput,
    RunItemsResult,
    SetBatchStatusInput,
    WebhookResult,
)
from gateway.errors import InvalidRequestError
from gateway.services.batch_execution import BatchExecution
from gateway.storage.batch_items_store import Counts
from gateway.storage.batch_store import BatchRow
from gateway.storage.batch_tables import CANCELLED, EXPIRED
from gateway.structs import to_builtins
from gateway.upstream.webhook import deliver

CHUNK_ITEMS = 100
"""A chunk takes a minute or so of a model's time, so that a crash repeats little."""

MANY_ITEMS = 100_000
"""Above it chunks are twice as large, so that the history stays short."""

CHUNKS_AT_ONCE = 4

_NO_PARTS = "this gateway does not use Message Batches"
_BEAT_SECONDS = 1.0
_NO_END_SECONDS = 30 * 86_400.0
_EXECUTABLE = frozenset({"validating", "in_progress"})


@dataclass(frozen=True, slots=True)
class WebhookPolicy:
    """How notices are sent: signed with `secret`, to private addresses only where allowed."""

    secret: str | None = None
    allow_private: bool = False


NO_WEBHOOK_POLICY = WebhookPolicy()
"""Unsigned, to public addresses."""


class PartsPlanner(Protocol):
    """Splits batches for Claude's Message Batches."""

    async def why_not(self, batch: BatchRow) -> str | None:
        """Why this batch cannot go there, in words for people; None when it can."""

    async def plan(self, batch: BatchRow) -> int:
        """The number of parts the batch has, made once however often it is asked."""


class BatchActivities:
    """Everything a batch does; each step may run twice.

    Without a planner of parts nothing goes to Message Batches.
    """

    def __init__(
        self,
        execution: BatchExecution,
        *,
        parallelism: int,
        webhooks: WebhookPolicy = NO_WEBHOOK_POLICY,
        parts: PartsPlanner | None = None,
    ) -> None:
        self._parts = parts
        self._execution = execution
        self._batches = execution.batches
        self._items = execution.items
        self._files = execution.files
        self._parallelism = parallelism
        self._webhooks = webhooks

    @activity.defn
    async def plan_batch(self, wanted: BatchOf) -> BatchPlan:
        """How the batch is executed; from now on it is in progress."""
        async with reported():
            batch = await self._batches.get(wanted.batch_id)
            choice = await self._chosen(batch)
            parts = 0
            if self._parts is not None and choice.mode == "anthropic" and not batch.has_ended:
                parts = await self._parts.plan(batch)
            if batch.status == "validating":
                batch = await self._batches.set_status(batch.id, "in_progress")
            await self._batches.workflow_started(batch.id)
        parallelism = batch.parallelism or self._parallelism
        chunks = min(CHUNKS_AT_ONCE, parallelism)
        most = CHUNK_ITEMS if batch.total <= MANY_ITEMS else 2 * CHUNK_ITEMS
        return BatchPlan(
            status=batch.status,
            mode=choice.mode,
            reason=choice.reason,
            counts=_counts(batch),
            parallelism=parallelism,
            chunk_items=max(1, min(most, -(-batch.total // chunks))),
            chunks_at_once=chunks,
            seconds_left=_seconds_left(batch),
            parts=parts,
        )

    @activity.defn
    async def run_items(self, wanted: RunItemsInput) -> RunItemsResult:
        """Executes a chunk, unless the batch was stopped.

        Fails, to be tried again at the right time, when items are left.
        """
        async with reported():
            batch = await self._batches.get(wanted.batch_id)
            if batch.status not in _EXECUTABLE:
                return RunItemsResult(_counts(batch), batch.status, done=False)
            chunk = ChunkRun(
                batch.id,
                self._items,
                await self._execution.executing(batch),
                wanted.parallelism,
                self._execution.warm,
                _notes(),
                activity.is_worker_shutdown,
            )
            try:
                async with _beating(chunk.notes):
                    await chunk.run(wanted.first, wanted.last)
            except LaterError as error:
                raise later(error) from None
        return RunItemsResult(_counts(chunk.counts or batch), batch.status)

    @activity.defn
    async def set_batch_status(self, wanted: SetBatchStatusInput) -> BatchStatus:
        """Moves the batch to a status, where it may; gives the one it has."""
        async with reported():
            try:
                batch = await self._batches.set_status(wanted.batch_id, wanted.status)
            except InvalidRequestError:
                batch = await self._batches.get(wanted.batch_id)
        return BatchStatus(batch.status, _counts(batch))

    @activity.defn
    async def batch_status(self, wanted: BatchOf) -> BatchStatus:
        """The status the batch has."""
        async with reported():
            batch = await self._batches.get(wanted.batch_id)
        return BatchStatus(batch.status, _counts(batch))

    @activity.defn
    async def finish_rest(self, wanted: FinishRestInput) -> BatchStatus:
        """Gives every item without a result its end."""
        state = EXPIRED if wanted.how == "expired" else CANCELLED
        error = {"code": f"batch_{wanted.how}", "message": wanted.reason, "param": None}
        async with reported():
            counts = await self._items.finish_rest(wanted.batch_id, state, {**error, "status": 0})
            batch = await self._batches.get(wanted.batch_id)
        return BatchStatus(batch.status, _counts(counts))

    @activity.defn
    async def end_batch(self, wanted: EndBatchInput) -> EndBatchResult:
        """Writes the files of a batch of OpenAI's form, then its last status."""
        async with reported():
            batch = await self._batches.get(wanted.batch_id)
            if not batch.has_ended:
                if wanted.status != "cancelled":
                    batch = await self._batches.set_status(batch.id, "finalizing")
                made = await self._written(batch)
                batch = await self._batches.set_status(batch.id, wanted.status, **made)
        return EndBatchResult(_counts(batch), batch.webhook is not None)

    @activity.defn
    async def deliver_webhook(self, wanted: BatchOf) -> WebhookResult:
        """Tells the client's server once; fails until it answers 2xx."""
        async with reported():
            batch = await self._batches.get(wanted.batch_id)
            if batch.webhook is None:
                return WebhookResult(0)
            body = webhook_body(batch)
            headers = webhook_headers(batch, body, self._webhooks.secret)
            status = await deliver(
                batch.webhook, body, headers, allow_private=self._webhooks.allow_private
            )
            return WebhookResult(status)

    async def _chosen(self, batch: BatchRow) -> Choice:
        if batch.chosen_mode is not None:
            mode: BatchMode = "anthropic" if batch.chosen_mode == "anthropic" else "paced"
            return Choice(mode, batch.mode_reason)
        choice = choose_mode(
            batch.mode,
            endpoint=batch.endpoint,
            items=batch.total,
            seconds_left=_seconds_left(batch),
            why_not=_NO_PARTS if self._parts is None else await self._parts.why_not(batch),
        )
        await self._batches.choose_mode(batch.id, choice.mode, choice.reason)
        return choice

    async def _written(self, batch: BatchRow) -> dict[str, str | None]:
        if batch.form != "openai":
            return {}
        writer = OutputFiles(self._items, self._files, activity.heartbeat)
        return {
            "output_file_id": await writer.write(batch, "output"),
            "error_file_id": await writer.write(batch, "error"),
        }


def _counts(of: BatchRow | Counts) -> BatchCounts:
    return BatchCounts(of.total, of.succeeded, of.failed, of.cancelled, of.expired)


def _seconds_left(batch: BatchRow) -> float:
    if batch.expires_at is None:
        return _NO_END_SECONDS
    return (batch.expires_at - datetime.now(UTC)).total_seconds()


def _notes() -> ChunkNotes:
    """What the try before has left behind; items it was at when it died are suspects."""
    details = activity.info().heartbeat_details
    notes = ChunkNotes(**details[0]) if details else ChunkNotes()
    notes.begin_again(crashed=bool(details))
    return notes


@asynccontextmanager
async def _beating(notes: ChunkNotes) -> AsyncIterator[None]:
    """Tells Temporal what is under way, which also brings cancellations."""

    async def beat() -> None:
        while True:
            activity.heartbeat(to_builtins(notes))
            await asyncio.sleep(_BEAT_SECONDS)

    beating = asyncio.ensure_future(beat())
    try:
        yield
    finally:
        beating.cancel()
        notes.under_way = []  # this try has ended in order
        activity.heartbeat(to_builtins(notes))
