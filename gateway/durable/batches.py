"""Batches: what their workflow and its activities are told, and what they say."""

from dataclasses import dataclass, field
from typing import Literal

BATCH_WORKFLOW = "BatchWorkflow"

BATCH_WEBHOOK_WORKFLOW = "BatchWebhookWorkflow"

BATCH_SWEEP_WORKFLOW = "BatchSweepWorkflow"
BATCH_SWEEP_ID = "batch-sweep"
"""Id of the schedule, and the beginning of the id of each of its runs."""

BatchMode = Literal["paced", "anthropic"]
"""How items are executed: through the live pipelines, or by Claude's own Message Batches."""


def batch_workflow_id(batch_id: str) -> str:
    """Id of the workflow that executes a batch."""
    return f"batch-{batch_id}"


def batch_webhook_id(batch_id: str, finished: int) -> str:
    """Id of the workflow that tells of the end of a batch; a retry's end is another one."""
    return f"webhook-{batch_id}-{finished}"


@dataclass(frozen=True, slots=True)
class ItemRange:
    """Items of a batch by their numbers, both ends included."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class BatchCounts:
    """How many items of a batch have ended, and how."""

    total: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    expired: int = 0

    @property
    def finished(self) -> int:
        """How many items have a result."""
        return self.succeeded + self.failed + self.cancelled + self.expired


@dataclass(frozen=True, slots=True)
class BatchInput:
    """A batch to execute: everything else about it lies in PostgreSQL.

    The rest is carried over when the workflow goes on in a new run: `cursor` is the first item
    that no chunk has had, `again` are chunks to be repeated; `searchable` where the server has the
    gateway's search attributes.
    """

    batch_id: str
    project: str
    cursor: int = 0
    searchable: bool = True
    again: list[ItemRange] = field(default_factory=list)
    counts: BatchCounts = field(default_factory=BatchCounts)
    resumed: bool = False


@dataclass(frozen=True, slots=True)
class BatchProgress:
    """A batch as its workflow sees it. `state` is running, paused, cancelling or ended."""

    state: str
    mode: str
    counts: BatchCounts
    chunks_under_way: int


@dataclass(frozen=True, slots=True)
class BatchOf:
    """A batch, for activities that need nothing more."""

    batch_id: str


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """How a batch is executed.

    `status` is the one it has now; `seconds_left` until it expires. `parallelism` counts items at
    once over all chunks; `parts` are those of mode `anthropic`.
    """

    status: str
    mode: BatchMode
    reason: str
    counts: BatchCounts
    parallelism: int
    chunk_items: int
    chunks_at_once: int
    seconds_left: float
    parts: int = 0


@dataclass(frozen=True, slots=True)
class RunItemsInput:
    """A chunk to execute, `parallelism` items of it at once."""

    batch_id: str
    project: str
    first: int
    last: int
    parallelism: int


@dataclass(frozen=True, slots=True)
class RunItemsResult:
    """The counts of the batch after a chunk, and the status the batch has.

    Not `done`: the batch was paused, cancelled or has ended when the chunk was to begin.
    """

    counts: BatchCounts
    status: str
    done: bool = True


@dataclass(frozen=True, slots=True)
class SetBatchStatusInput:
    """A status that a batch is to have."""

    batch_id: str
    status: str


@dataclass(frozen=True, slots=True)
class BatchStatus:
    """The status that a batch has, and its counts."""

    status: str
    counts: BatchCounts


@dataclass(frozen=True, slots=True)
class FinishRestInput:
    """Items without a result get one: `cancelled` or `expired`."""

    batch_id: str
    how: Literal["cancelled", "expired"]
    reason: str


@dataclass(frozen=True, slots=True)
class EndBatchInput:
    """The status a batch ends with: completed, cancelled, expired or failed."""

    batch_id: str
    status: str


@dataclass(frozen=True, slots=True)
class EndBatchResult:
    """A batch that has ended, and whether somebody wants to be told."""

    counts: BatchCounts
    has_webhook: bool


@dataclass(frozen=True, slots=True)
class WebhookResult:
    """The HTTP status a webhook answered with; 0 when the batch has none."""

    status: int


@dataclass(frozen=True, slots=True)
class PartInput:
    """One part of a batch that Claude's Message Batches execute: a row of `batch_parts`."""

    batch_id: str
    part: int


@dataclass(frozen=True, slots=True)
class PartState:
    """How a part stands upstream: `in_progress`, `ended`, or `read` when its results are here.

    `counts` are those of the whole batch.
    """

    state: str
    counts: BatchCounts


@dataclass(frozen=True, slots=True)
class BatchSweepInput:
    """How many waiting batches one sweep starts."""

    limit: int = 200


@dataclass(frozen=True, slots=True)
class BatchSweepResult:
    """How many batches a sweep has started."""

    started: int
