"""The same limits inside one process, for when Valkey is away: each process takes its share.

What Valkey admits is noted here too, so that the limits hold when it goes away in mid-window.
"""

import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter

from gateway.reliability.limits import (
    WINDOW_SECONDS,
    Admission,
    Allowance,
    Periods,
    Refusal,
    Subject,
    micro_dollars,
)
from gateway.reliability.spending import Spending
from gateway.structs import Struct, field

_MAX_SUBJECTS = 10_000
_FULL_SECONDS = 1.0  # nobody knows when a request in flight will end


_remaining = attrgetter("remaining")


class Estimate(Struct, frozen=True):
    """What a request is expected to use before anything is known of it."""

    tokens: int = 0
    micro_dollars: int = 0


class _Log(Struct):
    """What is known of one subject. `tokens` are [moment, tokens] of requests, oldest first."""

    requests: deque[float]
    tokens: deque[list[float]] = field(default_factory=deque)
    in_flight: dict[str, tuple[list[float], int]] = field(default_factory=dict)


class LocalLimits:
    """The limits of this process, which has `1 / processes` of each, budgets excepted.

    `clock` is monotonic; it is given anew with what each request has used.
    """

    def __init__(
        self,
        spending: Spending,
        processes: int = 1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._spending = spending
        self._processes = max(1, processes)
        self._clock = clock
        self._logs: OrderedDict[str, _Log] = OrderedDict()

    def record(self, subjects: Sequence[Subject], request: str, estimate: Estimate) -> None:
        """Note a request that was admitted elsewhere."""
        now = self._clock()
        for subject in subjects:
            limits, log = subject.limits, self._log(subject, now)
            if limits.requests_per_minute:
                log.requests.append(now)
            reserved = [now, float(estimate.tokens)]
            if limits.tokens_per_minute:
                log.tokens.append(reserved)
            if limits.needs_settlement:
                log.in_flight[request] = (reserved, estimate.micro_dollars)

    def admit(
        self, subjects: Sequence[Subject], request: str, estimate: Estimate, when: Periods
    ) -> Admission:
        """Admit and note a request, or refuse it."""
        now = self._clock()
        refusals = [
            refusal
            for subject in subjects
            if (refusal := self._refusal(subject, estimate, when, now)) is not None
        ]
        if not refusals:
            self.record(subjects, request, estimate)
        return Admission(
            tightest(self._requests_left(subject, now) for subject in subjects),
            tightest(self._tokens_left(subject, now) for subject in subjects),
            max(refusals, key=lambda refusal: refusal.wait_seconds) if refusals else None,
            degraded=True,
        )

    def settle(self, subjects: Sequence[Subject], request: str, tokens: int) -> None:
        """Replace what a request has reserved by what it has used."""
        for subject in subjects:
            log = self._logs.get(subject.tag)
            flying = log.in_flight.pop(request, None) if log is not None else None
            if flying is not None:
                flying[0][1] = tokens

    def _refusal(
        self, subject: Subject, estimate: Estimate, when: Periods, now: float
    ) -> Refusal | None:
        limits, log = subject.limits, self._log(subject, now)
        if limits.requests_per_minute and len(log.requests) >= self._share(
            limits.requests_per_minute
        ):
            return Refusal(subject, "requests", log.requests[0] + WINDOW_SECONDS - now)
        if limits.tokens_per_minute:
            wait = self._token_wait(log, self._share(limits.tokens_per_minute), estimate, now)
            if wait > 0:
                return Refusal(subject, "tokens", wait)
        if limits.concurrent_requests and len(log.in_flight) >= self._share(
            limits.concurrent_requests
        ):
            return Refusal(subject, "concurrent_requests", _FULL_SECONDS)
        return self._budget_refusal(subject, log, when)

    def _budget_refusal(self, subject: Subject, log: _Log, when: Periods) -> Refusal | None:
        limits = subject.limits
        for limit, budget, period in (
            ("month", limits.budget_month_usd, when.month),
            ("day", limits.budget_day_usd, when.day),
        ):
            if not budget:
                continue
            reserved = sum(cost for _, cost in log.in_flight.values())
            if self._spending.known(subject, period) + reserved >= micro_dollars(budget):
                return Refusal(subject, limit, self._spending.seconds_until(limit, when))
        return None

    def _token_wait(self, log: _Log, limit: int, estimate: Estimate, now: float) -> float:
        missing = sum(tokens for _, tokens in log.tokens) + min(estimate.tokens, limit) - limit
        if missing <= 0:
            return 0.0
        for moment, tokens in log.tokens:
            missing -= tokens
            if missing <= 0:
                return moment + WINDOW_SECONDS - now
        return float(WINDOW_SECONDS)

    def _requests_left(self, subject: Subject, now: float) -> Allowance | None:
        if not subject.limits.requests_per_minute:
            return None
        log, limit = self._log(subject, now), self._share(subject.limits.requests_per_minute)
        reset = log.requests[-1] + WINDOW_SECONDS - now if log.requests else 0.0
        return Allowance(limit, max(0, limit - len(log.requests)), reset)

    def _tokens_left(self, subject: Subject, now: float) -> Allowance | None:
        if not subject.limits.tokens_per_minute:
            return None
        log, limit = self._log(subject, now), self._share(subject.limits.tokens_per_minute)
        used = int(sum(tokens for _, tokens in log.tokens))
        reset = log.tokens[-1][0] + WINDOW_SECONDS - now if log.tokens else 0.0
        return Allowance(limit, max(0, limit - used), reset)

    def _log(self, subject: Subject, now: float) -> _Log:
        """The log of a subject, cut to the window."""
        log, share = self._logs.get(subject.tag), self._share(subject.limits.requests_per_minute)
        if log is None:
            log = self._logs[subject.tag] = _Log(deque(maxlen=share))
            if len(self._logs) > _MAX_SUBJECTS:
                self._logs.popitem(last=False)
        elif log.requests.maxlen != share:
            log.requests = deque(log.requests, maxlen=share)
        edge = now - WINDOW_SECONDS
        while log.requests and log.requests[0] <= edge:
            log.requests.popleft()
        while log.tokens and log.tokens[0][0] <= edge:
            log.tokens.popleft()
        return log

    def _share(self, limit: int) -> int:
        return max(1, limit // self._processes)


def tightest(allowances: Iterable[Allowance | None]) -> Allowance | None:
    """The allowance with the least left; None when nothing is counted."""
    return min(filter(None, allowances), key=_remaining, default=None)
