"""Attention of new tokens over the kept ones and themselves, as kernels with a gradient.

What a token sees is a run of tokens that ends at itself. Tokens are numbered: kept slot s is token
s, and new token t is token `used` + t. The kernels read no block of tokens that no query of theirs
sees, and write no scores to memory. Softmax has a running maximum (Milakov & Gimelshein 2018); the
gradient computes it again from its logarithm of the sum (Dao et al. 2022, "FlashAttention").
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from gridmem.baselines.model.mixers.attention_kernels import attend_in_blocks

BLOCK, LEAST_BLOCK = 64, 16
"""Tokens that a kernel takes at a time, of the new ones fewer if there are not so many."""
_UNSEEN = np.float32(-1e30)


def continued_attention(
    query: Float[Array, "B T H d"],
    key: Float[Array, "B T K d"],
    value: Float[Array, "B T K d"],
    old_key: Float[Array, "B K d S"],
    old_value: Float[Array, "B K S d"],
    first: Int[Array, "B T"],
    used: Int[Array, ""],
) -> Float[Array, "B T H d"]:
    """What the new tokens attend to; by Triton where the program is lowered for CUDA.

    Head h reads key head h // (H / K). Kept tokens get no gradient.

    Args:
        query: of T new tokens.
        key: likewise.
        value: likewise.
        old_key: of S slots for kept tokens.
        old_value: likewise.
        first: the first token that each one sees, at most itself; it never falls with t.
        used: slots that are filled.
    """
    old_key, old_value = lax.stop_gradient((old_key, old_value))
    return lax.platform_dependent(
        *(query, key, value, old_key, old_value, first, used), cuda=by_triton, default=by_xla
    )


def by_xla(
    query: Array,
    key: Array,
    value: Array,
    old_key: Array,
    old_value: Array,
    first: Array,
    used: Array,
) -> Array:
    """`continued_attention` on any device."""
    own = used + jnp.arange(query.shape[1], dtype=jnp.int32)
    slots = jnp.arange(old_value.shape[2], dtype=jnp.int32)[None, None]
    among_old = (slots >= first[..., None]) & (slots < used)
    among_new = (own[None, None] >= first[..., None]) & (own[None] <= own[:, None])[None]
    key = jnp.concatenate([jnp.transpose(old_key, (0, 3, 1, 2)), key], axis=1)
    value = jnp.concatenate([jnp.transpose(old_value, (0, 2, 1, 3)), value], axis=1)
    return attend_in_blocks(query, key, value, jnp.concatenate([among_old, among_new], axis=2))


def by_triton(
    query: Array,
    key: Array,
    value: Array,
    old_key: Array,
    old_value: Array,
    first: Array,
    used: Array,
    interpret: bool = False,
) -> Array:
    """`continued_attention` by Triton; with `interpret` on any device, slowly."""
    num_new, num_slots = query.shape[1], old_value.shape[2]
    missing = -num_new % _block(num_new)
    missing_slots = -num_slots % BLOCK if num_slots else BLOCK

    def pad(x: Array, axis: int, number: int) -> Array:
        return jnp.pad(x, [(0, number if axis == each else 0) for each in range(x.ndim)])

    query, key, value = (pad(x, 1, missing) for x in (query, key, value))
    old_key, old_value = pad(old_key, 3, missing_slots), pad(old_value, 2, missing_slots)
    if missing:  # tokens that see themselves
        rest = used + num_new + jnp.arange(missing, dtype=jnp.int32)
        rest = jnp.broadcast_to(rest, (len(first), missing))
        first = jnp.concatenate([first, rest], axis=1)
    out = _attended(query, key, value, old_key, old_value, first, used, interpret)
    return out[:, :num_new]


@partial(jax.custom_vjp, nondiff_argnums=(7,))
def _attended(
    query: Array,
    key: Array,
    value: Array,
    old_key: Array,
    old_value: Array,
    first: Array,
    used: Array,
    interpret: bool,
) -> Array:
    """`by_triton` of whole blocks."""
    return _forward(query, key, value, old_key, old_value, first, used, interpret)[0]


def _attended_fwd(*args: Any) -> tuple[Array, tuple[Array, ...]]:
    *arrays, interpret = args
    out, logsum = _forward(*arrays, interpret)
    return out, (*arrays, out, logsum)


def _attended_bwd(interpret: bool, saved: tuple[Array, ...], gradient: Array) -> tuple[Any, ...]:
    *arrays, out, logsum = saved
    of_query, correction = _of_queries(*arrays, out, gradient, logsum, interpret)
    of_key, of_value = _of_keys(*arrays, gradient, logsum, correction, interpret)
    return of_query, of_key, of_value, None, None, None, None


_attended.defvjp(_attended_fwd, _attended_bwd)


def _forward(
    query: Array,
    key: Array,
    value: Array,
    old_key: Array,
    old_value: Array,
    first: Array,
    used: Array,
    interpret: bool,
) -> tuple[Array, Array]:
    """The output, and of each query the logarithm to base 2 of its sum of weights, f32[B, H, T]."""
    arrays = used, first, query, key, value, old_key, old_value
    batch, num_new, num_heads, _ = query.shape
    row = jax.ShapeDtypeStruct((batch, num_heads, num_new), jnp.float32)
    results = jax.typeof(query), row
    return _over_queries(_forward_kernel, "attention", arrays, results, 2, interpret)


def _of_queries(
    query: Array,
    key: Array,
    value: Array,
    old_key: Array,
    old_value: Array,
    first: Array,
    used: Array,
    out: Array,
    gradient: Array,
    logsum: Array,
    interpret: bool,
) -> tuple[Array, Array]:
    """The gradient of the queries, and of each the sum of output * gradient, f32[B, H, T]."""
    arrays = used, first, query, key, value, old_key, old_value, out, gradient, logsum
    results = jax.typeof(query), jax.typeof(logsum)
    return _over_queries(_queries_kernel, "attention_bwd_queries", arrays, results, 3, interpret)


def _over_queries(
    kernel: Any,
    name: str,
    arrays: tuple[Array, ...],
    results: tuple[Any, Any],
    num_products: int,
    interpret: bool,
) -> Any:
    """A kernel over blocks of the queries of a head.

    Args:
        kernel: of references to `arrays` and `results`.
        name: of the kernel.
        arrays: used, first, query, key, value, old key and old value; then some like the query, and
            the sums of weights.
        results: one like the query, and one like these sums.
        num_products: of matrices, for each block of queries and block of keys.
        interpret: on any device, slowly.
    """
    from jax.experimental import pallas as pl

    query, key, old_key = arrays[2], arrays[3], arrays[5]
    batch, num_new, num_heads, head_dim = query.shape
    size, num_slots = _block(num_new), old_key.shape[3]
    group = num_heads // key.shape[2]
    rows = pl.BlockSpec((None, None, size), lambda b, h, i: (b, h, i))
    queries = pl.BlockSpec((None, size, None, head_dim), lambda b, h, i: (b, i, h, 0))
    keys = pl.BlockSpec((None, num_new, None, head_dim), lambda b, h, i: (b, 0, h // group, 0))

    def kept(x: Array) -> Any:
        return pl.BlockSpec((None, None, *x.shape[2:]), lambda b, h, i: (b, h // group, 0, 0))

    in_specs = [
        pl.BlockSpec((), lambda b, h, i: ()),
        pl.BlockSpec((None, size), lambda b, h, i: (b, i)),
        *(queries, keys, keys, kept(old_key), kept(arrays[6])),
        *(queries if x.ndim == query.ndim else rows for x in arrays[7:]),
    ]
    seen = num_slots + num_new // 2
    flops = 2 * num_products * query.size * seen
    grid = batch, num_heads, num_new // size
    return _call(kernel, name, grid, arrays, in_specs, results, (queries, rows), flops, interpret)


def _of_keys(
    query: Array,
    key: Array,
    value: Array,
    old_key: Array,
    old_value: Array,
    first: Array,
    used: Array,
    gradient: Array,
    logsum: Array,
    correction: Array,
    interpret: bool,
) -> tuple[Array, Array]:
    """The gradients of the new keys and values: a kernel over blocks of these of a key head."""
    from jax.experimental import pallas as pl

    batch, num_new, num_kv_heads, head_dim = key.shape
    size, group = _block(num_new), query.shape[2] // num_kv_heads
    keys = pl.BlockSpec((None, size, None, head_dim), lambda b, k, j: (b, j, k, 0))
    queries = pl.BlockSpec((None, num_new, group, head_dim), lambda b, k, j: (b, 0, k, 0))
    rows = pl.BlockSpec((None, group, num_new), lambda b, k, j: (b, k, 0))
    in_specs = [
        pl.BlockSpec((), lambda b, k, j: ()),
        pl.BlockSpec((None, num_new), lambda b, k, j: (b, 0)),
        *(queries, keys, keys, queries, rows, rows),
    ]
    arrays = used, first, query, key, value, gradient, logsum, correction
    results = jax.typeof(key), jax.typeof(value)
    flops = 2 * 4 * query.size * num_new // 2
    grid = batch, num_kv_heads, num_new // size
    name = "attention_bwd_keys"
    return _call(
        _keys_kernel, name, grid, arrays, in_specs, results, (keys, keys), flops, interpret
    )


def _call(
    kernel: Any,
    name: str,
    grid: tuple[int, ...],
    arrays: tuple[Array, ...],
    in_specs: list[Any],
    results: tuple[Any, ...],
    out_specs: tuple[Any, ...],
    flops: int,
    interpret: bool,
) -> Any:
    from jax.experimental import pallas as pl
    from jax.experimental.pallas import triton

    call = pl.pallas_call(
        kernel,
        grid=grid,
        in_specs=in_specs,
        out_specs=out_specs,
        out_shape=[jax.ShapeDtypeStruct(x.shape, x.dtype) for x in results],
        compiler_params=triton.CompilerParams(num_warps=4, num_stages=2),
        cost_estimate=pl.CostEstimate(
            flops=flops,
            transcendentals=0,
            bytes_accessed=sum(x.size * x.dtype.itemsize for x in (*arrays, *results)),
        ),
        interpret=interpret,
        name=name,
    )
    return tuple(call(*arrays))


def _forward_kernel(
    used_ref: Any,
    first_ref: Any,  # [BT]
    query_ref: Any,  # [BT, d]
    key_ref: Any,  # [T, d]
    value_ref: Any,  # [T, d]
    old_key_ref: Any,  # [d, S]
    old_value_ref: Any,  # [S, d]
    out_ref: Any,  # [BT, d]
    logsum_ref: Any,  # [BT]
) -> None:
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


def _queries_kernel(
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
    correction_ref: Any,  # [BT]
) -> None:
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


def _keys_kernel(
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


def _block(num_new: int) -> int:
    """New tokens that a kernel takes at a time: a power of 2."""
    size = LEAST_BLOCK
    while size < min(num_new, BLOCK):
        size *= 2
    return size


def _scale(ref: Any) -> np.float32:
    return np.float32(1 / ref.shape[-1] ** 0.5)


def _to_base_2(ref: Any) -> np.float32:
    return np.float32(np.log2(np.e) / ref.shape[-1] ** 0.5)
