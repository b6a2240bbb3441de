"""The loads of a round: what is sent, how much of it, and how its cost is counted."""

import itertools
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import orjson

from bench import bodies
from bench.errors import BenchError
from bench.load import Job, Result
from bench.processes import Running, cpu_seconds
from bench.stack import Target

CONNECTIONS = 32
FEW_DELTAS = 20
MANY_DELTAS = 1000
PACE_SECONDS = 0.01

_READY_SECONDS = 30.0
_JOB_SECONDS = 60.0
_SPARE_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is sent to one target in one round."""

    small: int
    large: int
    paced_deltas: int
    few: int
    many: int
    single: int


FULL = Effort(small=3_000, large=400, paced_deltas=300, few=1_200, many=96, single=300)
QUICK = Effort(small=960, large=128, paced_deltas=150, few=480, many=32, single=100)
SCALE = Effort(small=96, large=32, paced_deltas=50, few=64, many=8, single=0)
"""For the idiomatic proxy, which takes many times as long for each request."""


def floor_effort(effort: Effort) -> Effort:
    """The same for the floor, which is so fast that it needs more requests for a steady figure."""
    return replace(effort, small=4 * effort.small, large=4 * effort.large)


@dataclass(frozen=True, slots=True)
class Load:
    """One load. `units` is what a request's cost is divided by: deltas for paced streams, else 1.

    `deltas` is how many deltas each answer has.
    """

    name: str
    body: bytes
    requests: int
    connections: int = CONNECTIONS
    units: int = 1
    deltas: int = 0
    stagger_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Sample:
    """One load on one target: microseconds of CPU a unit, and what the client saw."""

    load: str
    target: str
    cpu_microseconds: float
    client: Result


def cost_loads(effort: Effort) -> list[Load]:
    """The loads whose CPU cost is measured, in the order they run."""
    plain = bodies.deltas_marker(FEW_DELTAS)
    return [
        Load("small", bodies.small_body(plain, stream=False), effort.small),
        Load("large", bodies.large_body(plain), effort.large),
        paced_load(effort.paced_deltas),
        *_burst_loads("burst", "step", effort),
        *_burst_loads("block", "0", effort),
    ]


def paced_load(deltas: int) -> Load:
    """32 streams of 100 deltas a second, shifted against each other: each delta comes alone."""
    marker = bodies.deltas_marker(deltas, str(PACE_SECONDS))
    return Load(
        "paced",
        bodies.small_body(marker, stream=True),
        CONNECTIONS,
        units=deltas,
        deltas=deltas,
        stagger_seconds=PACE_SECONDS / CONNECTIONS,
    )


def single_loads(effort: Effort) -> list[Load]:
    """One request at a time: latencies instead of cost."""
    plain = bodies.deltas_marker(FEW_DELTAS)
    return [
        Load("single", bodies.small_body(plain, stream=False), effort.single, connections=1),
        Load(
            "single_stream",
            bodies.small_body(plain, stream=True),
            effort.single,
            connections=1,
            deltas=FEW_DELTAS,
        ),
    ]


def _burst_loads(name: str, interval: str, effort: Effort) -> Iterator[Load]:
    for kind, deltas, requests in (
        ("few", FEW_DELTAS, effort.few),
        ("many", MANY_DELTAS, effort.many),
    ):
        marker = bodies.deltas_marker(deltas, interval)
        body = bodies.small_body(marker, stream=True)
        yield Load(f"{name}_{kind}", body, requests, deltas=deltas)


@dataclass(slots=True)
class LoadGenerator:
    """The load process, and the numbers that make every request of a run unique.

    `sent` counts the requests of each target, warm-up included.
    """

    process: Running
    sent: dict[str, int] = field(default_factory=dict)
    _serials: Iterator[int] = field(default_factory=lambda: itertools.count(1, 1_000_000))

    async def measure(self, load: Load, target: Target) -> Sample:
        """Runs one load on one target. Raises BenchError when anything about it went wrong."""
        target.require_ready()
        job = self._job(load, target)
        await self.process.write_line(orjson.dumps(asdict(job)))
        _answer(load, target, await self.process.read_line(_READY_SECONDS))
        before = cpu_seconds(target.pid)
        await self.process.write_line(b"go")
        line = await self.process.read_line(job.deadline_seconds + _SPARE_SECONDS)
        used = cpu_seconds(target.pid) - before
        result = Result(**_answer(load, target, line))
        self.sent[target.name] = self.sent.get(target.name, 0) + job.requests + job.warm_requests
        return Sample(load.name, target.name, used * 1e6 / (result.requests * load.units), result)

    def _job(self, load: Load, target: Target) -> Job:
        # A paced stream takes seconds and needs no warm-up of its own but the connections'.
        warm = 0 if load.units > 1 else min(2 * load.connections, load.requests)
        return Job(
            port=target.port,
            path=target.path,
            body=load.body.decode(),
            headers=target.headers,
            connections=load.connections,
            requests=load.requests,
            warm_requests=warm,
            first_serial=next(self._serials),
            least_events=load.deltas,
            stagger_seconds=load.stagger_seconds,
            deadline_seconds=_JOB_SECONDS,
        )


def _answer(load: Load, target: Target, line: bytes) -> dict[str, Any]:
    answer: dict[str, Any] = orjson.loads(line)
    if "error" in answer:
        raise BenchError(f"{load.name} on {target.name}: {answer['error']}")
    return answer
