"""Gated feed-forward layers (Shazeer 2020, "GLU variants")."""

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Float, Float32

from gridmem.baselines.config import ModelConfig
from gridmem.baselines.model.feed_forward_kernels import (
    SEQUENCE_ROWS,
    add_by_triton,
    of_sequences,
)
from gridmem.baselines.model.layers import dense, matrix, rms_norm, saving_inputs


def _product(gate: Array, up: Array) -> Array:
    return jax.nn.gelu(gate) * up


_product_saving_inputs = saving_inputs(_product)


def feed_forward(
    x: Float[Array, "*batch D"],
    fused: Float[Array, "D F2"],
    down: Float[Array, "F D"],
    by_kernel: bool = False,
) -> Float[Array, "*batch D"]:
    """gelu(x @ gate) * (x @ up) @ down.

    For sequences on a GPU it is a kernel, or gate and up are two products, so that their gradients
    need not be concatenated.

    Args:
        x: the tokens.
        fused: the matrices of gate and up, side by side.
        down: that of the output.
        by_kernel: whether Triton's kernels may be used where the program is lowered for CUDA.
    """

    def in_one_kernel(x: Array, fused: Array, down: Array) -> Array:
        return of_sequences(x.reshape(-1, x.shape[-1]), fused, down).reshape(x.shape)

    def by_products(x: Array, fused: Array, down: Array) -> Array:
        return dense(in_one(x, fused), down)

    def in_one(x: Array, fused: Array) -> Array:
        return _product(*jnp.split(dense(x, fused), 2, axis=-1))

    def in_two(x: Array, fused: Array) -> Array:
        gate, up = jnp.split(fused, 2, axis=-1)
        return _product_saving_inputs(dense(x, gate), dense(x, up))

    if x.ndim == 2:
        return dense(in_one(x, fused), down)
    if by_kernel and x.size // x.shape[-1] % SEQUENCE_ROWS == 0:
        return lax.platform_dependent(x, fused, down, cuda=in_one_kernel, default=by_products)
    hidden = lax.platform_dependent(x, fused, cuda=in_two, default=in_one)
    return dense(hidden, down)


def add_feed_forward(
    x: Float[Array, "B D"],
    mixed: Float[Array, "B D"],
    scale: Float32[Array, " D"],
    fused: Float[Array, "D F2"],
    down: Float[Array, "F D"],
) -> Float[Array, "B D"]:
    """y + feed-forward(norm(y)), where y = x + mixed.

    By Triton where the program is lowered for CUDA.

    Args:
        x: the tokens.
        mixed: the mixer's output, in the same dtype.
        scale: of the norm.
        fused: see `feed_forward`.
        down: likewise.
    """
    return lax.platform_dependent(
        x, mixed, scale, fused, down, cuda=add_by_triton, default=add_by_xla
    )


def add_by_xla(x: Array, mixed: Array, scale: Array, fused: Array, down: Array) -> Array:
    """`add_feed_forward` on any device."""
    x = x + mixed
    return x + feed_forward(rms_norm(x, scale), fused, down)


class FeedForward(nnx.Module):
    """`feed_forward` with its matrices."""

    def __init__(self, config: ModelConfig, rngs: nnx.Rngs) -> None:
        self.dtype = jnp.dtype(config.dtype)
        width, inner = config.width, config.ff_width
        self.gate = matrix(rngs, width, inner)
        self.up = matrix(rngs, width, inner)
        self.down = matrix(rngs, inner, width)
        self.by_kernel = config.feed_forward == "triton"

    def prepare(self) -> tuple[Array, Array]:
        """See `Mixer.prepare`."""
        fused = jnp.concatenate([self.gate[...], self.up[...]], axis=1)
        return fused.astype(self.dtype), self.down[...].astype(self.dtype)

    def __call__(
        self, x: Float[Array, "*batch D"], weights: tuple[Array, Array]
    ) -> Float[Array, "*batch D"]:
        """The output of the layer, without the residual."""
        return feed_forward(x, *weights, self.by_kernel)
