"""Attention of new tokens over the kept ones and themselves, by kernels with a gradient.

What a token sees is a run of tokens that ends at itself. Tokens are numbered: kept slot s is token
s, and new token t is token `used` + t.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from gridmem.baselines.model.mixers.attention_kernels import attend_in_blocks
from gridmem.baselines.model.mixers.continued_kernels import (
    BLOCK,
    forward_kernel,
    keys_kernel,
    queries_kernel,
)

LEAST_BLOCK = 16
"""New tokens that a kernel takes at a time, at least; there are `BLOCK` if there are so many."""


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
    blocks = _Blocks(used, first, query, key, value, old_key, old_value)
    return _attended(blocks, interpret)[:, :num_new]


class _Blocks(NamedTuple):
    """The arguments of `continued_attention`, padded to whole blocks."""

    used: Array
    first: Array
    query: Array
    key: Array
    value: Array
    old_key: Array
    old_value: Array


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def _attended(blocks: _Blocks, interpret: bool) -> Array:
    """`by_triton` of whole blocks."""
    return _forward(blocks, interpret)[0]


def _attended_fwd(blocks: _Blocks, interpret: bool) -> tuple[Array, tuple[_Blocks, Array, Array]]:
    out, logsum = _forward(blocks, interpret)
    return out, (blocks, out, logsum)


def _attended_bwd(
    interpret: bool, saved: tuple[_Blocks, Array, Array], gradient: Array
) -> tuple[Any]:
    blocks, out, logsum = saved
    of_query, correction = _of_queries(blocks, out, gradient, logsum, interpret)
    of_key, of_value = _of_keys(blocks, gradient, logsum, correction, interpret)
    nothing: Any = None
    return (_Blocks(nothing, nothing, of_query, of_key, of_value, nothing, nothing),)


_attended.defvjp(_attended_fwd, _attended_bwd)


def _forward(blocks: _Blocks, interpret: bool) -> tuple[Array, Array]:
    """The output, and of each query the logarithm to base 2 of its sum of weights, f32[B, H, T]."""
    batch, num_new, num_heads, _ = blocks.query.shape
    row = jax.ShapeDtypeStruct((batch, num_heads, num_new), jnp.float32)
    results = jax.typeof(blocks.query), row
    return _over_queries(forward_kernel, "attention", blocks, (), results, 2, interpret)


def _of_queries(
    blocks: _Blocks, out: Array, gradient: Array, logsum: Array, interpret: bool
) -> tuple[Array, Array]:
    """The gradient of the queries, and of each the sum of output * gradient, f32[B, H, T]."""
    more, results = (out, gradient, logsum), (jax.typeof(blocks.query), jax.typeof(logsum))
    name = "attention_bwd_queries"
    return _over_queries(queries_kernel, name, blocks, more, results, 3, interpret)


def _over_queries(
    kernel: Any,
    name: str,
    blocks: _Blocks,
    more: tuple[Array, ...],
    results: tuple[Any, Any],
    num_products: int,
    interpret: bool,
) -> Any:
    """A kernel over blocks of the queries of a head.

    Args:
        kernel: of references to all arrays.
        name: of the kernel.
        blocks: the arguments.
        more: of them, like the query or like the sums of weights.
        results: one like the query, and one like these sums.
        num_products: of matrices, for each block of queries and block of keys.
        interpret: on any device, slowly.
    """
    from jax.experimental import pallas as pl

    query, old_key, old_value = blocks.query, blocks.old_key, blocks.old_value
    batch, num_new, num_heads, head_dim = query.shape
    size, num_slots = _block(num_new), old_key.shape[3]
    group = num_heads // blocks.key.shape[2]
    rows = pl.BlockSpec((None, None, size), lambda b, h, i: (b, h, i))
    queries = pl.BlockSpec((None, size, None, head_dim), lambda b, h, i: (b, i, h, 0))
    keys = pl.BlockSpec((None, num_new, None, head_dim), lambda b, h, i: (b, 0, h // group, 0))

    def kept(x: Array) -> Any:
        return pl.BlockSpec((None, None, *x.shape[2:]), lambda b, h, i: (b, h // group, 0, 0))

    in_specs = [
        pl.BlockSpec((), lambda b, h, i: ()),
        pl.BlockSpec((None, size), lambda b, h, i: (b, i)),
        *(queries, keys, keys, kept(old_key), kept(old_value)),
        *(queries if x.ndim == query.ndim else rows for x in more),
    ]
    seen = num_slots + num_new // 2
    flops = 2 * num_products * query.size * seen
    grid, arrays = (batch, num_heads, num_new // size), (*blocks, *more)
    return _call(kernel, name, grid, arrays, in_specs, results, (queries, rows), flops, interpret)


def _of_keys(
    blocks: _Blocks, gradient: Array, logsum: Array, correction: Array, interpret: bool
) -> tuple[Array, Array]:
    """The gradients of the new keys and values: a kernel over blocks of these of a key head."""
    from jax.experimental import pallas as pl

    query, key, value = blocks.query, blocks.key, blocks.value
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
    arrays = (blocks.used, blocks.first, query, key, value, gradient, logsum, correction)
    results = jax.typeof(key), jax.typeof(value)
    flops = 2 * 4 * query.size * num_new // 2
    grid = batch, num_kv_heads, num_new // size
    name = "attention_bwd_keys"
    return _call(keys_kernel, name, grid, arrays, in_specs, results, (keys, keys), flops, interpret)


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


def _block(num_new: int) -> int:
    """New tokens that a kernel takes at a time: a power of 2."""
    size = LEAST_BLOCK
    while size < min(num_new, BLOCK):
        size *= 2
    return size
