"""What mixers share whose memory is a state of one size, however long the episode."""

from typing import NamedTuple

import numpy as np
from flax import nnx
from jax import numpy as jnp
from jaxtyping import Array, Bool, Float32, Int

SHORTEST, LONGEST = 16, 512  # steps that memories last at first


class RecurrentCache(NamedTuple):
    """The state after the last token."""

    state: Float32[Array, "B *state"]
    segment: Int[Array, " B"] | None  # of the last token; -1 if there was none


class Recurrence(nnx.Module):
    """A mixer that keeps a float32 state, 0 at the start of each segment."""

    state_shape: tuple[int, ...]

    def init_cache(self, batch: int, length: int, segmented: bool = False) -> RecurrentCache:
        """See `Mixer`; `length` makes no difference."""
        state = jnp.zeros((batch, *self.state_shape), jnp.float32)
        return RecurrentCache(state, jnp.full((batch,), -1, jnp.int32) if segmented else None)

    def grow(self, cache: RecurrentCache, length: int) -> RecurrentCache:
        """See `Mixer`."""
        return cache

    def keep(self, cache: RecurrentCache, length: int) -> RecurrentCache:
        """See `Mixer`; older tokens stay in the state."""
        return cache


def first(cache: RecurrentCache, segments: Int[Array, "B T"] | None) -> Bool[Array, "B T"] | None:
    """Which of T tokens that follow are the first of their segment; None if all go on."""
    if (cache.segment is None) != (segments is None):
        raise ValueError("segments require a cache made with segmented=True, and vice versa")
    if cache.segment is None or segments is None:
        return None
    return segments != jnp.concatenate([cache.segment[:, None], segments[:, :-1]], axis=1)


def memory_lengths(number: int) -> np.ndarray:
    """So many lengths from SHORTEST to LONGEST, evenly spread over their logarithm."""
    share = (np.arange(number) + 0.5) / number
    return SHORTEST * (LONGEST / SHORTEST) ** share
