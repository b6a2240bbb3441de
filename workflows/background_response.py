"""A response in the background: made once, however long limits and outages hold it up."""

import asyncio

from temporalio import workflow
from temporalio.common import SearchAttributeKey
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.background_response import BackgroundActivities
    from gateway.durable import (
        BACKGROUND_WORKFLOW,
        BackgroundEnd,
        BackgroundInput,
        BackgroundOf,
        EndBackgroundInput,
    )
    from workflows.options import background_call, background_step

_STATUS = SearchAttributeKey.for_keyword("GatewayStatus")


@workflow.defn(name=BACKGROUND_WORKFLOW)
class BackgroundResponseWorkflow:
    """Has the response made, or writes why there is none.

    The history holds statuses only. The status in PostgreSQL is the truth: a cancel while Temporal
    was away is found there by the next attempt.
    """

    @workflow.init
    def __init__(self, wanted: BackgroundInput) -> None:
        self._response = wanted.response_id
        self._searchable = wanted.searchable
        self._cancelled = False
        self._status = "queued"

    @workflow.run
    async def run(self, wanted: BackgroundInput) -> BackgroundEnd:
        """Ends with the response."""
        self._enter("in_progress")
        making = workflow.start_activity_method(
            BackgroundActivities.make_response,
            BackgroundOf(self._response),
            **background_call("make the response", wanted.seconds_left),
        )
        try:
            await workflow.wait_condition(lambda: making.done() or self._cancelled)
        except asyncio.CancelledError:
            self._cancelled = True  # by an operator, in the Temporal UI
        if not making.done():
            making.cancel()
        try:
            end = await making
        except ActivityError as error:
            cancelled = self._cancelled or is_cancelled_exception(error)
            end = await self._ended("cancelled" if cancelled else "failed")
        self._enter(end.status)
        return end

    @workflow.signal
    def cancel(self) -> None:
        """The response was cancelled."""
        self._cancelled = True

    @workflow.query
    def status(self) -> str:
        """queued, in_progress, or how it has ended."""
        return self._status

    async def _ended(self, status: str) -> BackgroundEnd:
        return await workflow.execute_activity_method(
            BackgroundActivities.end_response,
            EndBackgroundInput(self._response, status),
            **background_step(f"write the end: {status}"),
        )

    def _enter(self, status: str) -> None:
        self._status = status
        if self._searchable:
            workflow.upsert_search_attributes([_STATUS.value_set(status)])
