"""A circuit breaker for each upstream, local to the process: it acts at once and asks nobody.

closed -- `threshold` failures in a row --> open -- `timeout_seconds` --> half-open, one probe:
a good probe closes it, a bad one opens it again.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from gateway.errors import UnavailableError

_PROBE_LEASE_SECONDS = 120.0  # a probe that never reports must not keep the breaker half-open


class CircuitState(IntEnum):
    """The state of a breaker; the numbers are those of the metric gateway_circuit_state."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


class CircuitOpenError(UnavailableError):
    """The upstream keeps failing and is not asked; `retry_after_seconds` says until when."""

    code = "circuit_open"


@dataclass(slots=True)
class _Circuit:
    """What is known of one upstream. `period` grows with each change of state."""

    state: CircuitState = CircuitState.CLOSED
    failures: int = 0
    opened_at: float = 0.0
    probe_since: float | None = None
    period: int = 0


class Passage:
    """Leave to ask the upstream once. Report how it went by exactly one of the methods.

    Later reports of the same passage change nothing, and neither do reports of passages from
    before the breaker last changed its state: a long stream that began in good times is no proof
    that the upstream is well again.
    """

    __slots__ = ("_breaker", "_period", "_upstream")

    def __init__(self, breaker: "CircuitBreaker", upstream: str, period: int) -> None:
        self._breaker: CircuitBreaker | None = breaker
        self._upstream = upstream
        self._period = period

    def succeeded(self) -> None:
        """The upstream served, or refused for a reason of the request."""
        self._report(good=True)

    def failed(self) -> None:
        """The upstream failed: unreachable, overloaded, silent, cut or 5xx."""
        self._report(good=False)

    def dropped(self) -> None:
        """Nothing was learned, for example because the client left."""
        self._report(good=None)

    def _report(self, *, good: bool | None) -> None:
        if self._breaker is not None:
            breaker, self._breaker = self._breaker, None
            breaker.settle(self._upstream, self._period, good=good)


class CircuitBreaker:
    """The breakers of all upstreams, named `<upstream>/<model class>`.

    `on_change(upstream, state)` is called at each change. `enabled=False` lets everything through.
    """

    def __init__(
        self,
        *,
        enabled: bool,
        threshold: int,
        timeout_seconds: float,
        clock: Callable[[], float] = time.monotonic,
        on_change: Callable[[str, CircuitState], None] | None = None,
    ) -> None:
        self._enabled = enabled
        self._threshold = threshold
        self._timeout_seconds = timeout_seconds
        self._clock = clock
        self._on_change = on_change
        self._circuits: dict[str, _Circuit] = {}

    def enter(self, upstream: str) -> Passage:
        """Leave to ask `upstream`. Raises CircuitOpenError while it is not to be asked."""
        circuit = self._circuits.get(upstream)
        if circuit is None:
            circuit = self._circuits[upstream] = _Circuit()
        if self._enabled and circuit.state is not CircuitState.CLOSED:
            self._admit_probe(upstream, circuit)
        return Passage(self, upstream, circuit.period)

    def may_enter(self, upstream: str) -> bool:
        """True when `enter` would let a request through now; changes nothing."""
        circuit = self._circuits.get(upstream)
        if not self._enabled or circuit is None or circuit.state is CircuitState.CLOSED:
            return True
        if circuit.state is CircuitState.OPEN and self._seconds_open(circuit) > 0:
            return False
        since = circuit.probe_since
        return since is None or self._clock() - since >= _PROBE_LEASE_SECONDS

    def state(self, upstream: str) -> CircuitState:
        """The state now; an open breaker whose time is over counts as half-open."""
        circuit = self._circuits.get(upstream, _Circuit())
        if circuit.state is CircuitState.OPEN and self._seconds_open(circuit) <= 0:
            return CircuitState.HALF_OPEN
        return circuit.state

    def states(self) -> dict[str, CircuitState]:
        """The state of every upstream that was asked so far."""
        return {upstream: self.state(upstream) for upstream in self._circuits}

    def settle(self, upstream: str, period: int, *, good: bool | None) -> None:
        """Count the outcome of a passage; None means that nothing was learned."""
        circuit = self._circuits[upstream]
        if not self._enabled or circuit.period != period:
            return
        if circuit.state is CircuitState.HALF_OPEN:
            self._settle_probe(upstream, circuit, good=good)
        elif good:
            circuit.failures = 0
        elif good is False:
            circuit.failures += 1
            if circuit.failures >= self._threshold:
                self._open(upstream, circuit)

    def _admit_probe(self, upstream: str, circuit: _Circuit) -> None:
        now = self._clock()
        wait = self._seconds_open(circuit)
        if circuit.state is CircuitState.OPEN and wait > 0:
            raise _refusal(wait)
        if circuit.probe_since is not None and now - circuit.probe_since < _PROBE_LEASE_SECONDS:
            raise _refusal(1.0)
        if circuit.state is CircuitState.OPEN:
            self._change(upstream, circuit, CircuitState.HALF_OPEN)
        else:
            circuit.period += 1  # the forgotten probe has no say any more
        circuit.probe_since = now

    def _settle_probe(self, upstream: str, circuit: _Circuit, *, good: bool | None) -> None:
        if good is None:
            circuit.probe_since = None
        elif good:
            circuit.failures = 0
            circuit.probe_since = None
            self._change(upstream, circuit, CircuitState.CLOSED)
        else:
            self._open(upstream, circuit)

    def _open(self, upstream: str, circuit: _Circuit) -> None:
        circuit.opened_at = self._clock()
        circuit.probe_since = None
        self._change(upstream, circuit, CircuitState.OPEN)

    def _change(self, upstream: str, circuit: _Circuit, state: CircuitState) -> None:
        circuit.state = state
        circuit.period += 1
        if self._on_change is not None:
            self._on_change(upstream, state)

    def _seconds_open(self, circuit: _Circuit) -> float:
        return circuit.opened_at + self._timeout_seconds - self._clock()


def _refusal(wait: float) -> CircuitOpenError:
    return CircuitOpenError(
        "the upstream keeps failing and is given a pause", retry_after_seconds=wait
    )
