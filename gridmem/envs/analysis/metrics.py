"""Metrics of memory, the same in training, evaluation and play."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32, Float64, Int32, Integer

from gridmem.envs.analysis.trace import Trace, trace
from gridmem.envs.env import Env
from gridmem.envs.types import Level

MIN_FOUND_AGAIN = 30
"""The number of episodes with two finds or more from which on a memory gain is shown.

Without memory, the gain of so many episodes is between 0.6 and 1.55 in 95 % of the cases; that of
10 episodes between 0.4 and 2. See docs/evaluation.md.
"""


class EpisodeStats(NamedTuple):
    """Statistics of episodes from their rewards alone; times in steps."""

    episode_return: Float32[Array, "*B"]
    visits: Int32[Array, "*B"]
    first_find_steps: Int32[Array, "*B"]  # up to and including the first find; all if none
    later_trip_steps: Float32[Array, "*B"]  # mean of the trips from one find to the next; 0 if none


class EpisodeMetrics(NamedTuple):
    """Metrics of N episodes for each agent; times in steps.

    A later trip is that from one find to the next; means are over those that ended with a find.

    Attributes:
        episode_return: f32[N, A], sum of rewards.
        visits: i32[N, A], finds.
        first_find_steps: i32[N, A], up to and including the first find; all steps if none.
        later_trip_steps: f32[N, A], mean length of a later trip; 0 if none.
        later_trip_shortest: f32[N, A], mean length of their shortest paths; 0 if none.
        path_ratio: f32[N, A], shortest / taken steps, each summed over later trips; nan if none.
        unseen_steps: f32[N, A], mean steps of a later trip until a goal is in view; 0 if none.
        digs: i32[N, A], rocks dug.
        bumps: i32[N, A], moves into cells that cannot be entered, unless busy.
    """

    episode_return: Float32[Array, "N A"]
    visits: Int32[Array, "N A"]
    first_find_steps: Int32[Array, "N A"]
    later_trip_steps: Float32[Array, "N A"]
    later_trip_shortest: Float32[Array, "N A"]
    path_ratio: Float32[Array, "N A"]
    unseen_steps: Float32[Array, "N A"]
    digs: Int32[Array, "N A"]
    bumps: Int32[Array, "N A"]


Episodes = EpisodeStats | EpisodeMetrics | Mapping[str, Any]
"""Of N episodes for each agent, leaves [N, A]; a mapping has the numbers of other statistics.

In a mapping, "unfinished" marks episodes that were cut off; they count for nothing else.
"""


def measure(
    env: Env, levels: Level, actions: Integer[Array | np.ndarray, "N T A"]
) -> EpisodeMetrics:
    """The metrics of episodes, computed by replaying them.

    Shortest paths are those of the map at the start of a trip. With several agents, another one may
    dig a tunnel or move a goal during the trip, so the path ratio can exceed 1.

    Args:
        env: the environment.
        levels: one level per episode, leaves [N, ...].
        actions: integers, of the first T steps of the episodes; T is at most `env.max_steps`.

    Raises:
        ValueError: if the actions are not integers, or their shape does not fit.
    """
    traced = trace(env, levels, actions)
    with jax.debug_nans(False):  # an undefined path ratio is nan on purpose
        return episode_metrics(traced)


@jax.jit
def episode_metrics(traced: Trace) -> EpisodeMetrics:
    """The metrics of traced episodes."""
    reward, shortest, unseen, dug, bumped = (jnp.swapaxes(leaf, 0, 1) for leaf in traced)
    stats = episode_stats(reward)
    found, time, first, last = _finds(reward)
    begins_trip = found & (time < last[None])  # the trip after the last find does not count
    shortest_total = jnp.sum(jnp.where(begins_trip, shortest, 0), axis=0, dtype=jnp.int32)
    in_later_trip = (first[None] <= time) & (time < last[None])
    unseen_total = jnp.sum(unseen & in_later_trip, axis=0, dtype=jnp.int32)
    shortest_mean = _per_later_trip(shortest_total, stats.visits)
    return EpisodeMetrics(
        **stats._asdict(),
        later_trip_shortest=shortest_mean,
        path_ratio=jnp.where(stats.visits > 1, shortest_mean / stats.later_trip_steps, jnp.nan),
        unseen_steps=_per_later_trip(unseen_total, stats.visits),
        digs=jnp.sum(dug, axis=0, dtype=jnp.int32),
        bumps=jnp.sum(bumped, axis=0, dtype=jnp.int32),
    )


def episode_stats(reward: Float32[Array, "T *B"]) -> EpisodeStats:
    """Statistics of whole episodes; a find is a step with a reward above 0."""
    found, _, first, last = _finds(reward)
    num_finds = jnp.sum(found, axis=0, dtype=jnp.int32)
    return EpisodeStats(
        episode_return=jnp.sum(reward, axis=0),
        visits=num_finds,
        first_find_steps=first,
        later_trip_steps=_per_later_trip(last - first, num_finds),
    )


def memory_gain(stats: EpisodeStats | EpisodeMetrics) -> Float32[Array, ""]:
    """How many times faster the goal is found again than for the first time.

    Over the episodes with two finds or more: the mean of the steps to the first find, divided by
    the mean over episodes of the mean steps of a later trip. On maps with permanent walls it is 1
    in expectation for an agent without memory, however the maps differ: its trips in an episode are
    identically distributed, also given that n of them ended within the time limit. Dug tunnels
    shorten later trips also without memory. 0 if there is no such episode.

    Args:
        stats: the metrics of episodes, [N, A].

    Returns:
        f32[].
    """
    counted = stats.visits > 1
    first = jnp.sum(jnp.where(counted, stats.first_find_steps, 0)).astype(jnp.float32)
    later = jnp.sum(jnp.where(counted, stats.later_trip_steps, 0.0))
    return first / jnp.maximum(later, 1.0)


def summary(metrics: Episodes) -> dict[str, float | None]:
    """Means of the metrics of many episodes, JSON-able.

    Args:
        metrics: what `measure` returns, leaves [N, A].

    Returns:
        For each field of `metrics` its mean over all agents and episodes or, for fields about later
        trips, over those that have one; "return_standard_error", that of the mean return over
        levels; "memory_gain", where finds are known. None if no goal was found twice, and for the
        error of a single level.
    """
    means = {
        name: float(numerator.sum() / denominator.sum()) if denominator.any() else None
        for name, (numerator, denominator) in ratios(metrics).items()
    }
    per_level = level_returns(metrics)
    many, root = len(per_level) > 1, len(per_level) ** 0.5
    means["return_standard_error"] = float(per_level.std(ddof=1)) / root if many else None
    return means


def level_returns(metrics: Episodes) -> Float64[np.ndarray, " N"]:
    """The mean return of the agents on each level; those without a finished episode are omitted."""
    if not isinstance(metrics, Mapping):
        return np.asarray(metrics.episode_return, np.float64).mean(axis=1)
    total, number = ratios(metrics)["episode_return"]
    return total[number > 0] / number[number > 0]


def ratios(
    metrics: Episodes,
) -> dict[str, tuple[Float64[np.ndarray, " N"], Float64[np.ndarray, " N"]]]:
    """The numbers of `summary`, except the standard error, as ratios of sums over levels.

    Returns:
        name -> (numerators, denominators), one of each for each level.
    """
    leaves = metrics if isinstance(metrics, Mapping) else metrics._asdict()
    values = {name: np.asarray(leaf, np.float64) for name, leaf in leaves.items()}
    none = np.zeros_like(values["episode_return"])
    every, finished = none == 0, values.get("unfinished", none) == 0
    again = finished & (values.get("visits", none) > 1)

    def total(name: str, counted: np.ndarray) -> np.ndarray:
        return np.where(counted, values[name], 0).sum(axis=1)

    terms = {}
    for name in values:
        counted = again if name in _OF_LATER_TRIPS else finished
        counted = every if name == "unfinished" else counted
        terms[name] = total(name, counted), counted.sum(axis=1).astype(np.float64)
    if "visits" in values:
        terms["memory_gain"] = total("first_find_steps", again), total("later_trip_steps", again)
    return terms


_OF_LATER_TRIPS = {"later_trip_steps", "later_trip_shortest", "path_ratio", "unseen_steps"}


def _finds(reward: Array) -> tuple[Array, Array, Array, Array]:
    """Which steps are finds; the times 1 to T; those of the first find (T if there is none) and
    of the last (0 if there is none).
    """
    time = jnp.arange(1, len(reward) + 1, dtype=jnp.int32).reshape(-1, *[1] * (reward.ndim - 1))
    found = reward > 0
    first = jnp.min(jnp.where(found, time, len(reward)), axis=0)
    return found, time, first, jnp.max(jnp.where(found, time, 0), axis=0)


def _per_later_trip(total: Array, num_finds: Array) -> Float32[Array, "*B"]:
    """The mean over later trips that ended with a find; 0 if there is none."""
    num_trips = jnp.maximum(num_finds - 1, 1).astype(jnp.float32)
    return jnp.where(num_finds > 1, total, 0).astype(jnp.float32) / num_trips
