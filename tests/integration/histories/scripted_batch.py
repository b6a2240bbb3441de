"""The activities of batches as scripts, for the recording of histories."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from gateway.durable import (
    BatchCounts,
    BatchOf,
    BatchPlan,
    BatchStatus,
    EndBatchInput,
    EndBatchResult,
    FinishRestInput,
    PartInput,
    PartState,
    RunItemsInput,
    RunItemsResult,
    SetBatchStatusInput,
    WebhookResult,
)


@dataclass
class ScriptedBatch:
    """Answers as the database and the model would for 40 items in chunks of 10.

    `refused` is a chunk that cannot be done at all, by its first item.
    """

    seconds_left: float = 86_400.0
    status: str = "validating"
    refused: int = -1
    done: int = 0
    parts: int = 0
    polls: int = 0

    @property
    def _counts(self) -> BatchCounts:
        return BatchCounts(40, succeeded=self.done)

    @activity.defn
    async def plan_batch(self, wanted: BatchOf) -> BatchPlan:
        """The plan of one run."""
        return BatchPlan(
            self.status,
            "anthropic" if self.parts else "paced",
            "asked for",
            self._counts,
            parallelism=4,
            chunk_items=10,
            chunks_at_once=2,
            seconds_left=self.seconds_left,
            parts=self.parts,
        )

    @activity.defn
    async def create_part(self, wanted: PartInput) -> PartState:
        """It is submitted."""
        return PartState("in_progress", self._counts)

    @activity.defn
    async def poll_part(self, wanted: PartInput) -> PartState:
        """It has ended when it is looked at again."""
        self.polls += 1
        return PartState("ended" if self.polls > self.parts else "in_progress", self._counts)

    @activity.defn
    async def cancel_part(self, wanted: PartInput) -> PartState:
        """It is told."""
        return PartState("in_progress", self._counts)

    @activity.defn
    async def read_results(self, wanted: PartInput) -> PartState:
        """Half of the items have an answer."""
        self.done += 20 // self.parts
        return PartState("read", self._counts)

    @activity.defn
    async def run_items(self, wanted: RunItemsInput) -> RunItemsResult:
        """Takes a while for a chunk."""
        if wanted.first == self.refused:
            raise ApplicationError("it cannot be done", non_retryable=True)
        await asyncio.sleep(0.3)
        self.done += wanted.last - wanted.first + 1
        return RunItemsResult(self._counts, "in_progress")

    @activity.defn
    async def set_batch_status(self, wanted: SetBatchStatusInput) -> BatchStatus:
        """Every status can be had."""
        return BatchStatus(wanted.status, self._counts)

    @activity.defn
    async def finish_rest(self, wanted: FinishRestInput) -> BatchStatus:
        """The rest ends."""
        return BatchStatus("in_progress", self._counts)

    @activity.defn
    async def end_batch(self, wanted: EndBatchInput) -> EndBatchResult:
        """The batch ends; only a whole one has somebody to tell."""
        return EndBatchResult(self._counts, has_webhook=wanted.status == "completed")

    @activity.defn
    async def deliver_webhook(self, wanted: BatchOf) -> WebhookResult:
        """The client's server takes it."""
        return WebhookResult(204)

    @property
    def activities(self) -> list[Callable[..., Any]]:
        """All of them."""
        return [
            self.plan_batch,
            self.run_items,
            self.set_batch_status,
            self.finish_rest,
            self.end_batch,
            self.deliver_webhook,
            self.create_part,
            self.poll_part,
            self.cancel_part,
            self.read_results,
        ]


BATCHES: dict[str, tuple[ScriptedBatch, tuple[str, ...]]] = {
    "completed": (ScriptedBatch(), ("begin",)),
    "paused_and_resumed": (ScriptedBatch(), ("begin", "pause", "resume")),
    "cancelled_under_way": (ScriptedBatch(), ("begin", "cancel")),
    "expired": (ScriptedBatch(seconds_left=0.2), ("begin",)),
    "a_chunk_cannot_be_done": (ScriptedBatch(refused=10), ("begin",)),
    "two_parts_upstream": (ScriptedBatch(parts=2), ("begin",)),
    "a_part_is_cancelled": (ScriptedBatch(parts=1), ("begin", "cancel")),
    "cancelled_before_it_began": (ScriptedBatch(status="cancelling"), ("begin",)),
}
