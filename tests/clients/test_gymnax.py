"""gymnax's own wrappers take the environment for one of gymnax's."""

import jax
import numpy as np
import pytest

import gridmem

pytestmark = [
    pytest.mark.clients,
    pytest.mark.filterwarnings("ignore"),  # gymnax's, of what it imports
]


@pytest.fixture
def wrappers():
    return pytest.importorskip("gymnax.wrappers", exc_type=ImportError)


def make(observation):
    options = {"observation": observation, "max_steps": 3, "five_values": True}
    return gridmem.gymnax_env("GridMem-9x9-v0", **options)


@pytest.mark.parametrize("observation", ["view", "flat"])
def test_flattened_and_logged(wrappers, observation):
    env = wrappers.LogWrapper(wrappers.FlattenObservationWrapper(make(observation)))
    params, key = env.default_params, jax.random.key(0)
    obs, state = env.reset(key, params)
    assert obs.shape == env.observation_space(params).shape
    for _ in range(3):
        obs, state, _, done, info = env.step(key, state, 0, params)
    assert done
    assert info["returned_episode_lengths"] == 3


@pytest.mark.parametrize("observation", ["view", "flat"])
def test_as_a_gymnasium_environment(wrappers, observation):
    env = wrappers.GymnaxToGymWrapper(make(observation))
    obs, _ = env.reset(seed=0)
    for action in range(3):
        assert env.observation_space.contains(np.asarray(obs))
        assert env.action_space.contains(np.int64(action))
        obs, _, _, done, _ = env.step(action)
    assert done
    envs = wrappers.GymnaxToVectorGymWrapper(make(observation), 2)
    obs, _ = envs.reset(seed=0)
    assert envs.observation_space.contains(np.asarray(obs))
