"""The metrics of this process, and the text that any process gives for all of them.

Counting costs a dictionary lookup and an addition: numbers stand in plain cells and meet
prometheus-client only when somebody scrapes.
"""

import asyncio
from bisect import bisect_left
from collections.abc import Callable, Iterator
from operator import add
from pathlib import Path

from prometheus_client import generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from gateway.telemetry.metric_files import MetricFiles
from gateway.telemetry.metric_state import Cell, Labels, MetricState
from gateway.telemetry.series import (
    COST,
    MAX_LABEL_VALUES,
    REQUEST_LATENCY,
    REQUESTS,
    SERIES,
    STREAM_DURATION,
    TOKEN_TYPES,
    TOKENS,
    Series,
)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""The media type of `MetricStore.render`."""

OTHER = "other"
"""The label value that stands for all values beyond the limit."""

_MAX_CELLS = 5_000  # label sets of one series in one process
_MAX_LABEL_CHARS = 100

# Places in the cell of finished requests: everything one request adds, side by side.
_REQUESTS, _COST, _TOKENS = 0, 1, 2
_LATENCY = _TOKENS + len(TOKEN_TYPES)
_STREAM = _LATENCY + 1 + len(REQUEST_LATENCY.buckets) + 1
_TOKEN_PLACES = slice(_TOKENS, _LATENCY)
_CELL_SIZE = _STREAM + 1 + len(STREAM_DURATION.buckets) + 1

_NO_TOKENS = (0, 0, 0, 0)


class MetricStore:
    """Counts for one process. `label` says what kind ("api", "worker"); for logs and file names.

    Every method but `render` is synchronous, never blocks on a lock and never raises on labels:
    values beyond the limit are counted as "other".
    """

    def __init__(self, directory: Path, label: str) -> None:
        self._files = MetricFiles(directory, label)
        self._cells: dict[Series, dict[Labels, float]] = {
            series: {} for series in SERIES if series.kind != "histogram"
        }
        self._histograms: dict[Series, dict[Labels, list[float]]] = {
            series: {} for series in SERIES if series.kind == "histogram"
        }
        self._finished: dict[Labels, list[float]] = {}
        self._seen: dict[str, set[str]] = {name: set() for name in MAX_LABEL_VALUES}
        self._refreshers: list[Callable[[], None]] = []

    # --- counting ---

    def add(self, series: Series, labels: Labels, amount: float = 1.0) -> None:
        """Add to a counter or, also below zero, to a gauge."""
        cells = self._cells[series]
        try:
            cells[labels] += amount
        except KeyError:
            bounded = self._bounded(series, labels, len(cells))
            cells[bounded] = cells.get(bounded, 0.0) + amount

    def set(self, series: Series, labels: Labels, value: float) -> None:
        """Set a gauge."""
        cells = self._cells[series]
        if labels not in cells:
            labels = self._bounded(series, labels, len(cells))
        cells[labels] = value

    def observe(self, series: Series, labels: Labels, value: float) -> None:
        """Add one value to a histogram."""
        cells = self._histograms[series]
        cell = cells.get(labels)
        if cell is None:
            labels = self._bounded(series, labels, len(cells))
            cell = cells.setdefault(labels, [0.0] * (len(series.buckets) + 2))
        cell[0] += value
        cell[bisect_left(series.buckets, value) + 1] += 1

    def request_finished(
        self,
        labels: Labels,
        latency_seconds: float,
        tokens: tuple[int, int, int, int] = _NO_TOKENS,
        cost_usd: float | None = None,
        stream_seconds: float | None = None,
    ) -> None:
        """Count one finished request: requests, latency, tokens, cost and stream duration.

        `labels` are those of gateway_requests_total, `tokens` are in the order of TOKEN_TYPES.
        `stream_seconds` is None for an answer that was not streamed.
        """
        cell = self._finished.get(labels)
        if cell is None:
            labels = self._bounded(REQUESTS, labels, len(self._finished))
            cell = self._finished.setdefault(labels, [0.0] * _CELL_SIZE)
        cell[_REQUESTS] += 1
        cell[_LATENCY] += latency_seconds
        cell[_LATENCY + 1 + bisect_left(REQUEST_LATENCY.buckets, latency_seconds)] += 1
        if tokens is not _NO_TOKENS:
            cell[_TOKEN_PLACES] = map(add, cell[_TOKEN_PLACES], tokens)
        if cost_usd is not None:
            cell[_COST] += cost_usd
        if stream_seconds is not None:
            cell[_STREAM] += stream_seconds
            cell[_STREAM + 1 + bisect_left(STREAM_DURATION.buckets, stream_seconds)] += 1

    def before_publishing(self, refresh: Callable[[], None]) -> None:
        """Have `refresh` called before each publication and scrape, to set momentary gauges."""
        self._refreshers.append(refresh)

    # --- telling ---

    def publish(self) -> None:
        """Write this process's numbers where the others can read them; about once a second."""
        self._files.publish(self._snapshot())

    async def render(self) -> bytes:
        """The exposition text of all processes; files are read in a thread."""
        own = self._snapshot()
        # What is shown is published first: else the next scrape, answered by another process or
        # after this one was killed, would show less, and a counter never goes back.
        self._files.publish(own)
        return await asyncio.to_thread(self._render, own)

    def close(self) -> None:
        """Publish for the last time and leave; counters stay, gauges go."""
        self.publish()
        self._files.close()

    def _render(self, own: MetricState) -> bytes:
        total = self._files.others()
        total.merge(own)
        return generate_latest(_StateCollector(total))

    def _snapshot(self) -> MetricState:
        for refresh in self._refreshers:
            refresh()
        state = MetricState()
        for series, cells in self._cells.items():
            state.cells[series] = dict(cells)
        for series, histograms in self._histograms.items():
            state.cells[series] = {labels: list(cell) for labels, cell in histograms.items()}
        state.merge(self._finished_state())
        return state

    def _finished_state(self) -> MetricState:
        """The cells of finished requests, taken apart into the series they stand for."""
        state = MetricState()
        for labels, cell in self._finished.items():
            model, project, _, endpoint = labels
            state.put(REQUESTS, labels, cell[_REQUESTS])
            state.put(REQUEST_LATENCY, (model, project, endpoint), cell[_LATENCY:_STREAM])
            if cell[_COST]:
                state.put(COST, (model, project), cell[_COST])
            for place, kind in enumerate(TOKEN_TYPES, start=_TOKENS):
                if cell[place]:
                    state.put(TOKENS, (model, project, kind), cell[place])
            if any(cell[_STREAM:]):
                state.put(STREAM_DURATION, (model, project), cell[_STREAM:])
        return state

    def _bounded(self, series: Series, labels: Labels, cell_count: int) -> Labels:
        """The labels to count under: values that came too late or are too long become "other"."""
        if cell_count >= _MAX_CELLS:
            return (OTHER,) * len(series.labels)
        return tuple(
            self._bounded_value(name, value)
            for name, value in zip(series.labels, labels, strict=True)
        )

    def _bounded_value(self, name: str, value: str) -> str:
        seen = self._seen[name]
        if value in seen:
            return value
        if len(value) > _MAX_LABEL_CHARS or len(seen) >= MAX_LABEL_VALUES[name]:
            return OTHER
        seen.add(value)
        return value


class _StateCollector(Collector):
    """Shows a state to prometheus-client."""

    def __init__(self, state: MetricState) -> None:
        self._state = state

    def collect(self) -> Iterator[Metric]:
        """One family for each declared series, also for those nothing was counted in."""
        for series in SERIES:
            cells = self._state.cells[series]
            if series.kind == "histogram":
                yield _histogram_family(series, cells)
                continue
            family = (
                CounterMetricFamily(series.name, series.help, labels=series.labels)
                if series.kind == "counter"
                else GaugeMetricFamily(series.name, series.help, labels=series.labels)
            )
            for labels, cell in cells.items():
                if not isinstance(cell, list):
                    family.add_metric(labels, cell)
            yield family


def _histogram_family(series: Series, cells: dict[Labels, Cell]) -> HistogramMetricFamily:
    family = HistogramMetricFamily(series.name, series.help, labels=series.labels)
    bounds = [*(str(bound) for bound in series.buckets), "+Inf"]
    for labels, cell in cells.items():
        if not isinstance(cell, list):
            continue
        total = 0.0
        buckets: list[tuple[str, float]] = []
        for bound, count in zip(bounds, cell[1:], strict=True):
            total += count
            buckets.append((bound, total))
        family.add_metric(labels, buckets, cell[0])
    return family
