"""Layers that all models are made of: matrix products and norm."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax
from jaxtyping import Array, Float, Float32

EPSILON = np.float32(1e-6)  # of the norm
lecun_normal = nnx.initializers.lecun_normal()


def matrix(
    rngs: nnx.Rngs, rows: int, columns: int, init: nnx.Initializer = lecun_normal
) -> nnx.Param:
    """A new parameter f32[rows, columns]."""
    return nnx.Param(init(rngs.params(), (rows, columns), jnp.float32))


def precision(dtype: Any) -> lax.Precision | None:
    """The precision of matrix products; by default a GPU rounds float32 to TF32 (10 bits)."""
    return lax.Precision.HIGHEST if dtype == jnp.float32 else None


def dense(
    x: Float[Array, "*batch D"], weight: Float[Array, "D E"], dtype: Any = None
) -> Float[Array, "*batch E"]:
    """x @ weight, with all tokens as the rows of one matrix.

    The gradient of the weight is then one product, too; with more axes XLA computes it on a CPU by
    a loop that takes several times as long.

    Args:
        x: the tokens.
        weight: the matrix.
        dtype: of the result; that of `x` if not given.
    """
    rows = x.reshape(-1, x.shape[-1])
    product = jnp.matmul(rows, weight, precision=precision(x.dtype), preferred_element_type=dtype)
    return product.reshape(*x.shape[:-1], -1)


def rms_norm(x: Float[Array, "*batch D"], scale: Float32[Array, " D"]) -> Float[Array, "*batch D"]:
    """Root-mean-square norm (Zhang & Sennrich 2019), in float32; the result is as `x`."""
    wide = x.astype(jnp.float32)
    mean_square = jnp.mean(jnp.square(wide), axis=-1, keepdims=True)
    scale = scale.reshape((1,) * (x.ndim - 1) + (-1,))
    return (wide * lax.rsqrt(mean_square + EPSILON) * scale).astype(x.dtype)


class RMSNorm(nnx.Module):
    """`rms_norm` with a scale that is learnt."""

    def __init__(self, width: int) -> None:
        self.scale = nnx.Param(jnp.ones((width,), jnp.float32))

    def __call__(self, x: Float[Array, "*batch D"]) -> Float[Array, "*batch D"]:
        """The normalised input, in its own dtype."""
        return rms_norm(x, self.scale[...])


def saving_inputs(function: Callable[..., Array]) -> Callable[..., Array]:
    """The same function of arrays; for its gradient only they are saved, the rest is recomputed."""

    @jax.custom_vjp
    def result(*inputs: Array) -> Array:
        return function(*inputs)

    def forward(*inputs: Array) -> tuple[Array, tuple[Array, ...]]:
        return function(*inputs), inputs

    def backward(inputs: tuple[Array, ...], gradient: Array) -> tuple[Array, ...]:
        # Without the barrier XLA also saves what is in between, for all tokens.
        return jax.vjp(function, *lax.optimization_barrier(inputs))[1](gradient)

    result.defvjp(forward, backward)
    return result
