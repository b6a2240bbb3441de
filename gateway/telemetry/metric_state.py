"""The numbers of one process or of many, by series and labels, and how they are added up."""

from typing import Any, TypeAlias

from gateway import wire
from gateway.structs import Struct, field
from gateway.telemetry.series import SERIES, Series

Labels: TypeAlias = tuple[str, ...]
"""Label values in the order the series declares its label names."""

Cell: TypeAlias = float | list[float]
"""A counter or gauge; or a histogram: the sum of all values, then the count of each bucket."""

_MAX_CELLS = 20_000  # of one series, over all processes that ever were
_FORMAT = 1


class MetricState(Struct):
    """Cells by series and labels."""

    cells: dict[Series, dict[Labels, Cell]] = field(
        default_factory=lambda: {series: {} for series in SERIES}
    )

    def merge(self, other: "MetricState") -> None:
        """Add the cells of `other`; gauges as their series says."""
        for series, cells in other.cells.items():
            for labels, cell in cells.items():
                self.put(series, labels, cell)

    def put(self, series: Series, labels: Labels, cell: Cell) -> None:
        """Add one cell to what stands under its labels."""
        mine = self.cells[series]
        if labels in mine:
            mine[labels] = _merged(series, mine[labels], cell)
        elif len(mine) < _MAX_CELLS:
            mine[labels] = list(cell) if isinstance(cell, list) else cell

    def without_gauges(self) -> "MetricState":
        """The same with the gauges gone: what stays of a process that has ended."""
        return MetricState(
            {series: {} if series.kind == "gauge" else self.cells[series] for series in SERIES}
        )

    def as_json(self) -> wire.JSONObject:
        """The form of the metric files."""
        return {
            "format": _FORMAT,
            "series": {
                series.name: {"buckets": series.buckets, "cells": list(cells.items())}
                for series, cells in self.cells.items()
                if cells
            },
        }


def state_from_json(data: Any) -> MetricState:
    """The state in a metric file; series of another version's shape are left out."""
    state = MetricState()
    if not isinstance(data, dict) or data.get("format") != _FORMAT:
        return state
    for series in SERIES:
        stored = data["series"].get(series.name)
        if stored is None or tuple(stored["buckets"]) != series.buckets:
            continue
        cells = state.cells[series]
        for labels, cell in stored["cells"]:
            if len(labels) == len(series.labels):
                cells[tuple(labels)] = cell
    return state


def _merged(series: Series, mine: Cell, theirs: Cell) -> Cell:
    if isinstance(mine, list) and isinstance(theirs, list):
        return [ours + added for ours, added in zip(mine, theirs, strict=True)]
    if isinstance(mine, list) or isinstance(theirs, list):
        return mine
    if series.kind == "gauge" and series.merge == "max":
        return max(mine, theirs)
    return mine + theirs
