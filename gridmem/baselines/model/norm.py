"""The norm that every block uses."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float


class Norm(nnx.Module):
    """Root-mean-square norm (Zhang & Sennrich 2019), in float32."""

    def __init__(self, width: int) -> None:
        self.scale = nnx.Param(jnp.ones((width,), jnp.float32))

    def __call__(self, x: Float[Array, "*batch D"]) -> Float[Array, "*batch D"]:
        """The normalised input, in its own dtype."""
        wide = x.astype(jnp.float32)
        mean_square = jnp.mean(jnp.square(wide), axis=-1, keepdims=True)
        scale = self.scale[...].reshape((1,) * (x.ndim - 1) + (-1,))
        return (wide * jax.lax.rsqrt(mean_square + 1e-6) * scale).astype(x.dtype)
