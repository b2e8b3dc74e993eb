"""Causal attention with rotary positions, grouped queries and a key-value cache.

Rotary embedding: Su et al. 2021, "RoFormer". Grouped queries: Ainslie et al. 2023, "GQA".
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax
from jaxtyping import Array, Bool, Float, Float32, Int

from gridmem.baselines.config import ModelConfig


class AttentionCache(NamedTuple):
    """Keys (already rotated) and values of the tokens seen; S slots, `used` of them filled."""

    key: Float[Array, "B S K d"]
    value: Float[Array, "B S K d"]
    segment: Int[Array, "B S"] | None
    used: Int[Array, ""]


class Attention(nnx.Module):
    """Each token attends to itself and to the tokens before it in its segment."""

    def __init__(self, config: ModelConfig, rngs: nnx.Rngs) -> None:
        self.num_heads, self.num_kv_heads = config.num_heads, config.num_kv_heads
        self.head_dim, self.rope_base = config.head_dim, config.rope_base
        self.dtype = jnp.dtype(config.dtype)
        width, inner = config.width, config.num_heads * config.head_dim
        init = nnx.initializers.lecun_normal()
        kv_inner = config.num_kv_heads * config.head_dim
        self.query = nnx.Param(init(rngs.params(), (width, inner), jnp.float32))
        self.key = nnx.Param(init(rngs.params(), (width, kv_inner), jnp.float32))
        self.value = nnx.Param(init(rngs.params(), (width, kv_inner), jnp.float32))
        self.out = nnx.Param(init(rngs.params(), (inner, width), jnp.float32))

    def init_cache(self, batch: int, length: int, segmented: bool = False) -> AttentionCache:
        """See `Mixer`."""
        shape = (batch, length, self.num_kv_heads, self.head_dim)
        segment = jnp.zeros((batch, length), jnp.int32) if segmented else None
        empty = jnp.zeros(shape, self.dtype)
        return AttentionCache(empty, empty, segment, jnp.int32(0))

    def grow(self, cache: AttentionCache, length: int) -> AttentionCache:
        """See `Mixer`."""
        more = length - cache.key.shape[1]

        def pad(x: Array) -> Array:
            return jnp.pad(x, ((0, 0), (0, more)) + ((0, 0),) * (x.ndim - 2))

        segment = None if cache.segment is None else pad(cache.segment)
        return cache._replace(key=pad(cache.key), value=pad(cache.value), segment=segment)

    def step(
        self,
        x: Float[Array, "B D"],
        cache: AttentionCache,
        segment: Int[Array, " B"] | None = None,
    ) -> tuple[Float[Array, "B D"], AttentionCache]:
        """See `Mixer`."""
        query, cache, visible = self._take(x, cache, segment)
        return self._finish(attend(query, cache.key, cache.value, visible))[:, 0], cache

    def explain(
        self,
        x: Float[Array, "B D"],
        cache: AttentionCache,
        segment: Int[Array, " B"] | None = None,
    ) -> tuple[Float[Array, "B D"], AttentionCache, Float32[Array, "B S"]]:
        """See `ExplainingMixer`; the weights are the mean over the heads."""
        query, cache, visible = self._take(x, cache, segment)
        mixed = self._finish(attend(query, cache.key, cache.value, visible))[:, 0]
        weights = attention_weights(query, cache.key, visible)
        return mixed, cache, jnp.mean(weights, axis=(1, 2, 3))

    def _take(
        self, x: Float[Array, "B D"], cache: AttentionCache, segment: Int[Array, " B"] | None
    ) -> tuple[Float[Array, "B 1 H d"], AttentionCache, Bool[Array, "b 1 S"]]:
        """A token's query, the cache that has taken in the token, and the slots that it sees."""
        _check_segments(cache, segment)
        query, key, value = self._project(x[:, None], cache.used[None])
        at, segments = cache.used, cache.segment
        visible = (jnp.arange(cache.key.shape[1]) <= at)[None, None, :]
        if segments is not None and segment is not None:
            segments = lax.dynamic_update_slice(segments, segment[:, None], (0, at))
            visible = visible & (segments == segment[:, None])[:, None, :]
        cache = AttentionCache(
            key=lax.dynamic_update_slice(cache.key, key, (0, at, 0, 0)),
            value=lax.dynamic_update_slice(cache.value, value, (0, at, 0, 0)),
            segment=segments,
            used=at + 1,
        )
        return query, cache, visible

    def sequence(
        self,
        x: Float[Array, "B T D"],
        cache: AttentionCache,
        segments: Int[Array, "B T"] | None = None,
    ) -> Float[Array, "B T D"]:
        """See `Mixer`."""
        num_new, num_slots = x.shape[1], cache.key.shape[1]
        if num_slots:
            _check_segments(cache, segments)
        query, key, value = self._project(x, cache.used + jnp.arange(num_new))
        if num_slots == 0 and segments is None and self._has_cudnn():
            attended = jax.nn.dot_product_attention(
                query, key, value, is_causal=True, implementation="cudnn"
            )
            return self._finish(attended)
        visible = np.tril(np.ones((1, num_new, num_new), bool))
        if segments is not None:
            visible = visible & (segments[:, :, None] == segments[:, None, :])
        if num_slots:
            filled = (jnp.arange(num_slots) < cache.used)[None, None, :]
            if segments is not None and cache.segment is not None:
                filled = filled & (cache.segment[:, None, :] == segments[:, :, None])
            shape = (max(filled.shape[0], visible.shape[0]), num_new)
            visible = jnp.concatenate(
                [jnp.broadcast_to(m, (*shape, m.shape[2])) for m in (filled, visible)], axis=2
            )
            key = jnp.concatenate([cache.key, key], axis=1)
            value = jnp.concatenate([cache.value, value], axis=1)
        return self._finish(attend(query, key, value, jnp.asarray(visible)))

    def _project(
        self, x: Float[Array, "B T D"], position: Int[Array, " T"]
    ) -> tuple[Array, Array, Array]:
        """Rotated queries, rotated keys and values, by one matrix product."""
        weights = [self.query[...], self.key[...], self.value[...]]
        fused = jnp.concatenate(weights, axis=1).astype(self.dtype)
        heads = (x @ fused).reshape(*x.shape[:2], -1, self.head_dim)
        query, key, value = jnp.split(
            heads, [self.num_heads, self.num_heads + self.num_kv_heads], axis=2
        )
        rotate = rotary(position, self.head_dim, self.rope_base)
        return rotate(query), rotate(key), value

    def _finish(self, attended: Float[Array, "B T H d"]) -> Float[Array, "B T D"]:
        joined = attended.reshape(*attended.shape[:2], -1)
        return joined @ self.out[...].astype(self.dtype)

    def _has_cudnn(self) -> bool:
        return jax.default_backend() == "gpu" and self.dtype == jnp.bfloat16


def _check_segments(cache: AttentionCache, segments: Array | None) -> None:
    if (cache.segment is None) != (segments is None):
        raise ValueError("segments go with a cache made with segmented=True, and only with one")


def rotary(position: Int[Array, " T"], head_dim: int, base: float):
    """A function that rotates [B, T, heads, head_dim] by the positions, halves as pairs."""
    frequency = base ** -(np.arange(0, head_dim, 2, dtype=np.float32) / head_dim)
    angle = position.astype(jnp.float32)[:, None] * frequency[None, :]
    cos, sin = jnp.cos(angle)[None, :, None, :], jnp.sin(angle)[None, :, None, :]

    def rotate(x: Float[Array, "B T H d"]) -> Float[Array, "B T H d"]:
        first, second = jnp.split(x.astype(jnp.float32), 2, axis=-1)
        rotated = [first * cos - second * sin, second * cos + first * sin]
        return jnp.concatenate(rotated, axis=-1).astype(x.dtype)

    return rotate


def attend(
    query: Float[Array, "B T H d"],
    key: Float[Array, "B S K d"],
    value: Float[Array, "B S K d"],
    visible: Bool[Array, "b T S"],
) -> Float[Array, "B T H d"]:
    """Softmax attention in float32; head h reads key head h // (H / K); b is 1 or B.

    The queries that share a key head are stacked, so that each product is one large matrix
    product per stream: on a CPU about twice as fast as `jax.nn.dot_product_attention`.
    """
    weights = attention_weights(query, key, visible).astype(value.dtype)
    attended = jnp.einsum("bktgs,bskd->btkgd", weights, value)
    return attended.reshape(query.shape)


def attention_weights(
    query: Float[Array, "B T H d"], key: Float[Array, "B S K d"], visible: Bool[Array, "b T S"]
) -> Float32[Array, "B K T G S"]:
    """How much each query attends to each key, G = H / K of them to a key head: rows sum to 1."""
    batch, num_queries, _, head_dim = query.shape
    num_kv_heads = key.shape[2]
    grouped = query.reshape(batch, num_queries, num_kv_heads, -1, head_dim)
    scores = jnp.einsum("btkgd,bskd->bktgs", grouped, key, preferred_element_type=jnp.float32)
    scores = jnp.where(visible[:, None, :, None, :], scores / np.float32(head_dim**0.5), -1e30)
    return jax.nn.softmax(scores, axis=-1)
