"""A block's feed-forward layer of one token per stream, with its norm and residual, as one kernel.

The hidden features, several times as many as the token's, are not written to memory.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array

ROWS = 32
"""Tokens of one program."""
BLOCK = 64
"""Hidden features that it computes at a time."""
WIDTHS = 16, 32, 64, 128, 256
"""Features of a token that it can have."""
EPSILON = np.float32(1e-6)  # of the norm


def is_possible(width: int, ff_width: int) -> bool:
    """Whether the kernel can have such shapes."""
    return width in WIDTHS and ff_width % BLOCK == 0


def add_by_triton(
    x: Array, mixed: Array, scale: Array, fused: Array, down: Array, interpret: bool = False
) -> Array:
    """`add_feed_forward` by Triton; with `interpret` on any device, slowly."""
    from jax.experimental import pallas as pl
    from jax.experimental.pallas import triton

    batch, width = x.shape
    missing = -batch % ROWS
    x, mixed = (jnp.pad(each, ((0, missing), (0, 0))) for each in (x, mixed))
    tokens = pl.BlockSpec((ROWS, width), lambda i: (i, 0))
    call = pl.pallas_call(
        _kernel,
        grid=(len(x) // ROWS,),
        in_specs=[
            tokens,
            tokens,
            pl.BlockSpec((width,), lambda i: (0,)),
            pl.BlockSpec(fused.shape, lambda i: (0, 0)),
            pl.BlockSpec(down.shape, lambda i: (0, 0)),
        ],
        out_specs=tokens,
        out_shape=jax.ShapeDtypeStruct(x.shape, x.dtype),
        compiler_params=triton.CompilerParams(num_warps=4, num_stages=3),
        interpret=interpret,
        name="feed_forward",
    )
    return call(x, mixed, scale, fused, down)[:batch]


def _kernel(
    x_ref: Any,  # [ROWS, D]
    mixed_ref: Any,  # [ROWS, D]
    scale_ref: Any,  # [D]
    fused_ref: Any,  # [D, 2F]
    down_ref: Any,  # [F, D]
    out_ref: Any,  # [ROWS, D]
) -> None:
    from jax.experimental import pallas as pl
    from jax.experimental.pallas import triton

    (inner, width), dtype = down_ref.shape, out_ref.dtype
    wide = _rounded(x_ref[...].astype(jnp.float32) + mixed_ref[...].astype(jnp.float32), dtype)
    mean_square = jnp.sum(wide * wide, axis=1) * np.float32(1 / width)
    tokens = wide * lax.rsqrt(mean_square + EPSILON)[:, None] * scale_ref[...][None]
    tokens = tokens.astype(dtype)

    def add_block(number: Array, total: Array) -> Array:
        begin = number * BLOCK
        gate, up = (
            _rounded(triton.dot(tokens, triton.load(fused_ref.at[:, pl.ds(at, BLOCK)])), dtype)
            for at in (begin, begin + inner)
        )
        hidden = (_gelu(gate) * up).astype(dtype)
        return total + triton.dot(hidden, triton.load(down_ref.at[pl.ds(begin, BLOCK), :]))

    nothing = jnp.zeros((ROWS, width), jnp.float32)
    added = lax.fori_loop(0, inner // BLOCK, add_block, nothing)
    out_ref[...] = (wide + _rounded(added, dtype)).astype(dtype)


def _rounded(x: Array, dtype: Any) -> Array:
    """As if it had been written to memory in that dtype."""
    return x.astype(dtype).astype(jnp.float32)


def _gelu(x: Array) -> Array:
    """`jax.nn.gelu`: (1 + tanh(y)) / 2 is the logistic function of 2 y."""
    twice = np.float32(2 * np.sqrt(2 / np.pi)) * (x + np.float32(0.044715) * x * x * x)
    return x / (1 + jnp.exp2(np.float32(-np.log2(np.e)) * twice))
