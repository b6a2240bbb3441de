"""Statistics of a run: medians over interleaved rounds, and how far the rounds were apart."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some rounds with the least and the greatest of them."""

    middle: float
    least: float
    greatest: float


def spread(values: Sequence[float]) -> Spread | None:
    """The spread of what was measured; None for nothing."""
    if not values:
        return None
    return Spread(median(values), min(values), max(values))


def ratios(costs: Sequence[float], floors: Sequence[float]) -> list[float]:
    """Each cost over the floor of the same round; a round without a floor is left out."""
    return [cost / floor for cost, floor in zip(costs, floors, strict=True) if floor > 0]


def slope(few: tuple[int, float], many: tuple[int, float]) -> float:
    """Cost of one unit more, from two (units, cost) points; it leaves fixed costs out."""
    (few_units, few_cost), (many_units, many_cost) = few, many
    return (many_cost - few_cost) / (many_units - few_units)


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of `values` lie, by the nearest rank."""
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]
