"""What a run prints: the rows of the goal table, then everything that has no goal."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from bench.figures import Spread, ratios, slope, spread
from bench.goals import BURST, GOALS, MEMORY, Goal, verdict
from bench.loads import FEW_DELTAS, MANY_DELTAS
from bench.rounds import Measured
from bench.table import number, render

_FLOOR, _GATEWAY, _IDIOMATIC = "forwarding proxy", "gateway", "idiomatic"
_ALONE_SHARE = 0.9
_STALL_MICROSECONDS = 20_000.0  # half of what Linux delays an acknowledgement by
_EVENTS_AT_ENDS = 6  # of a stream, which come several in one read
_UNITS = {"ratio": " x", "microseconds": " us", "megabytes": " MB"}


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the goal table; `judged` is what the goal bounds."""

    goal: Goal
    floor: Spread | None
    gateway: Spread | None
    ratio: Spread | None
    idiomatic: Spread | None

    @property
    def judged(self) -> float | None:
        """The median of what the goal bounds."""
        chosen = self.ratio if self.goal.measure == "ratio" else self.gateway
        return chosen.middle if chosen else None

    def as_json(self) -> dict[str, Any]:
        """The row with its verdicts."""
        return {
            **asdict(self),
            "first": verdict(self.judged, self.goal.first),
            "final": verdict(self.judged, self.goal.final),
        }


def goal_rows(measured: Measured) -> list[Row]:
    """The rows of the goal table."""
    return [_row(measured, goal) for goal in GOALS]


def _row(measured: Measured, goal: Goal) -> Row:
    read = _reader(measured, goal.load)
    floors, costs = read(_FLOOR), read(_GATEWAY)
    return Row(
        goal, spread(floors), spread(costs), spread(ratios(costs, floors)), spread(read(_IDIOMATIC))
    )


def _reader(measured: Measured, load: str) -> Callable[[str], list[float]]:
    if load == MEMORY:
        return lambda target: [measured.memory[target]] if target in measured.memory else []
    if load == BURST:
        return lambda target: slopes(measured, "burst", target)
    return lambda target: measured.costs(load, target)


def slopes(measured: Measured, name: str, target: str) -> list[float]:
    """CPU microseconds of one chunk more, one value for each round."""
    few = measured.costs(f"{name}_few", target)
    many = measured.costs(f"{name}_many", target)
    return [
        slope((FEW_DELTAS, least), (MANY_DELTAS, most))
        for least, most in zip(few, many, strict=True)
    ]


def goal_table(rows: list[Row]) -> str:
    """The goal table as text."""
    cells = [
        ["load", "floor", "gateway", "ratio", "least-most", "idiomatic", "first", "", "final", ""]
    ]
    for row in rows:
        goal = row.goal
        unit = " MB" if goal.measure == "megabytes" else " us"
        shown = row.ratio if goal.measure == "ratio" else row.gateway
        cells.append(
            [
                goal.title,
                *(_middle(one, unit) for one in (row.floor, row.gateway)),
                number(row.ratio.middle if row.ratio else None, 1),
                f"{shown.least:.1f}-{shown.greatest:.1f}" if shown else "-",
                _middle(row.idiomatic, unit),
                f"<= {goal.first:g}{_UNITS[goal.measure]}",
                verdict(row.judged, goal.first),
                f"<= {goal.final:g}{_UNITS[goal.measure]}",
                verdict(row.judged, goal.final),
            ]
        )
    return render(cells)


def other_figures(measured: Measured) -> dict[str, float | None]:
    """Medians of what has no goal, by name with its unit."""
    return {
        "chunk in one block, slope, gateway (us)": _slope_middle(measured, _GATEWAY),
        "chunk in one block, slope, floor (us)": _slope_middle(measured, _FLOOR),
        "answer of 20 chunks, gateway (us)": _cost_middle(measured, "block_few"),
        "requests a second, small, 32 at once": _rate(measured),
        "latency p50 alone, direct (us)": _client(measured, "simulator", "single"),
        "latency p50 alone, added by floor (us)": _added(measured, _FLOOR, "single"),
        "latency p50 alone, added by gateway (us)": _added(measured, _GATEWAY, "single"),
        "first event p50 alone, direct (us)": _client(measured, "simulator", "single_stream"),
        "first event p50 alone, added by floor (us)": _added(measured, _FLOOR, "single_stream"),
        "first event p50 alone, added by gateway (us)": _added(measured, _GATEWAY, "single_stream"),
        "most memory at any time, gateway (MB)": measured.most_memory,
        **_counted(measured),
    }


def figures_table(figures: dict[str, float | None]) -> str:
    """Those figures as text."""
    rows = [["without a goal", ""]]
    rows += [[name, number(value, 2)] for name, value in figures.items()]
    return render(rows)


def warnings(measured: Measured) -> list[str]:
    """What makes figures of this run mean less than they seem to."""
    found = []
    for target in (_FLOOR, _GATEWAY, _IDIOMATIC):
        samples = measured.samples("paced", target)
        reads = sum(sample.client.reads for sample in samples)
        events = sum(sample.client.events for sample in samples)
        ends = _EVENTS_AT_ENDS * sum(sample.client.requests for sample in samples)
        if reads < _ALONE_SHARE * (events - ends):
            found.append(
                f"paced deltas did not come alone from {target}: {events / reads:.2f} a read"
            )
    waiting = _added(measured, _GATEWAY, "single")
    if waiting is not None and waiting > _STALL_MICROSECONDS:
        found.append(
            f"a lone request waits {waiting / 1000:.0f} ms in the gateway without using CPU, as "
            "with delayed acknowledgements (TCP_NODELAY)"
        )
    if measured.counts is not None and measured.counts.usage_missing:
        found.append(f"{measured.counts.usage_missing} requests are missing in the usage report")
    return found


def _middle(values: Spread | None, unit: str) -> str:
    return number(values.middle if values else None, 0 if unit == " MB" else 1, unit)


def _slope_middle(measured: Measured, target: str) -> float | None:
    found = spread(slopes(measured, "block", target))
    return found.middle if found else None


def _cost_middle(measured: Measured, load: str) -> float | None:
    found = spread(measured.costs(load, _GATEWAY))
    return found.middle if found else None


def _rate(measured: Measured) -> float | None:
    samples = measured.samples("small", _GATEWAY)
    found = spread([sample.client.requests / sample.client.seconds for sample in samples])
    return found.middle if found else None


def _client(measured: Measured, target: str, load: str) -> float | None:
    """The median time the client saw: to the first event of a stream, else to the end."""
    values = []
    for sample in measured.samples(load, target):
        first = sample.client.first_event_p50
        values.append(sample.client.latency_p50 if first is None else first)
    found = spread(values)
    return found.middle if found else None


def _added(measured: Measured, target: str, load: str) -> float | None:
    whole, direct = _client(measured, target, load), _client(measured, "simulator", load)
    return None if whole is None or direct is None else whole - direct


def _counted(measured: Measured) -> dict[str, float | None]:
    counts = measured.counts
    if counts is None:
        return {}
    return {
        "Valkey round trips a request": counts.valkey_round_trips,
        "journal records a request": counts.journal_records,
        "requests sent": float(counts.requests_sent),
        "requests missing in the usage report": float(counts.usage_missing),
    }
