"""Computing in a fork of a process that uses JAX is refused; otherwise it would hang.

Here the fork is simulated. Real forks: `tests/clients/test_processes.py`.
"""

import copy

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gridmem
from gridmem.envs import checks

SMALL = "GridMem-9x9-v0"
ENV, GYMNAX = gridmem.make(SMALL), gridmem.gymnax_env(SMALL)
KEY = jax.random.key(0)
_, STATE = jax.eval_shape(GYMNAX.reset, KEY)
LEVELS = jax.tree.map(lambda leaf: leaf[:2], gridmem.levels(SMALL))


def batch(output="numpy"):
    return gymnasium.make_vec(SMALL, 2, output=output)


VECTOR = gridmem.VectorEnv(ENV, 2)
CORE_STATE, TIMESTEP = jax.eval_shape(ENV.reset, KEY)
SEEDS = jnp.zeros((2, 2), jnp.uint32)
BATCH = batch()
BATCH.reset(seed=0)
COMPUTING = {
    "make": lambda: gridmem.make(SMALL),
    "Env.generate": lambda: ENV.generate(KEY),
    "Env.start": lambda: ENV.start(jax.tree.map(lambda leaf: leaf[0], LEVELS)),
    "Env.step": lambda: ENV.step(CORE_STATE, 0),
    "Env.observe": lambda: ENV.observe(CORE_STATE, jnp.bool_(False)),
    "VectorEnv.reset": lambda: VECTOR.reset(SEEDS),
    "distances": lambda: gridmem.distances(jnp.asarray(LEVELS.tiles[0]), 0),
    "random_policy": lambda: gridmem.random_policy(4).act((), TIMESTEP, KEY),
    "reactive_policy": lambda: gridmem.reactive_policy(ENV).act((), TIMESTEP, KEY),
    "ceiling": lambda: gridmem.ceiling(ENV, LEVELS),
    "oracle_actions": lambda: gridmem.oracle_actions(ENV, LEVELS),
    "measure": lambda: gridmem.measure(ENV, LEVELS, np.zeros((2, 3, 1), int)),
    "gymnasium.make": lambda: gymnasium.make(SMALL).reset(seed=0),
    "make_vec": lambda: batch().reset(seed=0),
    "make_vec, step": lambda: batch().unwrapped.step(np.zeros(2, int)),
    "make_vec, jax": lambda: batch("jax").reset(seed=0),
    "parallel_env": lambda: gridmem.parallel_env(SMALL).reset(seed=0),
    "env": lambda: gridmem.env(SMALL).reset(seed=0),
    "gymnax_env": lambda: GYMNAX.reset(KEY),
    "gymnax_env, step": lambda: GYMNAX.step(KEY, STATE, 0),
    "gymnax_env, spaces": lambda: GYMNAX.action_space(None).sample(KEY),
    "make_vec, copied": lambda: copy.deepcopy(BATCH),
}


@pytest.mark.parametrize("name", COMPUTING)
def test_computing_in_a_fork_is_refused(name, monkeypatch):
    monkeypatch.setattr(checks, "_forked_from_jax", True)
    with pytest.raises(RuntimeError, match="this process was forked from one that had already"):
        COMPUTING[name]()


def test_functions_without_jax_work_in_a_fork(monkeypatch):
    monkeypatch.setattr(checks, "_forked_from_jax", True)
    assert gridmem.score(SMALL, np.ones(9)).best == "ceiling"
    assert len(gridmem.levels(SMALL).tiles) == 1000
