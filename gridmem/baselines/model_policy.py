"""A model as a policy."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float32, Key

from gridmem.baselines.loss import chosen
from gridmem.baselines.model import ActorCritic, Caches
from gridmem.envs.policy import Acted, Policy
from gridmem.envs.types import TimeStep


class ModelExtras(NamedTuple):
    """What the loss needs to know about a choice."""

    log_prob: Float32[Array, " B"]
    value: Float32[Array, " B"]


class ExplainedExtras(NamedTuple):
    """What is to be shown of a choice, too."""

    log_prob: Float32[Array, " B"]
    value: Float32[Array, " B"]
    logits: Float32[Array, "B actions"]
    weights: Float32[Array, "B S"] | None
    """How much each timestep so far counted, the mean over heads and layers: S is the room in the
    memory, slot s timestep s; rows sum to 1. None if the mixer has no weights to show."""


def model_policy(model: ActorCritic, greedy: bool = False, explain: bool = False) -> Policy:
    """Acts by the model's probabilities, or by the most probable action.

    Args:
        model: the network; its caches are the policy's memory.
        greedy: take the most probable action instead of drawing one.
        explain: give `ExplainedExtras` instead of `ModelExtras`. The memory must then have its
            final room from the beginning: call `grow` before the first step, or `play` with a
            `chunk_steps` of `env.max_steps`.
    """

    def act(caches: Caches, timestep: TimeStep, key: Key[Array, ""]) -> Acted:
        weights = None
        if explain:
            logits, value, caches, weights = model.explain(timestep.obs, caches)
        else:
            logits, value, caches = model.step(timestep.obs, caches)
        if greedy:
            action = jnp.argmax(logits, axis=-1).astype(jnp.int32)
        else:
            action = jax.random.categorical(key, logits).astype(jnp.int32)
        log_prob = chosen(jax.nn.log_softmax(logits), action)
        if not explain:
            return Acted(caches, action, ModelExtras(log_prob, value))
        over_layers = None if weights is None else jnp.mean(weights, axis=1)
        return Acted(caches, action, ExplainedExtras(log_prob, value, logits, over_layers))

    return Policy(init=lambda batch: model.init_cache(batch, 0), act=act, grow=model.grow)
