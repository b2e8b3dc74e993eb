"""A head that predicts the next view, for an auxiliary loss in training."""

import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Float32, Int

from gridmem.baselines.config import ModelConfig
from gridmem.baselines.model.layers import dense, matrix
from gridmem.envs.environment import Discrete, Ids, Part


class NextView(nnx.Module):
    """Predicts the ids of the observation after an action, by one hidden layer.

    Its inputs are the features of the present token, after all blocks, and the action. Rollouts do
    not use it.
    """

    def __init__(
        self, config: ModelConfig, parts: tuple[Part, ...], actions: Discrete, rngs: nnx.Rngs
    ) -> None:
        self.parts = tuple(part for part in parts if isinstance(part, Ids))
        self.dtype, self.num_actions = jnp.dtype(config.dtype), actions.n
        num_outputs = sum(math.prod(part.shape) * part.num_ids for part in self.parts)
        self.features = matrix(rngs, config.width, config.value_width)
        self.action = matrix(rngs, actions.n, config.value_width)
        # Small, so that the first predictions are nearly uniform.
        self.out = matrix(rngs, config.value_width, num_outputs, nnx.initializers.normal(0.02))
        self.out_bias = nnx.Param(jnp.zeros((num_outputs,), jnp.float32))

    def losses(
        self, x: Float[Array, "B T D"], action: Int[Array, "B T"], obs: Any
    ) -> Float32[Array, "B T"]:
        """The cross-entropy in nats, as the mean over the cells.

        Args:
            x: normalised features.
            action: that was taken with them.
            obs: the observation that followed, leaves [B, T, ...].
        """
        one_hot = jax.nn.one_hot(action, self.num_actions, dtype=self.dtype)
        hidden = dense(x.astype(self.dtype), self.features[...].astype(self.dtype))
        hidden = jax.nn.gelu(hidden + dense(one_hot, self.action[...].astype(self.dtype)))
        logits = dense(hidden, self.out[...].astype(self.dtype), jnp.float32)
        logits += self.out_bias[...].reshape(1, 1, -1)
        losses, begin = [], 0
        for part in self.parts:
            end = begin + math.prod(part.shape) * part.num_ids
            of_cells = logits[..., begin:end].reshape(*action.shape, -1, part.num_ids)
            # Not by a lookup, whose gradient is slow on a GPU.
            seen = getattr(obs, part.name).reshape(*action.shape, -1)
            seen = jax.nn.one_hot(seen, part.num_ids, dtype=jnp.float32)
            losses.append(-jnp.sum(seen * jax.nn.log_softmax(of_cells), axis=-1))
            begin = end
        return jnp.mean(jnp.concatenate(losses, axis=-1), axis=-1)
