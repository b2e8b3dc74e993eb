"""Layers that all models are made of: matrix products, norm and feed-forward."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Float, Float32

from gridmem.baselines.config import ModelConfig

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
    return (wide * lax.rsqrt(mean_square + 1e-6) * scale).astype(x.dtype)


class RMSNorm(nnx.Module):
    """`rms_norm` with a scale that is learnt."""

    def __init__(self, width: int) -> None:
        self.scale = nnx.Param(jnp.ones((width,), jnp.float32))

    def __call__(self, x: Float[Array, "*batch D"]) -> Float[Array, "*batch D"]:
        """The normalised input, in its own dtype."""
        return rms_norm(x, self.scale[...])


@jax.custom_vjp
def _gated(gate: Array, up: Array) -> Array:
    """gelu(gate) * up; the backward pass saves only these two and recomputes the rest."""
    return jax.nn.gelu(gate) * up


def _gated_fwd(gate: Array, up: Array) -> tuple[Array, tuple[Array, Array]]:
    return _gated(gate, up), (gate, up)


def _gated_bwd(saved: tuple[Array, Array], gradient: Array) -> tuple[Array, Array]:
    # Without the barrier XLA also saves gelu(gate) of all tokens.
    gate, up = lax.optimization_barrier(saved)
    return jax.vjp(lambda gate, up: jax.nn.gelu(gate) * up, gate, up)[1](gradient)


_gated.defvjp(_gated_fwd, _gated_bwd)


def feed_forward(
    x: Float[Array, "*batch D"], fused: Float[Array, "D 2F"], down: Float[Array, "F D"]
) -> Float[Array, "*batch D"]:
    """Gated feed-forward (Shazeer 2020, "GLU variants"), without the residual.

    The matrices of gate and hidden features are side by side, for one product. For sequences on a
    GPU there are two, so that their gradients need not be concatenated.
    """

    def in_one(x: Array, fused: Array) -> Array:
        gate, up = jnp.split(dense(x, fused), 2, axis=-1)
        return jax.nn.gelu(gate) * up

    def in_two(x: Array, fused: Array) -> Array:
        gate, up = jnp.split(fused, 2, axis=-1)
        return _gated(dense(x, gate), dense(x, up))

    if x.ndim == 2:
        return dense(in_one(x, fused), down)
    hidden = lax.platform_dependent(x, fused, cuda=in_two, default=in_one)
    return dense(hidden, down)


class FeedForward(nnx.Module):
    """`feed_forward` with its matrices."""

    def __init__(self, config: ModelConfig, rngs: nnx.Rngs) -> None:
        self.dtype = jnp.dtype(config.dtype)
        width, inner = config.width, config.ff_width
        self.gate = matrix(rngs, width, inner)
        self.up = matrix(rngs, width, inner)
        self.down = matrix(rngs, inner, width)

    def prepare(self) -> tuple[Array, Array]:
        """See `Mixer.prepare`."""
        fused = jnp.concatenate([self.gate[...], self.up[...]], axis=1)
        return fused.astype(self.dtype), self.down[...].astype(self.dtype)

    def __call__(
        self, x: Float[Array, "*batch D"], weights: tuple[Array, Array]
    ) -> Float[Array, "*batch D"]:
        """The output of the layer, without the residual."""
        return feed_forward(x, *weights)
