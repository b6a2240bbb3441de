"""The goal table: what is judged, and what it looks like."""

from dataclasses import replace

import pytest

from bench.goals import GOALS, verdict
from bench.load import Result
from bench.loads import Sample
from bench.report import figures_table, goal_rows, goal_table, other_figures, warnings
from bench.rounds import Counts, Measured
from bench.table import number, render

_SEEN = Result(
    requests=10,
    seconds=2.0,
    events=3_000,
    reads=3_000,
    latency_p50=900.0,
    latency_p95=1_000.0,
    first_event_p50=None,
)
_COSTS = {
    "small": (30.0, 450.0),
    "large": (150.0, 1_200.0),
    "paced": (40.0, 160.0),
    "burst_few": (100.0, 600.0),
    "burst_many": (1_080.0, 12_360.0),
    "block_few": (30.0, 500.0),
    "block_many": (128.0, 2_460.0),
    "single": (90.0, 700.0),
}


def _measured() -> Measured:
    rounds = [
        [
            Sample(load, target, cost * noise, _SEEN)
            for load, costs in _COSTS.items()
            for target, cost in zip(("forwarding proxy", "gateway"), costs, strict=True)
        ]
        for noise in (1.0, 1.2, 2.0)
    ]
    memory = {"forwarding proxy": 22.0, "gateway": 95.0}
    return Measured(rounds, memory, 104.0, Counts(1.0, 3.0, 4_000, 0))


def test_ratios_are_taken_inside_a_round_so_that_shared_noise_falls_out() -> None:
    rows = {row.goal.load: row for row in goal_rows(_measured())}
    assert rows["small"].judged == pytest.approx(15.0)
    assert rows["large"].judged == pytest.approx(8.0)
    assert rows["paced"].judged == pytest.approx(4.0)


def test_bursts_are_judged_by_slope_and_memory_by_size() -> None:
    rows = {row.goal.load: row for row in goal_rows(_measured())}
    assert rows["burst"].judged == pytest.approx(12.0 * 1.2)
    assert rows["memory"].judged == 95.0


def test_the_table_has_a_row_for_each_goal_with_its_verdicts() -> None:
    lines = goal_table(goal_rows(_measured())).splitlines()
    assert len(lines) == len(GOALS) + 2
    assert [line.split()[-1] for line in lines[2:]] == ["over", "ok", "over", "over", "over"]
    assert "<= 16 x" in lines[2]
    assert "95 MB" in lines[-1]


def test_nothing_measured_is_shown_as_nothing() -> None:
    rows = goal_rows(Measured())
    assert all(row.judged is None for row in rows)
    assert all(line.split()[-1] == "-" for line in goal_table(rows).splitlines()[2:])


@pytest.mark.parametrize(
    ("value", "expected"), [(None, "-"), (16.0, "ok"), (3.0, "ok"), (16.01, "over")]
)
def test_a_goal_holds_up_to_its_limit(value: float | None, expected: str) -> None:
    assert verdict(value, 16.0) == expected


def test_other_figures_name_counts_and_rates() -> None:
    figures = other_figures(_measured())
    assert figures["Valkey round trips a request"] == 1.0
    assert figures["journal records a request"] == 3.0
    assert figures["requests a second, small, 32 at once"] == 5.0
    assert figures["latency p50 alone, added by gateway (us)"] is None  # no direct run to compare
    assert "Valkey round trips a request" in figures_table(figures)


def test_deltas_that_were_coalesced_are_told() -> None:
    measured = _measured()
    assert warnings(measured) == []
    coalesced = replace(_SEEN, reads=1_000)
    measured.rounds.append([Sample("paced", "gateway", 10.0, coalesced)] * 9)
    assert [note for note in warnings(measured) if "did not come alone from gateway" in note]


def test_a_wait_that_no_cpu_explains_is_told() -> None:
    measured = _measured()
    direct = Sample("single", "simulator", 90.0, replace(_SEEN, latency_p50=100.0))
    measured.rounds.append([direct])
    assert warnings(measured) == []
    stalled = replace(_SEEN, latency_p50=44_000.0)
    measured.rounds.append([Sample("single", "gateway", 700.0, stalled)] * 9)
    assert "waits 44 ms" in warnings(measured)[0]


def test_usage_that_is_missing_is_told() -> None:
    measured = _measured()
    measured.counts = Counts(1.0, 3.0, 4_000, 2)
    assert warnings(measured) == ["2 requests are missing in the usage report"]


def test_columns_line_up() -> None:
    text = render([["load", "us"], ["small", "9"], ["x", "1000"]])
    assert text.splitlines() == ["load     us", "-----  ----", "small     9", "x      1000"]


def test_numbers_carry_their_unit() -> None:
    assert number(1.25, 1, " us") == "1.2 us"
    assert number(None, 1, " us") == "-"
