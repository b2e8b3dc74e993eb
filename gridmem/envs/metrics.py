"""What an episode says about memory; the same numbers in training, evaluation and play."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float32, Int32


class EpisodeStats(NamedTuple):
    """Per stream, over one whole episode; times in steps."""

    episode_return: Float32[Array, " B"]
    visits: Int32[Array, " B"]
    first_find_steps: Int32[Array, " B"]  # up to and including the first find; all if none
    later_steps: Int32[Array, " B"]  # after the first find, the unfinished trip included


def episode_stats(reward: Float32[Array, "T B"]) -> EpisodeStats:
    """Statistics of whole episodes; a find is a step that was paid."""
    found = reward > 0
    num_steps = reward.shape[0]
    visits = jnp.sum(found, axis=0, dtype=jnp.int32)
    first = jnp.argmax(found, axis=0).astype(jnp.int32) + 1
    first = jnp.where(visits > 0, first, num_steps)
    return EpisodeStats(jnp.sum(reward, axis=0), visits, first, num_steps - first)


def memory_gain(stats: EpisodeStats) -> Float32[Array, ""]:
    """How many times faster the goal is found again than it is found at first.

    Steps per first find over steps per later find, pooled over streams, unfinished searches and
    trips included. About 1 without memory. 0 while nothing was ever found a second time.
    """
    first_finds = jnp.sum(stats.visits > 0).astype(jnp.float32)
    later_finds = jnp.sum(jnp.maximum(stats.visits - 1, 0)).astype(jnp.float32)
    first_steps = jnp.sum(stats.first_find_steps).astype(jnp.float32)
    later_steps = jnp.sum(stats.later_steps).astype(jnp.float32)
    per_first = first_steps / jnp.maximum(first_finds, 1)
    return jnp.where(later_finds > 0, per_first * later_finds / jnp.maximum(later_steps, 1), 0)

