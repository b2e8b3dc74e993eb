from functools import partial

import jax
import numpy as np
import probe
import pytest
import tiny

from gridmem.baselines.learner import update
from gridmem.envs.types import Action, Tile

CONFIG = tiny.config(
    env={"view_size": 3, "max_steps": probe.STEPS},
    model={"num_layers": 1, "width": 32, "ff_width": 32, "num_heads": 2, "head_dim": 16},
    ppo={"num_envs": 64, "num_minibatches": 4, "num_epochs": 2, "gamma": 0.8},
    optimizer={"learning_rate": 3e-3},
    total_steps=200 * 64 * probe.STEPS,
)
WALK = [Action.RIGHT] * probe.CORRIDOR


@partial(jax.jit, static_argnums=0)
def walked(env, level, actions):
    """All timesteps of an episode."""
    state, first = env.start(level)
    later = jax.lax.scan(lambda state, action: env.step(state, action[None]), state, actions)[1]
    return jax.tree.map(lambda one, more: np.concatenate([one[None], more]), first, later)


def walk(cue, arm):
    return walked(probe.ENV, probe.LEVELS[cue], np.array([*WALK, arm, arm], np.int32))


def test_at_the_choice_nothing_tells_the_cues_apart():
    up, down = (walk(cue, Action.UP).obs for cue in probe.LEVELS)
    for leaf in jax.tree.leaves(jax.tree.map(lambda a, b: (a[3:7] == b[3:7]).all(), up, down)):
        assert leaf
