"""What an episode says about memory; the same numbers in training, evaluation and play."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32, Float64, Int32, Integer

from gridmem.envs.analysis.trace import Trace, trace
from gridmem.envs.env import Env
from gridmem.envs.types import Level

MIN_FOUND_AGAIN = 30
"""Episodes with two finds or more from which on a memory gain is worth showing.

Of so many episodes, that of a player without memory lies between 0.6 and 1.55 in 95 of 100
cases; of 10, between 0.4 and 2. See docs/evaluation.md.
"""


class EpisodeStats(NamedTuple):
    """What rewards alone tell of an episode, per stream; times in steps."""

    episode_return: Float32[Array, "*B"]
    visits: Int32[Array, "*B"]
    first_find_steps: Int32[Array, "*B"]  # up to and including the first find; all if none
    later_trip_steps: Float32[Array, "*B"]  # mean of the trips from one find to the next; 0 if none


class EpisodeMetrics(NamedTuple):
    """What an episode tells of each agent; times in steps.

    A later trip leads from one find to the next; means are over those that were finished.
    """

    episode_return: Float32[Array, "N A"]
    visits: Int32[Array, "N A"]
    first_find_steps: Int32[Array, "N A"]  # up to and including the first find; all if none
    later_trip_steps: Float32[Array, "N A"]  # mean; 0 if none
    later_trip_shortest: Float32[Array, "N A"]  # mean of their shortest paths; 0 if none
    path_ratio: Float32[Array, "N A"]  # shortest / taken, summed over later trips; nan if none
    unseen_steps: Float32[Array, "N A"]  # mean, of a later trip until a goal is in view; 0 if none
    digs: Int32[Array, "N A"]
    bumps: Int32[Array, "N A"]  # moves into what cannot be entered; ignored actions are none


def measure(
    env: Env, levels: Level, actions: Integer[Array | np.ndarray, "N T A"]
) -> EpisodeMetrics:
    """The metrics of episodes, by playing them once more.

    Shortest paths are those of the map at the start of a trip. Where several agents play, others
    may dig a tunnel or bring a goal nearer in the meantime, so that the path ratio exceeds 1.

    Args:
        env: the environment.
        levels: one level per episode, leaves [N, ...].
        actions: all that was done, whole numbers; see `trace`.

    Raises:
        ValueError: as `trace` does.
    """
    return episode_metrics(trace(env, levels, actions))


def episode_metrics(traced: Trace) -> EpisodeMetrics:
    """The metrics of episodes that were traced."""
    with jax.debug_nans(False):  # a path ratio that does not exist is meant to be nan
        return _episode_metrics(traced)


@jax.jit
def _episode_metrics(traced: Trace) -> EpisodeMetrics:
    reward, shortest, unseen, dug, bumped = (jnp.swapaxes(leaf, 0, 1) for leaf in traced)
    stats = episode_stats(reward)
    found, first, last = _finds(reward)
    time = _times(reward)
    begun = found & (time < last[None])  # the last find begins no finished trip
    walked = jnp.sum(jnp.where(begun, shortest, 0), axis=0, dtype=jnp.int32)
    underway = (first[None] <= time) & (time < last[None])
    blind = jnp.sum(unseen & underway, axis=0, dtype=jnp.int32)
    shortest_mean = _per_later_trip(walked, stats.visits)
    return EpisodeMetrics(
        **stats._asdict(),
        later_trip_shortest=shortest_mean,
        path_ratio=jnp.where(stats.visits > 1, shortest_mean / stats.later_trip_steps, jnp.nan),
        unseen_steps=_per_later_trip(blind, stats.visits),
        digs=jnp.sum(dug, axis=0, dtype=jnp.int32),
        bumps=jnp.sum(bumped, axis=0, dtype=jnp.int32),
    )


def episode_stats(reward: Float32[Array, "T *B"]) -> EpisodeStats:
    """Statistics of whole episodes; a find is a step that was paid."""
    found, first, last = _finds(reward)
    visits = jnp.sum(found, axis=0, dtype=jnp.int32)
    return EpisodeStats(
        episode_return=jnp.sum(reward, axis=0),
        visits=visits,
        first_find_steps=first,
        later_trip_steps=_per_later_trip(last - first, visits),
    )


def memory_gain(stats: EpisodeStats | EpisodeMetrics) -> Float32[Array, ""]:
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


def summary(metrics: EpisodeMetrics) -> dict[str, float | None]:
    """The metrics of many episodes as a few numbers, JSON-able.

    Returns:
        For each field of `EpisodeMetrics` its mean under the field's name, over all agents and
        episodes, or, for what concerns later trips, over those that have one; then
        "return_standard_error", that of the mean return over levels, and "memory_gain". None
        where nothing was found twice, and for the error of a single level.
    """
    numbers = {
        name: float(above.sum() / below.sum()) if below.any() else None
        for name, (above, below) in ratios(metrics).items()
    }
    per_level = np.asarray(metrics.episode_return, np.float64).mean(axis=1)
    many, root = len(per_level) > 1, len(per_level) ** 0.5
    numbers["return_standard_error"] = float(per_level.std(ddof=1)) / root if many else None
    return numbers


def ratios(
    metrics: EpisodeMetrics,
) -> dict[str, tuple[Float64[np.ndarray, " N"], Float64[np.ndarray, " N"]]]:
    """Each mean of `summary`, and the memory gain, as two terms of each level.

    Returns:
        name -> (above, below): the number is sum(above) / sum(below) over levels.
    """
    values = {name: np.asarray(leaf, np.float64) for name, leaf in metrics._asdict().items()}
    again = values["visits"] > 1

    def total(name: str, counted: np.ndarray) -> np.ndarray:
        return np.where(counted, values[name], 0).sum(axis=1)

    terms = {}
    for name in values:
        counted = again if name in _OF_LATER_TRIPS else np.ones_like(again)
        terms[name] = total(name, counted), counted.sum(axis=1).astype(np.float64)
    terms["memory_gain"] = total("first_find_steps", again), total("later_trip_steps", again)
    return terms


_OF_LATER_TRIPS = {"later_trip_steps", "later_trip_shortest", "path_ratio", "unseen_steps"}


def _times(reward: Array) -> Int32[Array, "T *ones"]:
    """1, 2, ... along the time axis."""
    return jnp.arange(1, len(reward) + 1, dtype=jnp.int32).reshape(-1, *[1] * (reward.ndim - 1))


def _finds(reward: Array) -> tuple[Array, Array, Array]:
    """Whether each step is a find, and the times of the first (all steps if none) and the last."""
    found, time = reward > 0, _times(reward)
    first = jnp.min(jnp.where(found, time, len(reward)), axis=0)
    return found, first, jnp.max(jnp.where(found, time, 0), axis=0)


def _per_later_trip(total: Array, visits: Array) -> Float32[Array, "*B"]:
    """The mean over finished later trips, 0 if there is none."""
    trips = jnp.maximum(visits - 1, 1).astype(jnp.float32)
    return jnp.where(visits > 1, total, 0).astype(jnp.float32) / trips
