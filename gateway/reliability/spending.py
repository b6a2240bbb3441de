"""What projects and keys have spent, as far as this process knows.

Valkey counts, but may have been restarted empty, or be away. Each process remembers the most it has
heard of, sends it along with every admission, and asks PostgreSQL, where every event ends up, from
time to time: a sum can only be too low for as long as that takes, and never stays too high.
"""

import asyncio
import contextlib
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

from gateway.errors import GatewayError
from gateway.reliability.limits import Periods, Subject, micro_dollars, periods

_log = logging.getLogger("gateway.reliability")

_ASK_SECONDS = 30.0
_FIRST_ASK_SECONDS = 0.2  # a subject seen for the first time is looked up soon
_MAX_SUBJECTS = 10_000
_SEEN_SECONDS = 600.0
_DAY_SECONDS = 86_400


class SpendStore(Protocol):
    """Where every usage event ends up."""

    async def spent(self, project: str, key_id: str | None) -> tuple[float, float]:
        """Dollars of the UTC day and month, of a project or one of its keys.

        Raises UnavailableError.
        """


class Spending:
    """Micro-dollars by subject and period. `wall_clock` is Unix time."""

    def __init__(
        self, store: SpendStore | None, *, wall_clock: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._wall_clock = wall_clock
        self._known: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._seen: OrderedDict[str, tuple[Subject, float]] = OrderedDict()
        self._fresh = asyncio.Event()
        self._periods = periods(0.0)
        self._store_answers = True

    def periods(self) -> Periods:
        """The periods of this moment; the same object as long as they are the same."""
        now = self._wall_clock()
        if not 0 <= self._periods.day_ends_at - now <= _DAY_SECONDS:
            self._periods = periods(now)
        return self._periods

    def seconds_until(self, limit: str, when: Periods) -> float:
        """How long a spent budget of the day or month stays spent."""
        ends_at = when.day_ends_at if limit == "day" else when.month_ends_at
        return max(0.0, ends_at - self._wall_clock())

    def known(self, subject: Subject, period: str) -> int:
        """What the period has cost at least; the subject is looked up from now on."""
        tag = subject.tag
        if tag not in self._seen:
            self._fresh.set()
        self._seen[tag] = (subject, time.monotonic())
        self._seen.move_to_end(tag)
        if len(self._seen) > _MAX_SUBJECTS:
            self._seen.popitem(last=False)
        return self._known.get((tag, period), 0)

    def learn(self, subject: Subject, period: str, micro: int) -> None:
        """Somebody knows that the period has cost that much."""
        key = (subject.tag, period)
        if micro > self._known.get(key, 0):
            self._put(key, micro)

    def add(self, subject: Subject, when: Periods, micro: int) -> None:
        """A request of this process has cost that much."""
        for period in (when.day, when.month):
            key = (subject.tag, period)
            self._put(key, self._known.get(key, 0) + micro)

    async def run(self) -> None:
        """Asks the store, until cancelled."""
        while True:
            self._fresh.clear()
            await self.refresh()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_ASK_SECONDS):
                    await self._fresh.wait()
                await asyncio.sleep(_FIRST_ASK_SECONDS)

    async def refresh(self) -> None:
        """Asks the store once about every subject that was seen lately."""
        if self._store is None:
            return
        edge = time.monotonic() - _SEEN_SECONDS
        for tag, (subject, seen) in list(self._seen.items()):
            if seen < edge:
                self._seen.pop(tag, None)
                continue
            when = self.periods()
            try:
                day, month = await self._store.spent(subject.project, subject.key_id)
            except GatewayError as error:
                self._note(answers=False, reason=error.detail or error.message)
                return
            self.learn(subject, when.day, micro_dollars(day))
            self.learn(subject, when.month, micro_dollars(month))
        self._note(answers=True)

    def _note(self, *, answers: bool, reason: str = "") -> None:
        if answers is not self._store_answers:
            self._store_answers = answers
            extra = {"answers": answers, "reason": reason}
            _log.warning(
                "budgets_without_database" if not answers else "budgets_again", extra=extra
            )

    def _put(self, key: tuple[str, str], micro: int) -> None:
        self._known[key] = micro
        self._known.move_to_end(key)
        if len(self._known) > 2 * _MAX_SUBJECTS:
            self._known.popitem(last=False)
