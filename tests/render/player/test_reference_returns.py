import games
import jax
import numpy as np
import pytest

import gridmem
from gridmem.envs.batch.policy import random_policy
from gridmem.envs.batch.rollout import play
from gridmem.render.player.reference_returns import ReferenceReturns, reference_returns

CORRIDOR = games.env_of(games.CORRIDOR)


def test_reference_returns_of_a_corridor():
    found = reference_returns(CORRIDOR, games.level_of(CORRIDOR))
    assert (found.best, found.best_name) == (3, "ceiling")  # 20 steps, 6 a trip
    assert 0 < found.random[0] < 1
    assert found.score(3) == 1
    assert found.score(0) == pytest.approx(-found.random[0] / (3 - found.random[0]))


def test_with_digging_the_best_is_the_oracle():
    env = games.env_of(("#######", "#0%..G#", "#######"), dig_steps=2)
    found = reference_returns(env, games.level_of(env))
    # The first trip digs: 7 steps; then 4 each: 7, 11, 15, 19.
    assert (found.best, found.best_name) == (4, "oracle")


def test_reference_returns_are_per_agent():
    env = games.env_of(games.ROOM, num_agents=2, max_steps=60)
    found = reference_returns(env, games.level_of(env))
    assert found.best.shape == found.random.shape == (2,)
    np.testing.assert_array_equal(
        found.best, gridmem.ceiling(env, jax.tree.map(lambda x: x[None], games.level_of(env)))[0]
    )


def test_the_random_return_is_that_of_the_random_policy():
    env, level = CORRIDOR, games.level_of(CORRIDOR)
    many = jax.tree.map(lambda leaf: np.broadcast_to(leaf, (2000, *leaf.shape)), level)
    visits = jax.jit(lambda: play(env, random_policy(4), many, jax.random.key(5)).state.visits)()
    expected, deviation = visits.mean(), visits.std() / 8  # of a mean of 64
    assert abs(reference_returns(env, level).random[0] - expected) < 4 * deviation


def test_there_is_no_score_if_the_best_equals_random():
    assert (
        ReferenceReturns(np.zeros(1, np.float32), np.zeros(1, np.float32), "ceiling").score(0)
        is None
    )
