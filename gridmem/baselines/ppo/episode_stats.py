"""Statistics of the episodes that end in a rollout."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float32, Int32

from gridmem.envs.analysis.metrics import EpisodeStats, episode_stats, memory_gain
from gridmem.envs.batch.rollout import Rollout


class EpisodeMeans(NamedTuple):
    """Means over the episodes that ended; 0 if there is none."""

    episode_return: Float32[Array, ""]
    memory_gain: Float32[Array, ""]
    first_find_steps: Float32[Array, ""]
    num_episodes: Float32[Array, ""]
    found_again: Float32[Array, ""]  # episodes with two finds or more, which the gain is of


class EpisodeAccumulator(NamedTuple):
    """Return and finds so far in the episode of each stream."""

    episode_return: Float32[Array, " B"]
    visits: Int32[Array, " B"]
    first: Int32[Array, " B"]  # step of the first find; the number of steps so far if there is none
    last: Int32[Array, " B"]  # step of the last find; 0 if there is none
    time: Int32[Array, " B"]


def init_accumulator(num_streams: int) -> EpisodeAccumulator:
    """The accumulator before the first step."""
    zero = jnp.zeros(num_streams, jnp.int32)
    return EpisodeAccumulator(jnp.zeros(num_streams, jnp.float32), zero, zero, zero, zero)


def accumulate(
    accumulator: EpisodeAccumulator, rollout: Rollout
) -> tuple[EpisodeAccumulator, EpisodeMeans]:
    """Adds a rollout to the episodes of before; the means are over those that ended in it."""

    def step(
        before: EpisodeAccumulator, row: tuple[Array, Array, Array]
    ) -> tuple[EpisodeAccumulator, tuple[EpisodeStats, Array]]:
        reward, valid, done = row
        # A row that is not valid is a reset.
        empty = init_accumulator(len(reward))
        before = jax.tree.map(lambda x, zero: jnp.where(valid, x, zero), before, empty)
        found = valid & (reward > 0)
        time = before.time + valid.astype(jnp.int32)
        visits = before.visits + found.astype(jnp.int32)
        last = jnp.where(found, time, before.last)
        first = jnp.where(before.visits > 0, before.first, time)
        later = (last - first).astype(jnp.float32) / jnp.maximum(visits - 1, 1).astype(jnp.float32)
        total = before.episode_return + jnp.where(valid, reward, 0)
        stats = EpisodeStats(total, visits, first, jnp.where(visits > 1, later, 0.0))
        return EpisodeAccumulator(total, visits, first, last, time), (stats, valid & done)

    done = rollout.terminated | rollout.truncated
    rows = rollout.reward, rollout.valid, done
    accumulator, (stats, ended) = lax.scan(step, accumulator, rows)
    return accumulator, _means(stats, ended)


def whole_episode_means(rollout: Rollout) -> EpisodeMeans:
    """The means over a rollout that is one whole episode of each stream."""
    stats = episode_stats(jnp.where(rollout.valid, rollout.reward, 0))
    length = jnp.sum(rollout.valid, axis=0, dtype=jnp.int32)
    # An episode that the task ended may be shorter than the rollout.
    stats = stats._replace(first_find_steps=jnp.minimum(stats.first_find_steps, length))
    return _means(stats, jnp.ones(stats.visits.shape, bool))


def _means(stats: EpisodeStats, ended: Bool[Array, "*B"]) -> EpisodeMeans:
    num_episodes = jnp.sum(ended, dtype=jnp.float32)

    def mean(x: Array) -> Array:
        return jnp.sum(jnp.where(ended, x.astype(jnp.float32), 0)) / jnp.maximum(num_episodes, 1)

    # Without visits an unfinished episode does not count for the gain.
    counted = stats._replace(visits=jnp.where(ended, stats.visits, 0))
    episode_return, first_find_steps = mean(stats.episode_return), mean(stats.first_find_steps)
    found_again = jnp.sum(counted.visits > 1, dtype=jnp.float32)
    gain = memory_gain(counted)
    return EpisodeMeans(episode_return, gain, first_find_steps, num_episodes, found_again)
