"""Gated linear attention: a decaying matrix of keys times values, in chunks of matrix products.

Yang et al. 2024, "Gated linear attention transformers with hardware-efficient training". The
decay is one number per head and token, as in Dao & Gu 2024, "Transformers are SSMs" (Mamba-2), not
one per feature of the key: the decays between the tokens of a chunk are then exp(L_t - L_s), with
L the sum of the logarithms so far, exact and at most 1. As there, groups of heads share queries and
keys, and each head has its own values and decay.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax
from jaxtyping import Array, Bool, Float, Float32, Int

from gridmem.baselines.config import ModelConfig
from gridmem.baselines.model.layers import dense, matrix
from gridmem.baselines.model.mixers.recurrence import (
    Recurrence,
    RecurrentCache,
    first,
    memory_lengths,
)

CHUNK = 32  # tokens; on two CPU cores faster than 16 and 64 at the shape of `reference`
TEMPERATURE = 16.0  # the paper's tau: the decay is a sigmoid to the power of 1 / tau
einsum = partial(jnp.einsum, precision=lax.Precision.HIGHEST)  # whatever the dtype of the model
NORM_EPS = 1e-2  # outputs below a tenth stay small: a norm would blow up their rounding errors


class GLAWeights(NamedTuple):
    """Matrices in the dtype of the products: all that reads the input side by side; the output."""

    fused: Float[Array, "D i"]
    out: Float[Array, "i2 D"]
    decay_bias: Float32[Array, "K G"]
    scale: Float32[Array, " v"]


class Heads(NamedTuple):
    """Projections of T tokens: K groups of G heads, keys of d features, values of v."""

    query: Float32[Array, "B T K d"]
    key: Float32[Array, "B T K d"]
    value: Float32[Array, "B T K G v"]
    gate: Float[Array, "B T K G v"]
    log_decay: Float32[Array, "B T K G"]


class GatedLinearAttention(Recurrence):
    """The state is a sum of keys times values; a query reads it."""

    def __init__(self, config: ModelConfig, rngs: nnx.Rngs) -> None:
        self.dtype = jnp.dtype(config.dtype)
        self.groups, self.key_dim = config.num_kv_heads, config.head_dim
        self.group_size = config.num_heads // config.num_kv_heads
        self.value_dim = _value_dim(config)
        self.state_shape = (self.groups, self.key_dim, self.group_size, self.value_dim)
        width, keys = config.width, self.groups * self.key_dim
        values = config.num_heads * self.value_dim
        self.query = matrix(rngs, width, keys)
        self.key = matrix(rngs, width, keys)
        self.value = matrix(rngs, width, values)
        self.gate = matrix(rngs, width, values)
        self.decay = matrix(rngs, width, config.num_heads)
        # sigmoid(bias) ** (1 / TEMPERATURE) = exp(-1 / length)
        lengths = jnp.asarray(memory_lengths(config.num_heads), jnp.float32)
        self.decay_bias = nnx.Param(-jnp.log(jnp.expm1(TEMPERATURE / lengths)))
        self.scale = nnx.Param(jnp.ones((self.value_dim,), jnp.float32))
        self.out = matrix(rngs, values, width)

    def prepare(self) -> GLAWeights:
        """See `Mixer`."""
        parts = (self.query, self.key, self.value, self.gate, self.decay)
        return GLAWeights(
            fused=jnp.concatenate([part[...] for part in parts], axis=1).astype(self.dtype),
            out=self.out[...].astype(self.dtype),
            decay_bias=self.decay_bias[...].reshape(self.groups, self.group_size),
            scale=self.scale[...],
        )

    def step(
        self,
        x: Float[Array, "B D"],
        cache: RecurrentCache,
        segment: Int[Array, " B"] | None,
        weights: GLAWeights,
    ) -> tuple[Float[Array, "B D"], RecurrentCache]:
        """See `Mixer`."""
        heads = self._project(x[:, None], weights)
        resets = first(cache, None if segment is None else segment[:, None])
        decay = jnp.exp(heads.log_decay[:, 0])
        if resets is not None:
            decay = jnp.where(resets[:, :, None], 0, decay)
        added = heads.key[:, 0, :, :, None, None] * heads.value[:, 0, :, None]
        state = decay[:, :, None, :, None] * cache.state + added
        mixed = einsum("bkd,bkdgv->bkgv", heads.query[:, 0], state)
        out = self._output(mixed[:, None], heads.gate, weights)
        return out[:, 0], RecurrentCache(state, segment)

    def sequence(
        self,
        x: Float[Array, "B T D"],
        cache: RecurrentCache,
        segments: Int[Array, "B T"] | None = None,
    ) -> Float[Array, "B T D"]:
        """See `Mixer`."""
        weights = self.prepare()
        heads = self._project(x, weights)
        mixed = mix(heads, cache.state, _number(first(cache, segments), x))
        return self._output(mixed, heads.gate, weights)

    def _project(self, x: Float[Array, "B T D"], weights: GLAWeights) -> Heads:
        """By one matrix product."""
        keys = self.groups * self.key_dim
        heads = self.groups * self.group_size
        values = heads * self.value_dim
        ends = np.cumsum([keys, keys, values, values]).tolist()
        query, key, value, gate, decay = jnp.split(dense(x, weights.fused), ends, axis=-1)
        of_key = (*x.shape[:2], self.groups, self.key_dim)
        of_value = (*x.shape[:2], self.groups, self.group_size, self.value_dim)
        logits = decay.astype(jnp.float32).reshape(of_value[:-1]) + weights.decay_bias[None, None]
        return Heads(
            query=query.astype(jnp.float32).reshape(of_key) / np.float32(self.key_dim**0.5),
            key=key.astype(jnp.float32).reshape(of_key),
            value=value.astype(jnp.float32).reshape(of_value),
            gate=jax.nn.silu(gate).reshape(of_value),
            log_decay=jax.nn.log_sigmoid(logits) / TEMPERATURE,
        )

    def _output(
        self,
        mixed: Float32[Array, "B T K G v"],
        gate: Float[Array, "B T K G v"],
        weights: GLAWeights,
    ) -> Float[Array, "B T D"]:
        """Normed by the head, gated and projected."""
        mean_square = jnp.mean(jnp.square(mixed), axis=-1, keepdims=True)
        scale = weights.scale[None, None, None, None]
        normed = mixed * lax.rsqrt(mean_square + NORM_EPS) * scale
        gated = normed.astype(gate.dtype) * gate
        return dense(gated.reshape(*gated.shape[:2], -1), weights.out)


def mix(
    heads: Heads, state: Float32[Array, "B K d G v"], segment: Int[Array, "B T"]
) -> Float32[Array, "B T K G v"]:
    """What T tokens read from a state and from each other.

    Chunks of C tokens are worked out side by side; only their states come one after the other.

    Args:
        heads: of the tokens.
        state: before them.
        segment: of the tokens, counted from that of the state, which is 0.
    """
    num, size = segment.shape[1], min(CHUNK, segment.shape[1])

    def chunked(x: Array) -> Array:
        """[B, T, ...] to [B, N, C, ...], with zeros after the last token."""
        padded = jnp.pad(x, [(0, 0), (0, -num % size)] + [(0, 0)] * (x.ndim - 2))
        return padded.reshape(len(x), -1, size, *x.shape[2:])

    query, key, value, log_decay, segment = (
        chunked(x) for x in (heads.query, heads.key, heads.value, heads.log_decay, segment)
    )
    before = jnp.pad(segment[:, :-1, -1:], ((0, 0), (1, 0), (0, 0)))  # of the chunk before
    end = segment[..., -1:]
    past = jnp.asarray(np.tril(np.ones((size, size), bool)))[None, None]
    visible = past & (segment[..., :, None] == segment[..., None, :])
    # Sums of logarithms since the start of the chunk, or of the segment if it starts later.
    since = einsum("bnij,bnjkg->bnkgi", visible.astype(jnp.float32), log_decay)

    to_end = _exp(since[..., -1:] - since, (segment == end)[:, :, None, None])
    added = einsum("bnjkd,bnjkgv->bnkdgv", key, value * _by_token(to_end))
    kept = _exp(since[..., -1], (end == before)[:, :, None])
    states = _states(state, kept, added)

    decay = _exp(since[..., :, None] - since[..., None, :], visible[:, :, None, None])
    scores = einsum("bnikd,bnjkd->bnkij", query, key)[:, :, :, None] * decay
    among = einsum("bnkgij,bnjkgv->bnikgv", scores, value)
    of_state = einsum("bnikd,bnkdgv->bnikgv", query, states)
    from_start = _exp(since, (segment == before)[:, :, None, None])
    mixed = among + of_state * _by_token(from_start)
    return mixed.reshape(len(mixed), -1, *mixed.shape[3:])[:, :num]


def _states(
    state: Float32[Array, "B K d G v"],
    kept: Float32[Array, "B N K G"],
    added: Float32[Array, "B N K d G v"],
) -> Float32[Array, "B N K d G v"]:
    """The states before N chunks, each of which keeps so much of it and adds so much to it."""

    def step(state: Array, chunk: tuple[Array, Array]) -> tuple[Array, Array]:
        kept, added = chunk
        return kept[:, :, None, :, None] * state + added, state

    chunks = jnp.moveaxis(kept, 1, 0), jnp.moveaxis(added, 1, 0)
    return jnp.moveaxis(lax.scan(step, state, chunks)[1], 0, 1)


def _by_token(decay: Float32[Array, "B N K G C"]) -> Float32[Array, "B N C K G 1"]:
    return jnp.moveaxis(decay, -1, 2)[..., None]


def _exp(x: Float32[Array, "*shape"], where: Bool[Array, "..."]) -> Float32[Array, "*shape"]:
    """0 elsewhere; the mask comes first, as elsewhere x may be large."""
    return jnp.exp(jnp.where(where, x, -jnp.inf))


def _number(resets: Bool[Array, "B T"] | None, like: Float[Array, "B T D"]) -> Int[Array, "B T"]:
    """Segments counted from that of the state, which is 0."""
    if resets is None:
        return jnp.zeros(like.shape[:2], jnp.int32)
    return jnp.cumsum(resets.astype(jnp.int32), axis=1)


def _value_dim(config: ModelConfig) -> int:
    """Features of a head's values for as many parameters as attention has.

    Attention has 2 D (H + K) d of them, this 2 D K d + (3 D H + 1) v + (D + 1) H.
    """
    width, heads = config.width, config.num_heads
    left = 2 * width * heads * config.head_dim - (width + 1) * heads
    return max(1, round(left / (3 * width * heads + 1)))
