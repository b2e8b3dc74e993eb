import json
import shutil
from dataclasses import replace

import jax
import numpy as np
import pytest
import tiny
from flax import nnx

from gridmem.baselines.checkpoint import save
from gridmem.baselines.config import to_dict
from gridmem.baselines.load import load_agent
from gridmem.baselines.model_policy import ModelExtras, model_policy
from gridmem.envs.unroll import flatten


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run folder with a checkpoint whose parameters are not those of a fresh model."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "config.json").write_text(json.dumps(to_dict(tiny.CONFIG)))
    save(folder / "checkpoint", learner())
    return folder


def learner():
    _, learner = tiny.start(replace(tiny.CONFIG, seed=5))
    return learner


@pytest.fixture
def copy(run, tmp_path):
    return shutil.copytree(run, tmp_path / "run")


def thoughts(env, policy):
    """What a policy does and thinks at the first timesteps of eight episodes."""
    levels = jax.vmap(env.generate)(jax.random.split(jax.random.key(0), 8))
    _, timestep = jax.jit(jax.vmap(env.start))(levels)
    carry = policy.grow(policy.init(8), env.max_steps)
    return jax.device_get(jax.jit(policy.act)(carry, flatten(timestep), jax.random.key(1)))


def test_the_agent_acts_as_the_learner_that_was_saved(run):
    agent = load_agent(run, explain=True)
    assert agent.config == tiny.CONFIG
    assert agent.env == tiny.CONFIG.make_env()
    found = thoughts(agent.env, agent.policy)
    graphdef, fresh = tiny.start(tiny.CONFIG)
    for params, same in ((learner().params, True), (fresh.params, False)):
        policy = model_policy(nnx.merge(graphdef, params), explain=True)
        expected = thoughts(agent.env, policy)
        assert np.array_equal(found.extras.logits, expected.extras.logits) == same


def test_greedy_agents_take_the_most_probable_action(run):
    agent = load_agent(run, greedy=True, explain=True)
    found = thoughts(agent.env, agent.policy)
    np.testing.assert_array_equal(found.action, found.extras.logits.argmax(axis=-1))


def test_it_explains_itself_only_if_asked(run):
    agent = load_agent(run)
    assert isinstance(thoughts(agent.env, agent.policy).extras, ModelExtras)


def test_a_checkpoint_that_was_being_replaced_is_found(copy):
    (copy / "checkpoint").rename(copy / "checkpoint.old")
    assert load_agent(copy).config == tiny.CONFIG


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, r"is not the folder of a run: .*config.json \(No such file or directory\)"),
        ("not json", "config.json is not JSON"),
        ("[1]", "config.json is not the config of a run: it is not a dict of settings"),
        ('{"sead": 3}', r"is not the config of a run: there is no setting 'sead' \(did you mean"),
        ('{"seed": "x"}', "config.json is not the config of a run"),
    ],
)
def test_what_is_no_run_folder(text, sentence, copy):
    (copy / "config.json").unlink()
    if text is not None:
        (copy / "config.json").write_text(text)
    with pytest.raises(ValueError, match=sentence):
        load_agent(copy)


def test_a_run_without_a_checkpoint(copy):
    shutil.rmtree(copy / "checkpoint")
    with pytest.raises(ValueError, match="has no checkpoint; the run has not saved one yet"):
        load_agent(copy)


def test_a_checkpoint_of_another_model(copy):
    other = tiny.config(model={"width": 24})
    (copy / "config.json").write_text(json.dumps(to_dict(other)))
    with pytest.raises(ValueError, match=r"do not have the shapes that config.json says"):
        load_agent(copy)


def test_a_damaged_checkpoint(copy, capfd):
    for path in (copy / "checkpoint").rglob("*"):
        if path.is_file():
            path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"the checkpoint in .* is damaged or of another version"):
        load_agent(copy)
    assert capfd.readouterr() == ("", "")


def test_what_is_not_there(tmp_path):
    with pytest.raises(ValueError, match="is not the folder of a run"):
        load_agent(tmp_path / "none")
