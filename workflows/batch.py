"""A batch, from its plan to its last file."""

from collections.abc import Callable
from datetime import timedelta

from temporalio import workflow
from temporalio.common import SearchAttributeKey
from temporalio.exceptions import ActivityError, is_cancelled_exception
from temporalio.workflow import ActivityHandle, ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from activities.batch_items import BatchActivities
    from gateway.durable import (
        BATCH_WEBHOOK_WORKFLOW,
        BATCH_WORKFLOW,
        BatchCounts,
        BatchInput,
        BatchOf,
        BatchPlan,
        BatchProgress,
        EndBatchInput,
        FinishRestInput,
        ItemRange,
        RunItemsInput,
        RunItemsResult,
        SetBatchStatusInput,
        batch_webhook_id,
    )
    from workflows.batch_parts import UpstreamParts
    from workflows.options import batch_end_step, batch_items_step, batch_step

_CHUNKS_A_RUN = 400  # then a new run: about 2,000 events, half of what the server suggests
_LOOK_WHILE_PAUSED = timedelta(minutes=5)
_ENDED = ("completed", "cancelled", "expired", "failed")
_STATUS = SearchAttributeKey.for_keyword("GatewayStatus")
_REASONS = {
    "cancelled": "the batch was cancelled before this item was done",
    "expired": "the batch expired before this item was done",
    "failed": "the batch could not go on; the worker's log has the details",
}


@workflow.defn(name=BATCH_WORKFLOW)
class BatchWorkflow:
    """Executes a batch in chunks, some at a time, and writes its end.

    The history holds numbers only. The status in PostgreSQL is the truth: what was asked while
    Temporal was away is found there by the next chunk.
    """

    @workflow.init
    def __init__(self, wanted: BatchInput) -> None:
        self._batch = wanted.batch_id
        self._project = wanted.project
        self._searchable = wanted.searchable
        self._cursor = wanted.cursor
        self._again = list(wanted.again)
        self._counts = wanted.counts
        self._resumed = wanted.resumed
        self._asked = self._paused = self._cancelled = False
        self._state, self._mode = "running", ""
        self._chunks = 0
        self._under_way: dict[ActivityHandle[RunItemsResult], ItemRange] = {}

    @workflow.run
    async def run(self, wanted: BatchInput) -> BatchCounts:  # noqa: ARG002 - `__init__` has it
        """Ends with the batch; one that was told to run again in between does."""
        while True:
            self._asked = False
            plan = await self._planned()
            if plan.status not in _ENDED:
                await self._end(await self._executed(plan))
            if not self._asked:
                await workflow.wait_condition(workflow.all_handlers_finished)
                return self._counts
            self._cursor, self._again = 0, []
            self._resumed = self._cancelled = False

    # --- what may be asked meanwhile ---

    @workflow.signal
    def begin(self) -> None:
        """The batch waits to be executed, at first or after a retry of what failed."""
        self._asked = True

    @workflow.signal
    def pause(self) -> None:
        """Nothing new is begun; what is under way may take some seconds to end."""
        self._paused = True

    @workflow.signal
    def resume(self) -> None:
        """Goes on after a pause."""
        self._paused = False

    @workflow.signal
    def cancel(self) -> None:
        """Ends the batch; items without a result become cancelled."""
        self._cancelled = True

    @workflow.update(name="pause")
    async def pause_now(self) -> BatchProgress:
        """As the signal; answers when nothing is under way any more."""
        self.pause()
        await workflow.wait_condition(lambda: self._state in ("paused", "ended"))
        return self.progress()

    @workflow.update(name="resume")
    async def resume_now(self) -> BatchProgress:
        """As the signal; answers when the batch goes on."""
        self.resume()
        await workflow.wait_condition(lambda: self._state != "paused")
        return self.progress()

    @workflow.update(name="cancel")
    async def cancel_now(self) -> BatchProgress:
        """As the signal; answers when the batch has ended."""
        self.cancel()
        await workflow.wait_condition(lambda: self._state == "ended")
        return self.progress()

    @workflow.query
    def progress(self) -> BatchProgress:
        """The batch now."""
        return BatchProgress(self._state, self._mode, self._counts, len(self._under_way))

    # --- how it goes ---

    async def _planned(self) -> BatchPlan:
        plan = await workflow.execute_activity_method(
            BatchActivities.plan_batch, BatchOf(self._batch), **batch_step("plan")
        )
        self._counts, self._mode = plan.counts, plan.mode
        self._paused = self._paused or plan.status == "paused"
        self._cancelled = self._cancelled or plan.status == "cancelling"
        return plan

    async def _executed(self, plan: BatchPlan) -> str:
        """Executes the items; the status that the batch is to end with."""
        workflow.set_current_details(f"mode **{plan.mode}**: {plan.reason}")
        if not self._resumed:
            self._enter("running", "in_progress")
        deadline = workflow.time() + plan.seconds_left
        if plan.parts:
            await self._through_parts(plan.parts, deadline)
        while True:
            status = "cancelled" if self._cancelled else "expired"
            if self._cancelled or workflow.time() >= deadline:
                await self._stop_chunks()
                return status
            if self._paused:
                await self._stop_chunks()
                await self._while_paused(deadline)
            elif self._is_long():
                await self._until(lambda: not self._under_way, deadline)
                self._go_on_anew()
            else:
                self._start_chunks(plan)
                if not self._under_way:
                    return "completed"
                await self._until(lambda: False, deadline)
            if not self._collect():
                await self._stop_chunks()
                return "failed"

    async def _through_parts(self, parts: int, deadline: float) -> None:
        """Has Message Batches execute what they can; what they leave is done item by item.

        A pause cannot reach what is upstream: it holds from there on.
        """
        upstream = UpstreamParts(
            self._batch,
            lambda: self._cancelled or workflow.time() >= deadline,
            workflow.info().is_continue_as_new_suggested,
        )
        done = await upstream.run(parts)
        self._saw(upstream.counts)
        if not done:
            self._go_on_anew()

    def _start_chunks(self, plan: BatchPlan) -> None:
        at_once = max(1, -(-plan.parallelism // plan.chunks_at_once))
        while len(self._under_way) < plan.chunks_at_once:
            chunk = self._next_chunk(plan)
            if chunk is None:
                return
            handle = workflow.start_activity_method(
                BatchActivities.run_items,
                RunItemsInput(self._batch, self._project, chunk.first, chunk.last, at_once),
                **batch_items_step(f"items {chunk.first} to {chunk.last}"),
            )
            self._under_way[handle] = chunk
            self._chunks += 1

    def _next_chunk(self, plan: BatchPlan) -> ItemRange | None:
        if self._again:
            return self._again.pop(0)
        if self._cursor >= plan.counts.total:
            return None
        first = self._cursor
        self._cursor = min(first + plan.chunk_items, plan.counts.total)
        return ItemRange(first, self._cursor - 1)

    async def _until(self, other: Callable[[], bool], deadline: float) -> None:
        """Waits until a chunk has ended, or somebody asks for something, or time is up."""

        def is_due() -> bool:
            ended = any(handle.done() for handle in self._under_way)
            return ended or self._paused or self._cancelled or other()

        left = timedelta(seconds=max(0.0, deadline - workflow.time()))
        try:
            await workflow.wait_condition(is_due, timeout=left)
        except TimeoutError:
            return

    def _collect(self) -> bool:
        """Takes note of chunks that have ended; False when one cannot be done at all."""
        good = True
        for handle in [each for each in self._under_way if each.done()]:
            chunk = self._under_way.pop(handle)
            try:
                result = handle.result()
            except ActivityError as error:
                self._again.append(chunk)
                good = good and is_cancelled_exception(error)
                continue
            self._saw(result.counts)
            if not result.done:
                self._again.append(chunk)
                self._paused = self._paused or result.status == "paused"
                self._cancelled = self._cancelled or result.status in ("cancelling", *_ENDED)
        return good

    def _saw(self, counts: BatchCounts) -> None:
        if counts.finished >= self._counts.finished:
            self._counts = counts

    async def _stop_chunks(self) -> None:
        """Ends what is under way; it stores what it has."""
        for handle in self._under_way:
            handle.cancel()
        await workflow.wait_condition(lambda: all(each.done() for each in self._under_way))
        self._collect()

    async def _while_paused(self, deadline: float) -> None:
        await self._set_status("paused")
        self._enter("paused", "paused")
        while self._paused and not self._cancelled and workflow.time() < deadline:
            left = timedelta(seconds=max(0.0, deadline - workflow.time()))
            try:
                await workflow.wait_condition(
                    lambda: not self._paused or self._cancelled,
                    timeout=min(_LOOK_WHILE_PAUSED, left),
                )
            except TimeoutError:
                # A resume while Temporal was away has reached PostgreSQL alone.
                self._paused = await self._status() == "paused"
        if not self._cancelled:
            self._enter("running", "in_progress")
            await self._set_status("in_progress")

    async def _end(self, status: str) -> None:
        """Gives the rest its end and the batch its last status, and has the client told."""
        if status == "cancelled":
            self._enter("cancelling", "cancelling")
            await self._set_status("cancelling")
        if status != "completed":
            rest = await workflow.execute_activity_method(
                BatchActivities.finish_rest,
                FinishRestInput(
                    self._batch, "expired" if status == "expired" else "cancelled", _REASONS[status]
                ),
                **batch_step(f"the rest is {status}"),
            )
            self._saw(rest.counts)
        ended = await workflow.execute_activity_method(
            BatchActivities.end_batch,
            EndBatchInput(self._batch, status),
            **batch_end_step(f"write the end: {status}"),
        )
        self._saw(ended.counts)
        self._enter("ended", status)
        if ended.has_webhook:
            _ = await workflow.start_child_workflow(
                BATCH_WEBHOOK_WORKFLOW,
                BatchOf(self._batch),
                id=batch_webhook_id(self._batch, self._counts.finished),
                parent_close_policy=ParentClosePolicy.ABANDON,
                static_summary=f"Tell of the end of {self._batch}",
            )

    async def _set_status(self, status: str) -> None:
        now = await workflow.execute_activity_method(
            BatchActivities.set_batch_status,
            SetBatchStatusInput(self._batch, status),
            **batch_step(status),
        )
        self._saw(now.counts)

    async def _status(self) -> str:
        now = await workflow.execute_activity_method(
            BatchActivities.batch_status, BatchOf(self._batch), **batch_step("still paused?")
        )
        return now.status

    def _enter(self, state: str, status: str) -> None:
        self._state = state
        if self._searchable:
            workflow.upsert_search_attributes([_STATUS.value_set(status)])

    def _is_long(self) -> bool:
        return self._chunks >= _CHUNKS_A_RUN or workflow.info().is_continue_as_new_suggested()

    def _go_on_anew(self) -> None:
        if self._under_way or self._paused or self._cancelled:
            return
        workflow.continue_as_new(
            BatchInput(
                self._batch,
                self._project,
                cursor=self._cursor,
                searchable=self._searchable,
                again=self._again,
                counts=self._counts,
                resumed=True,
            )
        )
