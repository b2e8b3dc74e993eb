"""No mixer: the memoryless control. A token sees nothing but itself."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from gridmem.baselines.config import ModelConfig
from gridmem.baselines.model.layers import dense, matrix


class NoMixer(nnx.Module):
    """A gated layer in the place of attention, with as many parameters."""

    def __init__(self, config: ModelConfig, rngs: nnx.Rngs) -> None:
        self.dtype = jnp.dtype(config.dtype)
        heads = 2 * (config.num_heads + config.num_kv_heads)
        inner = max(1, round(heads * config.head_dim / 3))
        self.gate = matrix(rngs, config.width, inner)
        self.value = matrix(rngs, config.width, inner)
        self.out = matrix(rngs, inner, config.width)

    def init_cache(self, batch: int, length: int, segmented: bool = False) -> tuple[()]:
        """See `Mixer`."""
        return ()

    def grow(self, cache: tuple[()], length: int) -> tuple[()]:
        """See `Mixer`."""
        return cache

    def keep(self, cache: tuple[()], length: int) -> tuple[()]:
        """See `Mixer`."""
        return cache

    def prepare(self) -> tuple[Array, Array]:
        """See `Mixer`; gate and value as one matrix."""
        fused = jnp.concatenate([self.gate[...], self.value[...]], axis=1)
        return fused.astype(self.dtype), self.out[...].astype(self.dtype)

    def step(
        self,
        x: Float[Array, "B D"],
        cache: tuple[()],
        segment: Int[Array, " B"] | None,
        weights: tuple[Array, Array],
    ) -> tuple[Float[Array, "B D"], tuple[()]]:
        """See `Mixer`."""
        return _apply(x, weights), cache

    def sequence(
        self, x: Float[Array, "B T D"], cache: tuple[()], segments: Int[Array, "B T"] | None = None
    ) -> Float[Array, "B T D"]:
        """See `Mixer`."""
        return _apply(x, self.prepare())


def _apply(x: Float[Array, "*batch D"], weights: tuple[Array, Array]) -> Float[Array, "*batch D"]:
    fused, out = weights
    gate, value = jnp.split(dense(x, fused), 2, axis=-1)
    return dense(jax.nn.gelu(gate) * value, out)
