"""A circuit breaker for each upstream and class of models: it acts at once and asks nobody.

closed -- `threshold` failures in a row --> open -- until its time is over --> half-open, a quota of
probes: a good one closes it, a bad one opens it again. What other processes and the circuit's
workflow say is applied as it is heard; without them the same rules hold here.
"""

import math
import time
from collections import defaultdict
from collections.abc import Callable
from enum import IntEnum

from gateway.errors import UnavailableError
from gateway.structs import Struct, field

_PROBE_LEASE_SECONDS = 120.0  # a probe that never reports must not keep the breaker half-open
_LONGEST_WAIT_SECONDS = 300.0  # what a client is told of a breaker that was opened by hand


class CircuitState(IntEnum):
    """The state of a breaker; the numbers are those of the metric gateway_circuit_state."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


class CircuitOpenError(UnavailableError):
    """The upstream keeps failing and is not asked; `retry_after_seconds` says until when."""

    code = "circuit_open"


class _Circuit(Struct):
    """What is known of one upstream. `period` grows with each change of state.

    `probes` are the moments at which requests were let through the half-open breaker, by number.
    """

    state: CircuitState = CircuitState.CLOSED
    failures: int = 0
    open_until: float = 0.0
    probes: dict[int, float] = field(default_factory=dict)
    period: int = 0
    passages: int = 0


class Passage(Struct):
    """Leave to ask the upstream once. Report how it went by exactly one of the methods.

    Later reports of the same passage change nothing, and neither do reports of passages from
    before the breaker last changed its state: a long stream that began in good times is no proof
    that the upstream is well again.
    """

    _breaker: "CircuitBreaker | None"
    _upstream: str
    _period: int
    _number: int

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
            breaker.settle(self._upstream, self._period, self._number, good=good)


class CircuitBreaker:
    """The breakers of all upstreams, named `<upstream>/<model class>`.

    `half_open_requests` are let through at once while it is half-open. `on_change(upstream, state)`
    is called at each change that was made here. `enabled=False` lets everything through.
    """

    def __init__(
        self,
        *,
        enabled: bool,
        threshold: int,
        timeout_seconds: float,
        half_open_requests: int = 1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._enabled = enabled
        self._threshold = threshold
        self._timeout_seconds = timeout_seconds
        self._half_open_requests = half_open_requests
        self._clock = clock
        self._circuits: defaultdict[str, _Circuit] = defaultdict(_Circuit)
        self.on_change: Callable[[str, CircuitState], None] | None = None

    def enter(self, upstream: str) -> Passage:
        """Leave to ask `upstream`. Raises CircuitOpenError while it is not to be asked."""
        circuit = self._circuits[upstream]
        circuit.passages += 1
        if self._enabled and circuit.state is not CircuitState.CLOSED:
            self._admit_probe(upstream, circuit)
        return Passage(self, upstream, circuit.period, circuit.passages)

    def may_enter(self, upstream: str) -> bool:
        """True when `enter` would let a request through now; changes nothing."""
        circuit = self._circuits.get(upstream)
        if not self._enabled or circuit is None or circuit.state is CircuitState.CLOSED:
            return True
        if circuit.state is CircuitState.OPEN:
            return self._seconds_open(circuit) <= 0
        return self._probes_out(circuit) < self._half_open_requests

    def state(self, upstream: str) -> CircuitState:
        """The state now; an open breaker whose time is over counts as half-open."""
        circuit = self._circuits.get(upstream, _Circuit())
        if circuit.state is CircuitState.OPEN and self._seconds_open(circuit) <= 0:
            return CircuitState.HALF_OPEN
        return circuit.state

    def states(self) -> dict[str, CircuitState]:
        """The state of every upstream that was asked or heard of so far."""
        return {upstream: self.state(upstream) for upstream in self._circuits}

    def seconds_open(self, upstream: str) -> float:
        """How long an open breaker stays so by itself; infinite when it was opened by hand."""
        circuit = self._circuits.get(upstream)
        if circuit is None or circuit.state is not CircuitState.OPEN:
            return 0.0
        return max(0.0, self._seconds_open(circuit))

    def apply(self, upstream: str, state: CircuitState, seconds: float) -> None:
        """Take over a state that was decided elsewhere; open for `seconds`, 0 for ever."""
        circuit = self._circuits[upstream]
        if state is CircuitState.OPEN:
            circuit.open_until = self._clock() + seconds if seconds > 0 else math.inf
        if circuit.state is not state:
            self._change(circuit, state)

    def settle(self, upstream: str, period: int, number: int, *, good: bool | None) -> None:
        """Count the outcome of a passage; None means that nothing was learned."""
        circuit = self._circuits[upstream]
        if not self._enabled or circuit.period != period:
            return
        if circuit.state is CircuitState.HALF_OPEN:
            self._settle_probe(upstream, circuit, number, good=good)
        elif good:
            circuit.failures = 0
        elif good is False:
            circuit.failures += 1
            if circuit.failures >= self._threshold:
                self._decide(upstream, circuit, CircuitState.OPEN)

    def _admit_probe(self, upstream: str, circuit: _Circuit) -> None:
        if circuit.state is CircuitState.OPEN:
            wait = self._seconds_open(circuit)
            if wait > 0:
                raise _refusal(wait)
            self._decide(upstream, circuit, CircuitState.HALF_OPEN)
        elif self._probes_out(circuit) >= self._half_open_requests:
            raise _refusal(1.0)
        edge = self._clock() - _PROBE_LEASE_SECONDS
        # One that was forgotten has no say any more.
        circuit.probes = {each: at for each, at in circuit.probes.items() if at > edge}
        circuit.probes[circuit.passages] = self._clock()

    def _settle_probe(
        self, upstream: str, circuit: _Circuit, number: int, *, good: bool | None
    ) -> None:
        if circuit.probes.pop(number, None) is None:
            return  # its time was over: another one has taken its place
        if good is not None:
            self._decide(upstream, circuit, CircuitState.CLOSED if good else CircuitState.OPEN)

    def _probes_out(self, circuit: _Circuit) -> int:
        edge = self._clock() - _PROBE_LEASE_SECONDS
        return sum(since > edge for since in circuit.probes.values())

    def _decide(self, upstream: str, circuit: _Circuit, state: CircuitState) -> None:
        if state is CircuitState.OPEN:
            circuit.open_until = self._clock() + self._timeout_seconds
        self._change(circuit, state)
        if self.on_change is not None:
            self.on_change(upstream, state)

    def _change(self, circuit: _Circuit, state: CircuitState) -> None:
        circuit.state = state
        circuit.period += 1
        circuit.failures = 0
        circuit.probes.clear()

    def _seconds_open(self, circuit: _Circuit) -> float:
        return circuit.open_until - self._clock()


def _refusal(wait: float) -> CircuitOpenError:
    return CircuitOpenError(
        "the upstream keeps failing and is given a pause",
        retry_after_seconds=min(wait, _LONGEST_WAIT_SECONDS),
    )
