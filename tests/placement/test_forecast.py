"""Forecasts: methods against what they must give, bands that hold, and a back-test that cannot look ahead."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from console.placement.forecast import back_test, damped_holt, forecast, seasonal_naive


def test_seasonal_naive_repeats_the_last_season():
    assert seasonal_naive(np.array([1.0, 2, 3, 4]), 5, 2).tolist() == [3, 4, 3, 4, 3]
    assert seasonal_naive(np.array([1.0, 2]), 3).tolist() == [2, 2, 2]


def test_damped_holt_follows_a_line_and_levels_off():
    line = np.arange(20, dtype=float) * 10
    ahead = damped_holt(line, 200)
    assert ahead[0] == pytest.approx(200, abs=3)
    steps = np.diff(ahead)
    assert (steps >= 0).all()
    assert steps[-1] < steps[0] / 10
    assert damped_holt(np.full(9, 7.0), 4).tolist() == [7, 7, 7, 7]


def test_nothing_below_zero_is_asked_for():
    assert damped_holt(np.array([50.0, 40, 30, 20, 10, 5, 1]), 20).min() >= 0
    made = forecast([30, 1, 25, 0, 28, 2, 30, 0, 27, 1, 30, 2, 29], 6)
    assert made.low is not None
    assert made.low.min() >= 0


def test_the_method_that_erred_least_is_taken():
    growing = forecast(np.arange(40) * 5.0, 8)
    assert growing.method == "damped trend"
    assert growing.error < growing.naive
    cycle = forecast(np.tile([10.0, 40, 80, 20], 12), 8)
    assert cycle.method == "as 4 weeks before"
    assert cycle.error == 0
    assert cycle.likely.tolist() == [10, 40, 80, 20, 10, 40, 80, 20]
    flat = forecast(np.full(30, 64.0), 8)
    assert (flat.method, flat.error, flat.likely.tolist()) == ("as it is now", 0, [64.0] * 8)


def test_a_short_history_gives_no_band_and_no_boast():
    made = forecast([3, 4], 4)
    assert (made.low, made.high, made.error, made.covered, made.tried) == (None, None, None, None, 0)
    assert made.likely.tolist() == [4, 4, 4, 4]


@pytest.mark.parametrize(("past", "weeks"), [([], 3), ([1.0], 0), ([1.0, float("nan")], 2)])
def test_what_cannot_be_forecast_is_refused(past, weeks):
    with pytest.raises(ValueError, match="at least one"):
        forecast(past, weeks)


def test_the_band_holds_about_as_often_as_it_says():
    rng = np.random.default_rng(7)
    shares, weights = [], []
    for _ in range(12):
        walk = 500 + np.cumsum(rng.normal(0, 10, 60))
        made = forecast(walk, 8)
        shares.append(made.covered * made.tried)
        weights.append(made.tried)
    # An 80 % band of few errors is a little narrow; below 60 % it would be a lie.
    assert 0.6 < sum(shares) / sum(weights) <= 1.0


@given(arrays.arrays(np.float64, st.integers(1, 40), elements=st.floats(0, 1e4)), st.integers(1, 20))
@settings(deadline=None, max_examples=60)
def test_a_forecast_is_finite_and_within_its_band(past, weeks):
    made = forecast(past, weeks)
    assert len(made.likely) == weeks
    assert np.isfinite(made.likely).all()
    assert (made.low is None) == (made.high is None)
    if made.low is not None:
        assert (made.low <= made.likely + 1e-9).all()
        assert (made.high >= made.likely - 1e-9).all()


@given(arrays.arrays(np.float64, st.integers(8, 30), elements=st.floats(0, 100)))
@settings(deadline=None, max_examples=40)
def test_one_pass_gives_what_a_fit_at_each_origin_gives(past):
    slow = back_test(past, 3, lambda h, n: damped_holt(h, n), 6)
    np.testing.assert_allclose(back_test(past, 3, damped_holt, 6), slow, rtol=1e-9, atol=1e-9)


@given(arrays.arrays(np.float64, st.integers(10, 30), elements=st.floats(0, 100)), st.data())
@settings(deadline=None, max_examples=30)
def test_the_back_test_never_sees_what_was_to_come(past, data):
    cut = data.draw(st.integers(7, len(past) - 1))
    other = past.copy()
    other[cut:] += 1000
    one, two = (back_test(p, 3, damped_holt, 6) for p in (past, other))
    # Forecasts from origins up to the cut are the same; so errors of points before it are.
    for row in range(cut - 6 + 1):
        for ahead in range(3):
            if 6 + row + ahead < cut:
                assert one[row, ahead] == two[row, ahead]
            elif 6 + row + ahead < len(past) and 6 + row <= cut:
                assert two[row, ahead] == pytest.approx(one[row, ahead] + 1000)
