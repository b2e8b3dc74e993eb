"""Training on several environments at once: what belongs to which of them."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float32

from gridmem.baselines.ppo.rollout import Experience
from gridmem.envs.batch.mixture import Mixture


def split_experience(mixture: Mixture, experience: Experience) -> list[Experience]:
    """The experience in each environment, for the loss alone."""
    rollouts = mixture.split_rollout(experience.rollout)
    of_streams = mixture.split((experience.last_value, experience.caches))
    return [
        Experience(rollout, value, caches, None, {})
        for rollout, (value, caches) in zip(rollouts, of_streams, strict=True)
    ]


def join(parts: Sequence[Any]) -> Any:
    """The streams of all environments, of trees that lead with those of one; see `split`."""
    if len(parts) == 1:
        return parts[0]

    def joined(*leaves: Array) -> Array:
        return jnp.concatenate(leaves) if leaves[0].ndim else leaves[0]

    return jax.tree.map(joined, *parts)


def weighted_mean(
    losses: Sequence[Float32[Array, ""]], weights: Sequence[int]
) -> Float32[Array, ""]:
    """The mean of losses, weighted by the streams of their environments."""
    total = sum(weights)
    mean = losses[0] * (weights[0] / total)
    for loss, weight in zip(losses[1:], weights[1:], strict=True):
        mean += loss * (weight / total)
    return mean


def member_params(params: Any, number: int) -> Any:
    """The parameters of the `ActorCritic` of one environment of a mixture."""
    parts = params.raw_mapping
    shared = {name: part for name, part in parts.items() if name != "members"}
    return nnx.State({**shared, **parts["members"][number]})
