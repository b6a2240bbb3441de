"""Medians, ratios and slopes."""

import pytest

from bench.figures import Spread, quantile, ratios, slope, spread


def test_spread_has_the_median_and_both_ends() -> None:
    assert spread([5.0, 1.0, 3.0]) == Spread(3.0, 1.0, 5.0)


def test_spread_of_nothing_is_none() -> None:
    assert spread([]) is None


def test_ratios_pair_the_values_of_a_round() -> None:
    # The median of ratios is 2; the ratio of medians would be 3.
    assert ratios([2.0, 30.0, 8.0], [1.0, 10.0, 8.0]) == [2.0, 3.0, 1.0]


def test_ratios_leave_out_a_round_without_floor() -> None:
    assert ratios([2.0, 3.0], [0.0, 1.0]) == [3.0]


def test_ratios_need_the_same_rounds() -> None:
    with pytest.raises(ValueError, match="shorter"):
        ratios([1.0, 2.0], [1.0])


def test_slope_leaves_fixed_costs_out() -> None:
    fixed, each = 400.0, 2.5
    assert slope((20, fixed + 20 * each), (1000, fixed + 1000 * each)) == pytest.approx(each)


@pytest.mark.parametrize(("share", "expected"), [(0.0, 1.0), (0.5, 3.0), (0.95, 5.0), (1.0, 5.0)])
def test_quantile_takes_the_nearest_rank(share: float, expected: float) -> None:
    assert quantile([5.0, 2.0, 1.0, 4.0, 3.0], share) == expected


def test_quantile_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no values"):
        quantile([], 0.5)
