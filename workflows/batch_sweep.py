"""Starts batches that were accepted while Temporal was away."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.batch_sweep import BatchSweepActivities
    from gateway.durable import BATCH_SWEEP_WORKFLOW, BatchSweepInput, BatchSweepResult
    from workflows.options import database_step


@workflow.defn(name=BATCH_SWEEP_WORKFLOW)
class BatchSweepWorkflow:
    """Looks once; each batch is started under its own id, so never twice."""

    @workflow.run
    async def run(self, wanted: BatchSweepInput) -> BatchSweepResult:
        """Starts up to `limit` batches, the oldest first."""
        return await workflow.execute_activity_method(
            BatchSweepActivities.start_waiting_batches,
            wanted,
            **database_step("batches that wait to be started"),
        )
