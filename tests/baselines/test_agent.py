"""Loading an agent from the folder of its run, from a file and by its name."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace

import gymnasium
import jax
import numpy as np
import pytest
import tiny
from flax import nnx

import gridmem
from gridmem.baselines import agent as agent_file
from gridmem.baselines import load, released
from gridmem.baselines.agent import WEIGHTS
from gridmem.baselines.config import to_dict
from gridmem.baselines.model.policy import ModelExtras, model_policy
from gridmem.baselines.runs.weights import to_bytes
from gridmem.envs.assets import asset
from gridmem.envs.batch.rollout import flatten


def learner():
    """Not the one that a fresh run of the configuration begins with."""
    _, learner = tiny.start(replace(tiny.CONFIG, seed=5))
    return learner


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A run folder, as training leaves it."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "config.json").write_text(json.dumps(to_dict(tiny.CONFIG)))
    (folder / WEIGHTS).write_bytes(to_bytes(tiny.CONFIG, learner().params, 128))
    return folder


@pytest.fixture
def copy(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "run")


@pytest.fixture
def shelf(saved, tmp_path, monkeypatch):
    """A folder of released weights with one agent in it."""
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "README.md").write_text("no weights")
    shutil.copy(saved / WEIGHTS, folder / "tiny-cave.safetensors")
    monkeypatch.setattr(agent_file, "asset", {"weights": folder}.__getitem__)
    return folder


def thoughts(env, policy):
    """What a policy does and thinks at the first timesteps of eight episodes."""
    _, timestep = jax.jit(jax.vmap(env.reset))(jax.random.split(jax.random.key(0), 8))
    carry = policy.grow(policy.init(8), env.max_steps)
    return jax.device_get(jax.jit(policy.act)(carry, flatten(timestep), jax.random.key(1)))


def test_the_agent_acts_as_the_learner_that_was_saved(saved):
    agent = load(saved)
    assert agent.config == tiny.CONFIG
    assert agent.env == tiny.CONFIG.make_env()
    found = thoughts(agent.env, agent.policy(explain=True))
    graphdef, fresh = tiny.start(tiny.CONFIG)
    for params, same in ((learner().params, True), (fresh.params, False)):
        policy = model_policy(nnx.merge(graphdef, params), explain=True)
        expected = thoughts(agent.env, policy)
        assert np.array_equal(found.extras.logits, expected.extras.logits) == same


def test_an_agent_that_predicts_the_next_view_acts_as_one_without_that_head(saved, tmp_path):
    config = tiny.config(model={"predict_view_coef": 1.0}, method={"rollout_steps": 6})
    _, fresh = tiny.start(config)
    params = {**fresh.params, **learner().params}  # those of the agent without it, and the head
    path = tmp_path / "agent.safetensors"
    path.write_bytes(to_bytes(config, nnx.State(params), 128))
    found, expected = (
        thoughts(each.env, each.policy(explain=True)) for each in map(load, (path, saved))
    )
    np.testing.assert_array_equal(found.extras.logits, expected.extras.logits)


def test_a_policy_is_greedy_and_explains_itself_if_asked(saved):
    agent = load(saved)
    found = thoughts(agent.env, agent.policy(greedy=True, explain=True))
    np.testing.assert_array_equal(found.action, found.extras.logits.argmax(axis=-1))
    drawn = thoughts(agent.env, agent.policy())
    assert isinstance(drawn.extras, ModelExtras)
    assert (drawn.action != found.action).any()


def test_a_folder_a_file_and_a_name_are_the_same_agent(saved, shelf, monkeypatch):
    monkeypatch.chdir(saved)
    agents = [load(saved), load(str(saved / WEIGHTS)), load(WEIGHTS), load("tiny-cave")]
    for agent in agents:
        assert agent.config == tiny.CONFIG
        for one, other in zip(tiny.host(agent.params), tiny.host(agents[0].params), strict=True):
            np.testing.assert_array_equal(one, other)


def test_released_agents_have_names(shelf):
    assert released() == ["tiny-cave"]
    shutil.copy(shelf / "tiny-cave.safetensors", shelf / "big-cave.safetensors")
    assert gridmem.baselines.released() == ["big-cave", "tiny-cave"]


def run(code):
    """A fresh interpreter, in which nothing is loaded yet."""
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.slow
def test_importing_gridmem_is_all_that_it_takes():
    light = "assert not {'jax', 'flax'} & sys.modules.keys()"
    done = run(f"import sys, gridmem; gridmem.baselines; {light}; print(gridmem.baselines.load)")
    assert done.stdout.startswith("<function load"), done.stderr


def test_the_extra_is_named_where_it_is_missing():
    hidden = "import sys, gridmem; sys.modules['flax'] = None"
    done = run(f"{hidden}; gridmem.baselines.load('x')")
    assert "ModuleNotFoundError: an agent needs flax; install gridmem[train]" in done.stderr


@pytest.mark.slow
def test_every_agent_that_comes_with_the_package_loads():
    assert (asset("weights") / "README.md").is_file()
    for name in released():
        agent = load(name)
        obs, _ = gridmem.parallel_env(agent.env_id, **agent.options).reset(seed=0)
        assert agent.actor()(obs).keys() == obs.keys()


def test_the_options_make_the_environment_of_the_training():
    settings = {"view_size": 7, "max_steps": 20, "compass": True, "goal_moves": True}
    config = tiny.config(env=settings)
    agent = agent_file.Agent(config, config.make_env(), tiny.ppo(config), None)
    assert agent.options == {"observation": "dict", **settings}
    env = gymnasium.make(agent.env_id, **agent.options)
    assert env.unwrapped.core == agent.env
    assert env.observation_space.keys() == {"view", "last_action", "last_reward", "compass"}
    envs = gymnasium.make_vec(agent.env_id, num_envs=2, **agent.options)
    assert envs.core == agent.env
    assert gridmem.gymnax_env(agent.env_id, **agent.options).core == agent.env
    together = gridmem.parallel_env(agent.env_id, **agent.options | {"num_agents": 2})
    assert together.observation_spaces["agent_1"] == env.observation_space


def test_the_config_that_counts_is_that_of_the_file(copy):
    (copy / "config.json").unlink()
    assert load(copy).config == tiny.CONFIG


def test_a_run_that_has_saved_nothing(copy):
    (copy / WEIGHTS).unlink()
    with pytest.raises(ValueError, match=r"run is a run that has saved nothing yet: there is no"):
        load(copy)


def test_what_is_no_run_folder(tmp_path):
    with pytest.raises(ValueError, match=r"is no run: there is no agent.safetensors in it"):
        load(tmp_path)


def test_what_is_not_there(shelf, tmp_path):
    sentence = r"there is no run folder, file or released agent .*none'; released are: tiny-cave"
    with pytest.raises(ValueError, match=sentence):
        load(tmp_path / "none")
    with pytest.raises(ValueError, match=r"agent 'tiny-cavs' \(did you mean 'tiny-cave'\?\);"):
        load("tiny-cavs")
    (shelf / "tiny-cave.safetensors").unlink()
    with pytest.raises(ValueError, match=r"released agent 'tiny-cave'; released are: none"):
        load("tiny-cave")


def test_a_damaged_file(copy, capfd):
    whole = (copy / WEIGHTS).read_bytes()
    for data in (b"", whole[:100], whole[:-1], whole + b"!"):
        (copy / WEIGHTS).write_bytes(data)
        sentence = r"agent.safetensors is no agent that can be loaded: it is damaged \("
        with pytest.raises(ValueError, match=sentence):
            load(copy)
    assert capfd.readouterr() == ("", "")


def test_weights_of_another_model(copy):
    other = tiny.config(model={"width": 24})
    (copy / WEIGHTS).write_bytes(to_bytes(other, learner().params, 0))
    sentence = r"is no agent that can be loaded: its tensor action is F32\[5, 16\]; .*\[5, 24\]"
    with pytest.raises(ValueError, match=sentence):
        load(copy)


def test_settings_of_another_type(copy):
    data = (copy / WEIGHTS).read_bytes()
    assert data.count(rb"\"seed\": 0,") == 1
    (copy / WEIGHTS).write_bytes(data.replace(rb"\"seed\": 0,", rb"\"seed\":{},"))
    with pytest.raises(ValueError, match="is no agent that can be loaded"):
        load(copy)


def test_a_file_that_the_system_refuses(copy, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(agent_file, "read_config", refuse)
    with pytest.raises(ValueError, match=r"agent.safetensors cannot be read \(Permission denied\)"):
        load(copy)
