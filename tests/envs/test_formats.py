"""Observation formats, by hand and in both single-step faces."""

import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import gridmem
from gridmem.envs.gymnasium_env import GridMemEnv

with warnings.catch_warnings(action="ignore"):  # it imports an environment of its own the old way
    from pettingzoo.test import parallel_api_test

SMALL = "GridMem-9x9-v0"
ROWS = ["######", "#0.G.#", "######"]
RIGHT = 1


def make(observation, **options):
    map_ = {"type": "TextMap", "rows": ROWS}
    return GridMemEnv(SMALL, map=map_, view_size=3, observation=observation, **options)


def test_a_dict_has_the_view_the_last_action_and_the_last_reward():
    env = make("dict")
    obs, _ = env.reset(seed=0)
    assert set(obs) == {"view", "last_action", "last_reward"}
    assert obs["view"].tolist() == [[1, 1, 1], [1, 4, 0], [1, 1, 1]]
    assert (obs["last_action"], obs["last_reward"].tolist()) == (4, [0.0])
    assert type(obs["last_action"]) is np.int64
    assert obs["last_reward"].dtype == np.float32
    env.step(RIGHT)
    obs, reward, *_ = env.step(RIGHT)
    assert reward == 1
    assert (obs["last_action"], obs["last_reward"].tolist()) == (RIGHT, [1.0])


def test_flat_is_the_view_and_the_last_action_in_ones_and_the_last_reward():
    env = make("flat")
    obs, _ = env.reset(seed=0)
    assert obs.shape == (3 * 3 * 5 + 5 + 1,)
    assert obs.dtype == np.float32
    ones = [5 * cell + tile for cell, tile in enumerate([1, 1, 1, 1, 4, 0, 1, 1, 1])]
    assert np.flatnonzero(obs).tolist() == [*ones, 45 + 4]
    env.step(RIGHT)
    obs, *_ = env.step(RIGHT)
    assert np.flatnonzero(obs).tolist() == [*ones, 45 + RIGHT, 50]  # found: back at the start


def test_a_compass_is_the_last_part():
    flat, _ = make("flat", compass=True).reset(seed=0)
    parts, _ = make("dict", compass=True).reset(seed=0)
    towards = np.float32([0, 0.5])  # two columns of four
    np.testing.assert_array_equal(flat[-2:], towards)
    np.testing.assert_array_equal(parts["compass"], towards)


def test_the_core_with_a_compass_has_no_place_for_it_in_a_view():
    with pytest.raises(ValueError, match=r"make it with observation='dict' or 'flat'"):
        make("view", compass=True)


def test_an_unknown_format_is_answered_by_the_nearest():
    with pytest.raises(ValueError, match=r"no observation format 'flatt' \(did you mean 'flat'\?"):
        make("flatt")


@pytest.mark.parametrize("options", [{}, {"compass": True}, {"task": {"type": "Tour"}}])
@pytest.mark.parametrize("observation", ["dict", "flat"])
def test_the_official_checkers_find_nothing(observation, options):
    check_env(gymnasium.make(SMALL, observation=observation, **options).unwrapped)
    parallel_api_test(
        gridmem.parallel_env(SMALL, num_agents=2, observation=observation, max_cycles=30, **options)
    )


@pytest.mark.parametrize("observation", ["dict", "flat"])
def test_observations_are_arrays_of_their_own(observation):
    env = gridmem.parallel_env(SMALL, num_agents=2, observation=observation)
    views, _ = env.reset(seed=0)
    arrays = [
        leaf
        for obs in views.values()
        for leaf in (obs.values() if isinstance(obs, dict) else [obs])
        if isinstance(leaf, np.ndarray)
    ]
    assert all(leaf.flags.writeable for leaf in arrays)
    assert not any(np.shares_memory(a, b) for i, a in enumerate(arrays) for b in arrays[i + 1 :])
