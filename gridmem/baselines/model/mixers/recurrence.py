"""What mixers share whose memory is a state of one size, however long the episode."""

from typing import Any, NamedTuple

import jax
import numpy as np
from flax import nnx
from jax import lax
from jax import numpy as jnp
from jaxtyping import Array, Bool, Float, Float32, Int

from gridmem.baselines.model.layers import dense

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


class StepByStep(Recurrence):
    """A recurrence of gates that see the state, so that its tokens come one after the other.

    A subclass has `prepare`, whose weights have the fields `inputs` and `out`, and the two below.
    """

    dtype: Any

    def prepare(self) -> Any:
        """See `Mixer`."""
        raise NotImplementedError

    def following(
        self, state: Array, inputs: Array, reset: Bool[Array, " B"] | None, weights: Any
    ) -> Array:
        """The state after a token, of which the products with `inputs` are given."""
        raise NotImplementedError

    def shown(self, state: Array) -> Float32[Array, "B n"]:
        """The part of the state that is the output, before the matrix `out`."""
        raise NotImplementedError

    def step(
        self,
        x: Float[Array, "B D"],
        cache: RecurrentCache,
        segment: Int[Array, " B"] | None,
        weights: Any,
    ) -> tuple[Float[Array, "B D"], RecurrentCache]:
        """See `Mixer`."""
        segments = None if segment is None else segment[:, None]
        resets = first(cache, segments)
        reset = None if resets is None else resets[:, 0]
        state = self.following(cache.state, dense(x, weights.inputs), reset, weights)
        shown = dense(self.shown(state).astype(self.dtype), weights.out)
        return shown, RecurrentCache(state, segment)

    def sequence(
        self,
        x: Float[Array, "B T D"],
        cache: RecurrentCache,
        segments: Int[Array, "B T"] | None = None,
    ) -> Float[Array, "B T D"]:
        """See `Mixer`; the products with `inputs` are made for all tokens at once."""
        weights = self.prepare()
        resets = first(cache, segments)
        columns = jax.tree.map(lambda leaf: jnp.swapaxes(leaf, 0, 1), (x, resets))

        def step(state: Array, column: tuple[Array, Array | None]) -> tuple[Array, Array]:
            state = self.following(state, *column, weights)
            return state, self.shown(state).astype(self.dtype)

        shown = lax.scan(step, cache.state, (dense(columns[0], weights.inputs), columns[1]))[1]
        return jnp.swapaxes(dense(shown, weights.out), 0, 1)


def memory_lengths(number: int) -> np.ndarray:
    """So many lengths from SHORTEST to LONGEST, evenly spread over their logarithm."""
    share = (np.arange(number) + 0.5) / number
    return SHORTEST * (LONGEST / SHORTEST) ** share
