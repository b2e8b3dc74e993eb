"""The scripts of the page "Train your own agent": they learn, and do what their comments say."""

import importlib.util
import re
import runpy
import sys
from pathlib import Path

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gridmem

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLES = DOCS / "examples"
GAMMA, LAMBDA = 0.97, 0.95


def module(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def mean_returns(name, steps, monkeypatch, capsys):
    """What a script prints."""
    monkeypatch.setattr(sys, "argv", [name, "--steps", str(steps), "--seed", "1"])
    runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    return [float(x) for x in re.findall(r"mean return (\S+)", capsys.readouterr().out)]


@pytest.fixture
def lenient():
    """JAX as users have it: optimizers mix counts and moments."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


@pytest.mark.slow
@pytest.mark.usefixtures("lenient")
def test_jax_learns(monkeypatch, capsys):
    first, *_, last = mean_returns("train_jax", 11 * 256 * 64, monkeypatch, capsys)
    assert first < 1
    assert last > 2


@pytest.mark.usefixtures("lenient")
def test_jax_advantages_by_hand():
    train = module("train_jax")
    reward = jnp.array([[0.0, 0.0], [1.0, 1.0]])
    value = jnp.array([[0.5, 0.5], [0.25, 0.25]])
    terminated = jnp.array([[False, False], [True, False]])
    rollout = train.Rollout(None, None, None, value, reward, terminated)
    advantage = train.advantages(rollout, jnp.array([2.0, 2.0]))
    later = np.array([1 - 0.25, 1 + GAMMA * 2 - 0.25])
    sooner = GAMMA * 0.25 - 0.5 + GAMMA * LAMBDA * later
    np.testing.assert_allclose(advantage, [sooner, later], rtol=1e-5)


@pytest.mark.usefixtures("lenient")
def test_jax_replays_the_memory_that_acted(monkeypatch):
    train = module("train_jax")
    monkeypatch.setattr(train, "NUM_ENVS", 4)
    rows = ["#####", "#0.G#", "#.#.#", "#####"]  # no noise to compile
    env = gridmem.make("GridMem-9x9-v0", max_steps=8, map={"type": "TextMap", "rows": rows})
    graphdef, params = train.nnx.split(train.Agent(env, train.nnx.Rngs(0)))

    @jax.jit
    def acted_and_replayed(params):
        agent = train.nnx.merge(graphdef, params)
        rollout, last_value = train.play(env, agent, jax.random.key(0))
        reset_key, _ = jax.random.split(jax.random.key(0))
        state, timestep = jax.vmap(env.reset)(jax.random.split(reset_key, 4))
        rest = jax.lax.scan(jax.vmap(env.step), state, rollout.action[..., None])[1]
        obs = jax.tree.map(
            lambda first, rest: jnp.concatenate([first[None], rest])[:, :, 0],
            timestep.obs,
            rest.obs,
        )
        logits, value = train.replay(agent, obs)
        log_prob = train.log_prob_of(logits[:-1], rollout.action)
        return rollout, last_value, value, log_prob

    rollout, last_value, value, log_prob = acted_and_replayed(params)
    np.testing.assert_allclose(value, [*rollout.value, last_value], atol=1e-5)
    np.testing.assert_allclose(log_prob, rollout.log_prob, atol=1e-5)
    assert (rollout.obs.last_action[1:] == rollout.action[:-1]).all()
    assert (rollout.obs.last_action[0] == env.num_actions).all()


@pytest.mark.clients
def test_torch_learns(monkeypatch, capsys):
    first, *_, last = mean_returns("train_torch", 11 * 256 * 65, monkeypatch, capsys)
    assert first < 1
    assert last > 2


@pytest.mark.clients
def test_torch_advantages_by_hand():
    import torch

    train = module("train_torch")
    # Row 0 ends an episode, by truncation and by termination; row 1 is that of the ignored action.
    value = torch.tensor([[0.5, 0.5], [2.0, 2.0], [0.25, 0.25]])
    reward = torch.tensor([[1.0, 1.0], [0.0, 0.0], [0.0, 0.0]])
    done = torch.tensor([[True, True], [False, False], [False, False]])
    terminated = torch.tensor([[False, True], [False, False], [False, False]])
    rollout = train.Rollout(*[None] * 5, value, reward, terminated, done)
    advantage = train.advantages(rollout, torch.tensor([4.0, 4.0]))
    np.testing.assert_allclose(advantage[0], [1 + GAMMA * 2 - 0.5, 1 - 0.5], rtol=1e-5)
    np.testing.assert_allclose(advantage[2], [GAMMA * 4 - 0.25] * 2, rtol=1e-5)


@pytest.fixture
def player():
    envs = gymnasium.make_vec(
        "GridMem-9x9-v0",
        3,
        observation="flat",
        output="jax",
        max_steps=10,
        autoreset_mode="NextStep",
    )
    return module("train_torch"), envs


@pytest.mark.clients
def test_torch_plays_episodes_with_the_right_memory(player):
    import torch

    train, envs = player
    torch.manual_seed(0)
    agent = train.Agent(envs.single_observation_space.shape[0], 4)
    play = train.Player(envs, seed=0)
    for _ in range(2):  # the second rollout goes on where the first one stopped
        memory = play.memory
        rollout, _, _ = play.play(agent)
        # 65 steps; an episode is 10 of them and the one that resets.
        logits, value, _ = agent(rollout.obs, rollout.first, memory)
        log_prob = torch.distributions.Categorical(logits=logits).log_prob(rollout.action)
        torch.testing.assert_close(log_prob, rollout.log_prob)
        torch.testing.assert_close(value, rollout.value)
        begins = rollout.obs[:, :, 125 + 4] == 1  # the last action is "none yet"
        assert torch.equal(begins, rollout.first)
        assert torch.equal(rollout.last[1:], rollout.done[:-1])
        assert (rollout.reward[rollout.last] == 0).all()
        kept = ~rollout.last[:-1]
        taken = rollout.obs[1:, :, 125:129].argmax(-1)
        assert torch.equal(taken[kept], rollout.action[:-1][kept])
    assert rollout.first.sum() >= 15


@pytest.mark.clients
def test_observations_share_memory_with_torch(player):
    import torch

    _, envs = player
    obs, _ = envs.reset(seed=0)
    assert isinstance(obs, jax.Array)
    assert torch.from_dlpack(obs).data_ptr() == obs.unsafe_buffer_pointer()


@pytest.mark.clients
def test_sb3_runs(monkeypatch, capsys):
    assert len(mean_returns("train_sb3", 1024, monkeypatch, capsys)) == 2


def test_the_excerpts_on_the_page_are_those_of_the_scripts():
    page = (DOCS / "train_your_own.md").read_text()
    sources = [*EXAMPLES.glob("*.py"), Path(__file__).with_name("test_stable_baselines3.py")]
    code = "".join(path.read_text() for path in sources)
    excerpts = re.findall(r"^```text\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert len(excerpts) == 5
    for excerpt in excerpts:
        assert excerpt in code
    for name in re.findall(r"\(examples/(.*?)\)", page):
        assert (EXAMPLES / name).is_file()
