import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gridmem
from gridmem.envs.metrics import EpisodeStats, episode_stats, memory_gain
from gridmem.envs.policy import random_policy
from gridmem.envs.unroll import play


def stats_of(*rewards):
    """Statistics of one stream per string: a digit is what a step paid."""
    paid = [[float(digit) for digit in stream] for stream in rewards]
    return episode_stats(jnp.array(paid, jnp.float32).T)


@pytest.mark.parametrize(
    ("reward", "total", "visits", "first", "later"),
    [
        ("000000", 0, 0, 6, 0),  # never found: all steps are search
        ("001000", 1, 1, 3, 0),  # the unfinished trip counts for nothing
        ("000001", 1, 1, 6, 0),
        ("100000", 1, 1, 1, 0),
        ("010010", 2, 2, 2, 3),  # found at 2 and 5
        ("101001", 3, 3, 1, 2.5),  # at 1, 3 and 6: trips of 2 and 3
        ("111111", 6, 6, 1, 1),
        ("020000", 2, 1, 2, 0),  # a find that pays two is one find
    ],
)
def test_an_episode_by_hand(reward, total, visits, first, later):
    stats = stats_of(reward, "000000")
    assert [float(leaf[0]) for leaf in stats] == [total, visits, first, later]
    assert [float(leaf[1]) for leaf in stats] == [0, 0, 6, 0]


def test_memory_gain_by_hand():
    # Episodes with one find or none count for nothing. The others: first finds after 2 and 1
    # steps, later trips of 3 and of (2 + 3) / 2 steps.
    stats = stats_of("010010", "101001", "001000", "000000")
    assert float(memory_gain(stats)) == pytest.approx((2 + 1) / (3 + 2.5))
    # 8 steps to find it, then 2 and 2.
    assert float(memory_gain(stats_of("000000010101"))) == 4


def test_memory_gain_of_nothing_found_again_is_zero():
    assert float(memory_gain(stats_of("001000", "000000"))) == 0


def gain_and_error(stats):
    """The gain and the standard error that it has where it is 1."""
    counted = np.asarray(stats.visits) > 1
    first = np.asarray(stats.first_find_steps)[counted]
    later = np.asarray(stats.later_trip_steps)[counted]
    error = (first - later).std() / np.sqrt(counted.sum()) / later.mean()
    return float(memory_gain(stats)), error


def searches(num_caves, num_steps, times_faster=1.0):
    """Finds of a searcher with a constant chance per step, very unequal from cave to cave."""
    rng = np.random.default_rng(0)
    chance = np.exp(rng.uniform(np.log(0.004), np.log(0.4), num_caves))
    found = np.zeros((num_steps, num_caves), bool)
    ever = np.zeros(num_caves, bool)
    for step in range(num_steps):
        found[step] = rng.random(num_caves) < np.where(ever, times_faster, 1) * chance
        ever |= found[step]
    return episode_stats(jnp.asarray(found, jnp.float32))


def test_who_does_not_remember_gains_nothing_however_unequal_the_caves():
    gain, error = gain_and_error(searches(20_000, 256))
    assert error < 0.02
    assert abs(gain - 1) < 4 * error


def test_who_searches_twice_as_fast_the_second_time_gains():
    gain, error = gain_and_error(searches(20_000, 256, times_faster=2.0))
    assert gain > 1 + 10 * error


def test_random_actions_gain_nothing():
    env = gridmem.make("GridMem-9x9-v0", view_size=3, max_steps=128)

    @jax.jit
    def reward(key):
        levels = jax.vmap(env.generate)(jax.random.split(key, 6000))
        return play(env, random_policy(4), levels, key).rollout.reward

    stats = episode_stats(reward(jax.random.key(0)))
    assert isinstance(stats, EpisodeStats)
    gain, error = gain_and_error(stats)
    assert error < 0.05
    assert abs(gain - 1) < 4 * error
