"""Attention of one new token over a cache, as one kernel that also writes the token into it.

It rotates the token's queries and keys, too.

The cache is read once, from the first token that is seen to the last; XLA's products read all of it
twice, and write their scores to memory in between.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Float32, Int

from gridmem.baselines.model.mixers.attention_kernels import attend
from gridmem.baselines.model.mixers.quantized import Quantized, in_float32, numbers, quantized
from gridmem.baselines.model.triton_backend import backend_refusal

BLOCK = 32
"""Slots that the kernel reads at a time; the size of a cache is a multiple of it."""
LEAST_ROWS = 16  # of a Triton product
_SCORES_UNSEEN = -1e30

Kept = Float[Array, "B K S d"] | Quantized


def triton_refusal(head_dim: int, dtype: Any) -> str | None:
    """Why the kernel cannot run on a CUDA device that can run cuDNN's attention, or None.

    Args:
        head_dim: features per head.
        dtype: of the cache.
    """
    if refusal := backend_refusal(dtype):
        return refusal
    if head_dim not in (16, 32, 64, 128):
        return f"head_dim is {head_dim}, not 16, 32, 64 or 128"
    return None


def decode(
    heads: Float[Array, "B H_2K d"],
    turn: Float32[Array, "b 2 d"],
    key: Kept,
    value: Kept,
    used: Int[Array, ""],
    first: Int[Array, " b"],
) -> tuple[Float[Array, "B H d"], Kept, Kept]:
    """What a token's queries attend to, and the caches with its keys and values in them.

    By Triton where the program is lowered for CUDA. What is of each stream may also be of all: b is
    B or 1.

    Args:
        heads: the token's H queries, K keys and K values.
        turn: what its queries and keys are rotated by; see `turn_of`.
        key: of the tokens before, rotated, in 8 bits if the new one is to be; S is a multiple of
            `BLOCK`.
        value: likewise.
        used: slots that are filled; the token goes into the next one.
        first: the first slot that it sees, at most `used`.
    """
    return lax.platform_dependent(
        heads, turn, key, value, used, first, cuda=by_triton, default=decode_by_xla
    )


def turn_of(angle: Float32[Array, "b half"]) -> Float32[Array, "b 2 d"]:
    """The cosines and the signed sines of a rotation of d features, of which halves are pairs.

    x becomes x * turn[:, 0] + (x with its halves exchanged) * turn[:, 1].
    """
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    pairs = [cos, cos], [-sin, sin]
    return jnp.stack([jnp.concatenate(each, axis=-1) for each in pairs], axis=1)


def decode_by_xla(
    heads: Array, turn: Array, key: Kept, value: Kept, used: Array, first: Array
) -> tuple[Array, Kept, Kept]:
    """`decode` on any device."""
    num_kv_heads, num_slots = jax.tree.leaves(key)[0].shape[1:3]
    query, *new = _rotated(heads[:, :, None], turn, num_kv_heads)
    if isinstance(key, Quantized):
        new = [quantized(x) for x in new]

    def write(old: Array, new: Array) -> Array:
        return lax.dynamic_update_slice_in_dim(old, new, used, 2)

    key, value = jax.tree.map(write, key, new[0]), jax.tree.map(write, value, new[1])
    slots = jnp.arange(num_slots, dtype=jnp.int32)[None]
    visible = (slots <= used) & (slots >= first[:, None])
    by_token = jnp.swapaxes(numbers(key), 1, 2), jnp.swapaxes(numbers(value), 1, 2)
    attended = attend(jnp.swapaxes(query, 1, 2), *by_token, visible[:, None])
    return attended[:, 0], key, value


def _rotated(heads: Array, turn: Array, num_kv_heads: int) -> tuple[Array, Array, Array]:
    """A token's queries and keys, rotated, and its values; heads are on the second axis."""
    turned, value = jnp.split(heads, [heads.shape[1] - num_kv_heads], 1)
    exchanged = jnp.roll(turned, turned.shape[-1] // 2, axis=-1)
    cos, sin = (turn[:, i].reshape(-1, *(1,) * (heads.ndim - 2), turn.shape[2]) for i in (0, 1))
    turned = _turned(turned, exchanged, cos, sin).astype(heads.dtype)
    query, key = jnp.split(turned, [turned.shape[1] - num_kv_heads], 1)
    return query, key, value


def _turned(x: Array, exchanged: Array, cos: Array, sin: Array) -> Array:
    return x.astype(jnp.float32) * cos + exchanged.astype(jnp.float32) * sin


def by_triton(
    heads: Array,
    turn: Array,
    key: Kept,
    value: Kept,
    used: Array,
    first: Array,
    interpret: bool = False,
) -> tuple[Array, Kept, Kept]:
    """`decode` by Triton; with `interpret` on any device, slowly.

    In 8 bits the new key is rotated, and rounded like the new value, before the kernel.
    """
    from jax.experimental import pallas as pl
    from jax.experimental.pallas import triton

    batch, num_kv_heads, num_slots, head_dim = jax.tree.leaves(key)[0].shape
    num_heads = heads.shape[1] - 2 * num_kv_heads
    group = num_heads // num_kv_heads

    def one(x: Array, first: int = 0) -> Any:
        return pl.BlockSpec((None, None, x.shape[-1]), lambda b, k: (b, first + k, 0))

    def of_stream(x: Array) -> Any:
        shape, is_shared = x.shape[1:], len(x) == 1
        zeros = (0,) * len(shape)
        return pl.BlockSpec((None, *shape), lambda b, k: (0 if is_shared else b, *zeros))

    def whole(x: Array) -> Any:
        return pl.BlockSpec((None, None, num_slots, x.shape[-1]), lambda b, k: (b, k, 0, 0))

    queries = pl.BlockSpec((None, group, head_dim), lambda b, k: (b, k, 0))
    caches = jax.tree.map(whole, key), jax.tree.map(whole, value)
    new, of_new = (heads, heads), (one(heads, num_heads), one(heads, num_heads + num_kv_heads))
    if isinstance(key, Quantized):
        _, *rows = _rotated(heads, turn, num_kv_heads)
        new = quantized(rows[0]), quantized(rows[1])
        of_new = jax.tree.map(one, new)
    num_arrays = len(jax.tree.leaves((key, value)))
    call = pl.pallas_call(
        _kernel,
        grid=(batch, num_kv_heads),
        in_specs=[
            pl.BlockSpec((), lambda b, k: ()),
            of_stream(first),
            of_stream(turn),
            queries,
            *of_new,
            *caches,
        ],
        out_specs=[queries, *caches],
        out_shape=[
            jax.ShapeDtypeStruct((batch, num_heads, head_dim), heads.dtype),
            *jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), (key, value)),
        ],
        input_output_aliases={4 + num_arrays + i: 1 + i for i in range(num_arrays)},
        compiler_params=triton.CompilerParams(num_warps=1, num_stages=4),
        interpret=interpret,
        name="decode",
    )
    return tuple(call(used, first, turn, heads, *new, key, value))


def _kernel(
    used_ref: Any,
    first_ref: Any,
    turn_ref: Any,  # [2, d]
    query_ref: Any,  # [G, d], the queries that share a key head
    new_key_ref: Any,  # [d]; in 8 bits a `Quantized` of it and of [1], of the rotated key
    new_value_ref: Any,  # likewise
    key_ref: Any,  # [S, d]; in 8 bits a `Quantized` of it and of [S, 1]
    value_ref: Any,  # likewise
    out_ref: Any,  # [G, d]
    key_out_ref: Any,  # the same memory as key_ref
    value_out_ref: Any,
) -> None:
    """Softmax over blocks of slots with a running maximum (Milakov & Gimelshein 2018)."""
    from jax.experimental import pallas as pl
    from jax.experimental.pallas import triton

    group, head_dim = query_ref.shape
    num_rows = max(LEAST_ROWS, pl.next_power_of_2(group))
    row, column = (jnp.arange(num, dtype=jnp.int32) for num in (num_rows, head_dim))
    half = head_dim // 2
    exchanged = jnp.where(column < half, column + half, column - half)
    # A product has at least so many rows: the last query stands for those that are missing.
    rows = jnp.minimum(row, group - 1)[:, None]
    to_base_2 = np.float32(np.log2(np.e) / head_dim**0.5)
    cos, sin = turn_ref[0, :], turn_ref[1, :]
    query, query_exchanged = (
        triton.load(query_ref.at[rows, columns[None]]) for columns in (column, exchanged)
    )
    query = _turned(query, query_exchanged, cos[None], sin[None]).astype(query.dtype)
    used, first = used_ref[()], first_ref[()]
    key, value = jax.tree.map(lambda ref: ref[...], (new_key_ref, new_value_ref))
    if not isinstance(key, Quantized):
        key = _turned(key, triton.load(new_key_ref.at[exchanged]), cos, sin).astype(key.dtype)
    caches = jax.tree.leaves((key_out_ref, value_out_ref))
    for ref, own in zip(caches, jax.tree.leaves((key, value)), strict=True):
        ref[used, :] = own
    key, value = _numbers(key), _numbers(value)
    products = query.astype(jnp.float32) * key.astype(jnp.float32)[None]
    own_score = jnp.sum(products, axis=1) * to_base_2

    # What was just written is not read again, since no other program waits for it: the token's own
    # weight is where the sums begin.
    def add_block(number: Array, sums: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        largest, total, out = sums
        slots = pl.ds(number * BLOCK, BLOCK)
        slot = number * BLOCK + jnp.arange(BLOCK, dtype=jnp.int32)
        seen = (slot >= first) & (slot < used)

        def read(ref: Any) -> Array:
            there = jnp.broadcast_to(seen[:, None], (BLOCK, ref.shape[1]))
            return triton.load(ref.at[slots, :], mask=there, other=0)

        scores = triton.dot(query, _numbers(jax.tree.map(read, key_ref)).T) * to_base_2
        scores = jnp.where(seen[None], scores, np.float32(_SCORES_UNSEEN))
        larger = jnp.maximum(largest, jnp.max(scores, axis=1))
        shrink, weights = jnp.exp2(largest - larger), jnp.exp2(scores - larger[:, None])
        values = _numbers(jax.tree.map(read, value_ref))
        added = triton.dot(weights.astype(values.dtype), values)
        return larger, total * shrink + jnp.sum(weights, axis=1), out * shrink[:, None] + added

    own = jnp.broadcast_to(value.astype(jnp.float32)[None], (num_rows, head_dim))
    sums = own_score, jnp.ones_like(own_score), own
    _, total, out = lax.fori_loop(first // BLOCK, pl.cdiv(used, BLOCK), add_block, sums)
    attended = (out / total[:, None]).astype(out_ref.dtype)
    triton.store(out_ref.at[rows, column[None]], attended)


def _numbers(kept: Any) -> Any:
    """`numbers` in a kernel, where no conversion is left out."""
    return in_float32(kept).astype(kept.peak.dtype) if isinstance(kept, Quantized) else kept
