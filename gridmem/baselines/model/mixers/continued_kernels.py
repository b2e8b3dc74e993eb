"""The kernels of `continued_attention`, forwards and backwards.

They read no block of tokens that no query of theirs sees, and write no scores to memory. Softmax
has a running maximum (Milakov & Gimelshein 2018); the gradient computes it again from the logarithm
of its sum (Dao et al. 2022, "FlashAttention").

B streams, T new tokens, which a program takes BT at a time, S slots of kept ones, and G query heads
to a key head.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array

BLOCK = 64
"""Tokens that a kernel takes at a time; S is a multiple of it."""
_UNSEEN = np.float32(-1e30)


def forward_kernel(
    used_ref: Any,
    first_ref: Any,  # [BT]
    query_ref: Any,  # [BT, d]
    key_ref: Any,  # [T, d]
    value_ref: Any,  # [T, d]
    old_key_ref: Any,  # [d, S]
    old_value_ref: Any,  # [S, d]
    out_ref: Any,  # [BT, d]
    logsum_ref: Any,  # [BT], the logarithm to base 2 of the sum of weights
) -> None:
    """What a block of queries of a head attends to."""
    from jax.experimental.pallas import triton

    query, scale = query_ref[...], _to_base_2(query_ref)

    def add(columns: Array, value: Array, seen: Array, sums: Any) -> Any:
        largest, total, out = sums
        scores = jnp.where(seen, triton.dot(query, columns) * scale, _UNSEEN)
        larger = jnp.maximum(largest, jnp.max(scores, axis=1))
        # A block may have no token that a query sees.
        weights = jnp.where(seen, jnp.exp2(scores - larger[:, None]), np.float32(0))
        shrink = jnp.exp2(largest - larger)
        added = triton.dot(weights.astype(value.dtype), value)
        return larger, total * shrink + jnp.sum(weights, axis=1), out * shrink[:, None] + added

    size, head_dim = query.shape
    nothing = jnp.zeros(size, jnp.float32), jnp.zeros((size, head_dim), jnp.float32)
    refs = used_ref, first_ref, key_ref, value_ref, old_key_ref, old_value_ref
    largest, total, out = _over_seen(add, refs, (jnp.full(size, _UNSEEN), *nothing))
    out_ref[...] = (out / total[:, None]).astype(out_ref.dtype)
    logsum_ref[...] = largest + jnp.log2(total)


def queries_kernel(
    used_ref: Any,
    first_ref: Any,  # [BT]
    query_ref: Any,  # [BT, d]
    key_ref: Any,  # [T, d]
    value_ref: Any,  # [T, d]
    old_key_ref: Any,  # [d, S]
    old_value_ref: Any,  # [S, d]
    out_ref: Any,  # [BT, d]
    gradient_ref: Any,  # [BT, d]
    logsum_ref: Any,  # [BT]
    of_query_ref: Any,  # [BT, d]
    correction_ref: Any,  # [BT], the sum of output * gradient
) -> None:
    """The gradient of a block of queries of a head."""
    from jax.experimental.pallas import triton

    query, scale, gradient = query_ref[...], _to_base_2(query_ref), gradient_ref[...]
    logsum = logsum_ref[...]
    products = out_ref[...].astype(jnp.float32) * gradient.astype(jnp.float32)
    correction = jnp.sum(products, axis=1)

    def add(columns: Array, value: Array, seen: Array, total: Array) -> Array:
        scores = triton.dot(query, columns) * scale
        weights = jnp.where(seen, jnp.exp2(scores - logsum[:, None]), np.float32(0))
        change = weights * (triton.dot(gradient, value.T) - correction[:, None])
        return total + triton.dot(change.astype(query.dtype), columns.T)

    refs = used_ref, first_ref, key_ref, value_ref, old_key_ref, old_value_ref
    total = _over_seen(add, refs, jnp.zeros(query.shape, jnp.float32))
    of_query_ref[...] = (total * _scale(query_ref)).astype(of_query_ref.dtype)
    correction_ref[...] = correction


def _over_seen(add: Any, refs: tuple[Any, ...], sums: Any) -> Any:
    """Adds to sums the blocks of tokens that a block of queries sees.

    Args:
        add: from keys [d, n], values [n, d], which query sees which, and the sums to new sums.
        refs: used, first, key, value, old key and old value.
        sums: before the first block.
    """
    from jax.experimental import pallas as pl

    used_ref, first_ref, key_ref, value_ref, old_key_ref, old_value_ref = refs
    first, used, size = first_ref[...], used_ref[()], first_ref.shape[0]
    block = pl.program_id(2)
    own = used + block * size + jnp.arange(size, dtype=jnp.int32)
    least = jnp.min(first)

    def old(number: Array, sums: Any) -> Any:
        slots = pl.ds(number * BLOCK, BLOCK)
        token = number * BLOCK + jnp.arange(BLOCK, dtype=jnp.int32)
        seen = (token[None] >= first[:, None]) & (token < used)[None]
        return add(old_key_ref[:, slots], old_value_ref[slots, :], seen, sums)

    def new(number: Array, sums: Any) -> Any:
        tokens = pl.ds(number * size, size)
        token = used + number * size + jnp.arange(size, dtype=jnp.int32)
        seen = (token[None] >= first[:, None]) & (token[None] <= own[:, None])
        return add(key_ref[tokens, :].T, value_ref[tokens, :], seen, sums)

    sums = lax.fori_loop(least // BLOCK, pl.cdiv(used, BLOCK), old, sums)
    return lax.fori_loop(jnp.maximum(least - used, 0) // size, block + 1, new, sums)


def keys_kernel(
    used_ref: Any,
    first_ref: Any,  # [T]
    query_ref: Any,  # [T, G, d], the queries that share a key head
    key_ref: Any,  # [BT, d]
    value_ref: Any,  # [BT, d]
    gradient_ref: Any,  # [T, G, d]
    logsum_ref: Any,  # [G, T]
    correction_ref: Any,  # [G, T]
    of_key_ref: Any,  # [BT, d]
    of_value_ref: Any,  # [BT, d]
) -> None:
    """The gradients of a block of new keys and values of a key head."""
    from jax.experimental import pallas as pl
    from jax.experimental.pallas import triton

    key, value, used = key_ref[...], value_ref[...], used_ref[()]
    size, (num_new, group) = key.shape[0], query_ref.shape[:2]
    scale, dtype = _to_base_2(key_ref), key.dtype
    column, block = jnp.arange(size, dtype=jnp.int32), pl.program_id(2)
    token = used + block * size + column

    def add(number: Array, sums: tuple[Array, Array]) -> tuple[Array, Array]:
        of_key, of_value = sums
        block, head = number // group, number % group
        queries = pl.ds(block * size, size)
        query, gradient = query_ref[queries, head, :], gradient_ref[queries, head, :]
        first, own = first_ref[queries], used + block * size + column
        seen = (token[:, None] >= first[None]) & (token[:, None] <= own[None])
        scores = triton.dot(key, query.T) * scale - logsum_ref[head, queries][None]
        weights = jnp.where(seen, jnp.exp2(scores), np.float32(0))
        of_value += triton.dot(weights.astype(dtype), gradient)
        correction = correction_ref[head, queries]
        change = weights * (triton.dot(value, gradient.T) - correction[None])
        return of_key + triton.dot(change.astype(dtype), query), of_value

    last = used + (block + 1) * size - 1

    def count(number: Array, total: Array) -> Array:
        """Blocks of queries that see one of these tokens: after the last one no more do."""
        return total + (first_ref[number * size] <= last).astype(jnp.int32)

    seeing = lax.fori_loop(block, num_new // size, count, jnp.int32(0))
    nothing = jnp.zeros(key.shape, jnp.float32)
    sums = lax.fori_loop(block * group, (block + seeing) * group, add, (nothing, nothing))
    of_key_ref[...] = (sums[0] * _scale(key_ref)).astype(dtype)
    of_value_ref[...] = sums[1].astype(dtype)


def _scale(ref: Any) -> np.float32:
    return np.float32(1 / ref.shape[-1] ** 0.5)


def _to_base_2(ref: Any) -> np.float32:
    return np.float32(np.log2(np.e) / ref.shape[-1] ** 0.5)
