"""What activities return in the recorded histories of responses in the background."""

import asyncio
from collections.abc import Callable
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from gateway.durable import (
    BackgroundEnd,
    BackgroundOf,
    BatchSweepInput,
    BatchSweepResult,
    EndBackgroundInput,
)

BACKGROUND: dict[str, tuple[str, ...]] = {
    "completed": (),
    "at_the_second_try": (),
    "cannot_be_made": (),
    "cancelled": ("cancel",),
}
"""What is recorded, and the signals of each run."""


class ScriptedBackground:
    """Answers as the store and the model would, in the case that is `shown`."""

    def __init__(self, shown: str) -> None:
        self._shown = shown

    @property
    def activities(self) -> list[Callable[..., Any]]:
        """All there are."""
        return [self.make_response, self.end_response]

    @activity.defn
    async def make_response(self, wanted: BackgroundOf) -> BackgroundEnd:
        """Has an answer, now or later or never."""
        attempt = activity.info().attempt
        if self._shown == "cannot_be_made":
            raise ApplicationError("no", non_retryable=True)
        if self._shown == "at_the_second_try" and attempt == 1:
            raise ApplicationError("busy")
        while self._shown == "cancelled":
            activity.heartbeat()
            await asyncio.sleep(0.05)
        return BackgroundEnd("completed", attempt)

    @activity.defn
    async def end_response(self, wanted: EndBackgroundInput) -> BackgroundEnd:
        """Is written."""
        return BackgroundEnd(wanted.status, 1)


class ScriptedSweep:
    """Answers as the database would with two batches and a response that wait."""

    @property
    def activities(self) -> list[Callable[..., Any]]:
        """All there are."""
        return [self.start_waiting_batches, self.start_waiting_responses]

    @activity.defn
    async def start_waiting_batches(self, wanted: BatchSweepInput) -> BatchSweepResult:
        """Two have waited."""
        return BatchSweepResult(2)

    @activity.defn
    async def start_waiting_responses(self, wanted: BatchSweepInput) -> BatchSweepResult:
        """One has waited."""
        return BatchSweepResult(1)
