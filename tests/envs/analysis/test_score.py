"""The score, by hand, and on the stored levels: random actions 0, shortest paths 1."""

import jax
import numpy as np
import playing
import pytest
from breadth import breadth

import gridmem
from gridmem.envs.analysis import score as score_module
from gridmem.envs.analysis.level_packs import Pack, pack
from gridmem.envs.analysis.score import ratio_intervals

SMALL = "GridMem-9x9-v0"


@pytest.fixture
def four(monkeypatch):
    """A pack of four levels with round numbers."""
    random, best = np.float32([1, 1, 1, 5]), np.float32([5, 9, 5, 13])
    levels = jax.tree.map(lambda leaf: leaf[:4], playing.batch(SMALL, 0)[1])
    known = Pack(levels, random, best, "ceiling")
    monkeypatch.setattr(score_module, "pack", lambda id, split: known)
    return known


def test_by_hand(four):
    # Above random: 1 + 2 + 1 + 4 = 8 of 4 + 8 + 4 + 8 = 24.
    assert gridmem.score(SMALL, [2, 3, 2, 9]).score == pytest.approx(1 / 3)
    assert gridmem.score(SMALL, four.random_return).score == 0
    assert gridmem.score(SMALL, four.best_return) == (1, 1, 1, "ceiling")


def test_further_axes_are_averaged(four):
    returns = [[1, 3], [3, 3], [2, 2], [8, 10]]
    assert gridmem.score(SMALL, returns) == gridmem.score(SMALL, [2, 3, 2, 9])


def test_fewer_returns_are_of_the_first_levels(four):
    # 1 + 2 of 4 + 8.
    assert gridmem.score(SMALL, [2, 3]).score == pytest.approx(1 / 4)


def test_the_interval_is_that_of_resampled_levels(four):
    # Two levels, of score 0 and 1/2 at equal weight: of resamples a quarter each is 0 and 1/2.
    result = gridmem.score(SMALL, [1, 1 + 4])
    assert result.score == pytest.approx(4 / 12)
    assert (result.low, result.high) == pytest.approx((0, 0.5))


@pytest.mark.parametrize("returns", [[], np.zeros(5), np.zeros(())])
def test_returns_that_do_not_fit_are_refused(four, returns):
    with pytest.raises(ValueError, match="one for each of the first N levels, N from 1 to 4"):
        gridmem.score(SMALL, returns)


def test_returns_that_are_no_numbers_are_refused(four):
    with pytest.raises(ValueError, match="not all finite"):
        gridmem.score(SMALL, [0, np.nan])


@pytest.mark.parametrize("id", breadth([SMALL, "GridMem-Dig-v0"], SMALL))
def test_random_actions_score_0_and_the_oracle_1(id):
    env = gridmem.make(id)
    known = pack(id)
    levels = jax.tree.map(lambda leaf: leaf[:250], known.levels)
    actions = np.random.default_rng(0).integers(0, 4, (250, env.max_steps, 1), np.int32)
    random = gridmem.score(id, gridmem.measure(env, levels, actions).episode_return)
    assert random.low <= 0 <= random.high
    assert random.high - random.low < 0.05
    oracle = gridmem.measure(env, levels, gridmem.oracle_actions(env, levels)).episode_return
    assert gridmem.score(id, oracle) == (1, 1, 1, known.best)


# ---- intervals by resampling


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
