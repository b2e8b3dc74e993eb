"""A long short-term memory whose input projections are made for all tokens at once.

Hochreiter & Schmidhuber 1997, "Long short-term memory", with the forget gate of Gers et al. 2000
and without peepholes (as in cuDNN).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Bool, Float, Float32, Int

from gridmem.baselines.config import ModelConfig
from gridmem.baselines.model.layers import dense, matrix, precision
from gridmem.baselines.model.mixers.recurrence import (
    Recurrence,
    RecurrentCache,
    first,
    memory_lengths,
)


class LSTMWeights(NamedTuple):
    """Matrices in the dtype of the products, those of keep, take, show and candidate side by side.

    Keep is the forget gate, take the input gate and show the output gate.
    """

    inputs: Float[Array, "D 4*n"]
    recurrent: Float[Array, "n 4*n"]
    bias: Float32[Array, " 4*n"]
    out: Float[Array, "n D"]


class LSTM(Recurrence):
    """The state is two vectors: the cell, and what a gate shows of it."""

    def __init__(self, config: ModelConfig, rngs: nnx.Rngs) -> None:
        self.dtype = jnp.dtype(config.dtype)
        width, inner = config.width, _inner(config)
        self.state_shape = (2, inner)
        orthogonal = nnx.initializers.orthogonal()
        self.keep_input = matrix(rngs, width, inner)
        self.take_input = matrix(rngs, width, inner)
        self.show_input = matrix(rngs, width, inner)
        self.new_input = matrix(rngs, width, inner)
        self.keep_state = matrix(rngs, inner, inner, orthogonal)
        self.take_state = matrix(rngs, inner, inner, orthogonal)
        self.show_state = matrix(rngs, inner, inner, orthogonal)
        self.new_state = matrix(rngs, inner, inner, orthogonal)
        # A gate of 1 - 1 / length keeps a cell for so many steps, and one of 1 / length takes in as
        # much as is lost (Tallec & Ollivier 2018).
        bias = jnp.log(jnp.asarray(memory_lengths(inner) - 1, jnp.float32))
        self.keep_bias = nnx.Param(bias)
        self.take_bias = nnx.Param(-bias)
        self.show_bias = nnx.Param(jnp.zeros((inner,), jnp.float32))
        self.new_bias = nnx.Param(jnp.zeros((inner,), jnp.float32))
        self.out = matrix(rngs, inner, width)

    def prepare(self) -> LSTMWeights:
        """See `Mixer`."""
        inputs = self.keep_input, self.take_input, self.show_input, self.new_input
        states = self.keep_state, self.take_state, self.show_state, self.new_state
        biases = self.keep_bias, self.take_bias, self.show_bias, self.new_bias
        return LSTMWeights(
            inputs=jnp.concatenate([each[...] for each in inputs], axis=1).astype(self.dtype),
            recurrent=jnp.concatenate([each[...] for each in states], axis=1).astype(self.dtype),
            bias=jnp.concatenate([each[...] for each in biases]),
            out=self.out[...].astype(self.dtype),
        )

    def step(
        self,
        x: Float[Array, "B D"],
        cache: RecurrentCache,
        segment: Int[Array, " B"] | None,
        weights: LSTMWeights,
    ) -> tuple[Float[Array, "B D"], RecurrentCache]:
        """See `Mixer`."""
        segments = None if segment is None else segment[:, None]
        resets = first(cache, segments)
        reset = None if resets is None else resets[:, 0]
        state = _next(cache.state, dense(x, weights.inputs), reset, weights)
        return dense(state[:, 1].astype(self.dtype), weights.out), RecurrentCache(state, segment)

    def sequence(
        self,
        x: Float[Array, "B T D"],
        cache: RecurrentCache,
        segments: Int[Array, "B T"] | None = None,
    ) -> Float[Array, "B T D"]:
        """See `Mixer`."""
        weights = self.prepare()
        resets = first(cache, segments)
        columns = jax.tree.map(lambda leaf: jnp.swapaxes(leaf, 0, 1), (x, resets))

        def step(state: Array, column: tuple[Array, Array | None]) -> tuple[Array, Array]:
            state = _next(state, *column, weights)
            return state, state[:, 1].astype(self.dtype)

        shown = lax.scan(step, cache.state, (dense(columns[0], weights.inputs), columns[1]))[1]
        return jnp.swapaxes(dense(shown, weights.out), 0, 1)


def _next(
    state: Float32[Array, "B 2 n"],
    inputs: Float[Array, "B 4*n"],
    reset: Bool[Array, " B"] | None,
    weights: LSTMWeights,
) -> Float32[Array, "B 2 n"]:
    """The state after a token, of which the projections are given."""
    if reset is not None:
        state = jnp.where(reset[:, None, None], 0, state)
    of_state = jnp.dot(
        state[:, 1].astype(inputs.dtype),
        weights.recurrent,
        precision=precision(inputs.dtype),
        preferred_element_type=jnp.float32,
    )
    gates = inputs.astype(jnp.float32) + weights.bias[None] + of_state
    keep, take, show, new = jnp.split(gates, 4, axis=1)
    cell = jax.nn.sigmoid(keep) * state[:, 0] + jax.nn.sigmoid(take) * jnp.tanh(new)
    return jnp.stack([cell, jax.nn.sigmoid(show) * jnp.tanh(cell)], axis=1)


def _inner(config: ModelConfig) -> int:
    """Features of the cell for as many parameters as attention has: 4 n^2 + (5 D + 4) n."""
    width = config.width
    parameters = 2 * width * (config.num_heads + config.num_kv_heads) * config.head_dim
    linear = 5 * width + 4
    return max(1, round(((linear**2 + 16 * parameters) ** 0.5 - linear) / 8))
