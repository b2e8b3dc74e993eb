"""The network of cloning and of the Decision Transformer, and how it acts."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Float32, Int, Num

from gridmem.baselines.config import ModelConfig
from gridmem.baselines.model.actor_critic import Caches, Trunk
from gridmem.baselines.model.encoders import encode, make_encoder
from gridmem.baselines.model.layers import dense, matrix
from gridmem.baselines.model.mixers import Weights
from gridmem.baselines.model.windows import Window, empty_window, moved, parts_of
from gridmem.baselines.offline.datasets import Steps
from gridmem.envs.environment import Box, Discrete, Part
from gridmem.envs.types import TimeStep

_SMALL = nnx.initializers.normal(0.01)


class SequenceModel(nnx.Module):
    """Blocks with any mixer over the steps of an episode.

    A step has three tokens: last action, return to go, and observation with the last reward, of
    which the last one gives the output; or one, which is the sum of their features.
    """

    def __init__(
        self,
        config: ModelConfig,
        parts: Sequence[Part],
        actions: Discrete | Box,
        tokens: int,
        conditioned: bool,
        num_outputs: int,
        rngs: nnx.Rngs,
    ) -> None:
        """New parameters.

        Args:
            config: of the blocks.
            parts: of an observation.
            actions: of the environment.
            tokens: of a step, 3 or 1.
            conditioned: whether it sees the return to go.
            num_outputs: of a step.
            rngs: source of the parameters.
        """
        self.parts, self.dtype = tuple(parts), jnp.dtype(config.dtype)
        self.actions, self.one_token = actions, tokens == 1
        width = config.width
        self.encoders = nnx.List([make_encoder(part, width, rngs) for part in parts])
        inputs = actions.n + 1 if isinstance(actions, Discrete) else len(actions.low)
        self.action = matrix(rngs, inputs, width)
        self.reward = matrix(rngs, 1, width)
        self.return_to_go = matrix(rngs, 1, width) if conditioned else None
        self.trunk = Trunk()
        self.trunk.make_blocks(config, rngs)
        self.out = matrix(rngs, width, num_outputs, _SMALL)
        self.bias = nnx.Param(jnp.zeros((num_outputs,), jnp.float32))

    @property
    def tokens(self) -> int:
        """Tokens of a step."""
        return 1 if self.one_token else 3 if self.return_to_go is not None else 2

    def embed(self, steps: Steps) -> Float[Array, "*batch tokens D"]:
        """The tokens of steps."""
        action = steps.last_action
        if isinstance(self.actions, Discrete):
            action = jax.nn.one_hot(action, self.actions.n + 1, dtype=self.dtype)
        tokens = [self._dense(action, self.action)]
        if self.return_to_go is not None:
            tokens.append(self._dense(steps.return_to_go[..., None], self.return_to_go))
        seen = self._dense(steps.last_reward[..., None], self.reward)
        for part, encoder in zip(self.parts, self.encoders, strict=True):
            seen += encode(part, encoder[...], steps.obs[part.name], self.dtype)
        tokens.append(seen)
        if self.one_token:
            return sum(tokens[1:], start=tokens[0])[..., None, :]
        return jnp.stack(tokens, axis=-2)

    def _dense(self, x: Array, weight: Any) -> Array:
        return dense(x.astype(self.dtype), weight[...].astype(self.dtype))

    def sequence(self, steps: Steps, valid: Bool[Array, "S C"]) -> Float32[Array, "S C K"]:
        """The outputs at all steps of windows; what is not valid is a segment of its own."""
        x = self.embed(steps)
        number, context, tokens, width = x.shape
        segments = jnp.repeat(valid.astype(jnp.int32), tokens, axis=1)
        caches = self.trunk.init_cache(number, 0, segmented=True)
        x = self.trunk.all_blocks(x.reshape(number, context * tokens, width), caches, segments)
        return self._head(x.reshape(number, context, tokens, width)[:, :, -1])

    def step(
        self, steps: Steps, caches: Caches, segment: Int[Array, " B"] | None, weights: list[Weights]
    ) -> tuple[Float32[Array, "B K"], Caches]:
        """The outputs at a step that follows upon those of its segment that the caches have.

        `weights` are what `trunk.prepare` gave.
        """
        x, out = self.embed(steps), None
        for number in range(self.tokens):
            out, caches = self.trunk.step_blocks(x[:, number], caches, segment, weights)
        assert out is not None
        return self._head(out), caches

    def _head(self, x: Float[Array, "*batch D"]) -> Float32[Array, "*batch K"]:
        bias = self.bias[...].reshape(*[1] * (x.ndim - 1), -1)
        return dense(x.astype(jnp.float32), self.out[...]) + bias


class Recent(NamedTuple):
    """The last C steps of B streams."""

    window: Window
    last_action: Num[Array, "B C *K"]
    last_reward: Float32[Array, "B C"]
    return_to_go: Float32[Array, "B C"]

    @property
    def steps(self) -> Steps:
        """All of them."""
        return Steps(self.window.obs, self.last_action, self.last_reward, self.return_to_go)


def nothing_recent(
    parts: Sequence[Part], actions: Discrete | Box, batch: int, context: int
) -> Recent:
    """Before the first step."""
    zeros = jnp.zeros((batch, context), jnp.float32)
    last_action = first_action(actions, batch)
    shape = batch, context, *last_action.shape[1:]
    return Recent(
        empty_window(parts, batch, context), jnp.zeros(shape, last_action.dtype), zeros, zeros
    )


def first_action(actions: Discrete | Box, batch: int) -> Num[Array, "B *K"]:
    """What stands for the last action at the first step."""
    if isinstance(actions, Discrete):
        return jnp.full(batch, actions.n, jnp.int32)
    return jnp.zeros((batch, len(actions.low)), jnp.float32)


def step_of(parts: Sequence[Part], timestep: TimeStep, last_action: Array, to_go: Array) -> Steps:
    """What is known at a timestep, leaves [B, ...]."""
    reward = jnp.where(timestep.time == 0, 0, timestep.reward)
    return Steps(parts_of(timestep.obs, parts), last_action, reward, to_go)


def appended(recent: Recent, step: Steps, begins: Bool[Array, " B"]) -> Recent:
    """With one step more, which may be the first of an episode."""

    def more(old: Array, new: Array) -> Array:
        return jnp.concatenate([old[:, 1:], new[:, None]], axis=1)

    return Recent(
        moved(recent.window, step.obs, begins),
        more(recent.last_action, step.last_action),
        more(recent.last_reward, step.last_reward),
        more(recent.return_to_go, step.return_to_go),
    )
