"""Stable-Baselines3 and sb3-contrib check the environment and train on it."""

import gymnasium
import numpy as np
import pytest

import gridmem

ID = "GridMem-9x9-v0"
POLICIES = {"view": "MlpPolicy", "flat": "MlpPolicy", "dict": "MultiInputPolicy"}
SHORT = {"n_steps": 64, "batch_size": 64, "n_epochs": 1, "device": "cpu", "seed": 0}

pytestmark = pytest.mark.clients


def assert_trains(model, steps):
    """It learns from whole episodes of 64 steps and stays finite."""
    before = [p.detach().clone() for p in model.policy.parameters()]
    model.learn(steps)
    after = list(model.policy.parameters())
    assert all(p.isfinite().all() for p in after)
    assert any((a != b).any() for a, b in zip(after, before, strict=True))
    assert {episode["l"] for episode in model.ep_info_buffer} == {64}


@pytest.mark.filterwarnings("ignore:Your observation")  # has two axes and is no image
@pytest.mark.parametrize("observation", POLICIES)
def test_check_env_accepts_it(observation):
    from stable_baselines3.common.env_checker import check_env

    check_env(gymnasium.make(ID, observation=observation))


@pytest.mark.parametrize("observation", POLICIES)
def test_ppo_trains(observation):
    from stable_baselines3 import PPO
    from stable_baselines3.common.env_util import make_vec_env

    envs = make_vec_env(ID, 2, env_kwargs={"observation": observation})
    assert_trains(PPO(POLICIES[observation], envs, **SHORT), 256)


def test_recurrent_ppo_trains():
    from sb3_contrib import RecurrentPPO
    from stable_baselines3.common.env_util import make_vec_env

    envs = make_vec_env(ID, 2, env_kwargs={"observation": "flat"})
    model = RecurrentPPO("MlpLstmPolicy", envs, policy_kwargs={"lstm_hidden_size": 16}, **SHORT)
    assert_trains(model, 256)


@pytest.mark.filterwarnings(
    "ignore:The `render_mode` attribute"
)  # which SuperSuit does not pass on
def test_ppo_trains_on_the_parallel_env_through_supersuit():
    import supersuit
    from stable_baselines3 import PPO
    from stable_baselines3.common.vec_env import VecMonitor

    env = gridmem.parallel_env(ID, num_agents=2)
    envs = supersuit.pettingzoo_env_to_vec_env_v1(env)
    envs = supersuit.concat_vec_envs_v1(envs, 2, num_cpus=1, base_class="stable_baselines3")
    assert envs.num_envs == 4
    unseeded = SHORT | {"seed": None}  # SuperSuit's batch has no `seed`
    assert_trains(PPO("MlpPolicy", VecMonitor(envs), **unseeded), 512)


def test_it_sees_the_truncation_and_the_last_observation():
    from stable_baselines3.common.env_util import make_vec_env

    alone = gymnasium.make(ID)
    view, _ = alone.reset(seed=3)
    envs = make_vec_env(ID, 1, seed=3)
    np.testing.assert_array_equal(envs.reset()[0], view)
    for _ in range(64):
        last = alone.step(1)[0]
        _, _, done, infos = envs.step(np.array([1]))
    assert done.all()
    assert infos[0]["TimeLimit.truncated"]
    np.testing.assert_array_equal(infos[0]["terminal_observation"], last)
