"""The parts of a batch that Claude's own Message Batches execute, at half the price.

Activities are called by name: `create_part`, `poll_part`, `cancel_part`, `read_results`, each with
a PartInput and a PartState. Each may run twice; what a part has come to is in PostgreSQL, so that
any run of the workflow finds it there.
"""

import asyncio
from collections.abc import Callable
from datetime import timedelta

from temporalio import workflow
from temporalio.workflow import ActivityConfig

with workflow.unsafe.imports_passed_through():
    from gateway.durable import BatchCounts, PartInput, PartState
    from workflows.options import batch_end_step, batch_step

_FIRST_WAIT_SECONDS = 5.0
_LONGEST_WAIT_SECONDS = 120.0  # most batches take minutes, some hours
_SLOWER = 1.5


class UpstreamParts:
    """Brings the parts of one batch to their end. Created per run of the workflow.

    `is_over` tells that the batch was cancelled or has expired, `is_long` that a new run is due.
    """

    def __init__(self, batch_id: str, is_over: Callable[[], bool], is_long: Callable[[], bool]):
        self._batch = batch_id
        self._is_over = is_over
        self._is_long = is_long
        self.counts = BatchCounts()

    async def run(self, parts: int) -> bool:
        """True when every part has ended and its results are stored; False for a new run."""
        done = await asyncio.gather(*(self._part(part) for part in range(parts)))
        return all(done)

    async def _part(self, part: int) -> bool:
        if not self._is_over():
            await self._step("create_part", part, batch_end_step(f"part {part}: submit"))
        wait, told = _FIRST_WAIT_SECONDS, False
        while True:
            state = await self._step("poll_part", part, batch_step(f"part {part}: has it ended?"))
            if state.state == "read":
                return True
            if state.state == "ended":
                await self._step("read_results", part, batch_end_step(f"part {part}: results"))
                return True
            if self._is_over() and not told:
                await self._step("cancel_part", part, batch_step(f"part {part}: cancel"))
                wait, told = _FIRST_WAIT_SECONDS, True
            if self._is_long():
                return False
            await self._while(wait, told=told)
            wait = min(wait * _SLOWER, _LONGEST_WAIT_SECONDS)

    async def _while(self, seconds: float, *, told: bool) -> None:
        """Waits so long, or until the batch is over and nobody upstream knows."""
        try:
            await workflow.wait_condition(
                lambda: self._is_over() and not told, timeout=timedelta(seconds=seconds)
            )
        except TimeoutError:
            return

    async def _step(self, name: str, part: int, options: ActivityConfig) -> PartState:
        state: PartState = await workflow.execute_activity(
            name, PartInput(self._batch, part), result_type=PartState, **options
        )
        if state.counts.finished >= self.counts.finished:
            self.counts = state.counts
        return state
