"""The one small configuration that the tests of the trainer share, so that it compiles once."""

from dataclasses import replace
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np

from gridmem import Env, Return, TextMap
from gridmem.baselines.config import EnvSettings, ModelConfig, TrainConfig
from gridmem.baselines.ppo.learner import init
from gridmem.baselines.ppo.method import PPO
from gridmem.baselines.ppo.settings import PPOConfig

MODEL = ModelConfig(
    num_layers=2, width=16, ff_width=16, num_heads=2, num_kv_heads=1, head_dim=8, value_width=16
)
CONFIG = TrainConfig(
    env=EnvSettings(env_id="GridMem-9x9-v0", max_steps=16),
    model=MODEL,
    method=PPOConfig(num_envs=8, num_epochs=2, num_minibatches=2),
    total_steps=8 * 16 * 10,
    eval_levels=32,
)


def config(*, env=None, model=None, method=None, optimizer=None, **fields):
    """CONFIG with some settings of its parts changed."""
    parts = {"env": env, "model": model, "method": method, "optimizer": optimizer}
    changed = {k: replace(getattr(CONFIG, k), **v) for k, v in parts.items() if v}
    return replace(CONFIG, **changed, **fields)


class TwoFinds(Return):
    """Ends an episode at the second find of an agent."""

    def step(self, state, world, event):
        outcome = super().step(state, world, event)
        return outcome._replace(terminated=jnp.any(outcome.visits >= 2))


ROOM = TextMap(("#####", "#.G.#", "#####"))


def small_room(config, task=None):
    """A config's environment, but in a room in which random actions find the goal often."""
    settings = config.make_env().config
    return Env(replace(settings, map=ROOM, task=task or settings.task))


@cache
def _start(config, env):
    return init(config, env)


def start(config, env=None):
    """`init`, but run once per config; the learner may be given away."""
    graphdef, learner = _start(config, env or config.make_env())
    return graphdef, copy(learner)


def ppo(config, env=None):
    """The method of a config."""
    return PPO(config, env or config.make_env())


def copy(learner):
    """A learner in arrays of its own that are tied to no device, so that `update` fits both."""
    data = learner._replace(key=jax.random.key_data(learner.key))
    copied = jax.tree.map(lambda leaf: jnp.array(np.asarray(leaf)), data)
    return copied._replace(key=jax.random.wrap_key_data(copied.key))


def host(tree):
    """The leaves of a tree as numpy arrays, keys as their data."""
    return [
        np.asarray(jax.random.key_data(leaf) if is_key(leaf) else leaf)
        for leaf in jax.tree.leaves(tree)
    ]


def is_key(leaf):
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
