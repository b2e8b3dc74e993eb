"""No mixer: the memoryless control. A token sees nothing but itself."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from gridmem.baselines.config import ModelConfig


class NoMixer(nnx.Module):
    """A gated layer in the place of attention, with as many parameters."""

    def __init__(self, config: ModelConfig, rngs: nnx.Rngs) -> None:
        self.dtype = jnp.dtype(config.dtype)
        heads = 2 * (config.num_heads + config.num_kv_heads)
        inner = max(1, round(heads * config.head_dim / 3))
        init = nnx.initializers.lecun_normal()
        self.gate = nnx.Param(init(rngs.params(), (config.width, inner), jnp.float32))
        self.value = nnx.Param(init(rngs.params(), (config.width, inner), jnp.float32))
        self.out = nnx.Param(init(rngs.params(), (inner, config.width), jnp.float32))

    def init_cache(self, batch: int, length: int, segmented: bool = False) -> tuple[()]:
        """See `Mixer`."""
        return ()

    def grow(self, cache: tuple[()], length: int) -> tuple[()]:
        """See `Mixer`."""
        return cache

    def step(
        self, x: Float[Array, "B D"], cache: tuple[()], segment: Int[Array, " B"] | None = None
    ) -> tuple[Float[Array, "B D"], tuple[()]]:
        """See `Mixer`."""
        return self._apply(x), cache

    def sequence(
        self, x: Float[Array, "B T D"], cache: tuple[()], segments: Int[Array, "B T"] | None = None
    ) -> Float[Array, "B T D"]:
        """See `Mixer`."""
        return self._apply(x)

    def _apply(self, x: Float[Array, "*batch D"]) -> Float[Array, "*batch D"]:
        gate, value, out = (w[...].astype(self.dtype) for w in (self.gate, self.value, self.out))
        return (jax.nn.gelu(x @ gate) * (x @ value)) @ out
