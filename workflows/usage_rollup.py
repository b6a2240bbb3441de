"""The roll-up of usage: hourly and daily rows from the events of every process."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.usage_rollup import UsageRollupActivities
    from gateway.durable import (
        USAGE_ROLLUP_WORKFLOW,
        FoldUsageInput,
        PartitionsInput,
        UsageRollupInput,
        UsageRollupResult,
    )
    from workflows.options import database_step


@workflow.defn(name=USAGE_ROLLUP_WORKFLOW)
class UsageRollupWorkflow:
    """Makes the tables of the coming days, then folds events until none is left.

    Killed or repeated at any point it counts every event once: a step marks what it folds in the
    same transaction.
    """

    @workflow.run
    async def run(self, wanted: UsageRollupInput) -> UsageRollupResult:
        """Folds up to `steps * events_per_step` events."""
        await workflow.execute_activity_method(
            UsageRollupActivities.make_usage_partitions,
            PartitionsInput(),
            **database_step("tables of the coming days"),
        )
        events, steps, more = 0, 0, True
        while more and steps < wanted.steps:
            folded = await workflow.execute_activity_method(
                UsageRollupActivities.fold_usage,
                FoldUsageInput(limit=wanted.events_per_step),
                **database_step("events into hours and days"),
            )
            events, steps, more = events + folded.events, steps + 1, folded.more
        return UsageRollupResult(events, steps, more)
