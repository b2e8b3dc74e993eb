"""Twin critics: two independent estimates of the value of an action."""

from collections.abc import Sequence

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float32

from gridmem.baselines.model.windows import Window, WindowMLP
from gridmem.envs.environment import Part


class TwinCritics(nnx.Module):
    """Two perceptrons of a window of observations and an action (Fujimoto et al. 2018)."""

    def __init__(
        self,
        sizes: Sequence[int],
        parts: Sequence[Part],
        context: int,
        num_actions: int,
        rngs: nnx.Rngs,
    ) -> None:
        """New parameters; `num_actions` are the coordinates of an action, K."""
        self.critics = nnx.List(
            [WindowMLP(sizes, parts, context, 1, rngs, num_actions) for _ in range(2)]
        )

    def __call__(self, window: Window, action: Float32[Array, "B K"]) -> Float32[Array, "2 B"]:
        """Both values of each action, which is from -1 to 1 in each coordinate."""
        return jnp.stack([critic(window, action)[:, 0] for critic in self.critics])

    def first(self, window: Window, action: Float32[Array, "B K"]) -> Float32[Array, " B"]:
        """The value by the first critic alone."""
        return self.critics[0](window, action)[:, 0]
