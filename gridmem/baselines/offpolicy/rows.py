"""A step of all streams, for the replay buffer and for the statistics of episodes."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from gridmem.baselines.model.windows import parts_of
from gridmem.baselines.offpolicy.replay_buffer import Transition
from gridmem.envs.batch.rollout import Rollout
from gridmem.envs.environment import EpisodeStatistics, Part
from gridmem.envs.types import TimeStep


def transition(
    parts: Sequence[Part], now: TimeStep, action: Any, following: TimeStep
) -> Transition:
    """A step of B streams."""
    return Transition(
        obs=parts_of(now.obs, parts),
        action=action,
        reward=following.reward,
        terminated=following.terminated,
        next_obs=parts_of(following.obs, parts),
        time=now.time,
    )


def add_episodes(
    stats: EpisodeStatistics, accumulator: Any, rollout: Rollout
) -> tuple[Any, dict[str, Array]]:
    """`EpisodeStatistics.add` of a rollout whose episodes follow each other without a reset row."""

    def one(before: Any, row: Rollout) -> tuple[Any, dict[str, Array]]:
        after, metrics = stats.add(before, jax.tree.map(lambda leaf: leaf[None], row))
        ended = row.terminated | row.truncated

        def begun(new: Array, old: Array) -> Array:
            return jnp.where(ended.reshape(-1, *[1] * (old.ndim - 1)), new, old)

        return jax.tree.map(begun, stats.init(len(ended)), after), metrics

    accumulator, rows = lax.scan(one, accumulator, rollout)
    counts = rows.pop("num_episodes")
    number = jnp.sum(counts)
    means = {
        name: jnp.sum(jnp.where(counts > 0, counts * values, 0)) / jnp.maximum(number, 1)
        for name, values in rows.items()
    }
    return accumulator, {**means, **stats.derived(means), "num_episodes": number}
