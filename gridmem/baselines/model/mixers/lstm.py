"""A long short-term memory whose input projections are made for all tokens at once.

Hochreiter & Schmidhuber 1997, "Long short-term memory", with the forget gate of Gers et al. 2000
and without peepholes (as in cuDNN).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Float32

from gridmem.baselines.config import ModelConfig
from gridmem.baselines.model.layers import matrix, precision
from gridmem.baselines.model.mixers.recurrence import (
    StepByStep,
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


class LSTM(StepByStep):
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

    def shown(self, state: Float32[Array, "B 2 n"]) -> Float32[Array, "B n"]:
        """See `StepByStep`."""
        return state[:, 1]

    def following(
        self,
        state: Float32[Array, "B 2 n"],
        inputs: Float[Array, "B 4*n"],
        reset: Bool[Array, " B"] | None,
        weights: LSTMWeights,
    ) -> Float32[Array, "B 2 n"]:
        """See `StepByStep`."""
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
