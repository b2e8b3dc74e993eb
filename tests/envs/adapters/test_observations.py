"""Observation formats, by hand and in both single-step faces."""

import warnings
from itertools import product

import gymnasium
import jax
import numpy as np
import pytest
from breadth import breadth
from gymnasium.utils.env_checker import check_env

import gridmem
from gridmem.envs.adapters.gymnasium_env import GridMemEnv
from gridmem.envs.adapters.observations import batch_axes, parse

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


TOUR = {"task": {"type": "Tour"}}


@pytest.mark.parametrize(
    ("observation", "options"),
    breadth(
        product(["dict", "flat"], [{}, {"compass": True}, TOUR]),
        ("dict", {"compass": True}),
        ("flat", {}),
    ),
)
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


@pytest.mark.parametrize("compass", [False, True])
@pytest.mark.parametrize("observation", ["dict", "flat"])
def test_what_a_face_tells_is_what_the_core_observes(observation, compass):
    env = make(observation, compass=compass)
    formatted = [env.reset(seed=0)[0], env.step(RIGHT)[0], env.step(RIGHT)[0]]
    state, first = jax.jit(env.core.start)(env.level)
    state, second = jax.jit(env.core.step)(state, np.array([RIGHT], np.int32))
    state, third = jax.jit(env.core.step)(state, np.array([RIGHT], np.int32))
    observed = [timestep.obs for timestep in (first, second, third)]
    for given, obs in zip(formatted, observed, strict=True):
        assert batch_axes(env.core, given) == ()
        for one, other in zip(parse(env.core, given), obs, strict=True):
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other[0])
    # Any leading axes, in numpy and in JAX, under jit too.
    batch = jax.tree.map(lambda *leaves: np.stack([np.stack(leaves)] * 2), *formatted)
    assert batch_axes(env.core, batch) == (2, 3)
    wanted = jax.tree.map(lambda *leaves: np.stack([np.concatenate(leaves)] * 2), *observed)
    for found in (parse(env.core, batch), jax.jit(lambda x: parse(env.core, x))(batch)):
        jax.tree.map(np.testing.assert_array_equal, found, wanted)


def test_a_view_alone_is_refused_and_so_are_other_views():
    env = make("view")
    with pytest.raises(ValueError, match="a view alone does not contain"):
        batch_axes(env.core, env.reset(seed=0)[0])
    for given in ({}, {"view": 0}, np.zeros(50, np.float32), 3, None):
        with pytest.raises(ValueError, match=r"has the shape .*; where the view is 3 x 3 and"):
            parse(env.core, given)
