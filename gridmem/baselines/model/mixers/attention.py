"""Causal attention with rotary positions, grouped queries and a key-value cache.

Rotary embedding: Su et al. 2021, "RoFormer". Grouped queries: Ainslie et al. 2023, "GQA".
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
from gridmem.baselines.model.layers import RMSNorm, dense, matrix
from gridmem.baselines.model.mixers.attention_caches import (
    AttentionCache,
    DecodeCache,
    LastSegment,
    RoundedCache,
    Segments,
    by_token,
    check_segments,
    grown,
    in_blocks,
    in_columns,
    in_rows,
    kept,
    positions,
    size_of,
)
from gridmem.baselines.model.mixers.attention_kernels import (
    LEAST_CAPABILITY,
    attend,
    attend_in_blocks,
    attention_weights,
    causal_attention,
    cuda_capabilities,
    cudnn_refusal,
)
from gridmem.baselines.model.mixers.continued_attention import continued_attention
from gridmem.baselines.model.mixers.decode_kernel import decode, turn_of
from gridmem.baselines.model.mixers.quantized import (
    Quantized,
    numbers,
    quantized,
    straight_through,
)


class AttentionWeights(NamedTuple):
    """Matrices in the dtype of the products: queries, keys and values side by side; the output."""

    fused: Float[Array, "D i"]
    out: Float[Array, "i2 D"]


class Attention(nnx.Module):
    """Each token attends to itself and to the tokens before it in its segment and its window."""

    def __init__(self, config: ModelConfig, rngs: nnx.Rngs) -> None:
        self.num_heads, self.num_kv_heads = config.num_heads, config.num_kv_heads
        self.head_dim, self.rope_base = config.head_dim, config.rope_base
        self.window, self.attention = config.window, config.attention
        self.by_decode, self.in_8_bits = config.decode == "triton", config.kv_dtype == "int8"
        self.dtype = jnp.dtype(config.dtype)
        width, inner = config.width, config.num_heads * config.head_dim
        kv_inner = config.num_kv_heads * config.head_dim
        self.query = matrix(rngs, width, inner)
        self.key = matrix(rngs, width, kv_inner)
        self.value = matrix(rngs, width, kv_inner)
        self.out = matrix(rngs, inner, width)
        self.query_norm = RMSNorm(config.head_dim) if config.qk_norm else None
        self.key_norm = RMSNorm(config.head_dim) if config.qk_norm else None

    def init_cache(
        self, batch: int, length: int, segmented: bool = False
    ) -> AttentionCache | DecodeCache:
        """See `Mixer`."""
        heads, none = (batch, self.num_kv_heads), jnp.full((batch,), -1, jnp.int32)
        if self.by_decode:
            nothing = jnp.zeros((*heads, in_blocks(length), self.head_dim), self.dtype)
            nothing, segments = self._kept(nothing), LastSegment(none, none)
            return DecodeCache(nothing, nothing, segments if segmented else None, jnp.int32(0))
        key = self._kept(jnp.zeros((*heads, self.head_dim, length), self.dtype), axis=2)
        value = self._kept(jnp.zeros((*heads, length, self.head_dim), self.dtype))
        segments = Segments(jnp.full((batch, length), -1, jnp.int32), none, none)
        return AttentionCache(key, value, segments if segmented else None, jnp.int32(0))

    def grow(
        self, cache: AttentionCache | DecodeCache, length: int
    ) -> AttentionCache | DecodeCache:
        """See `Mixer`."""
        if self.by_decode and isinstance(cache, AttentionCache):
            return in_rows(cache, in_blocks(length))
        return grown(cache, length)

    def keep(self, cache: AttentionCache | DecodeCache, length: int) -> AttentionCache:
        """See `Mixer`; all `length` slots count as filled, those of no token with segment -1."""
        return kept(cache, length)

    def prepare(self) -> AttentionWeights:
        """See `Mixer`."""
        fused = jnp.concatenate([self.query[...], self.key[...], self.value[...]], axis=1)
        return AttentionWeights(fused.astype(self.dtype), self.out[...].astype(self.dtype))

    def step(
        self,
        x: Float[Array, "B D"],
        cache: AttentionCache | DecodeCache,
        segment: Int[Array, " B"] | None,
        weights: AttentionWeights,
    ) -> tuple[Float[Array, "B D"], AttentionCache | DecodeCache]:
        """See `Mixer`."""
        if isinstance(cache, DecodeCache):
            return self._decoded(x, cache, segment, weights)
        query, cache, visible = self._take(x, cache, segment, weights)
        attended = attend(query, *by_token(cache), visible)
        return _joined(attended, weights)[:, 0], cache

    def _decoded(
        self,
        x: Float[Array, "B D"],
        cache: DecodeCache,
        segment: Int[Array, " B"] | None,
        weights: AttentionWeights,
    ) -> tuple[Float[Array, "B D"], DecodeCache]:
        """`step` by `decode`."""
        check_segments(cache, segment)
        segments, position = cache.segments, cache.used[None]
        if segments is not None and segment is not None:
            position = positions(segments, segment[:, None])[:, 0]
            segments = LastSegment(segment, position)
        attended, key, value = decode(
            self._heads(x[:, None], weights)[:, 0],
            turn_of(_angles(position, self.head_dim, self.rope_base)),
            cache.key,
            cache.value,
            cache.used,
            self._first(cache.used, position),
        )
        after = DecodeCache(key, value, segments, cache.used + 1)
        return _joined(attended[:, None], weights)[:, 0], after

    def _first(self, number: Int[Array, "*t"], position: Int[Array, "*b"]) -> Int[Array, "*b"]:
        """The first token that each one sees.

        Args:
            number: of the tokens, the first in the cache being 0.
            position: of each in its segment.
        """
        seen = position if self.window is None else jnp.minimum(position, self.window - 1)
        return jnp.maximum(number - seen, 0)

    def explain(
        self,
        x: Float[Array, "B D"],
        cache: AttentionCache | DecodeCache,
        segment: Int[Array, " B"] | None,
        weights: AttentionWeights,
    ) -> tuple[Float[Array, "B D"], AttentionCache | DecodeCache, Float32[Array, "B S"]]:
        """See `ExplainingMixer`; the weights shown are the mean over the heads."""
        if isinstance(cache, DecodeCache):
            out, seen, shown = self.explain(x, in_columns(cache), segment, weights)
            return out, in_rows(in_columns(seen), size_of(cache.key, 2)), shown
        query, cache, visible = self._take(x, cache, segment, weights)
        key, value = by_token(cache)
        attended = attend(query, key, value, visible)
        shown = attention_weights(query, key, visible)
        return _joined(attended, weights)[:, 0], cache, jnp.mean(shown, axis=(1, 2, 3))

    def _take(
        self,
        x: Float[Array, "B D"],
        cache: AttentionCache,
        segment: Int[Array, " B"] | None,
        weights: AttentionWeights,
    ) -> tuple[Float[Array, "B 1 H d"], AttentionCache, Bool[Array, "b 1 S"]]:
        """A token's query, the cache that has taken in the token, and the slots that it sees."""
        check_segments(cache, segment)
        at, segments, position = cache.used, cache.segments, cache.used[None, None]
        slots = jnp.arange(size_of(cache.key, 3), dtype=jnp.int32)
        visible = slots <= at
        if self.window is not None:
            visible &= slots > at - self.window
        visible = visible[None, None, :]
        if segments is not None and segment is not None:
            position = positions(segments, segment[:, None])
            segments = Segments(
                slot=lax.dynamic_update_slice_in_dim(segments.slot, segment[:, None], at, 1),
                last=segment,
                position=position[:, 0],
            )
            visible = visible & (segments.slot == segment[:, None])[:, None, :]
        query, key, value = self._project(x[:, None], position, weights)
        key = jax.tree.map(lambda x: jnp.transpose(x, (0, 2, 3, 1)), self._kept(key))
        value = jax.tree.map(lambda x: jnp.transpose(x, (0, 2, 1, 3)), self._kept(value))

        def write(old: Array, new: Array, axis: int) -> Array:
            return lax.dynamic_update_slice_in_dim(old, new, at, axis)

        key = jax.tree.map(partial(write, axis=3), cache.key, key)
        value = jax.tree.map(partial(write, axis=2), cache.value, value)
        # Otherwise XLA on a CPU writes once more for the products, into copies of both.
        key, value = lax.optimization_barrier((key, value))
        return query, AttentionCache(key, value, segments, at + 1), visible

    def sequence(
        self,
        x: Float[Array, "B T D"],
        cache: AttentionCache | DecodeCache | RoundedCache,
        segments: Int[Array, "B T"] | None = None,
    ) -> Float[Array, "B T D"]:
        """See `Mixer`."""
        of_key = of_value = None
        if isinstance(cache, RoundedCache):
            of_key, of_value = cache.rounded
            cache = cache.cache
        cache = in_columns(cache)
        check_segments(cache, segments)
        num_new, num_slots = x.shape[1], size_of(cache.key, 3)
        weights = self.prepare()
        number = (cache.used + jnp.arange(num_new, dtype=jnp.int32))[None]
        position = number
        if cache.segments is not None and segments is not None:
            position = positions(cache.segments, segments)
        query, key, value = self._project(x, position, weights)
        if self.in_8_bits:
            key, value = straight_through(key, of_key), straight_through(value, of_value)
        if segments is not None and self.attention == "triton":
            old, first = (numbers(cache.key), numbers(cache.value)), self._first(number, position)
            attended = continued_attention(query, key, value, *old, first, cache.used)
            return _joined(attended, weights)
        visible = self._visible(cache, segments, num_new)
        if num_slots == 0 and segments is None and self._can_use_cudnn(num_new):
            attended = causal_attention(query, key, value, visible, self.window)
            return _joined(attended, weights)
        old_key, old_value = by_token(cache)
        key = jnp.concatenate([old_key, key], axis=1)
        value = jnp.concatenate([old_value, value], axis=1)
        return _joined(attend_in_blocks(query, key, value, visible), weights)

    def rounded(
        self, cache: AttentionCache | DecodeCache
    ) -> tuple[Array | Quantized, Array | Quantized] | None:
        """See `RoundingMixer`."""
        if not self.in_8_bits:
            return None

        def last(x: Array, axis: int) -> Array:
            return jnp.squeeze(lax.dynamic_slice_in_dim(x, cache.used - 1, 1, axis), axis)

        of_key = 2 if isinstance(cache, DecodeCache) else 3
        key = jax.tree.map(partial(last, axis=of_key), cache.key)
        return key, jax.tree.map(partial(last, axis=2), cache.value)

    def with_rounded(
        self, cache: AttentionCache | DecodeCache, rounded: tuple[Quantized, Quantized]
    ) -> RoundedCache:
        """See `RoundingMixer`."""
        return RoundedCache(in_columns(cache), rounded)

    def _visible(
        self, cache: AttentionCache, segments: Int[Array, "B T"] | None, num_new: int
    ) -> Bool[Array, "b T S_T"]:
        """Which of the cache's S slots and of the T new tokens each of the latter sees."""
        new = jnp.arange(num_new, dtype=jnp.int32)
        slots = jnp.arange(size_of(cache.key, 3), dtype=jnp.int32)
        among_new = new[None, :] <= new[:, None]
        among_old = jnp.broadcast_to(slots < cache.used, (num_new, len(slots)))
        if self.window is not None:
            among_new &= new[None, :] > new[:, None] - self.window
            among_old &= slots[None, :] > cache.used + new[:, None] - self.window
        visible = jnp.concatenate([among_old, among_new], axis=1)[None]
        if cache.segments is None or segments is None:
            return visible
        of_key = jnp.concatenate([cache.segments.slot, segments], axis=1)
        return visible & (of_key[:, None, :] == segments[:, :, None])

    def _project(
        self,
        x: Float[Array, "B T D"],
        position: Int[Array, "b T"],
        weights: AttentionWeights,
    ) -> tuple[Array, Array, Array]:
        """Rotated queries, rotated keys and values, by one matrix product."""
        heads = dense(x, weights.fused).reshape(*x.shape[:2], -1, self.head_dim)
        query, key, value = self._normalised(heads)
        rotate = rotary(position, self.head_dim, self.rope_base)
        return rotate(query), rotate(key), value

    def _heads(
        self, x: Float[Array, "B T D"], weights: AttentionWeights
    ) -> Float[Array, "B T H_2K d"]:
        """Queries, keys and values, which are not rotated, side by side."""
        heads = dense(x, weights.fused).reshape(*x.shape[:2], -1, self.head_dim)
        if self.query_norm is None:
            return heads
        return jnp.concatenate(self._normalised(heads), axis=2)

    def _normalised(self, heads: Float[Array, "B T H_2K d"]) -> tuple[Array, Array, Array]:
        """Queries, keys and values."""
        query, key, value = jnp.split(
            heads, [self.num_heads, self.num_heads + self.num_kv_heads], axis=2
        )
        if self.query_norm is not None and self.key_norm is not None:
            query, key = self.query_norm(query), self.key_norm(key)
        return query, key, value

    def _kept(self, x: Float[Array, "*axes"], axis: int = -1) -> Float[Array, "*axes"] | Quantized:
        """Keys or values as a cache has them; d is on the axis."""
        return quantized(x, axis) if self.in_8_bits else x

    def _can_use_cudnn(self, num_steps: int) -> bool:
        if self.attention in ("xla", "triton"):
            return False
        # "cudnn" is chosen for devices that need not be here.
        devices = cuda_capabilities() if self.attention == "auto" else [LEAST_CAPABILITY]
        return not cudnn_refusal(num_steps, self.head_dim, self.dtype, devices)


def _joined(attended: Float[Array, "B T H d"], weights: AttentionWeights) -> Float[Array, "B T D"]:
    return dense(attended.reshape(*attended.shape[:2], -1), weights.out)


def rotary(position: Int[Array, "b T"], head_dim: int, base: float):
    """A function that rotates [B, T, heads, head_dim] by the positions, halves as pairs; b: 1 or B.

    Distances between positions are all that matters, so a segment may count from anywhere.
    """
    angle = _angles(position[..., None], head_dim, base)
    cos, sin = jnp.cos(angle), jnp.sin(angle)

    def rotate(x: Float[Array, "B T H d"]) -> Float[Array, "B T H d"]:
        first, second = jnp.split(x.astype(jnp.float32), 2, axis=-1)
        rotated = [first * cos - second * sin, second * cos + first * sin]
        return jnp.concatenate(rotated, axis=-1).astype(x.dtype)

    return rotate


def _angles(position: Int[Array, "*n"], head_dim: int, base: float) -> Float32[Array, "*n half"]:
    """What pairs of features are turned by."""
    frequency = base ** -(np.arange(0, head_dim, 2, dtype=np.float32) / head_dim)
    frequency = frequency.reshape((1,) * position.ndim + (-1,))
    return position.astype(jnp.float32)[..., None] * frequency
