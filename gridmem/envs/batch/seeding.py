"""From the seeds that users give to levels: one stream of levels per seed."""

from functools import partial

import jax
import numpy as np
from gymnasium import error
from jaxtyping import Array, Key, UInt32

from gridmem.envs.env import Env
from gridmem.envs.types import Level


def seed_key(seed: int) -> UInt32[np.ndarray, "2"]:
    """The threefry key data of a seed.

    All bits of the seed count, however large it is: `jax.random.key` would take 2**32 for 0.

    Raises:
        gymnasium.error.Error: if the seed is not a Python int, 0 or more.
    """
    if not isinstance(seed, int) or seed < 0:
        raise error.Error(f"the seed is {seed!r}; it must be a Python int, 0 or more")
    return np.random.SeedSequence(seed).generate_state(2, np.uint32)


def level_key(seed_key: UInt32[Array, "2"], episode: UInt32[Array, ""]) -> Key[Array, ""]:
    """The key of level number `episode`, from 0, in the stream of a seed."""
    # Named, so that a level does not depend on which generator is the user's default.
    root = jax.random.wrap_key_data(seed_key, impl="threefry2x32")
    return jax.random.fold_in(root, episode)


@partial(jax.jit, static_argnums=0)
def level_of(env: Env, seed_key: UInt32[Array, "2"], episode: UInt32[Array, ""]) -> Level:
    """Level number `episode`, from 0, in the stream of a seed."""
    return env.generate(level_key(seed_key, episode))
