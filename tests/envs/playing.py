"""What several test files share: compiled players and cached levels."""

from functools import cache, partial

import jax
import numpy as np

import gridmem
from gridmem.envs.types import Level

BATCH = 500


@partial(jax.jit, static_argnums=0)
def generate_one(env, key):
    return env.generate(key)


@partial(jax.jit, static_argnums=0)
def generate_many(env, keys):
    return jax.vmap(env.generate)(keys)


@partial(jax.jit, static_argnums=0)
def start(env, level):
    return env.start(level)


@partial(jax.jit, static_argnums=0)
def step(env, state, action):
    return env.step(state, action)


@partial(jax.jit, static_argnums=0)
def play(env, level, actions):
    """The first and all later (state, timestep) of an episode, the latter stacked."""
    first = env.start(level)

    def body(state, action):
        state, timestep = env.step(state, action)
        return state, (state, timestep)

    return first, jax.lax.scan(body, first[0], actions)[1]


@cache
def batch(id, number):
    """The keys and the levels of one numbered batch of an id, as numpy."""
    keys = jax.random.split(jax.random.key(number), BATCH)
    return keys, jax.tree.map(np.asarray, generate_many(gridmem.make(id), keys))


def levels(id, count):
    """`count` levels of an id, stacked."""
    parts = [batch(id, number)[1] for number in range(count // BATCH)]
    return Level(*(np.concatenate(leaves) for leaves in zip(*parts, strict=True)))


def level_at(stacked, index):
    return Level(*(leaf[index] for leaf in stacked))


def as_dict(record):
    """A record of records as nested dicts of numpy arrays."""
    if hasattr(record, "_asdict"):
        return {name: as_dict(value) for name, value in record._asdict().items()}
    return record if isinstance(record, tuple) else np.asarray(record)


def assert_same(actual, expected, where=""):
    """Two nested dicts have the same names, and arrays of the same type, shape and content."""
    if isinstance(expected, dict):
        assert actual.keys() == expected.keys(), where
        for name in expected:
            assert_same(actual[name], expected[name], f"{where}.{name}")
    elif isinstance(expected, tuple):
        assert actual == expected, where
    else:
        assert (actual.dtype, actual.shape) == (expected.dtype, expected.shape), where
        if not np.array_equal(actual, expected):  # numpy's own report is slow, hence only now
            np.testing.assert_array_equal(actual, expected, err_msg=where)
