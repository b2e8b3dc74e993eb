"""The last observations of an episode, and networks that see them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float32

from gridmem.baselines.config import ModelConfig
from gridmem.baselines.model.actor_critic import Trunk
from gridmem.baselines.model.encoders import encode, make_encoder
from gridmem.baselines.model.layers import dense, matrix
from gridmem.envs.environment import Bits, Ids, Numbers, Part

# The first actions are near 0: those near -1 and 1 have nearly no gradient.
_SMALL = nnx.initializers.normal(0.01)


class Window(NamedTuple):
    """The last C observations of B streams, the present one last.

    At the start of an episode there are fewer; they stand at the end, and the places before them
    are not valid.
    """

    obs: dict[str, Array]  # part -> [B, C, *shape]
    valid: Bool[Array, "B C"]


def parts_of(obs: Any, parts: Sequence[Part]) -> dict[str, Array]:
    """The parts of observations by name, in the dtypes of a window."""
    return {part.name: jnp.asarray(getattr(obs, part.name), part_dtype(part)) for part in parts}


def empty_window(parts: Sequence[Part], batch: int, context: int) -> Window:
    """A window before the first observation."""
    obs = {part.name: jnp.zeros((batch, context, *part.shape), part_dtype(part)) for part in parts}
    return Window(obs, jnp.zeros((batch, context), bool))


def moved(window: Window, obs: dict[str, Array], begins: Bool[Array, " B"]) -> Window:
    """The window after one more observation, which may be the first of an episode."""
    valid = window.valid[:, 1:] & ~begins[:, None]
    valid = jnp.concatenate([valid, jnp.ones_like(begins)[:, None]], axis=1)
    return Window(jax.tree.map(_appended, window.obs, obs), valid)


def _appended(old: Array, new: Array) -> Array:
    return jnp.concatenate([old[:, 1:], new[:, None]], axis=1)


def part_dtype(part: Part) -> Any:
    """The dtype of a part in a window."""
    if isinstance(part, Numbers):
        return jnp.float32
    return jnp.bool_ if isinstance(part, Bits) else jnp.int32


class WindowMLP(nnx.Module):
    """A perceptron of all observations of a window, and of further numbers."""

    def __init__(
        self,
        sizes: Sequence[int],
        parts: Sequence[Part],
        context: int,
        num_outputs: int,
        rngs: nnx.Rngs,
        num_further: int = 0,
    ) -> None:
        """New parameters.

        Args:
            sizes: of the hidden layers.
            parts: of an observation.
            context: C.
            num_outputs: K.
            rngs: source of the parameters.
            num_further: numbers beside the observations, F.
        """
        self.parts = tuple(replace(part, shape=(context, *part.shape)) for part in parts)
        first, *inner = sizes
        self.encoders = nnx.List([make_encoder(part, first, rngs) for part in self.parts])
        self.further = matrix(rngs, num_further, first) if num_further else None
        pairs = list(zip(sizes, [*inner, num_outputs], strict=True))
        hidden = [matrix(rngs, *pair) for pair in pairs[:-1]]
        self.weights = nnx.List([*hidden, matrix(rngs, *pairs[-1], _SMALL)])
        widths = (first, *(width for _, width in pairs))
        self.biases = nnx.List([nnx.Param(jnp.zeros((width,), jnp.float32)) for width in widths])

    def __call__(
        self, window: Window, further: Float32[Array, "B F"] | None = None
    ) -> Float32[Array, "B K"]:
        """The outputs."""
        obs = _blank(self.parts, window)
        x = sum(
            encode(part, encoder[...], obs[part.name], jnp.float32)
            for part, encoder in zip(self.parts, self.encoders, strict=True)
        )
        if self.further is not None and further is not None:
            x = x + dense(further, self.further[...])
        biases = [bias[...][None] for bias in self.biases]
        for weight, bias in zip(self.weights, biases[:-1], strict=True):
            x = dense(jax.nn.relu(x + bias), weight[...])
        return x + biases[-1]


class WindowBlocks(Trunk):
    """Blocks with any mixer, in which each observation of a window is a token."""

    def __init__(
        self, config: ModelConfig, parts: Sequence[Part], num_outputs: int, rngs: nnx.Rngs
    ) -> None:
        self.dtype, self.parts = jnp.dtype(config.dtype), tuple(parts)
        self.encoders = nnx.List([make_encoder(part, config.width, rngs) for part in parts])
        self.bias = nnx.Param(jnp.zeros((config.width,), jnp.float32))
        self.make_blocks(config, rngs)
        self.out = matrix(rngs, config.width, num_outputs, _SMALL)
        self.out_bias = nnx.Param(jnp.zeros((num_outputs,), jnp.float32))

    def embed(self, obs: dict[str, Array]) -> Array:
        """The tokens of observations, leaves [*batch, *shape]."""
        products = [
            encode(part, encoder[...], obs[part.name], self.dtype)
            for part, encoder in zip(self.parts, self.encoders, strict=True)
        ]
        bias = self.bias[...].reshape(*[1] * (products[0].ndim - 1), -1).astype(self.dtype)
        return sum(products, start=bias)

    def __call__(self, window: Window) -> Float32[Array, "B K"]:
        """The outputs at the present observation. What is not valid is a segment of its own."""
        caches = self.init_cache(len(window.valid), 0, segmented=True)
        segments, x = window.valid.astype(jnp.int32), self.embed(window.obs)
        blocks = list(zip(self.blocks, caches, strict=True))
        for block, cache in blocks[:-1]:
            x = block.sequence(x, cache, segments)
        block, cache = blocks[-1]
        return self.head(self.final_norm(block.last(x, cache, segments)))

    def head(self, x: Array) -> Float32[Array, "B K"]:
        """The outputs of normalised features."""
        return dense(x.astype(jnp.float32), self.out[...]) + self.out_bias[...][None]


def make_network(
    config: ModelConfig, parts: Sequence[Part], context: int, num_outputs: int, rngs: nnx.Rngs
) -> WindowMLP | WindowBlocks:
    """Blocks with the mixer of the config; of the mixer "none" a perceptron of the window."""
    if config.mixer == "none":
        sizes = (config.width,) * config.num_layers
        return WindowMLP(sizes, parts, context, num_outputs, rngs)
    return WindowBlocks(config, parts, num_outputs, rngs)


def _blank(parts: Sequence[Part], window: Window) -> dict[str, Array]:
    """The observations, so that those that are not valid give no input."""
    obs = {}
    for part in parts:
        x = window.obs[part.name]
        valid = window.valid.reshape(*window.valid.shape, *[1] * (x.ndim - 2))
        obs[part.name] = jnp.where(valid, x, -1 if isinstance(part, Ids) else jnp.zeros_like(x))
    return obs
