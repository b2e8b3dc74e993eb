"""The actor-critic, of one environment or of several: encoder, blocks, and two heads."""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Float, Float32, Int

from gridmem.baselines.config import ModelConfig
from gridmem.baselines.model.encoders import encode, make_encoder
from gridmem.baselines.model.feed_forward import FeedForward, add_feed_forward
from gridmem.baselines.model.layers import RMSNorm, dense, matrix, saving_inputs
from gridmem.baselines.model.mixers import ExplainingMixer, RoundingMixer, Weights, make_mixer
from gridmem.baselines.model.next_view import NextView
from gridmem.baselines.model.value_heads import ValueHead, make_value_head
from gridmem.envs.environment import Discrete, Part

Caches = list[Any]
# Names of its own parts, beside those that begin with value_.
_OWN = "action", "reward", "blocks", "final_norm", "members", "next_view"
EMBED_STD = 0.02  # small, so that the first policy is nearly uniform


def _biased_gelu(x: Array, bias: Array) -> Array:
    return jax.nn.gelu(x + bias)


_biased_gelu_saving_inputs = saving_inputs(_biased_gelu)


class Explained(NamedTuple):
    """What `step` gives for B streams, and what L mixers drew it from: weights of S slots."""

    logits: Float32[Array, "B actions"]
    value: Float32[Array, " B"]
    caches: Caches
    weights: Float32[Array, "B L S"] | None  # see `ExplainingMixer`; None if it has none to show


class Block(nnx.Module):
    """Pre-norm residual block."""

    def __init__(self, config: ModelConfig, rngs: nnx.Rngs) -> None:
        self.mixer_norm = RMSNorm(config.width)
        self.mixer = make_mixer(config, rngs)
        self.ff_norm = RMSNorm(config.width)
        self.ff = FeedForward(config, rngs)

    def prepare(self) -> Weights:
        """See `Mixer.prepare`."""
        return self.mixer.prepare(), self.ff.prepare()

    def step(
        self, x: Array, cache: Any, segment: Array | None, weights: Weights
    ) -> tuple[Array, Any]:
        """One token per stream."""
        of_mixer, of_ff = weights
        mixed, cache = self.mixer.step(self.mixer_norm(x), cache, segment, of_mixer)
        return self._after(x, mixed, of_ff), cache

    def explain(
        self, x: Array, cache: Any, segment: Array | None, weights: Weights
    ) -> tuple[Array, Any, Array | None]:
        """What `step` gives, and the mixer's weights if it has some to show."""
        if not isinstance(self.mixer, ExplainingMixer):
            return *self.step(x, cache, segment, weights), None
        of_mixer, of_ff = weights
        mixed, cache, shown = self.mixer.explain(self.mixer_norm(x), cache, segment, of_mixer)
        return self._after(x, mixed, of_ff), cache, shown

    def _after(self, x: Array, mixed: Array, weights: tuple[Array, Array]) -> Array:
        """The block's output for one token per stream, [B, D], given that of the mixer."""
        if self.ff.by_kernel:
            return add_feed_forward(x, mixed, self.ff_norm.scale[...], *weights)
        x = x + mixed
        return x + self.ff(self.ff_norm(x), weights)

    def sequence(self, x: Array, cache: Any, segments: Array | None) -> Array:
        """A sequence of tokens per stream."""
        x = x + self.mixer.sequence(self.mixer_norm(x), cache, segments)
        return x + self.ff(self.ff_norm(x), self.ff.prepare())

    def last(self, x: Array, cache: Any, segments: Array | None) -> Array:
        """What `sequence` gives for the last token of each stream, [B, D]."""
        mixed = self.mixer.sequence(self.mixer_norm(x), cache, segments)
        x = x[:, -1] + mixed[:, -1]
        return x + self.ff(self.ff_norm(x), self.ff.prepare())


class Interface(nnx.Module):
    """What is of one environment: the encoder of its observations, and two heads.

    The action embedding serves three times: for the last action in the input, as the policy's
    output matrix, and its last row for "no action yet", which has no logit.
    """

    def __init__(
        self, config: ModelConfig, parts: tuple[Part, ...], actions: Discrete, rngs: nnx.Rngs
    ) -> None:
        """The encoder; `make_heads` makes the rest."""
        self.dtype = jnp.dtype(config.dtype)
        self.parts, self.num_actions = parts, actions.n
        width = config.width
        embed = nnx.initializers.normal(EMBED_STD)
        for part in parts:
            if part.name in _OWN or part.name.startswith("value_") or hasattr(self, part.name):
                raise ValueError(
                    f"the part {part.name!r} of the observation has a name that the network uses; "
                    "rename it"
                )
            setattr(self, part.name, make_encoder(part, width, rngs))
        self.action = matrix(rngs, actions.n + 1, width, embed)
        self.reward = matrix(rngs, 1, width, embed)

    def make_heads(self, config: ModelConfig, rngs: nnx.Rngs) -> None:
        """Completes a new interface."""
        embed = nnx.initializers.normal(EMBED_STD)
        self.value_in = matrix(rngs, config.width, config.value_width)
        self.value_bias = nnx.Param(jnp.zeros((config.value_width,), jnp.float32))
        self.value_head = make_value_head(config)
        self.value_out = matrix(rngs, config.value_width, self.value_head.num_outputs, embed)

    def embed(self, obs: Any) -> Float[Array, "*batch D"]:
        """The token of an observation, leaves [*batch, ...]."""
        # A product and no lookup, whose gradient a GPU adds up in a few rows that all tokens share.
        action = jax.nn.one_hot(obs.last_action, self.num_actions + 1, dtype=self.dtype)
        reward = obs.last_reward[..., None].astype(self.dtype)
        last = dense(action, self.action[...].astype(self.dtype))
        x = self._encode(obs, self.parts[0]) + last if self.parts else last
        x += dense(reward, self.reward[...].astype(self.dtype))
        for part in self.parts[1:]:
            x += self._encode(obs, part)
        return x

    def _encode(self, obs: Any, part: Part) -> Float[Array, "*batch D"]:
        weight = getattr(self, part.name)[...]
        return encode(part, weight, getattr(obs, part.name), self.dtype)

    def heads(self, x: Float[Array, "*batch D"]) -> tuple[Array, Array]:
        """Logits, and outputs for `value_head`, of normalised features."""
        actions = self.action[...][: self.num_actions]
        logits = dense(x.astype(jnp.float32), actions.T)
        bias = self.value_bias[...].reshape((1,) * (x.ndim - 1) + (-1,)).astype(self.dtype)
        hidden = dense(x, self.value_in[...].astype(self.dtype))
        # In training the gradient of gelu would be a second array as large as the features.
        hidden = lax.platform_dependent(
            hidden, bias, cuda=_biased_gelu_saving_inputs, default=_biased_gelu
        )
        return logits, dense(hidden, self.value_out[...].astype(self.dtype), jnp.float32)


class Trunk(nnx.Module):
    """What does not depend on the environment: the blocks, and the norm after the last."""

    def make_blocks(self, config: ModelConfig, rngs: nnx.Rngs) -> None:
        """Completes a new trunk."""
        self.blocks = nnx.List([Block(config, rngs) for _ in range(config.num_layers)])
        self.final_norm = RMSNorm(config.width)

    def init_cache(self, batch: int, length: int, segmented: bool = False) -> Caches:
        """One cache per block; see `Mixer.init_cache`."""
        return [block.mixer.init_cache(batch, length, segmented) for block in self.blocks]

    def grow(self, caches: Caches, length: int) -> Caches:
        """See `Mixer.grow`."""
        blocks = zip(self.blocks, caches, strict=True)
        return [block.mixer.grow(cache, length) for block, cache in blocks]

    def keep(self, caches: Caches, length: int) -> Caches:
        """See `Mixer.keep`."""
        blocks = zip(self.blocks, caches, strict=True)
        return [block.mixer.keep(cache, length) for block, cache in blocks]

    def rounded(self, caches: Caches) -> list[Any] | None:
        """See `RoundingMixer.rounded`; one for each block, None if nothing is rounded."""
        rounded = []
        for block, cache in zip(self.blocks, caches, strict=True):
            if not isinstance(block.mixer, RoundingMixer):
                return None
            rounded.append(block.mixer.rounded(cache))
        return None if any(each is None for each in rounded) else rounded

    def with_rounded(self, caches: Caches, rounded: list[Any] | None) -> Caches:
        """See `RoundingMixer.with_rounded`."""
        if rounded is None:
            return caches
        changed = []
        for block, cache, each in zip(self.blocks, caches, rounded, strict=True):
            assert isinstance(block.mixer, RoundingMixer)  # as `rounded` is not None
            changed.append(block.mixer.with_rounded(cache, each))
        return changed

    def prepare(self) -> list[Weights]:
        """See `Mixer.prepare`; one for each block."""
        return [block.prepare() for block in self.blocks]

    def step_blocks(
        self,
        x: Float[Array, "B D"],
        caches: Caches,
        segment: Int[Array, " B"] | None,
        weights: list[Weights] | None,
    ) -> tuple[Float[Array, "B D"], Caches]:
        """One token per stream through all blocks; see `ActorCritic.step`."""
        seen = []
        weights = self.prepare() if weights is None else weights
        for block, cache, prepared in zip(self.blocks, caches, weights, strict=True):
            x, cache = block.step(x, cache, segment, prepared)
            seen.append(cache)
        return self.final_norm(x), seen

    def all_blocks(
        self, x: Float[Array, "B T D"], caches: Caches, segments: Int[Array, "B T"] | None
    ) -> Float[Array, "B T D"]:
        """Sequences of tokens through all blocks; see `ActorCritic.sequence`."""
        for block, cache in zip(self.blocks, caches, strict=True):
            x = block.sequence(x, cache, segments)
        return self.final_norm(x)


class ActorCritic(Interface, Trunk):
    """Observations to action logits and a value; one timestep is one token."""

    def __init__(
        self, config: ModelConfig, parts: tuple[Part, ...], actions: Discrete, rngs: nnx.Rngs
    ) -> None:
        super().__init__(config, parts, actions, rngs)
        self.make_blocks(config, rngs)
        self.make_heads(config, rngs)
        has_next_view = config.predict_view_coef > 0
        self.next_view = NextView(config, parts, actions, rngs) if has_next_view else None

    def step(
        self,
        obs: Any,
        caches: Caches,
        segment: Int[Array, " B"] | None = None,
        weights: list[Weights] | None = None,
    ) -> tuple[Float32[Array, "B actions"], Float32[Array, " B"], Caches]:
        """Logits and value of one timestep per stream, and the caches that have seen it.

        Args:
            obs: what is seen now, leaves [B, ...].
            caches: what has been seen.
            segment: see `Mixer`.
            weights: what `prepare` gave, so that a loop of steps does not do it each time.
        """
        x, seen = self.step_blocks(self.embed(obs), caches, segment, weights)
        logits, outputs = self.heads(x)
        return logits, self.value_head.value(outputs), seen

    def explain(
        self, obs: Any, caches: Caches, segment: Int[Array, " B"] | None = None
    ) -> Explained:
        """What `step` gives, and which of the tokens so far each layer drew on."""
        x = self.embed(obs)
        seen, shown = [], []
        for block, cache in zip(self.blocks, caches, strict=True):
            x, cache, weights = block.explain(x, cache, segment, block.prepare())
            seen.append(cache)
            shown.append(weights)
        logits, outputs = self.heads(self.final_norm(x))
        layers = [weights for weights in shown if weights is not None]
        weights = jnp.stack(layers, axis=1) if layers else None
        return Explained(logits, self.value_head.value(outputs), seen, weights)

    def sequence(
        self, obs: Any, caches: Caches, segments: Int[Array, "B T"] | None = None
    ) -> tuple[Float32[Array, "B T actions"], Float32[Array, "B T K"]]:
        """Logits, and outputs for `value_head`, of T timesteps per stream, leaves [B, T, ...].

        The timesteps come after those that the caches have seen.
        """
        return self.heads(self.all_blocks(self.embed(obs), caches, segments))


class MixtureActorCritic(Trunk):
    """One trunk for several environments, each with an interface of its own.

    Streams are in the order of the environments. Observations and logits are tuples with an entry
    for each environment; the rest is of all streams. See `ActorCritic` for the methods.
    """

    def __init__(
        self,
        config: ModelConfig,
        interfaces: Sequence[tuple[tuple[Part, ...], Discrete]],
        rngs: nnx.Rngs,
    ) -> None:
        self.members = nnx.List([Interface(config, *each, rngs) for each in interfaces])
        self.make_blocks(config, rngs)
        for member in self.members:
            member.make_heads(config, rngs)

    @property
    def value_head(self) -> ValueHead:
        """That of all environments."""
        return self.members[0].value_head

    def step(
        self,
        obs: Sequence[Any],
        caches: Caches,
        segment: Int[Array, " B"] | None = None,
        weights: list[Weights] | None = None,
    ) -> tuple[tuple[Float32[Array, "_ _"], ...], Float32[Array, " B"], Caches]:
        """See `ActorCritic`."""
        x = self._embed(obs)
        rows = [len(each) for each in x]
        features, seen = self.step_blocks(jnp.concatenate(x), caches, segment, weights)
        logits, outputs = self._heads(features, rows)
        return logits, self.value_head.value(jnp.concatenate(outputs)), seen

    def sequence(
        self, obs: Sequence[Any], caches: Caches, segments: Int[Array, "B T"] | None = None
    ) -> tuple[tuple[Float32[Array, "_ T _"], ...], tuple[Float32[Array, "_ T K"], ...]]:
        """See `ActorCritic`."""
        x = self._embed(obs)
        rows = [len(each) for each in x]
        return self._heads(self.all_blocks(jnp.concatenate(x), caches, segments), rows)

    def _embed(self, obs: Sequence[Any]) -> list[Array]:
        return [member.embed(each) for member, each in zip(self.members, obs, strict=True)]

    def _heads(self, x: Array, rows: Sequence[int]) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        parts = jnp.split(x, list(accumulate(rows))[:-1])
        pairs = [member.heads(part) for member, part in zip(self.members, parts, strict=True)]
        return tuple(logits for logits, _ in pairs), tuple(outputs for _, outputs in pairs)


def num_parameters(params: Any) -> int:
    """How many numbers a tree of parameters has."""
    return sum(leaf.size for leaf in jax.tree.leaves(params))
