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


def model_policy(model: ActorCritic, greedy: bool = False) -> Policy:
    """Acts by the model's probabilities, or by the most probable action.

    Args:
        model: the network; its caches are the policy's memory.
        greedy: take the most probable action instead of drawing one.
    """

    def act(caches: Caches, timestep: TimeStep, key: Key[Array, ""]) -> Acted:
        logits, value, caches = model.step(timestep.obs, caches)
        if greedy:
            action = jnp.argmax(logits, axis=-1).astype(jnp.int32)
        else:
            action = jax.random.categorical(key, logits).astype(jnp.int32)
        log_prob = chosen(jax.nn.log_softmax(logits), action)
        return Acted(caches, action, ModelExtras(log_prob, value))

    return Policy(init=lambda batch: model.init_cache(batch, 0), act=act, grow=model.grow)
