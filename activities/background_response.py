"""The side effects of a response in the background."""

import asyncio
from datetime import timedelta

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.failures import later, reported
from activities.heartbeats import beating
from gateway.batches.execution import LaterError
from gateway.durable import BackgroundEnd, BackgroundOf, EndBackgroundInput
from gateway.pipeline.background_runs import BackgroundRuns
from gateway.storage.background_store import BackgroundRow, Ending


class BackgroundActivities:
    """Makes responses; each step may run twice."""

    def __init__(self, runs: BackgroundRuns) -> None:
        self._runs = runs

    @activity.defn
    async def make_response(self, wanted: BackgroundOf) -> BackgroundEnd:
        """One attempt, unless the response has ended. Fails when there must be another one."""
        async with reported():
            try:
                async with beating():
                    return _end(await self._runs.run(wanted.response_id))
            except LaterError as error:
                raise later(error) from None
            except asyncio.CancelledError:
                if not activity.is_worker_shutdown():
                    raise
                raise ApplicationError(
                    "the worker stops; another one makes the response anew",
                    type="WorkerStops",
                    next_retry_delay=timedelta(seconds=1),
                    category=ApplicationErrorCategory.BENIGN,
                ) from None

    @activity.defn
    async def end_response(self, wanted: EndBackgroundInput) -> BackgroundEnd:
        """Ends the response without an answer, unless it has ended."""
        status: Ending = "cancelled" if wanted.status == "cancelled" else "failed"
        async with reported():
            return _end(await self._runs.give_up(wanted.response_id, status))


def _end(row: BackgroundRow) -> BackgroundEnd:
    return BackgroundEnd(row.status, row.attempt)
