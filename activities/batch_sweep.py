"""The side effect of the sweep: batches that wait are started."""

from temporalio import activity

from activities.failures import reported
from gateway.durable import BatchInput, BatchSweepInput, BatchSweepResult, DurableEngine
from gateway.errors import NotConfiguredError
from gateway.storage.batch_store import BatchStore


class BatchSweepActivities:
    """Starts batches through the engine's port; without one this worker cannot."""

    def __init__(self, batches: BatchStore, durable: DurableEngine | None) -> None:
        self._batches = batches
        self._durable = durable

    @activity.defn
    async def start_waiting_batches(self, wanted: BatchSweepInput) -> BatchSweepResult:
        """Starts what was accepted and is not started; one that runs is left alone."""
        async with reported():
            if self._durable is None:
                raise NotConfiguredError("this worker cannot start workflows")
            waiting = await self._batches.not_started(wanted.limit)
            for batch in waiting:
                await self._durable.start_batch(BatchInput(batch.id, batch.project_id))
                await self._batches.workflow_started(batch.id)
        return BatchSweepResult(len(waiting))
