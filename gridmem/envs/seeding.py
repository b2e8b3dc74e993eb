"""From the seeds that users give to the keys of levels: one stream of levels per seed."""

import jax
import numpy as np
from gymnasium import error
from jaxtyping import Array, Key, UInt32


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
    # The generator is named so that a level does not depend on the user's JAX settings.
    root = jax.random.wrap_key_data(seed_key, impl="threefry2x32")
    return jax.random.fold_in(root, episode)
