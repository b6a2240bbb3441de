"""Admission: how many requests a project may send in a minute, counted over all processes.

One Valkey call, sent before the request is read and awaited when its answer is needed. Without
Valkey each process counts for itself, up to its share of the limit.
"""

import time
from collections import OrderedDict, deque
from collections.abc import Callable, Generator
from dataclasses import dataclass
from importlib import resources
from typing import Any

from gateway.context import Caller
from gateway.errors import RateLimitError
from gateway.storage.valkey import Script, Valkey, ValkeyDown
from gateway.telemetry.metrics import MetricStore
from gateway.telemetry.series import RATE_LIMIT_HITS

WINDOW_SECONDS = 60.0
_MAX_PROJECTS = 10_000


@dataclass(frozen=True, slots=True)
class Admission:
    """The outcome for one request; `limit` is None when nothing is counted.

    `retry_after_seconds` is the time until a slot frees, 0 when the request was admitted;
    `reset_seconds` the time until the whole limit is free again. `degraded` tells that this
    process decided alone.
    """

    admitted: bool
    limit: int | None = None
    remaining: int = 0
    retry_after_seconds: float = 0.0
    reset_seconds: float = 0.0
    degraded: bool = False


class RequestsPerMinuteError(RateLimitError):
    """The project has used its requests of this minute; `admission` has the numbers."""

    def __init__(self, admission: Admission) -> None:
        super().__init__(
            f"Rate limit reached: {admission.limit} requests per minute. "
            f"Try again in {admission.retry_after_seconds:.1f} s.",
            retry_after_seconds=admission.retry_after_seconds,
        )
        self.admission = admission


class LocalWindow:
    """The same sliding window inside one process, for when Valkey is away.

    Keeps the times of as many admitted requests as the limit allows, no more.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._logs: OrderedDict[str, deque[float]] = OrderedDict()

    def record(self, project: str, limit: int) -> None:
        """Count a request that was admitted elsewhere."""
        self._log_of(project, limit).append(self._clock())

    def admit(self, project: str, limit: int) -> Admission:
        """Admit and count a request, or refuse it."""
        now = self._clock()
        edge = now - WINDOW_SECONDS
        log = self._log_of(project, limit)
        while log and log[0] <= edge:
            log.popleft()
        if len(log) == limit:
            return Admission(
                admitted=False,
                limit=limit,
                retry_after_seconds=log[0] - edge,
                reset_seconds=log[-1] - edge,
                degraded=True,
            )
        log.append(now)
        return Admission(
            admitted=True,
            limit=limit,
            remaining=limit - len(log),
            reset_seconds=WINDOW_SECONDS,
            degraded=True,
        )

    def _log_of(self, project: str, limit: int) -> deque[float]:
        log = self._logs.get(project)
        if log is None or log.maxlen != limit:
            log = self._logs[project] = deque(log or (), maxlen=limit)
            if len(self._logs) > _MAX_PROJECTS:
                self._logs.popitem(last=False)
        return log


class PendingAdmission:
    """An admission under way. Await it for an Admission; raises RequestsPerMinuteError.

    May be dropped without an await, when the request turned out to be unusable.
    """

    __slots__ = ("_settle",)

    def __init__(self, settle: Callable[[], Generator[Any, None, Admission]]) -> None:
        self._settle = settle

    def __await__(self) -> Generator[Any, None, Admission]:
        return self._settle()


class AdmissionControl:
    """Counts requests per minute and project.

    `processes` is the number of API processes, which share the limit while Valkey is down.
    `enabled=False` admits everything and never calls Valkey.
    """

    def __init__(
        self,
        valkey: Valkey,
        metrics: MetricStore,
        *,
        enabled: bool,
        requests_per_minute: int,
        processes: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        text = resources.files("gateway.reliability").joinpath("admission.lua").read_text("utf-8")
        self._script = Script.of(text)
        self._valkey = valkey
        self._metrics = metrics
        self._enabled = enabled
        self._default_limit = requests_per_minute
        self._processes = max(1, processes)
        self._local = LocalWindow(clock)
        valkey.register(self._script)

    def admit(self, caller: Caller) -> PendingAdmission:
        """Send the question for `caller` now; await the result when the answer is needed."""
        if not self._enabled:
            return PendingAdmission(_unlimited)
        project = caller.project.id
        limit = caller.project.requests_per_minute or self._default_limit
        reply = self._valkey.evalsha(
            self._script,
            # The braces keep all keys of a project on one node of a cluster.
            (f"gateway:{{{project}}}:requests",),
            (limit, int(WINDOW_SECONDS * 1_000_000)),
        )

        def settle() -> Generator[Any, None, Admission]:
            share = max(1, limit // self._processes)
            try:
                admitted, remaining, frees, reset = yield from reply
            except ValkeyDown:
                return self._checked(self._local.admit(project, share), project)
            if admitted:
                self._local.record(project, share)
            return self._checked(
                Admission(bool(admitted), limit, remaining, frees / 1e6, reset / 1e6), project
            )

        return PendingAdmission(settle)

    def _checked(self, admission: Admission, project: str) -> Admission:
        if not admission.admitted:
            self._metrics.add(RATE_LIMIT_HITS, (project,))
            raise RequestsPerMinuteError(admission)
        return admission


def _unlimited() -> Generator[Any, None, Admission]:
    """Admits at once."""
    return Admission(admitted=True)
    yield  # makes this a generator, which is what an await runs
