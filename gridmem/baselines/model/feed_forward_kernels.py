"""Feed-forward layers as Triton kernels, which do not write a token's hidden features to memory.

There are several times as many of them as features of the token. `add_by_triton` is for a token of
each stream, with norm and residual; `of_sequences` for training, where the backward pass computes
the hidden features again.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from gridmem.baselines.model.layers import EPSILON
from gridmem.baselines.model.triton_backend import backend_refusal

ROWS, SEQUENCE_ROWS = 32, 128
"""Tokens of one program: of one token per stream, and of sequences."""
BLOCK, BACKWARD_BLOCK = 64, 32
"""Hidden features that it computes at a time."""
WIDTHS = 16, 32, 64, 128
"""Features of a token that it can have."""


def feed_forward_refusal(width: int, ff_width: int, dtype: Any) -> str | None:
    """Why the kernels cannot run on a CUDA device that can run cuDNN's attention, or None."""
    if refusal := backend_refusal(dtype):
        return refusal
    if width not in WIDTHS:
        return f"width is {width}, not 16, 32, 64 or 128"
    if ff_width % BLOCK:
        return f"ff_width is {ff_width}, not a multiple of {BLOCK}"
    return None


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
    dtype, width = out_ref.dtype, x_ref.shape[1]
    wide = _rounded(x_ref[...].astype(jnp.float32) + mixed_ref[...].astype(jnp.float32), dtype)
    mean_square = jnp.sum(wide * wide, axis=1) * np.float32(1 / width)
    tokens = wide * lax.rsqrt(mean_square + EPSILON)[:, None] * scale_ref[...][None]
    tokens = tokens.astype(dtype)
    added = _output(tokens, fused_ref, down_ref)
    out_ref[...] = (wide + _rounded(added, dtype)).astype(dtype)


@jax.custom_vjp
def of_sequences(
    x: Float[Array, "N D"], fused: Float[Array, "D F2"], down: Float[Array, "F D"]
) -> Float[Array, "N D"]:
    """`feed_forward` of N tokens, a multiple of `SEQUENCE_ROWS`."""
    return forward_by_triton(x, fused, down)


def _of_sequences_fwd(x: Array, fused: Array, down: Array) -> tuple[Array, tuple[Array, ...]]:
    return forward_by_triton(x, fused, down), (x, fused, down)


def _of_sequences_bwd(saved: tuple[Array, ...], gradient: Array) -> tuple[Array, ...]:
    x, fused, down = saved
    of_x, of_both, hidden = backward_by_triton(x, gradient, fused, down)
    gradients = of_x, jnp.matmul(x.T, of_both), jnp.matmul(hidden.T, gradient)
    # Otherwise XLA goes on to the layers before, and keeps `of_both` and `hidden` of several.
    return lax.optimization_barrier(gradients)


of_sequences.defvjp(_of_sequences_fwd, _of_sequences_bwd)


def forward_by_triton(x: Array, fused: Array, down: Array, interpret: bool = False) -> Array:
    """`of_sequences`; with `interpret` on any device, slowly."""
    out = jax.ShapeDtypeStruct(x.shape, x.dtype)
    return _sequence_call(_forward, "feed_forward", (x,), (fused, down), out, 3, interpret)


def backward_by_triton(
    x: Array, gradient: Array, fused: Array, down: Array, interpret: bool = False
) -> tuple[Array, Array, Array]:
    """Gradients of the tokens [N, D] and of gate and up [N, 2F], and the hidden features [N, F].

    Args:
        x: the tokens.
        gradient: of the output, likewise.
        fused: see `of_sequences`.
        down: likewise.
        interpret: on any device, slowly.
    """
    widths = x.shape[1], fused.shape[1], down.shape[0]
    out = tuple(jax.ShapeDtypeStruct((len(x), width), x.dtype) for width in widths)
    weights = fused, down
    return _sequence_call(_backward, "feed_forward_bwd", (x, gradient), weights, out, 5, interpret)


def _sequence_call(
    kernel: Any,
    name: str,
    tokens: tuple[Array, ...],
    weights: tuple[Array, ...],
    out: Any,
    num_products: int,
    interpret: bool,
) -> Any:
    """A kernel over blocks of tokens, with all weights; it multiplies by as many [D, F]."""
    from jax.experimental import pallas as pl
    from jax.experimental.pallas import triton

    def rows(x: Any) -> Any:
        return pl.BlockSpec((SEQUENCE_ROWS, x.shape[1]), lambda i: (i, 0))

    def whole(x: Any) -> Any:
        return pl.BlockSpec(x.shape, lambda i: (0, 0))

    arrays = jax.tree.leaves((tokens, weights, out))
    call = pl.pallas_call(
        kernel,
        grid=(len(tokens[0]) // SEQUENCE_ROWS,),
        in_specs=[*map(rows, tokens), *map(whole, weights)],
        out_specs=jax.tree.map(rows, out),
        out_shape=out,
        compiler_params=triton.CompilerParams(num_warps=8, num_stages=3),
        cost_estimate=pl.CostEstimate(
            flops=2 * num_products * len(tokens[0]) * weights[1].size,
            transcendentals=len(tokens[0]) * weights[1].shape[0],
            bytes_accessed=sum(x.size * x.dtype.itemsize for x in arrays),
        ),
        interpret=interpret,
        name=name,
    )
    return call(*tokens, *weights)


def _forward(x_ref: Any, fused_ref: Any, down_ref: Any, out_ref: Any) -> None:
    out_ref[...] = _output(x_ref[...], fused_ref, down_ref).astype(out_ref.dtype)


def _backward(
    x_ref: Any,  # [SEQUENCE_ROWS, D]
    gradient_ref: Any,  # [SEQUENCE_ROWS, D]
    fused_ref: Any,  # [D, 2F]
    down_ref: Any,  # [F, D]
    of_x_ref: Any,  # [SEQUENCE_ROWS, D]
    of_both_ref: Any,  # [SEQUENCE_ROWS, 2F]
    hidden_ref: Any,  # [SEQUENCE_ROWS, F]
) -> None:
    from jax.experimental import pallas as pl
    from jax.experimental.pallas import triton

    inner, dtype = down_ref.shape[0], of_x_ref.dtype
    x, gradient = x_ref[...], gradient_ref[...]

    def add_block(number: Array, total: Array) -> Array:
        begin = number * BACKWARD_BLOCK
        at_gate, at_up = (pl.ds(at, BACKWARD_BLOCK) for at in (begin, begin + inner))
        of_gate, of_up = (triton.load(fused_ref.at[:, at]) for at in (at_gate, at_up))
        gate, up = triton.dot(x, of_gate), triton.dot(x, of_up)
        of_hidden = triton.dot(gradient, triton.load(down_ref.at[at_gate, :]).T)
        logistic, slope = _logistic(gate)
        gelu = gate * logistic
        hidden_ref[:, at_gate] = (gelu * up).astype(dtype)
        change = (of_hidden * up * (logistic + gelu * (1 - logistic) * slope)).astype(dtype)
        change_up = (of_hidden * gelu).astype(dtype)
        of_both_ref[:, at_gate] = change
        of_both_ref[:, at_up] = change_up
        total += triton.dot(change, of_gate.T)
        return total + triton.dot(change_up, of_up.T)

    nothing = jnp.zeros(x.shape, jnp.float32)
    of_x_ref[...] = lax.fori_loop(0, inner // BACKWARD_BLOCK, add_block, nothing).astype(dtype)


def _output(tokens: Array, fused_ref: Any, down_ref: Any) -> Array:
    """The feed-forward layer's, in float32."""
    from jax.experimental import pallas as pl
    from jax.experimental.pallas import triton

    inner, dtype = down_ref.shape[0], tokens.dtype

    def add_block(number: Array, total: Array) -> Array:
        begin = number * BLOCK
        gate, up = (
            triton.dot(tokens, triton.load(fused_ref.at[:, pl.ds(at, BLOCK)]))
            for at in (begin, begin + inner)
        )
        hidden = (gate * _logistic(gate)[0] * up).astype(dtype)
        return total + triton.dot(hidden, triton.load(down_ref.at[pl.ds(begin, BLOCK), :]))

    nothing = jnp.zeros(tokens.shape, jnp.float32)
    return lax.fori_loop(0, inner // BLOCK, add_block, nothing)


def _rounded(x: Array, dtype: Any) -> Array:
    """As if it had been written to memory in that dtype."""
    return x.astype(dtype).astype(jnp.float32)


def _logistic(x: Array) -> tuple[Array, Array]:
    """What `jax.nn.gelu` multiplies x by, the logistic function of z; and the derivative of z."""
    first = np.float32(2 * np.sqrt(2 / np.pi))
    third, to_base_2 = np.float32(0.044715) * first, np.float32(-np.log2(np.e))
    square = x * x
    power = x * (to_base_2 * first + to_base_2 * third * square)
    return 1 / (1 + jnp.exp2(power)), first + 3 * third * square
