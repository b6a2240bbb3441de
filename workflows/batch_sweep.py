"""Starts what was accepted while Temporal was away."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.batch_sweep import SweepActivities
    from gateway.durable import BATCH_SWEEP_WORKFLOW, BatchSweepInput, BatchSweepResult
    from workflows.options import database_step


@workflow.defn(name=BATCH_SWEEP_WORKFLOW)
class BatchSweepWorkflow:
    """Looks once; each job is started under its own id, so never twice."""

    @workflow.run
    async def run(self, wanted: BatchSweepInput) -> BatchSweepResult:
        """Starts up to `limit` jobs of each kind, the oldest first."""
        batches = await workflow.execute_activity_method(
            SweepActivities.start_waiting_batches,
            wanted,
            **database_step("batches that wait to be started"),
        )
        if not workflow.patched("background-responses"):
            return batches
        responses = await workflow.execute_activity_method(
            SweepActivities.start_waiting_responses,
            wanted,
            **database_step("responses that wait to be started"),
        )
        return BatchSweepResult(batches.started + responses.started)
