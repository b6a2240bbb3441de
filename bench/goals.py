"""The loads that have a goal, and the goals: the table every run is held against."""

from dataclasses import dataclass
from typing import Literal

Measure = Literal["ratio", "microseconds", "megabytes"]


@dataclass(frozen=True, slots=True)
class Goal:
    """One row of the goal table.

    `measure` says what the limits bound: the ratio to the byte-forwarding proxy, microseconds of
    CPU, or megabytes. `first` must hold always; `final` is where the gateway is to arrive.
    """

    load: str
    title: str
    measure: Measure
    first: float
    final: float


SMALL = "small"
LARGE = "large"
PACED = "paced"
BURST = "burst"
MEMORY = "memory"

GOALS = (
    Goal(SMALL, "small request, 32 at once", "ratio", 16.0, 7.0),
    Goal(LARGE, "210 KB, 60 messages, 20 tools", "ratio", 20.0, 10.0),
    Goal(PACED, "chunk, paced, 32 streams", "ratio", 3.5, 2.2),
    Goal(BURST, "chunk in bursts, slope 20 to 1000", "microseconds", 15.0, 11.0),
    Goal(MEMORY, "memory of one API process", "megabytes", 100.0, 90.0),
)


def verdict(value: float | None, limit: float) -> str:
    """`ok`, `over`, or `-` when nothing was measured."""
    if value is None:
        return "-"
    return "ok" if value <= limit else "over"
