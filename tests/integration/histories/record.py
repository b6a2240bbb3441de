"""Records a history of each workflow for the replay tests; see README.md beside this file."""

import asyncio
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from temporalio import activity
from temporalio.client import Client, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from gateway.durable import (
    BATCH_SWEEP_ID,
    BATCH_SWEEP_WORKFLOW,
    BATCH_WEBHOOK_WORKFLOW,
    BATCH_WORKFLOW,
    CONTEXT_SUMMARY_WORKFLOW,
    MAINTENANCE_QUEUE,
    RETENTION_ID,
    RETENTION_WORKFLOW,
    ROUTING_OUTCOMES_ID,
    ROUTING_OUTCOMES_WORKFLOW,
    UPSTREAM_CIRCUIT_WORKFLOW,
    USAGE_ROLLUP_ID,
    USAGE_ROLLUP_WORKFLOW,
    BatchCounts,
    BatchInput,
    BatchOf,
    BatchPlan,
    BatchStatus,
    BatchSweepInput,
    BatchSweepResult,
    CircuitInput,
    CircuitPolicy,
    ContextSummaryInput,
    ContextSummaryResult,
    EndBatchInput,
    EndBatchResult,
    FinishRestInput,
    FoldOutcomesInput,
    FoldOutcomesResult,
    FoldUsageInput,
    FoldUsageResult,
    PartInput,
    PartitionsInput,
    PartitionsResult,
    PartState,
    ProbeUpstreamInput,
    ProbeUpstreamResult,
    PublishCircuitInput,
    PublishCircuitResult,
    PublishOutcomesInput,
    PublishOutcomesResult,
    RemoveExpiredInput,
    RemoveExpiredResult,
    RetentionInput,
    RoutingOutcomesInput,
    RunItemsInput,
    RunItemsResult,
    SetBatchStatusInput,
    UsageRollupInput,
    WebhookResult,
    batch_webhook_id,
    batch_workflow_id,
    circuit_workflow_id,
    context_summary_id,
)
from gateway.stack.binaries import find_temporal
from workflows.registry import ALL_WORKFLOWS

BACKLOGS = {"nothing_to_do": 0, "three_steps": 47, "more_than_one_run_takes": 500}

EXPIRED = {
    "nothing_expired": {"turns": 0, "responses": 0},
    "both_kinds": {"turns": 47, "responses": 20},
    "more_than_one_run_takes": {"turns": 500, "responses": 3},
    "error_events_too": {"turns": 1, "responses": 0, "error_events": 25},
}


class ScriptedUsage:
    """Answers as the database would with that many events waiting."""

    def __init__(self, backlog: int) -> None:
        self._backlog = backlog

    @activity.defn
    async def make_usage_partitions(self, wanted: PartitionsInput) -> PartitionsResult:
        """Some days are made."""
        return PartitionsResult(["2026-11-22", "2026-11-23"])

    @activity.defn
    async def fold_usage(self, wanted: FoldUsageInput) -> FoldUsageResult:
        """Takes up to the limit from the backlog."""
        taken = min(self._backlog, wanted.limit)
        self._backlog -= taken
        return FoldUsageResult(taken, more=taken == wanted.limit)


class ScriptedOutcomes:
    """Answers as the database would with that many events waiting to be counted."""

    def __init__(self, backlog: int) -> None:
        self._backlog = backlog

    @activity.defn
    async def fold_outcomes(self, wanted: FoldOutcomesInput) -> FoldOutcomesResult:
        """Takes up to the limit from the backlog."""
        taken = min(self._backlog, wanted.limit)
        self._backlog -= taken
        return FoldOutcomesResult(taken, more=taken == wanted.limit)

    @activity.defn
    async def publish_outcomes(self, wanted: PublishOutcomesInput) -> PublishOutcomesResult:
        """Some rows are known."""
        return PublishOutcomesResult(7)


class ScriptedRetention:
    """Answers as the database would with so many expired rows of each kind."""

    def __init__(self, expired: dict[str, int]) -> None:
        self._expired = dict(expired)

    @activity.defn
    async def remove_expired(self, wanted: RemoveExpiredInput) -> RemoveExpiredResult:
        """Takes up to the limit of a kind."""
        left = self._expired.get(wanted.kind, 0)
        taken = min(left, wanted.limit)
        self._expired[wanted.kind] = left - taken
        return RemoveExpiredResult(taken, more=taken == wanted.limit)


class ScriptedSummaries:
    """Answers as the model would."""

    @activity.defn
    async def write_context_summary(self, wanted: ContextSummaryInput) -> ContextSummaryResult:
        """Has written something."""
        return ContextSummaryResult(4_000, 80_000, 1_200)


class ScriptedCircuit:
    """Answers as the processes and an upstream would, which is well from the second probe on."""

    def __init__(self) -> None:
        self._probes = 0

    @activity.defn
    async def publish_circuit(self, wanted: PublishCircuitInput) -> PublishCircuitResult:
        """Everybody is told."""
        return PublishCircuitResult(told=True)

    @activity.defn
    async def probe_upstream(self, wanted: ProbeUpstreamInput) -> ProbeUpstreamResult:
        """Fails once."""
        self._probes += 1
        return ProbeUpstreamResult(answers=self._probes > 1, code="overloaded")


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

    @activity.defn
    async def start_waiting_batches(self, wanted: BatchSweepInput) -> BatchSweepResult:
        """Some were waiting."""
        return BatchSweepResult(3)

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
            self.start_waiting_batches,
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


async def _record_batches(client: Client, directory: Path) -> None:
    for shown, (scripted, signals) in BATCHES.items():
        await _record(
            client,
            scripted.activities,
            (BATCH_WORKFLOW, BatchInput(f"batch_{shown}", "default", searchable=False)),
            batch_workflow_id(f"batch_{shown}"),
            _file(directory, "batch", shown),
            signals,
        )
    scripted = ScriptedBatch()
    for name, wanted, workflow_id, shown in (
        (BATCH_SWEEP_WORKFLOW, BatchSweepInput(), BATCH_SWEEP_ID, "batch_sweep"),
        (BATCH_WEBHOOK_WORKFLOW, BatchOf("b"), batch_webhook_id("b", 40), "batch_webhook"),
    ):
        file = _file(directory, shown, "done")
        await _record(client, scripted.activities, (name, wanted), workflow_id, file)


async def main(directory: Path) -> None:
    """Writes the files that are missing in `directory`."""
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(find_temporal())
    ) as environment:
        # Names the recorder where a history would name the machine.
        address = environment.client.service_client.config.target_host
        client = await Client.connect(address, identity="recorder")
        for shown, backlog in BACKLOGS.items():
            usage = ScriptedUsage(backlog)
            await _record(
                client,
                [usage.make_usage_partitions, usage.fold_usage],
                (USAGE_ROLLUP_WORKFLOW, UsageRollupInput(events_per_step=20, steps=5)),
                f"{USAGE_ROLLUP_ID}-{shown}",
                _file(directory, "usage_rollup", shown),
            )
            outcomes = ScriptedOutcomes(backlog)
            await _record(
                client,
                [outcomes.fold_outcomes, outcomes.publish_outcomes],
                (ROUTING_OUTCOMES_WORKFLOW, RoutingOutcomesInput(events_per_step=20, steps=5)),
                f"{ROUTING_OUTCOMES_ID}-{shown}",
                _file(directory, "routing_outcomes", shown),
            )
        await _record_batches(client, directory)
        key = "0123456789abcdef" * 2
        await _record(
            client,
            [ScriptedSummaries().write_context_summary],
            (CONTEXT_SUMMARY_WORKFLOW, ContextSummaryInput("default", key)),
            context_summary_id(key),
            _file(directory, "context_summary", "written"),
        )
        scripted = ScriptedCircuit()
        circuit = "anthropic/opus"
        await _record(
            client,
            [scripted.publish_circuit, scripted.probe_upstream],
            (
                UPSTREAM_CIRCUIT_WORKFLOW,
                CircuitInput(circuit, CircuitPolicy(0.2, 5.0, 0.5), "open", searchable=False),
            ),
            circuit_workflow_id(circuit),
            _file(directory, "upstream_circuit", "a_probe_fails_and_one_is_good"),
        )
        for shown, expired in EXPIRED.items():
            await _record(
                client,
                [ScriptedRetention(expired).remove_expired],
                (RETENTION_WORKFLOW, RetentionInput(rows_per_step=20, steps=5)),
                f"{RETENTION_ID}-{shown}",
                _file(directory, "retention", shown),
            )


@dataclass
class File:
    """A history that is missing."""

    path: Path

    def write(self, text: str) -> None:
        """Makes the file."""
        self.path.write_text(text)


def _file(directory: Path, workflow: str, shown: str) -> File | None:
    path = directory / f"{workflow}.{shown}.json"
    return None if path.exists() else File(path)


async def _record(
    client: Client,
    activities: list[Callable[..., Any]],
    started: tuple[str, object],
    workflow_id: str,
    file: File | None,
    signals: Sequence[str] = (),
) -> None:
    if file is None:
        return
    name, wanted = started
    async with Worker(
        client,
        task_queue=MAINTENANCE_QUEUE,
        workflows=ALL_WORKFLOWS,
        activities=activities,
    ):
        run: WorkflowHandle[Any, Any] = await client.start_workflow(
            name,
            wanted,
            id=workflow_id,
            task_queue=MAINTENANCE_QUEUE,
            start_signal=signals[0] if signals else None,
        )
        for signal in signals[1:]:
            await asyncio.sleep(0.15)
            await run.signal(signal)
        await run.result()
    file.write((await run.fetch_history()).to_json() + "\n")


if __name__ == "__main__":
    given = sys.argv[1:]
    asyncio.run(main(Path(given[0]) if given else Path(__file__).parent))
