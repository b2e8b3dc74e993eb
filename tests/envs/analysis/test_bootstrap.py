"""Intervals by resampling, against what can be worked out."""

import numpy as np
import pytest

from gridmem.envs.analysis.bootstrap import ratio_intervals


def test_a_ratio_that_is_the_same_everywhere_is_certain():
    below = np.array([[1.0, 2.0, 5.0]])
    assert ratio_intervals(3 * below, below) == [(3, 3)]


def test_the_interval_of_a_mean_is_that_of_the_normal_distribution():
    values = np.random.default_rng(0).normal(7, 2, (1, 1000))
    ((low, high),) = ratio_intervals(values, np.ones((1, 1000)))
    error = values.std() / 1000**0.5
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.1 * error)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.1 * error)


def test_both_sums_are_of_the_same_levels():
    # Of two levels, each drawn twice in a quarter of the resamples: 1 / 4, 3 / 2 or 4 / 6.
    ((low, high),) = ratio_intervals(np.array([[1.0, 3.0]]), np.array([[4.0, 2.0]]))
    assert (low, high) == pytest.approx((1 / 4, 3 / 2))


def test_ratios_do_not_touch_each_other():
    above, below = np.random.default_rng(0).uniform(1, 2, (2, 3, 20))
    alone = [ratio_intervals(above[i : i + 1], below[i : i + 1])[0] for i in range(3)]
    assert ratio_intervals(above, below) == [pytest.approx(interval) for interval in alone]


def test_there_is_none_where_a_resample_may_have_nothing_below():
    below = np.array([[0.0, 0.0, 0.0, 1.0], [1.0, 1.0, 1.0, 1.0]])
    assert ratio_intervals(np.ones((2, 4)), below) == [None, (1, 1)]
