"""Message Batches as the API keeps them: requests, states and results.

A batch is in_progress, then perhaps canceling, then ended. When it ends follows from its age and
the settings at the moment somebody looks, so that a test can end or expire batches by changing a
setting. All its requests stay `processing` until the whole batch has ended.
"""

import time
from asyncio import Task
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from simulator.wire import Json, digest, dumps, new_id

MAX_BATCHES = 1000  # kept; the oldest goes
_RESULTS_SECONDS = 29 * 86_400.0
OUTCOMES = ("succeeded", "errored", "canceled", "expired")


@dataclass(frozen=True, slots=True)
class BatchTimes:
    """How fast batches go; seconds are since creation, `cancel_seconds` since the cancel.

    `first_share` is the part of the requests that is done at once; the rest is done with
    `end_seconds`. What is not done when a batch is canceled or expires comes back as that.
    """

    end_seconds: float
    cancel_seconds: float
    expiry_seconds: float
    first_share: float


@dataclass(slots=True)
class MessageBatch:
    """One batch. Times are Unix seconds.

    `params` are the requests' bodies in JSON. `answers` are results in JSON, succeeded or errored,
    in the order of the requests, as far as they are made; `errored` has the numbers of the latter.
    `done` requests were done at the end, the others are `rest`.
    """

    account: str
    custom_ids: list[str]
    params: list[bytes]
    created_at: float
    id: str = field(default_factory=lambda: new_id("msgbatch_"))
    answers: list[bytes] = field(default_factory=list)
    errored: set[int] = field(default_factory=set)
    answered_at: float | None = None
    cancel_initiated_at: float | None = None
    ended_at: float | None = None
    done: int = 0
    rest: str = "canceled"
    work: "Task[None] | None" = None

    def settle(self, now: float, times: BatchTimes) -> None:
        """Ends the batch if its time has come and its answers are made."""
        if self.ended_at is not None or self.answered_at is None:
            return
        total = len(self.custom_ids)
        ends = [(self.created_at + times.end_seconds, total, "canceled")]
        first = int(total * times.first_share)
        ends.append((self.created_at + times.expiry_seconds, first, "expired"))
        if self.cancel_initiated_at is not None:
            canceled_at = self.cancel_initiated_at + times.cancel_seconds
            ends = [end for end in ends if end[0] <= self.cancel_initiated_at]
            ends.append((canceled_at, first, "canceled"))
        at, done, rest = min(ends)
        if at <= now:
            self.ended_at = max(at, self.answered_at)
            self.done, self.rest = done, rest
            self.params = []

    @property
    def processing_status(self) -> str:
        """in_progress, canceling or ended."""
        if self.ended_at is not None:
            return "ended"
        return "in_progress" if self.cancel_initiated_at is None else "canceling"

    def counts(self) -> dict[str, int]:
        """`request_counts`: all are processing until the end."""
        counts = dict.fromkeys(("processing", *OUTCOMES), 0)
        total = len(self.custom_ids)
        if self.ended_at is None:
            counts["processing"] = total
            return counts
        counts["errored"] = sum(1 for number in self.errored if number < self.done)
        counts["succeeded"] = self.done - counts["errored"]
        counts[self.rest] += total - self.done
        return counts

    def is_archived(self, now: float) -> bool:
        """Whether the results are kept no longer."""
        return now >= self.created_at + _RESULTS_SECONDS

    def shown(self, base_url: str, now: float, times: BatchTimes) -> Json:
        """The batch as the API shows it."""
        archived = self.created_at + _RESULTS_SECONDS if self.is_archived(now) else None
        readable = self.ended_at is not None and archived is None
        return {
            "id": self.id,
            "type": "message_batch",
            "processing_status": self.processing_status,
            "request_counts": self.counts(),
            "ended_at": _moment(self.ended_at),
            "created_at": _moment(self.created_at),
            "expires_at": _moment(self.created_at + times.expiry_seconds),
            "archived_at": _moment(archived),
            "cancel_initiated_at": _moment(self.cancel_initiated_at),
            "results_url": f"{base_url}/v1/messages/batches/{self.id}/results"
            if readable
            else None,
        }

    def lines(self, salt: bytes) -> Iterator[bytes]:
        """The results as lines of JSON, in an order that only `salt` and the ids decide."""
        rest = dumps({"type": self.rest})
        order = sorted(
            range(len(self.custom_ids)),
            key=lambda number: digest(salt, self.custom_ids[number].encode()),
        )
        for number in order:
            result = self.answers[number] if number < self.done else rest
            yield b'{"custom_id":%s,"result":%s}\n' % (dumps(self.custom_ids[number]), result)


class MessageBatches:
    """The batches of all accounts, in order of creation."""

    def __init__(self) -> None:
        self._batches: dict[str, MessageBatch] = {}

    def add(self, batch: MessageBatch) -> None:
        """Keeps a batch."""
        self._batches[batch.id] = batch
        if len(self._batches) > MAX_BATCHES:
            _stop(self._batches.pop(next(iter(self._batches))))

    def find(self, account: str, batch_id: str) -> MessageBatch | None:
        """The account's batch of that id."""
        batch = self._batches.get(batch_id)
        return batch if batch is not None and batch.account == account else None

    def remove(self, batch: MessageBatch) -> None:
        """Forgets a batch."""
        _stop(self._batches.pop(batch.id))

    def newest_first(self, account: str) -> list[MessageBatch]:
        """The account's batches."""
        return [each for each in reversed(self._batches.values()) if each.account == account]

    def clear(self) -> None:
        """Forgets all batches."""
        for batch in self._batches.values():
            _stop(batch)
        self._batches.clear()

    def __len__(self) -> int:
        return len(self._batches)


def _stop(batch: MessageBatch) -> None:
    if batch.work is not None:
        batch.work.cancel()


def clock() -> float:
    """Now, as Unix seconds."""
    return time.time()


def _moment(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
