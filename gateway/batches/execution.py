"""One chunk of a batch: each item executed at the pace limits allow, its result stored once.

Results are exactly one for each item whatever is repeated, since the store takes the first one
only; calls of the model are at least one, since a worker may die between the call and the store.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Literal

from gateway.batches.pacing import Pace, WarmPrefixes
from gateway.errors import UnavailableError
from gateway.storage.batch_items_store import BatchItemStore, Counts, ItemResult, ItemRow
from gateway.storage.batch_tables import FAILED
from gateway.structs import Struct, field
from gateway.wire import JSONObject

MOST_TRIES = 5
"""How often an item is tried that fails by itself; limits and outages do not count."""

MOST_CRASHES = 3
"""How many workers may die over an item before it is left alone."""

_STORED_AT_ONCE = 50
_STORE_SECONDS = 0.25
_LOOK_SECONDS = 1.0
_WAIT_HERE_SECONDS = 3.0  # longer waits are the durable engine's, which needs no worker for them
_STORE_AGAIN_SECONDS = 1.0
_BUSY_SECONDS = 1.0  # where the upstream does not say how long it is busy
_log = logging.getLogger("gateway.batches")


class Answered(Struct, frozen=True):
    """An item has its result, good or bad; `usage` is its row of `usage_events`."""

    result: ItemResult
    usage: JSONObject | None = None


class NotYet(Struct, frozen=True):
    """An item has to be tried again, in `seconds` where somebody said so.

    `why`: a limit of the project, which holds for every item; an upstream that is busy or down; or
    a failure, which counts: after the last try the item ends with `instead`.
    """

    why: Literal["limit", "busy", "failure"]
    seconds: float | None
    instead: Answered


Execute = Callable[[ItemRow], Awaitable[Answered | NotYet]]


class LaterError(UnavailableError):
    """Items are left that can only be done later; `retry_after_seconds` says when."""

    code = "batch_items_wait"


class ChunkNotes(Struct):
    """What the next try of a chunk has to know, by numbers of items as text.

    `under_way` is what a worker was at when it died; `crashes` counts that, `tries` failures.
    """

    tries: dict[str, int] = field(default_factory=dict)
    crashes: dict[str, int] = field(default_factory=dict)
    under_way: list[int] = field(default_factory=list)

    def begin_again(self, *, crashed: bool) -> None:
        """A new try begins; after a crash whatever was under way is suspected."""
        if crashed:
            for number in self.under_way:
                self.crashes[str(number)] = self.crashes.get(str(number), 0) + 1
        self.under_way = []


class ChunkRun(Struct):
    """Executes a chunk. Use once.

    `parallelism` items are under way at most; `draining` tells that nothing new may begin.
    """

    batch_id: str
    store: BatchItemStore
    execute: Execute
    parallelism: int
    warm: WarmPrefixes
    notes: ChunkNotes
    draining: Callable[[], bool]
    grace_seconds: float = 8.0
    counts: Counts | None = None
    _waiting: deque[ItemRow] = field(default_factory=deque)
    _later: list[tuple[float, ItemRow]] = field(default_factory=list)
    _under_way: dict["asyncio.Task[Answered | NotYet]", ItemRow] = field(default_factory=dict)
    _answers: list[Answered] = field(default_factory=list)
    _stored_at: float = 0.0

    async def run(self, first: int, last: int) -> None:
        """Executes the items from `first` to `last` that have no result.

        Raises LaterError when some are left, and UnavailableError without a database.
        """
        rows = await self.store.take(self.batch_id, first, last)
        suspects = [row for row in rows if str(row.number) in self.notes.crashes]
        others = [row for row in rows if str(row.number) not in self.notes.crashes]
        pace = Pace(self.parallelism)
        try:
            await self._go_through(in_warm_order(others), pace)
            for row in self._by_turns(suspects):
                await self._alone(row)
        except asyncio.CancelledError:
            await self._end_soon()
            raise
        finally:
            self._abort()
        if self._waiting or self._later:
            raise LaterError(
                "items of the chunk wait for a limit, an upstream or a worker",
                retry_after_seconds=0.0 if self.draining() else self._seconds_until_due(pace),
            )

    def _abort(self) -> None:
        """Ends the calls under way, and lets other chunks warm what these would have."""
        for task, row in self._under_way.items():
            task.cancel()
            self.warm.ended(row.prefix, warmed=False)

    def _by_turns(self, suspects: list[ItemRow]) -> list[ItemRow]:
        """From the other end each time, so that one bad item does not hide those behind it."""
        turn = max(self.notes.crashes.values(), default=0)
        return suspects[::-1] if turn % 2 == 0 else suspects

    async def _alone(self, row: ItemRow) -> None:
        """One item by itself: if the worker dies now, it is this one's doing."""
        if self.notes.crashes[str(row.number)] >= MOST_CRASHES:
            _log.error("batch_item_left_alone", extra={"batch": self.batch_id, "item": row.number})
            self._answers.append(Answered(_crashed(row.number)))
            await self._store()
        elif self._later or self.draining():
            self._waiting.append(row)
        else:
            await self._go_through([row], Pace(1))

    async def _go_through(self, rows: Sequence[ItemRow], pace: Pace) -> None:
        self._waiting.extend(rows)
        self._stored_at = time.monotonic()
        while self._waiting or self._later or self._under_way:
            self._recall_due()
            if not self.draining():
                self._begin_some(pace)
            if self._under_way:
                await self._some_end(pace)
            elif self.draining() or self._seconds_until_due(pace) > _WAIT_HERE_SECONDS:
                break
            else:
                await self._idle(pace)
            if len(self._answers) >= _STORED_AT_ONCE or self._is_store_due():
                await self._store()
        await self._store()

    def _begin_some(self, pace: Pace) -> None:
        """Begins what may begin; items of a cold prefix stay where they are."""
        for _ in range(len(self._waiting)):
            if len(self._under_way) >= pace.width:
                return
            row = self._waiting.popleft()
            if not self.warm.may_begin(row.prefix):
                self._waiting.append(row)
                continue
            task = asyncio.ensure_future(self._executed(row))
            self._under_way[task] = row
            self.notes.under_way.append(row.number)

    async def _executed(self, row: ItemRow) -> Answered | NotYet:
        return await self.execute(row)

    async def _some_end(self, pace: Pace) -> None:
        seconds = _STORE_SECONDS if self._answers else _LOOK_SECONDS
        ended, _ = await asyncio.wait(
            self._under_way, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
        )
        for task in ended:
            self._take(task, pace)

    def _take(self, task: "asyncio.Task[Answered | NotYet]", pace: Pace) -> None:
        row = self._under_way.pop(task)
        self.notes.under_way.remove(row.number)
        if task.cancelled():
            self.warm.ended(row.prefix, warmed=False)
            self._waiting.append(row)
            return
        error = task.exception()
        if error is not None:
            _log.error("batch_item_crashed", exc_info=error, extra={"batch": self.batch_id})
            outcome: Answered | NotYet = NotYet("failure", None, Answered(_broken(row.number)))
        else:
            outcome = task.result()
        self.warm.ended(row.prefix, warmed=isinstance(outcome, Answered))
        if isinstance(outcome, Answered):
            pace.went_well()
            self._answers.append(outcome)
        else:
            self._put_off(row, outcome, pace)

    def _put_off(self, row: ItemRow, outcome: NotYet, pace: Pace) -> None:
        seconds = outcome.seconds if outcome.seconds is not None else _BUSY_SECONDS
        if outcome.why == "limit":
            pace.stop_for(seconds)
        elif outcome.why == "busy":
            pace.refused()
        else:
            tries = self.notes.tries[str(row.number)] = self.notes.tries.get(str(row.number), 0) + 1
            if tries >= MOST_TRIES:
                self._answers.append(outcome.instead)
                return
            seconds = max(seconds, min(30.0, 0.5 * 2**tries))
        self._later.append((time.monotonic() + seconds, row))

    def _recall_due(self) -> None:
        now = time.monotonic()
        due = [row for at, row in self._later if at <= now]
        if due:
            self._later = [(at, row) for at, row in self._later if at > now]
            self._waiting.extendleft(reversed(due))

    def _seconds_until_due(self, pace: Pace) -> float:
        """How long until anything may begin."""
        soonest = 0.0
        if not self._waiting and self._later:
            soonest = max(0.0, min(at for at, _ in self._later) - time.monotonic())
        return max(soonest, pace.stopped_seconds)

    async def _idle(self, pace: Pace) -> None:
        seconds = self._seconds_until_due(pace) or _LOOK_SECONDS
        try:
            async with asyncio.timeout(seconds):
                await self.warm.change()
        except TimeoutError:
            return

    def _is_store_due(self) -> bool:
        return bool(self._answers) and time.monotonic() - self._stored_at >= _STORE_SECONDS

    async def _store(self) -> None:
        """Stores what is answered; it was paid for, so that a database that is away is awaited."""
        while self._answers:
            answers = self._answers[: 4 * _STORED_AT_ONCE]
            usage = {each.result.number: each.usage for each in answers if each.usage is not None}
            results = [each.result for each in answers]
            try:
                self.counts = await self.store.store_results(self.batch_id, results, usage)
            except UnavailableError:
                _log.warning("batch_results_wait", extra={"batch": self.batch_id})
                await asyncio.sleep(_STORE_AGAIN_SECONDS)
                continue
            del self._answers[: len(answers)]
        self._stored_at = time.monotonic()

    async def _end_soon(self) -> None:
        """Somebody has cancelled the chunk: calls under way may end, what is answered is kept."""
        if self._under_way:
            ended, _ = await asyncio.wait(self._under_way, timeout=self.grace_seconds)
            for task in ended:
                self._take(task, Pace(1))
        async with asyncio.timeout(self.grace_seconds):
            await self._store()


def in_warm_order(rows: Iterable[ItemRow]) -> list[ItemRow]:
    """The first item of each prefix, then the others: those find a warm cache sooner."""
    first: list[ItemRow] = []
    others: list[ItemRow] = []
    seen: set[bytes] = set()
    for row in rows:
        (others if row.prefix in seen else first).append(row)
        seen.add(row.prefix)
    return first + others


def _broken(number: int) -> ItemResult:
    error = {"code": "internal_error", "message": "The gateway failed.", "param": None}
    return ItemResult(number, FAILED, status_code=500, error={**error, "status": 500})


def _crashed(number: int) -> ItemResult:
    message = f"{MOST_CRASHES} workers ended while this item was executed."
    error = {"code": "worker_crashed", "message": message, "param": None, "status": 500}
    return ItemResult(number, FAILED, status_code=500, error=error)
