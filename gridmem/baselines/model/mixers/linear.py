"""A linear recurrence with gates that depend on the input alone, solved for all tokens at once.

The real-gated linear recurrent unit of De et al. 2024, "Griffin: mixing gated linear recurrences
with local attention for efficient language models", without its convolution.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Float, Float32, Int

from gridmem.baselines.config import ModelConfig
from gridmem.baselines.model.layers import dense, matrix
from gridmem.baselines.model.mixers.recurrence import (
    Recurrence,
    RecurrentCache,
    first,
    memory_lengths,
)

SHARPNESS = 8.0  # the paper's c
TINY = 1e-6  # smallest 1 - decay ** 2, as the gradient of the root has no bound at 0


class LinearWeights(NamedTuple):
    """Matrices in the dtype of the products: gate, value, decay and input gate side by side."""

    fused: Float[Array, "D 4*n"]
    decay_bias: Float32[Array, " n"]
    input_bias: Float32[Array, " n"]
    rate: Float32[Array, " n"]  # of the fastest decay, per step
    out: Float[Array, "n D"]


class Terms(NamedTuple):
    """Of each token: state = decay * state + taken; output from gate * state."""

    decay: Float32[Array, "*batch n"]
    taken: Float32[Array, "*batch n"]
    gate: Float[Array, "*batch n"]


class LinearRecurrence(Recurrence):
    """Each feature of the state decays by itself and takes in a gated value."""

    def __init__(self, config: ModelConfig, rngs: nnx.Rngs) -> None:
        self.dtype = jnp.dtype(config.dtype)
        width, inner = config.width, _inner(config)
        self.state_shape = (inner,)
        self.gate = matrix(rngs, width, inner)
        self.value = matrix(rngs, width, inner)
        self.decay = matrix(rngs, width, inner)
        self.input = matrix(rngs, width, inner)
        self.decay_bias = nnx.Param(jnp.zeros((inner,), jnp.float32))
        self.input_bias = nnx.Param(jnp.zeros((inner,), jnp.float32))
        # Gates begin at about 1/2: softplus(rate) * SHARPNESS / 2 = 1 / length.
        lengths = jnp.asarray(memory_lengths(inner), jnp.float32)
        self.rate = nnx.Param(jnp.log(jnp.expm1(2 / (SHARPNESS * lengths))))
        self.out = matrix(rngs, inner, width)

    def prepare(self) -> LinearWeights:
        """See `Mixer`."""
        matrices = [self.gate[...], self.value[...], self.decay[...], self.input[...]]
        return LinearWeights(
            fused=jnp.concatenate(matrices, axis=1).astype(self.dtype),
            decay_bias=self.decay_bias[...],
            input_bias=self.input_bias[...],
            rate=SHARPNESS * jax.nn.softplus(self.rate[...]),
            out=self.out[...].astype(self.dtype),
        )

    def step(
        self,
        x: Float[Array, "B D"],
        cache: RecurrentCache,
        segment: Int[Array, " B"] | None,
        weights: LinearWeights,
    ) -> tuple[Float[Array, "B D"], RecurrentCache]:
        """See `Mixer`."""
        terms = _terms(x[:, None], weights)
        decay = _decay(terms, cache, None if segment is None else segment[:, None])
        state = decay[:, 0] * cache.state + terms.taken[:, 0]
        return _output(state, terms.gate[:, 0], weights), RecurrentCache(state, segment)

    def sequence(
        self,
        x: Float[Array, "B T D"],
        cache: RecurrentCache,
        segments: Int[Array, "B T"] | None = None,
    ) -> Float[Array, "B T D"]:
        """See `Mixer`."""
        weights = self.prepare()
        terms = _terms(x, weights)
        decay = _decay(terms, cache, segments)
        taken = terms.taken.at[:, 0].add(decay[:, 0] * cache.state)
        state = lax.associative_scan(_both, (decay, taken), axis=1)[1]
        return _output(state, terms.gate, weights)


def _terms(x: Float[Array, "B T D"], weights: LinearWeights) -> Terms:
    gate, value, decay, taken = jnp.split(dense(x, weights.fused), 4, axis=-1)
    decay = jax.nn.sigmoid(decay.astype(jnp.float32) + weights.decay_bias[None, None])
    taken = jax.nn.sigmoid(taken.astype(jnp.float32) + weights.input_bias[None, None])
    log_decay = -weights.rate[None, None] * decay
    # With this scale the state is as large as the values, however slowly it decays.
    scale = jnp.sqrt(jnp.maximum(-jnp.expm1(2 * log_decay), TINY))
    return Terms(jnp.exp(log_decay), scale * taken * value.astype(jnp.float32), jax.nn.gelu(gate))


def _decay(
    terms: Terms, cache: RecurrentCache, segments: Int[Array, "B T"] | None
) -> Float32[Array, "B T n"]:
    """The decays, 0 at the start of a segment."""
    resets = first(cache, segments)
    return terms.decay if resets is None else jnp.where(resets[..., None], 0, terms.decay)


def _both(earlier: tuple[Array, Array], later: tuple[Array, Array]) -> tuple[Array, Array]:
    """Two stretches of the recurrence as one: the decay over it, and what it adds to the state."""
    return later[0] * earlier[0], later[0] * earlier[1] + later[1]


def _output(
    state: Float32[Array, "*batch n"], gate: Float[Array, "*batch n"], weights: LinearWeights
) -> Float[Array, "*batch D"]:
    return dense(gate * state.astype(gate.dtype), weights.out)


def _inner(config: ModelConfig) -> int:
    """Features of the state for as many parameters as attention has: (5 D + 3) n."""
    parameters = 2 * config.width * (config.num_heads + config.num_kv_heads) * config.head_dim
    return max(1, round(parameters / (5 * config.width + 3)))
