"""Records a history of each workflow for the replay tests; see README.md beside this file."""

import asyncio
import sys
from pathlib import Path

from temporalio import activity
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from gateway.durable import (
    MAINTENANCE_QUEUE,
    USAGE_ROLLUP_ID,
    USAGE_ROLLUP_WORKFLOW,
    FoldUsageInput,
    FoldUsageResult,
    PartitionsInput,
    PartitionsResult,
    UsageRollupInput,
)
from gateway.stack.binaries import find_temporal
from workflows.usage_rollup import UsageRollupWorkflow

BACKLOGS = {"nothing_to_do": 0, "three_steps": 47, "more_than_one_run_takes": 500}


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
            async with Worker(
                client,
                task_queue=MAINTENANCE_QUEUE,
                workflows=[UsageRollupWorkflow],
                activities=[usage.make_usage_partitions, usage.fold_usage],
            ):
                run = await client.start_workflow(
                    USAGE_ROLLUP_WORKFLOW,
                    UsageRollupInput(events_per_step=20, steps=5),
                    id=f"{USAGE_ROLLUP_ID}-{shown}",
                    task_queue=MAINTENANCE_QUEUE,
                )
                await run.result()
            file = directory / f"usage_rollup.{shown}.json"
            if not file.exists():
                file.write_text((await run.fetch_history()).to_json() + "\n")


if __name__ == "__main__":
    given = sys.argv[1:]
    asyncio.run(main(Path(given[0]) if given else Path(__file__).parent))
