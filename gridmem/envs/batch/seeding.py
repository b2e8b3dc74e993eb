"""Streams of levels: each seed gives one."""

from functools import partial

import jax
import numpy as np
from gymnasium import error
from jaxtyping import Array, Key, UInt32

from gridmem.envs.checks import refuse_forks
from gridmem.envs.env import Env
from gridmem.envs.types import Level


def seed_key(seed: int) -> UInt32[np.ndarray, "2"]:
    """The threefry key data of a seed.

    All bits of the seed are used, whereas `jax.random.key` takes 2**32 for 0.

    Raises:
        gymnasium.error.Error: if the seed is not a Python int, 0 or more.
    """
    if not isinstance(seed, int) or seed < 0:
        raise error.Error(f"the seed is {seed!r}; it must be a Python int, 0 or more")
    return np.random.SeedSequence(seed).generate_state(2, np.uint32)


def level_key(seed_key: UInt32[Array, "2"], episode: UInt32[Array, ""]) -> Key[Array, ""]:
    """The key of level number `episode`, from 0, in the stream of a seed."""
    refuse_forks()
    # Explicit, because the default implementation can be configured.
    root = jax.random.wrap_key_data(seed_key, impl="threefry2x32")
    return jax.random.fold_in(root, episode)


@partial(jax.jit, static_argnums=0)
def generate_level(env: Env, seed_key: UInt32[Array, "2"], episode: UInt32[Array, ""]) -> Level:
    """Level number `episode`, from 0, in the stream of a seed."""
    return env.generate(level_key(seed_key, episode))
