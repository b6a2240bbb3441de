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
_LATER_KINDS = {
    "error_events": "error-events",
    "batches": "batches",
    "files": "batches",
    "background_responses": "background-responses",
}  # and the patch that came with them


@workflow.defn(name=RETENTION_WORKFLOW)
class RetentionWorkflow:
    """Removes what has expired in short transactions until none is left.

    Killed or repeated at any point it only removes what has expired.
    """

    @workflow.run
    async def run(self, wanted: RetentionInput) -> RetentionResult:
        """Removes up to `steps * rows_per_step` rows of each kind."""
        removed: dict[str, int] = {}
        left = False
        later = (kind for kind, patch in _LATER_KINDS.items() if workflow.patched(patch))
        for kind in (*_KINDS, *later):
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
