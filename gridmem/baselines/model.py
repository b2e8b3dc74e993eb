"""The actor-critic: an encoder, blocks of mixer and feed-forward, two heads."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Float32, Int

from gridmem.baselines.config import ModelConfig
from gridmem.baselines.mixers import ExplainingMixer, make_mixer
from gridmem.envs.types import Observation, Tile

Caches = list[Any]
EMBED_STD = 0.02  # small, so that the first policy is nearly uniform


class Explained(NamedTuple):
    """What `step` gives for B streams, and what L mixers drew it from: weights of S slots."""

    logits: Float32[Array, "B actions"]
    value: Float32[Array, " B"]
    caches: Caches
    weights: Float32[Array, "B L S"] | None  # see `ExplainingMixer`; None if it has none to show


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


class FeedForward(nnx.Module):
    """Gated feed-forward (Shazeer 2020, "GLU variants"): up and gate in one matrix product."""

    def __init__(self, config: ModelConfig, rngs: nnx.Rngs) -> None:
        self.dtype = jnp.dtype(config.dtype)
        init = nnx.initializers.lecun_normal()
        shape = (config.width, config.ff_width)
        self.gate = nnx.Param(init(rngs.params(), shape, jnp.float32))
        self.up = nnx.Param(init(rngs.params(), shape, jnp.float32))
        self.down = nnx.Param(init(rngs.params(), shape[::-1], jnp.float32))

    def __call__(self, x: Float[Array, "*batch D"]) -> Float[Array, "*batch D"]:
        """The layer's output, to be added to its input."""
        fused = jnp.concatenate([self.gate[...], self.up[...]], axis=1).astype(self.dtype)
        gate, up = jnp.split(x @ fused, 2, axis=-1)
        return (jax.nn.gelu(gate) * up) @ self.down[...].astype(self.dtype)


class Block(nnx.Module):
    """Pre-norm residual block."""

    def __init__(self, config: ModelConfig, rngs: nnx.Rngs) -> None:
        self.mixer_norm = Norm(config.width)
        self.mixer = make_mixer(config, rngs)
        self.ff_norm = Norm(config.width)
        self.ff = FeedForward(config, rngs)

    def step(self, x: Array, cache: Any, segment: Array | None) -> tuple[Array, Any]:
        """One token per stream."""
        mixed, cache = self.mixer.step(self.mixer_norm(x), cache, segment)
        x = x + mixed
        return x + self.ff(self.ff_norm(x)), cache

    def explain(
        self, x: Array, cache: Any, segment: Array | None
    ) -> tuple[Array, Any, Array | None]:
        """What `step` gives, and the mixer's weights if it has some to show."""
        if not isinstance(self.mixer, ExplainingMixer):
            return *self.step(x, cache, segment), None
        mixed, cache, weights = self.mixer.explain(self.mixer_norm(x), cache, segment)
        x = x + mixed
        return x + self.ff(self.ff_norm(x)), cache, weights

    def sequence(self, x: Array, cache: Any, segments: Array | None) -> Array:
        """A sequence of tokens per stream."""
        x = x + self.mixer.sequence(self.mixer_norm(x), cache, segments)
        return x + self.ff(self.ff_norm(x))


class ActorCritic(nnx.Module):
    """Observations to action logits and a value; one timestep is one token.

    The action embedding serves three times: for the last action in the input, as the policy's
    output matrix, and its last row for "no action yet", which has no logit.
    """

    def __init__(
        self,
        config: ModelConfig,
        view_size: int,
        num_actions: int,
        rngs: nnx.Rngs,
        compass_size: int = 0,
    ) -> None:
        self.dtype = jnp.dtype(config.dtype)
        self.num_actions = num_actions
        width = config.width
        init, embed = nnx.initializers.lecun_normal(), nnx.initializers.normal(EMBED_STD)
        inputs = view_size * view_size * len(Tile)
        # Every cell shows exactly one tile, so view_size ** 2 of the inputs are 1.
        spread = nnx.initializers.normal(1 / view_size)
        self.view = nnx.Param(spread(rngs.params(), (inputs, width), jnp.float32))
        self.action = nnx.Param(embed(rngs.params(), (num_actions + 1, width), jnp.float32))
        self.reward = nnx.Param(embed(rngs.params(), (1, width), jnp.float32))
        self.blocks = nnx.List([Block(config, rngs) for _ in range(config.num_layers)])
        self.final_norm = Norm(width)
        self.value_in = nnx.Param(init(rngs.params(), (width, config.value_width), jnp.float32))
        self.value_bias = nnx.Param(jnp.zeros((config.value_width,), jnp.float32))
        self.value_out = nnx.Param(embed(rngs.params(), (config.value_width, 1), jnp.float32))
        self.compass = None
        if compass_size:
            self.compass = nnx.Param(init(rngs.params(), (compass_size, width), jnp.float32))

    def init_cache(self, batch: int, length: int, segmented: bool = False) -> Caches:
        """One cache per block; see `Mixer.init_cache`."""
        return [block.mixer.init_cache(batch, length, segmented) for block in self.blocks]

    def grow(self, caches: Caches, length: int) -> Caches:
        """See `Mixer.grow`."""
        blocks = zip(self.blocks, caches, strict=True)
        return [block.mixer.grow(cache, length) for block, cache in blocks]

    def step(
        self, obs: Observation, caches: Caches, segment: Int[Array, " B"] | None = None
    ) -> tuple[Float32[Array, "B actions"], Float32[Array, " B"], Caches]:
        """Logits and value of one timestep per stream, and the caches that have seen it."""
        x = self._embed(obs)
        seen = []
        for block, cache in zip(self.blocks, caches, strict=True):
            x, cache = block.step(x, cache, segment)
            seen.append(cache)
        return *self._heads(x), seen

    def explain(
        self, obs: Observation, caches: Caches, segment: Int[Array, " B"] | None = None
    ) -> Explained:
        """What `step` gives, and which of the tokens so far each layer drew on."""
        x = self._embed(obs)
        seen, shown = [], []
        for block, cache in zip(self.blocks, caches, strict=True):
            x, cache, weights = block.explain(x, cache, segment)
            seen.append(cache)
            shown.append(weights)
        logits, value = self._heads(x)
        layers = [weights for weights in shown if weights is not None]
        return Explained(logits, value, seen, jnp.stack(layers, axis=1) if layers else None)

    def sequence(
        self, obs: Observation, caches: Caches, segments: Int[Array, "B T"] | None = None
    ) -> tuple[Float32[Array, "B T actions"], Float32[Array, "B T"]]:
        """Logits and values of T timesteps per stream, leaves [B, T, ...], after the caches'."""
        x = self._embed(obs)
        for block, cache in zip(self.blocks, caches, strict=True):
            x = block.sequence(x, cache, segments)
        return self._heads(x)

    def _embed(self, obs: Observation) -> Float[Array, "*batch D"]:
        batch = obs.view.shape[:-2]
        tiles = jax.nn.one_hot(obs.view, len(Tile), dtype=self.dtype).reshape(*batch, -1)
        action = self.action[...].astype(self.dtype)
        reward = obs.last_reward[..., None].astype(self.dtype) @ self.reward[...].astype(self.dtype)
        x = tiles @ self.view[...].astype(self.dtype) + action[obs.last_action] + reward
        if self.compass is not None:
            x += obs.compass.astype(self.dtype) @ self.compass[...].astype(self.dtype)
        return x

    def _heads(self, x: Float[Array, "*batch D"]) -> tuple[Array, Array]:
        x = self.final_norm(x)
        actions = self.action[...][: self.num_actions]
        logits = x.astype(jnp.float32) @ actions.T
        bias = self.value_bias[...].reshape((1,) * (x.ndim - 1) + (-1,))
        hidden = (x @ self.value_in[...].astype(self.dtype)).astype(jnp.float32) + bias
        value = jax.nn.gelu(hidden) @ self.value_out[...]
        return logits, value[..., 0]


def num_parameters(params: Any) -> int:
    """How many numbers a tree of parameters has."""
    return sum(leaf.size for leaf in jax.tree.leaves(params))
