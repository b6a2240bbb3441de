"""Circuits of upstreams: what their workflow is told, and what it says."""

import re
from dataclasses import dataclass, field
from typing import Literal

UPSTREAM_CIRCUIT_WORKFLOW = "UpstreamCircuitWorkflow"

CircuitStateName = Literal["closed", "half_open", "open"]

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def circuit_workflow_id(circuit: str) -> str:
    """Id of the workflow of the circuit `<upstream>/<model class>`."""
    return f"circuit-{_UNSAFE.sub('-', circuit)}"


@dataclass(frozen=True, slots=True)
class CircuitPolicy:
    """How a circuit recovers.

    It stays open `cooldown_seconds`, twice as long after each failed probe, up to
    `longest_cooldown_seconds`. With `probe` the upstream is asked before live requests are. A
    half-open circuit that nobody uses is closed after `half_open_seconds`.
    """

    cooldown_seconds: float = 60.0
    longest_cooldown_seconds: float = 600.0
    half_open_seconds: float = 60.0
    probe: bool = True


@dataclass(frozen=True, slots=True)
class CircuitChange:
    """A step in the life of a circuit. `at` is Unix time, `by` who made it, `reason` why."""

    state: CircuitStateName
    at: float
    by: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class CircuitInput:
    """A circuit to look after; `searchable` where the server has the gateway's search attributes.

    The rest is carried over when the workflow goes on in a new run.
    """

    circuit: str
    policy: CircuitPolicy
    state: CircuitStateName = "closed"
    cooldown_seconds: float = 0.0
    history: list[CircuitChange] = field(default_factory=list)
    searchable: bool = True


@dataclass(frozen=True, slots=True)
class CircuitOrder:
    """What somebody wants a circuit to be: a process that saw it fail or work, or an operator.

    `seconds` is how long an operator wants it open, 0 until it is closed by hand.
    """

    state: CircuitStateName
    by: str
    reason: str = ""
    manual: bool = False
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class CircuitView:
    """A circuit as its workflow sees it: the newest changes last."""

    circuit: str
    state: CircuitStateName
    cooldown_seconds: float
    manual: bool
    history: list[CircuitChange]


@dataclass(frozen=True, slots=True)
class PublishCircuitInput:
    """A state to tell every process, for `seconds`; 0 for ever."""

    circuit: str
    state: CircuitStateName
    seconds: float
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class PublishCircuitResult:
    """Whether anybody could be told."""

    told: bool


@dataclass(frozen=True, slots=True)
class ProbeUpstreamInput:
    """An upstream to ask, by its circuit."""

    circuit: str


@dataclass(frozen=True, slots=True)
class ProbeUpstreamResult:
    """Whether it answers, and what it said otherwise: a code, nothing of a body."""

    answers: bool
    code: str = ""
