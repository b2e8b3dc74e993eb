"""What an episode says about memory; the same numbers in training, evaluation and play."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float32, Int32


class EpisodeStats(NamedTuple):
    """Per stream, over one whole episode; times in steps."""

    episode_return: Float32[Array, " B"]
    visits: Int32[Array, " B"]
    first_find_steps: Int32[Array, " B"]  # up to and including the first find; all if none
    later_trip_steps: Float32[Array, " B"]  # mean of the trips from one find to the next; 0 if none


def episode_stats(reward: Float32[Array, "T B"]) -> EpisodeStats:
    """Statistics of whole episodes; a find is a step that was paid."""
    found = reward > 0
    num_steps = reward.shape[0]
    visits = jnp.sum(found, axis=0, dtype=jnp.int32)
    time = jnp.arange(1, num_steps + 1, dtype=jnp.int32)[:, None]
    first = jnp.min(jnp.where(found, time, num_steps), axis=0)
    last = jnp.max(jnp.where(found, time, 0), axis=0)
    trips = jnp.maximum(visits - 1, 1).astype(jnp.float32)
    between = jnp.maximum(last - first, 0).astype(jnp.float32)
    return EpisodeStats(jnp.sum(reward, axis=0), visits, first, between / trips)


def memory_gain(stats: EpisodeStats) -> Float32[Array, ""]:
    """How many times faster the goal is found again than it was found at first.

    Over the episodes with two finds or more: mean steps to the first find, divided by the mean,
    over episodes, of the steps of a later trip. On permanent walls it is 1 in expectation for
    whoever does not remember, however unequal the caves: without memory all trips of an episode
    are equally distributed, and "n trips were finished in time" treats them alike. Tunnels that
    were dug shorten later trips for everybody. 0 if there is no such episode.
    """
    counted = stats.visits > 1
    first = jnp.sum(jnp.where(counted, stats.first_find_steps, 0)).astype(jnp.float32)
    later = jnp.sum(jnp.where(counted, stats.later_trip_steps, 0.0))
    return first / jnp.maximum(later, 1.0)
