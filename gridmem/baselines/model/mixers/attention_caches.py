"""What attention remembers: keys and values, laid out as a step's products or its kernel read them.

Between rollouts, and thus in checkpoints, it is an `AttentionCache` with segments in either case.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from gridmem.baselines.model.mixers.decode_kernel import BLOCK
from gridmem.baselines.model.mixers.quantized import Quantized, numbers


class Segments(NamedTuple):
    """Which segment a token is of; -1 where there is no token."""

    slot: Int[Array, "B S"]
    last: Int[Array, " B"]  # that of the last token
    position: Int[Array, " B"]  # of the last token, counted from the start of its segment


class LastSegment(NamedTuple):
    """The segment of the last token; -1 before the first."""

    last: Int[Array, " B"]
    position: Int[Array, " B"]  # of the last token, counted from the start of its segment


class AttentionCache(NamedTuple):
    """Keys (already rotated) and values of the tokens seen; S slots, `used` of them filled.

    They lie in memory as the products of a step read them. In 8 bits d is the axis of a row.
    """

    key: Float[Array, "B K d S"] | Quantized
    value: Float[Array, "B K S d"] | Quantized
    segments: Segments | None
    used: Int[Array, ""]


class DecodeCache(NamedTuple):
    """Likewise as `decode` reads them; S is a multiple of its blocks.

    The slots of a segment are contiguous, so that those of the last one follow from its position.
    """

    key: Float[Array, "B K S d"] | Quantized
    value: Float[Array, "B K S d"] | Quantized
    segments: LastSegment | None
    used: Int[Array, ""]


class RoundedCache(NamedTuple):
    """A cache, and keys and values of the tokens that come, [B, T, K, d]; see `with_rounded`."""

    cache: AttentionCache
    rounded: tuple[Quantized, Quantized]


def in_columns(cache: AttentionCache | DecodeCache) -> AttentionCache:
    """The same as the products of a step read it; tokens of earlier segments count as none."""
    if isinstance(cache, AttentionCache):
        return cache
    key, segments = jax.tree.map(lambda x: jnp.swapaxes(x, 2, 3), cache.key), None
    if cache.segments is not None:
        last, position = cache.segments
        slots = jnp.arange(size_of(cache.key, 2), dtype=jnp.int32)[None]
        there = (slots < cache.used) & (slots >= (cache.used - 1 - position)[:, None])
        segments = Segments(jnp.where(there, last[:, None], -1), last, position)
    return AttentionCache(key, cache.value, segments, cache.used)


def in_rows(cache: AttentionCache, num_slots: int) -> DecodeCache:
    """The same as `decode` reads it, with so many slots."""
    more = [(0, 0), (0, 0), (0, num_slots - size_of(cache.key, 3)), (0, 0)]
    key = jax.tree.map(lambda x: jnp.swapaxes(x, 2, 3), cache.key)
    key, value = jax.tree.map(lambda x: jnp.pad(x, more), (key, cache.value))
    segments = cache.segments and LastSegment(cache.segments.last, cache.segments.position)
    return DecodeCache(key, value, segments, cache.used)


def grown(cache: AttentionCache | DecodeCache, length: int) -> AttentionCache | DecodeCache:
    """The cache with room for so many tokens; a `DecodeCache` has some more."""
    if isinstance(cache, DecodeCache):
        more = [(0, 0), (0, 0), (0, in_blocks(length) - size_of(cache.key, 2)), (0, 0)]
        key, value = jax.tree.map(lambda x: jnp.pad(x, more), (cache.key, cache.value))
        return cache._replace(key=key, value=value)
    return _padded(cache, 0, length - size_of(cache.key, 3))


def kept(cache: AttentionCache | DecodeCache, length: int) -> AttentionCache:
    """The last `length` slots, all of which count as filled; those of no token have segment -1.

    Raises:
        ValueError: for a cache without segments.
    """
    padded = _padded(in_columns(cache), length, 0)
    if padded.segments is None:
        raise ValueError("only a cache made with segmented=True can be cut to its last tokens")

    def cut(x: Array, axis: int) -> Array:
        return lax.dynamic_slice_in_dim(x, cache.used, length, axis)

    segments = padded.segments._replace(slot=cut(padded.segments.slot, 1))
    key = jax.tree.map(lambda x: cut(x, 3), padded.key)
    value = jax.tree.map(lambda x: cut(x, 2), padded.value)
    return AttentionCache(key, value, segments, jnp.int32(length))


def by_token(cache: AttentionCache) -> tuple[Float[Array, "B S K d"], Float[Array, "B S K d"]]:
    """Keys and values as `attend` wants them."""
    key, value = numbers(cache.key), numbers(cache.value)
    return jnp.transpose(key, (0, 3, 1, 2)), jnp.transpose(value, (0, 2, 1, 3))


def positions(seen: Segments | LastSegment, segments: Int[Array, "B T"]) -> Int[Array, "B T"]:
    """Positions of T new tokens, each counted from the start of its segment."""
    new = jnp.arange(segments.shape[1], dtype=jnp.int32)[None]
    before = jnp.concatenate([seen.last[:, None], segments[:, :-1]], axis=1)
    start = lax.cummax(jnp.where(segments != before, new, -1), axis=1)
    return jnp.where(start < 0, seen.position[:, None] + 1 + new, new - start)


def check_segments(cache: AttentionCache | DecodeCache, segments: Array | None) -> None:
    """Raises ValueError unless both have segments or none."""
    if (cache.segments is None) != (segments is None):
        raise ValueError("segments require a cache made with segmented=True, and vice versa")


def in_blocks(length: int) -> int:
    """Slots for so many tokens and one more, in whole blocks of `decode`.

    One more is the observation after the last step, for whose value nothing need grow.
    """
    return -(-(length + 1) // BLOCK) * BLOCK if length else 0


def size_of(kept: Array | Quantized, axis: int) -> int:
    """Of keys or values along an axis."""
    return jax.tree.leaves(kept)[0].shape[axis]


def _padded(cache: AttentionCache, before: int, after: int) -> AttentionCache:
    """The cache with more empty slots at its ends."""

    def pad(x: Array, axis: int, empty: int) -> Array:
        ends = [(0, 0)] * x.ndim
        ends[axis] = (before, after)
        return jnp.pad(x, ends, constant_values=empty)

    segments = cache.segments
    if segments is not None:
        segments = segments._replace(slot=pad(segments.slot, 1, -1))
    key = jax.tree.map(lambda x: pad(x, 3, 0), cache.key)
    value = jax.tree.map(lambda x: pad(x, 2, 0), cache.value)
    return cache._replace(key=key, value=value, segments=segments)
