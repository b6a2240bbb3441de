"""What an admitted request holds of its limits until it is settled."""

import asyncio
import time
from collections.abc import Callable, Sequence
from importlib import resources
from typing import Any

from gateway.reliability.limits import WINDOW_SECONDS, Periods, Subject
from gateway.reliability.local_limits import Estimate, LocalLimits
from gateway.reliability.spending import Spending
from gateway.storage.valkey import Script, Valkey
from gateway.structs import Struct

LEASE_SECONDS = 90.0
"""How long a request counts as in flight when nobody says so any more: its process has died."""

RENEW_SECONDS = 30.0
_MICROSECONDS = 1_000_000
_WINDOW = WINDOW_SECONDS * _MICROSECONDS


def script_named(name: str) -> Script:
    """The Lua script of this package."""
    return Script.of(resources.files("gateway.reliability").joinpath(name).read_text("utf-8"))


class Book(Struct, frozen=True):
    """Where reservations are settled: Valkey, this process, and what is known to be spent."""

    valkey: Valkey
    settlement: Script
    local: LocalLimits
    spending: Spending


class Reservation:
    """The claim of one request on limits that need to know what it has used.

    Settle it exactly once, by what it used or by nothing; later calls change nothing.
    """

    def __init__(
        self,
        book: Book,
        subjects: Sequence[Subject],
        request: str,
        estimate: Estimate,
        when: Periods,
        on_end: Callable[[str], object],
    ) -> None:
        self._book: Book | None = book
        self._subjects = [each for each in subjects if each.limits.needs_settlement]
        self._request = request
        self._estimate = estimate
        self._when = when
        self._on_end = on_end
        self._admitted_at_us = 0
        self._admitted_monotonic = 0.0

    def admitted(self, server_now_us: int) -> None:
        """Valkey has admitted the request at that moment of its own clock."""
        self._admitted_at_us = server_now_us
        self._admitted_monotonic = time.monotonic()

    def refused(self) -> None:
        """Nothing was reserved."""
        self._book = None

    def abandon(self, reply: asyncio.Future[Any]) -> None:
        """Give everything back once `reply`, the answer to the admission, has come. Never waits."""
        reply.add_done_callback(self._abandoned)

    def settle(self, tokens: int, micro_dollars: int) -> None:
        """Replace the estimate by what was used. Never waits."""
        book, self._book = self._book, None
        if book is None:
            return
        self._on_end(self._request)
        book.local.settle(self._subjects, self._request, tokens)
        if micro_dollars:
            for subject in self._subjects:
                if subject.limits.has_budget:
                    book.spending.add(subject, self._when, micro_dollars)
        if self._admitted_at_us:
            forget(self._settled_in_valkey(book, tokens, micro_dollars))

    def renew(self) -> None:
        """Tell Valkey that the request is still in flight."""
        book = self._book
        if book is None or not self._admitted_at_us:
            return
        elapsed = time.monotonic() - self._admitted_monotonic
        until = self._admitted_at_us + int((elapsed + LEASE_SECONDS) * _MICROSECONDS)
        for subject in self._subjects:
            key = subject.keys(self._when.day, self._when.month)[2]
            forget(book.valkey.call("ZADD", key, "XX", until, self._member))
            forget(book.valkey.call("PEXPIRE", key, int(2000 * LEASE_SECONDS)))

    def _abandoned(self, reply: asyncio.Future[Any]) -> None:
        if not reply.cancelled() and reply.exception() is None:
            admitted, now = reply.result()[:2]
            if admitted:
                self.admitted(now)
                self.settle(0, 0)
        # With the client gone nobody has read the reply: what was reserved goes with its lease.
        self._book = None

    @property
    def _member(self) -> str:
        return f"{self._request} {self._estimate.micro_dollars}"

    def _settled_in_valkey(
        self, book: Book, tokens: int, micro_dollars: int
    ) -> asyncio.Future[Any]:
        keys: list[str] = []
        reserved: list[int] = []
        for subject in self._subjects:
            limits = subject.limits
            keys += subject.keys(self._when.day, self._when.month)[1:]
            tokens_reserved = min(self._estimate.tokens, limits.tokens_per_minute)
            reserved += (tokens_reserved, self._estimate.micro_dollars, int(limits.has_budget))
        head = (self._request, _WINDOW, self._admitted_at_us, tokens, micro_dollars)
        return book.valkey.evalsha(book.settlement, keys, (*head, *reserved))


def forget(reply: asyncio.Future[Any]) -> None:
    """Let a write to Valkey go its way: with Valkey away there is nothing to be done."""
    reply.add_done_callback(_seen)


def _seen(reply: asyncio.Future[Any]) -> None:
    if not reply.cancelled():
        reply.exception()
