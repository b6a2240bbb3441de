"""Admission: what projects and keys may use, counted over all processes.

Requests and tokens of a minute, requests at once, money of a day and of a month.

One Valkey call, sent before the request is read and awaited when its answer is needed. What a
request will use is an estimate until it is settled. Without Valkey each process counts for itself,
up to its share of the limits.
"""

import asyncio
import time
from collections.abc import Callable, Generator, Sequence
from typing import Any

from gateway.context import Caller
from gateway.ids import random_hex
from gateway.reliability.limits import (
    BUDGETS,
    LIMIT_NAMES,
    WINDOW_SECONDS,
    Admission,
    Allowance,
    LimitReachedError,
    Periods,
    Refusal,
    Subject,
    micro_dollars,
    subjects_of,
)
from gateway.reliability.local_limits import Estimate, LocalLimits, tightest
from gateway.reliability.reservation import (
    LEASE_SECONDS,
    RENEW_SECONDS,
    Book,
    Reservation,
    script_named,
)
from gateway.reliability.spending import Spending
from gateway.reliability.token_estimate import estimated_tokens
from gateway.storage.valkey import ScriptCall, Valkey, ValkeyDown
from gateway.structs import Struct
from gateway.telemetry.metrics import MetricStore
from gateway.telemetry.series import RATE_LIMIT_HITS

_MICROSECONDS = 1_000_000
_HEAD = 5
_PER_SUBJECT = 6
_NOTHING = Estimate()
_MAX_CALLERS = 10_000


class _Counted(Struct, frozen=True):
    """What is counted for the requests of a caller on a day.

    `call` is that of the script; None where each request has its own.
    """

    caller: Caller
    when: Periods
    subjects: tuple[Subject, ...]
    keys: list[str]
    call: ScriptCall | None


class PendingAdmission(Struct, frozen=True):
    """An admission under way. Await it for an Admission; raises LimitReachedError.

    Without an await it must be dropped, when the request turned out to be unusable. `reservation`
    is what the admitted request has to settle, None where that does not matter.
    """

    _outcome: Callable[[], Generator[Any, None, Admission]]
    _reply: "asyncio.Future[Any] | None" = None
    reservation: Reservation | None = None

    def __await__(self) -> Generator[Any, None, Admission]:
        return self._outcome()

    def drop(self) -> None:
        """Give back what is reserved; the request still counts as one. Never waits."""
        if self.reservation is not None and self._reply is not None:
            self.reservation.abandon(self._reply)


class AdmissionControl:
    """Admits requests over `processes` API processes; `usd_per_token` prices estimates."""

    def __init__(
        self,
        valkey: Valkey,
        metrics: MetricStore,
        spending: Spending,
        *,
        processes: int,
        usd_per_token: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._script = script_named("admission.lua")
        self._valkey = valkey
        self._metrics = metrics
        self._spending = spending
        self._usd_per_token = usd_per_token
        self._local = LocalLimits(spending, processes, clock)
        self._book = Book(valkey, script_named("settlement.lua"), self._local, spending)
        self._in_flight: dict[str, Reservation] = {}
        self._counted: dict[tuple[str, str], _Counted] = {}
        valkey.register(self._script)
        valkey.register(self._book.settlement)

    async def run(self) -> None:
        """Keeps what is in flight in Valkey's memory, until cancelled."""
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            for reservation in list(self._in_flight.values()):
                reservation.renew()

    def admit(self, caller: Caller, body: bytes = b"") -> PendingAdmission:
        """Send the question for `caller` now; await the result when the answer is needed."""
        when = self._spending.periods()
        counted = self._counted_of(caller, when)
        subjects, call = counted.subjects, counted.call
        if not subjects:
            return PendingAdmission(_unlimited)
        request, estimate, reservation = "-", _NOTHING, None
        if call is None:
            request, estimate = random_hex(18), self._estimate(body)
            reservation = Reservation(self._book, subjects, request, estimate, when, self._ended)
            arguments = self._arguments(subjects, request, estimate, when)
            call = ScriptCall.of(self._script, counted.keys, arguments)
        reply = self._valkey.run(call)

        def outcome() -> Generator[Any, None, Admission]:
            try:
                said = yield from reply
            except ValkeyDown:
                admission = self._local.admit(subjects, request, estimate, when)
            else:
                admission = self._read(said, subjects, when)
                if admission.refusal is None:
                    self._local.record(subjects, request, estimate)
                    if reservation is not None:
                        reservation.admitted(said[1])
                        self._in_flight[request] = reservation
            if admission.refusal is not None:
                if reservation is not None:
                    reservation.refused()
                self._metrics.add(RATE_LIMIT_HITS, (caller.project.id,))
                raise LimitReachedError(admission, admission.refusal)
            return admission

        return PendingAdmission(outcome, reply, reservation)

    def _counted_of(self, caller: Caller, when: Periods) -> _Counted:
        """What is counted for a caller; requests of the same caller and day share it."""
        name = (caller.project.id, caller.key_id)
        counted = self._counted.get(name)
        if counted is None or counted.caller is not caller or counted.when is not when:
            subjects = subjects_of(caller)
            keys = [key for subject in subjects for key in subject.keys(when.day, when.month)]
            needs_settlement = any(subject.limits.needs_settlement for subject in subjects)
            call = None
            if not needs_settlement:
                arguments = self._arguments(subjects, "-", _NOTHING, when)
                call = ScriptCall.of(self._script, keys, arguments)
            counted = self._counted[name] = _Counted(caller, when, subjects, keys, call)
            if len(self._counted) > _MAX_CALLERS:
                del self._counted[next(iter(self._counted))]
        return counted

    def _estimate(self, body: bytes) -> Estimate:
        tokens = estimated_tokens(body)
        return Estimate(tokens, max(1, micro_dollars(tokens * self._usd_per_token)))

    def _arguments(
        self, subjects: Sequence[Subject], request: str, estimate: Estimate, when: Periods
    ) -> list[str | int]:
        arguments: list[str | int] = [
            request,
            WINDOW_SECONDS * _MICROSECONDS,
            int(LEASE_SECONDS * _MICROSECONDS),
        ]
        for subject in subjects:
            limits, known_day, known_month = subject.limits, 0, 0
            if limits.has_budget:
                known_day = self._spending.known(subject, when.day)
                known_month = self._spending.known(subject, when.month)
            arguments += (
                limits.requests_per_minute,
                limits.tokens_per_minute,
                limits.concurrent_requests,
                micro_dollars(limits.budget_day_usd),
                micro_dollars(limits.budget_month_usd),
                estimate.tokens,
                estimate.micro_dollars,
                known_day,
                known_month,
            )
        return arguments

    def _read(self, said: list[int], subjects: Sequence[Subject], when: Periods) -> Admission:
        """The script's reply: see admission.lua."""
        requests: list[Allowance] = []
        tokens: list[Allowance] = []
        for index, subject in enumerate(subjects):
            at = _HEAD + index * _PER_SUBJECT
            left, reset, tokens_left, tokens_reset, day, month = said[at : at + _PER_SUBJECT]
            limits = subject.limits
            if limits.requests_per_minute:
                requests.append(Allowance(limits.requests_per_minute, left, reset / 1e6))
            if limits.tokens_per_minute:
                tokens.append(Allowance(limits.tokens_per_minute, tokens_left, tokens_reset / 1e6))
            if limits.has_budget:
                self._spending.learn(subject, when.day, day)
                self._spending.learn(subject, when.month, month)
        admitted = said[0]
        refusal = None if admitted else self._refusal(said, subjects, when)
        return Admission(tightest(requests), tightest(tokens), refusal)

    def _refusal(self, said: list[int], subjects: Sequence[Subject], when: Periods) -> Refusal:
        _, _, subject, limit, wait = said[:_HEAD]
        name, seconds = LIMIT_NAMES[limit - 1], wait / _MICROSECONDS
        if name in BUDGETS:
            seconds = self._spending.seconds_until(name, when)
        return Refusal(subjects[subject - 1], name, seconds)

    def _ended(self, request: str) -> None:
        self._in_flight.pop(request, None)


def _unlimited() -> Generator[Any, None, Admission]:
    """Admits at once."""
    return Admission()
    yield  # makes this a generator, which is what an await runs
