"""Statistics of the episodes that end in a rollout; see `EpisodeStatistics`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float32, Int32

from gridmem.envs.analysis.metrics import (
    MIN_FOUND_AGAIN,
    EpisodeStats,
    episode_stats,
    memory_gain,
)
from gridmem.envs.batch.rollout import Rollout
from gridmem.envs.environment import Column

RETURN = Column("episode_return", "return", 2, "mean return per episode")
LENGTH = Column("episode_length", "length", 1, "mean length of an episode in steps")
ACHIEVEMENT = "achievements/"
"""Begins the name of the metric of an achievement."""


class ReturnAccumulator(NamedTuple):
    """Return and steps so far in the episode of each stream, and its last events."""

    episode_return: Float32[Array, " B"]
    time: Int32[Array, " B"]
    events: Any = ()  # leaves [B, ...]


@dataclass(frozen=True)
class Returns:
    """Return and length: for any environment."""

    @property
    def columns(self) -> tuple[Column, ...]:
        """See `EpisodeStatistics`."""
        return RETURN, LENGTH

    def init(self, num_streams: int) -> ReturnAccumulator:
        """See `EpisodeStatistics`."""
        zero = jnp.zeros(num_streams, jnp.int32)
        return ReturnAccumulator(jnp.zeros(num_streams, jnp.float32), zero)

    def add(
        self, accumulator: ReturnAccumulator, rollout: Rollout
    ) -> tuple[ReturnAccumulator, dict[str, Array]]:
        """See `EpisodeStatistics`."""

        def step(
            before: ReturnAccumulator, row: tuple[Array, Array, Any]
        ) -> tuple[ReturnAccumulator, ReturnAccumulator]:
            reward, valid, events = row
            total = jnp.where(valid, before.episode_return + reward, 0)
            after = ReturnAccumulator(total, jnp.where(valid, before.time + 1, 0), events)
            return after, after

        ended = rollout.valid & (rollout.terminated | rollout.truncated)
        events = () if isinstance(accumulator.events, tuple) else rollout.events
        rows = rollout.reward, rollout.valid, events
        accumulator, after = lax.scan(step, accumulator, rows)
        means = {name: _mean(x, ended) for name, x in self.episodes(after).items()}
        number = jnp.sum(ended, dtype=jnp.float32)
        return accumulator, {**means, **self.derived(means), "num_episodes": number}

    def whole(self, rollout: Rollout) -> dict[str, Array]:
        """See `EpisodeStatistics`."""
        return self.add(self.init(rollout.reward.shape[1]), rollout)[1]

    def episodes(self, accumulator: ReturnAccumulator) -> dict[str, Array]:
        """See `EpisodeStatistics`."""
        length = accumulator.time.astype(jnp.float32)
        return {"episode_return": accumulator.episode_return, "episode_length": length}

    def derived(self, means: Mapping[str, Any]) -> dict[str, Any]:
        """See `EpisodeStatistics`."""
        return {}


@dataclass(frozen=True)
class Achievements(Returns):
    """Return, length, and the share of episodes in which each achievement was unlocked.

    `TimeStep.events` is bool[A, K]: those that were unlocked in the episode so far.

    Attributes:
        names: of the K achievements.
        max_return: the return of an episode with all of them.
    """

    names: tuple[str, ...]
    max_return: float

    @property
    def columns(self) -> tuple[Column, ...]:
        """See `EpisodeStatistics`; the share of an achievement is "achievements/" and its name."""
        rates = [Column(f"{ACHIEVEMENT}{name}", "") for name in self.names]
        percent = Column("return_percent", f"% of {self.max_return:g}", 1)
        score = Column("crafter_score", "Crafter score", 2, "Crafter score in %")
        return RETURN, percent, score, LENGTH, *rates

    def init(self, num_streams: int) -> ReturnAccumulator:
        """See `EpisodeStatistics`."""
        unlocked = jnp.zeros((num_streams, len(self.names)), bool)
        return super().init(num_streams)._replace(events=unlocked)

    def episodes(self, accumulator: ReturnAccumulator) -> dict[str, Array]:
        """See `EpisodeStatistics`."""
        unlocked = accumulator.events.astype(jnp.float32)
        rates = {f"{ACHIEVEMENT}{name}": unlocked[..., k] for k, name in enumerate(self.names)}
        return {**super().episodes(accumulator), **rates}

    def derived(self, means: Mapping[str, Any]) -> dict[str, Any]:
        """The return in per cent of the largest, and Crafter's score (Hafner 2022, section 3.3)."""
        rates = jnp.array([means[f"{ACHIEVEMENT}{name}"] for name in self.names], jnp.float32)
        score = jnp.exp(jnp.mean(jnp.log1p(100 * rates))) - 1
        percent = 100 * means["episode_return"] / self.max_return
        return {"return_percent": percent, "crafter_score": score}


class FindAccumulator(NamedTuple):
    """Return and finds so far in the episode of each stream."""

    episode_return: Float32[Array, " B"]
    visits: Int32[Array, " B"]
    first: Int32[Array, " B"]  # step of the first find; the number of steps so far if there is none
    last: Int32[Array, " B"]  # step of the last find; 0 if there is none
    time: Int32[Array, " B"]


@dataclass(frozen=True)
class Finds:
    """Return, finds and memory gain; a find is a step with a reward above 0."""

    @property
    def columns(self) -> tuple[Column, ...]:
        """See `EpisodeStatistics`."""
        gain = Column("memory_gain", "memory gain", 2, "memory gain", 1.0)
        return (
            RETURN,
            Column("first_find_steps", "first find", 1),
            gain._replace(counted_by="found_again", least=MIN_FOUND_AGAIN),
        )

    def init(self, num_streams: int) -> FindAccumulator:
        """See `EpisodeStatistics`."""
        zero = jnp.zeros(num_streams, jnp.int32)
        return FindAccumulator(jnp.zeros(num_streams, jnp.float32), zero, zero, zero, zero)

    def add(
        self, accumulator: FindAccumulator, rollout: Rollout
    ) -> tuple[FindAccumulator, dict[str, Array]]:
        """See `EpisodeStatistics`."""

        def step(
            before: FindAccumulator, row: tuple[Array, Array, Array]
        ) -> tuple[FindAccumulator, tuple[EpisodeStats, Array]]:
            reward, valid, done = row
            # A row that is not valid is a reset.
            empty = self.init(len(reward))
            before = jax.tree.map(lambda x, zero: jnp.where(valid, x, zero), before, empty)
            found = valid & (reward > 0)
            time = before.time + valid.astype(jnp.int32)
            visits = before.visits + found.astype(jnp.int32)
            last = jnp.where(found, time, before.last)
            first = jnp.where(before.visits > 0, before.first, time)
            total = before.episode_return + jnp.where(valid, reward, 0)
            after = FindAccumulator(total, visits, first, last, time)
            return after, (_find_stats(after), valid & done)

        done = rollout.terminated | rollout.truncated
        rows = rollout.reward, rollout.valid, done
        accumulator, (stats, ended) = lax.scan(step, accumulator, rows)
        return accumulator, _means(stats, ended)

    def whole(self, rollout: Rollout) -> dict[str, Array]:
        """See `EpisodeStatistics`."""
        stats = episode_stats(jnp.where(rollout.valid, rollout.reward, 0))
        length = jnp.sum(rollout.valid, axis=0, dtype=jnp.int32)
        # An episode that the task ended may be shorter than the rollout.
        stats = stats._replace(first_find_steps=jnp.minimum(stats.first_find_steps, length))
        return _means(stats, jnp.ones(stats.visits.shape, bool))

    def episodes(self, accumulator: FindAccumulator) -> dict[str, Array]:
        """See `EpisodeStatistics`."""
        return _find_stats(accumulator)._asdict()

    def derived(self, means: Mapping[str, Any]) -> dict[str, Any]:
        """See `EpisodeStatistics`."""
        return {}


def _find_stats(after: FindAccumulator) -> EpisodeStats:
    later = (after.last - after.first).astype(jnp.float32)
    later = later / jnp.maximum(after.visits - 1, 1).astype(jnp.float32)
    later = jnp.where(after.visits > 1, later, 0.0)
    return EpisodeStats(after.episode_return, after.visits, after.first, later)


def _mean(x: Array, ended: Bool[Array, "*B"]) -> Float32[Array, ""]:
    """Over the episodes that ended; 0 if there is none."""
    num_episodes = jnp.sum(ended, dtype=jnp.float32)
    return jnp.sum(jnp.where(ended, x.astype(jnp.float32), 0)) / jnp.maximum(num_episodes, 1)


def _means(stats: EpisodeStats, ended: Bool[Array, "*B"]) -> dict[str, Array]:
    # Without visits an unfinished episode does not count for the gain.
    counted = stats._replace(visits=jnp.where(ended, stats.visits, 0))
    return {
        "episode_return": _mean(stats.episode_return, ended),
        "memory_gain": memory_gain(counted),
        "first_find_steps": _mean(stats.first_find_steps, ended),
        "num_episodes": jnp.sum(ended, dtype=jnp.float32),
        "found_again": jnp.sum(counted.visits > 1, dtype=jnp.float32),
    }
