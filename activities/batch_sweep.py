"""The side effects of the sweep: what was accepted and waits is started."""

from temporalio import activity

from activities.failures import reported
from gateway.durable import BatchInput, BatchSweepInput, BatchSweepResult, DurableEngine
from gateway.errors import NotConfiguredError
from gateway.pipeline.background_responses import background_input
from gateway.storage.background_store import BackgroundStore
from gateway.storage.batch_store import BatchStore


class SweepActivities:
    """Starts workflows through the engine's port; without one this worker cannot."""

    def __init__(
        self, batches: BatchStore, background: BackgroundStore, durable: DurableEngine | None
    ) -> None:
        self._batches = batches
        self._background = background
        self._durable = durable

    @activity.defn
    async def start_waiting_batches(self, wanted: BatchSweepInput) -> BatchSweepResult:
        """Starts batches that were accepted and are not started; one that runs is left alone."""
        async with reported():
            durable = self._engine()
            waiting = await self._batches.not_started(wanted.limit)
            for batch in waiting:
                await durable.start_batch(BatchInput(batch.id, batch.project_id))
                await self._batches.workflow_started(batch.id)
        return BatchSweepResult(len(waiting))

    @activity.defn
    async def start_waiting_responses(self, wanted: BatchSweepInput) -> BatchSweepResult:
        """Starts responses in the background that were accepted and are not started."""
        async with reported():
            durable = self._engine()
            waiting = await self._background.not_started(wanted.limit)
            for response in waiting:
                await durable.start_background(background_input(response))
                await self._background.workflow_started(response.id)
        return BatchSweepResult(len(waiting))

    def _engine(self) -> DurableEngine:
        if self._durable is None:
            raise NotConfiguredError("this worker cannot start workflows")
        return self._durable
