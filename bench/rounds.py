"""Interleaved rounds: each load on each target in turn, so that all meet the same machine."""

import asyncio
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from bench.loads import (
    SCALE,
    Effort,
    Load,
    LoadGenerator,
    Sample,
    cost_loads,
    floor_effort,
    single_loads,
)
from bench.processes import most_megabytes, resident_megabytes
from bench.stack import Bench, Gateway, Target

_USAGE_SECONDS = 15  # usage shows within ten
_COUNTED_REQUESTS = 200
_SETTLE_SECONDS = 3.0  # the gateway gives memory back every two

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Counts:
    """What a request costs elsewhere; `journal_records` is None when no line could be seen."""

    valkey_round_trips: float
    journal_records: float | None
    requests_sent: int
    usage_missing: int


@dataclass(slots=True)
class Measured:
    """Everything a run has measured.

    `memory` is megabytes by target, a little after all load; `most_memory` is what the gateway held
    at its most.
    """

    rounds: list[list[Sample]] = field(default_factory=list)
    memory: dict[str, float] = field(default_factory=dict)
    most_memory: float | None = None
    counts: Counts | None = None

    def costs(self, load: str, target: str) -> list[float]:
        """CPU microseconds a unit, one for each round in which that was measured."""
        return [sample.cpu_microseconds for sample in self.samples(load, target)]

    def samples(self, load: str, target: str) -> list[Sample]:
        """The samples of one load on one target, by round."""
        return [
            sample
            for samples in self.rounds
            for sample in samples
            if sample.load == load and sample.target == target
        ]


async def run_rounds(bench: Bench, effort: Effort, rounds: int, report: Report) -> Measured:
    """Measures everything. Raises BenchError."""
    generator = LoadGenerator(bench.load)
    measured = Measured()
    # What a process does for the first time is not what it does from then on.
    for target in (bench.floor, bench.gateway.target):
        for load in cost_loads(SCALE):
            await generator.measure(load, target)
    for number in range(rounds):
        report(f"round {number + 1} of {rounds}")
        measured.rounds.append(await _round(bench, generator, effort, number))
    await asyncio.sleep(_SETTLE_SECONDS)
    measured.memory = _memory(bench)
    measured.most_memory = most_megabytes(bench.gateway.target.pid)
    report("counts")
    measured.counts = await _counts(bench.gateway, generator)
    return measured


async def _round(
    bench: Bench, generator: LoadGenerator, effort: Effort, number: int
) -> list[Sample]:
    return [await generator.measure(*step) for step in _steps(bench, effort, number)]


def _steps(bench: Bench, effort: Effort, number: int) -> Iterator[tuple[Load, Target]]:
    """What one round measures, in order."""
    floor, gateway = bench.floor, bench.gateway.target
    loads = zip(cost_loads(floor_effort(effort)), cost_loads(effort), strict=True)
    for for_floor, for_gateway in loads:
        pair = [(for_floor, floor), (for_gateway, gateway)]
        # Each goes first in every other round: what drifts does not favour one of them.
        yield from pair if number % 2 == 0 else reversed(pair)
    if bench.idiomatic is not None:
        yield from itertools.product(cost_loads(SCALE), [bench.idiomatic])
    yield from itertools.product(single_loads(effort), [bench.direct, floor, gateway])


def _memory(bench: Bench) -> dict[str, float]:
    targets: list[Target | None] = [bench.floor, bench.gateway.target, bench.idiomatic]
    return {one.name: resident_megabytes(one.pid) for one in targets if one is not None}


async def _counts(gateway: Gateway, generator: LoadGenerator) -> Counts:
    """Counts over requests that come one at a time, so that nothing is shared between them."""
    load = Load("counted", single_loads(SCALE)[0].body, _COUNTED_REQUESTS, connections=1)
    lines = gateway.journal_lines()
    reads = await gateway.valkey.reads()
    before = generator.sent.get("gateway", 0)
    await generator.measure(load, gateway.target)
    requests = generator.sent["gateway"] - before
    reads = await gateway.valkey.reads() - reads - 1  # the question itself
    after = gateway.journal_lines()
    written = sum(count - lines.get(path, 0) for path, count in after.items())
    sent = generator.sent["gateway"]
    return Counts(
        valkey_round_trips=reads / requests,
        journal_records=written / requests if written > 0 else None,
        requests_sent=sent,
        usage_missing=sent - await _recorded(gateway, sent),
    )


async def _recorded(gateway: Gateway, sent: int) -> int:
    """Requests in the usage report, once they are all there or time is up."""
    recorded = 0
    for _ in range(_USAGE_SECONDS):
        recorded = await gateway.recorded_requests()
        if recorded >= sent:
            break
        await asyncio.sleep(1.0)
    return recorded
