"""A gated recurrent unit whose input projections are made for all tokens at once.

Cho et al. 2014, "Learning phrase representations using RNN encoder-decoder". The reset gate acts
on the product of the state with its matrix, not on the state, so that one product serves all three
gates (as in cuDNN).
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


class GRUWeights(NamedTuple):
    """Matrices in the dtype of the products, those of keep, reset and candidate side by side."""

    inputs: Float[Array, "D 3*n"]
    recurrent: Float[Array, "n 3*n"]
    bias: Float32[Array, " 3*n"]
    out: Float[Array, "n D"]


class GRU(StepByStep):
    """The state is what the gate keeps of it, and of a candidate what it does not."""

    def __init__(self, config: ModelConfig, rngs: nnx.Rngs) -> None:
        self.dtype = jnp.dtype(config.dtype)
        width, inner = config.width, _inner(config)
        self.state_shape = (inner,)
        orthogonal = nnx.initializers.orthogonal()
        self.keep_input = matrix(rngs, width, inner)
        self.reset_input = matrix(rngs, width, inner)
        self.new_input = matrix(rngs, width, inner)
        self.keep_state = matrix(rngs, inner, inner, orthogonal)
        self.reset_state = matrix(rngs, inner, inner, orthogonal)
        self.new_state = matrix(rngs, inner, inner, orthogonal)
        # A gate of 1 - 1 / length keeps a state for so many steps (Tallec & Ollivier 2018).
        bias = jnp.log(jnp.asarray(memory_lengths(inner) - 1, jnp.float32))
        self.keep_bias = nnx.Param(bias)
        self.reset_bias = nnx.Param(jnp.zeros((inner,), jnp.float32))
        self.new_bias = nnx.Param(jnp.zeros((inner,), jnp.float32))
        self.out = matrix(rngs, inner, width)

    def prepare(self) -> GRUWeights:
        """See `Mixer`."""
        inputs = [self.keep_input[...], self.reset_input[...], self.new_input[...]]
        states = [self.keep_state[...], self.reset_state[...], self.new_state[...]]
        biases = [self.keep_bias[...], self.reset_bias[...], self.new_bias[...]]
        return GRUWeights(
            inputs=jnp.concatenate(inputs, axis=1).astype(self.dtype),
            recurrent=jnp.concatenate(states, axis=1).astype(self.dtype),
            bias=jnp.concatenate(biases),
            out=self.out[...].astype(self.dtype),
        )

    def shown(self, state: Float32[Array, "B n"]) -> Float32[Array, "B n"]:
        """See `StepByStep`."""
        return state

    def following(
        self,
        state: Float32[Array, "B n"],
        inputs: Float[Array, "B 3*n"],
        reset: Bool[Array, " B"] | None,
        weights: GRUWeights,
    ) -> Float32[Array, "B n"]:
        """See `StepByStep`."""
        if reset is not None:
            state = jnp.where(reset[:, None], 0, state)
        of_input = inputs.astype(jnp.float32) + weights.bias[None]
        of_state = jnp.dot(
            state.astype(inputs.dtype),
            weights.recurrent,
            precision=precision(inputs.dtype),
            preferred_element_type=jnp.float32,
        )
        keep, reset_gate, new = jnp.split(of_input, 3, axis=1)
        keep_state, reset_state, new_state = jnp.split(of_state, 3, axis=1)
        keep = jax.nn.sigmoid(keep + keep_state)
        candidate = jnp.tanh(new + jax.nn.sigmoid(reset_gate + reset_state) * new_state)
        return keep * state + (1 - keep) * candidate


def _inner(config: ModelConfig) -> int:
    """Features of the state for as many parameters as attention has: 3 n^2 + (4 D + 3) n."""
    width = config.width
    parameters = 2 * width * (config.num_heads + config.num_kv_heads) * config.head_dim
    linear = 4 * width + 3
    return max(1, round(((linear**2 + 12 * parameters) ** 0.5 - linear) / 6))
