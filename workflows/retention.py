"""Retention: what has expired is removed, some rows at a time."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.retention import RetentionActivities
    from gateway.durable import (
        RETENTION_WORKFLOW,
        RemoveExpiredInput,
        RetentionInput,
        RetentionResult,
    )
    from workflows.options import database_step

_KINDS = ("turns", "responses")


@workflow.defn(name=RETENTION_WORKFLOW)
class RetentionWorkflow:
    """Removes expired turns and responses in short transactions until none is left.

    Killed or repeated at any point it only removes what has expired.
    """

    @workflow.run
    async def run(self, wanted: RetentionInput) -> RetentionResult:
        """Removes up to `steps * rows_per_step` rows of each kind."""
        removed: dict[str, int] = {}
        left = False
        for kind in _KINDS:
            rows, steps, more = 0, 0, True
            while more and steps < wanted.steps:
                done = await workflow.execute_activity_method(
                    RetentionActivities.remove_expired,
                    RemoveExpiredInput(kind, wanted.rows_per_step),
                    **database_step(f"expired {kind}"),
                )
                rows, steps, more = rows + done.removed, steps + 1, done.more
            removed[kind] = rows
            left = left or more
        return RetentionResult(removed, left)
