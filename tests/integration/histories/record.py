"""Records a history of each workflow for the replay tests; see README.md beside this file."""

import asyncio
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from temporalio import activity
from temporalio.client import Client, WorkflowHandle
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from gateway.durable import (
    BACKGROUND_WORKFLOW,
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
    BackgroundInput,
    BatchInput,
    BatchOf,
    BatchSweepInput,
    CircuitInput,
    CircuitPolicy,
    ContextSummaryInput,
    ContextSummaryResult,
    FoldOutcomesInput,
    FoldOutcomesResult,
    FoldUsageInput,
    FoldUsageResult,
    PartitionsInput,
    PartitionsResult,
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
    UsageRollupInput,
    background_workflow_id,
    batch_webhook_id,
    batch_workflow_id,
    circuit_workflow_id,
    context_summary_id,
)
from gateway.stack.binaries import find_temporal
from tests.integration.histories.scripted_background import (
    BACKGROUND,
    ScriptedBackground,
    ScriptedSweep,
)
from tests.integration.histories.scripted_batch import BATCHES, ScriptedBatch
from workflows.registry import ALL_WORKFLOWS

BACKLOGS = {"nothing_to_do": 0, "three_steps": 47, "more_than_one_run_takes": 500}

EXPIRED = {
    "nothing_expired": {"turns": 0, "responses": 0},
    "both_kinds": {"turns": 47, "responses": 20},
    "more_than_one_run_takes": {"turns": 500, "responses": 3},
    "error_events_too": {"turns": 1, "responses": 0, "error_events": 25},
    "background_responses_too": {"turns": 0, "background_responses": 25},
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
    await _record(
        client,
        ScriptedBatch().activities,
        (BATCH_WEBHOOK_WORKFLOW, BatchOf("b")),
        batch_webhook_id("b", 40),
        _file(directory, "batch_webhook", "done"),
    )
    await _record(
        client,
        ScriptedSweep().activities,
        (BATCH_SWEEP_WORKFLOW, BatchSweepInput()),
        BATCH_SWEEP_ID,
        _file(directory, "batch_sweep", "responses_too"),
    )


async def _record_background(client: Client, directory: Path) -> None:
    for shown, signals in BACKGROUND.items():
        response_id = f"resp_{shown}"
        await _record(
            client,
            ScriptedBackground(shown).activities,
            (
                BACKGROUND_WORKFLOW,
                BackgroundInput(response_id, "default", 3600.0, searchable=False),
            ),
            background_workflow_id(response_id),
            _file(directory, "background_response", shown),
            ("", *signals) if signals else (),
        )


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
        await _record_background(client, directory)
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
            start_signal=signals[0] or None if signals else None,
        )
        for signal in signals[1:]:
            await asyncio.sleep(0.15)
            await run.signal(signal)
        await run.result()
    file.write((await run.fetch_history()).to_json() + "\n")


if __name__ == "__main__":
    given = sys.argv[1:]
    asyncio.run(main(Path(given[0]) if given else Path(__file__).parent))
