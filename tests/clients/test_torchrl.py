"""TorchRL's own check of an environment accepts each of the faces."""

import gymnasium
import pytest
from gymnasium.vector import AutoresetMode

import gridmem

ID = "GridMem-9x9-v0"

pytestmark = [
    pytest.mark.clients,
    pytest.mark.filterwarnings("ignore:PettingZoo in TorchRL is tested using version"),
]


@pytest.mark.parametrize("observation", ["view", "flat", "dict"])
def test_single_env(observation):
    from torchrl.envs import GymWrapper, check_env_specs

    check_env_specs(GymWrapper(gymnasium.make(ID, observation=observation)))


def test_single_env_by_id():
    from torchrl.envs import GymEnv, check_env_specs

    env = GymEnv(ID)
    check_env_specs(env)
    assert env.rollout(100)["next", "truncated"].squeeze().tolist() == [False] * 63 + [True]


@pytest.mark.parametrize("mode", ["SameStep", AutoresetMode.SAME_STEP, "Disabled"])
@pytest.mark.parametrize("observation", ["view", "dict"])
def test_vector_env(mode, observation):
    from torchrl.envs import GymWrapper, check_env_specs

    envs = gymnasium.make_vec(ID, num_envs=3, autoreset_mode=mode, observation=observation)
    env = GymWrapper(envs)
    check_env_specs(env)
    # Two episodes of 64 steps, one after the other.
    done = env.rollout(128, break_when_any_done=False)["next", "done"].squeeze(-1)
    assert done.shape == (3, 128)
    assert done.nonzero().tolist() == [[i, t] for i in range(3) for t in (63, 127)]


@pytest.mark.parametrize("use_mask", [False, True])
def test_parallel_env(use_mask):
    from torchrl.envs import PettingZooWrapper, check_env_specs

    env = PettingZooWrapper(gridmem.parallel_env(ID, num_agents=2), use_mask=use_mask)
    check_env_specs(env)
    done = env.rollout(100)["next", "agent", "done"]
    assert done.shape == (64, 2, 1)
    assert done[-1].all()
