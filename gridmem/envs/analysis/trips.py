"""The trips of an agent in an episode. A trip ends with a find, a step with a reward."""

from functools import partial
from itertools import pairwise
from typing import NamedTuple

import jax
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float32, Int32, Integer, UInt8

from gridmem.envs.analysis.shortest_paths import MOVES, distances, shortest_steps
from gridmem.envs.env import Env
from gridmem.envs.types import Level, State


class Trip(NamedTuple):
    """One trip of one agent.

    Attributes:
        begin: steps of the episode before it.
        steps: steps of this trip.
        shortest: steps of the shortest path from its first cell to a goal on the map when it began;
            0 if there was none.
        found: whether it ended with a find, and not with the episode.
        cells: the agent's cell before each step and after the last one; after a find, the goal's
            cell, from which the agent was moved within the step.
        tiles: the map when it began.
    """

    begin: int
    steps: int
    shortest: int
    found: bool
    cells: Int32[np.ndarray, "n 2"]
    tiles: UInt8[np.ndarray, "H W"]


def trips(
    env: Env, level: Level, actions: Integer[np.ndarray, "T A"], agent: int = 0
) -> list[Trip]:
    """All trips of one agent in order; the last one may have ended without a find.

    Raises:
        ValueError: if the number of steps T is not 1 to `env.max_steps`.
    """
    num_steps = len(actions)
    if not 0 < num_steps <= env.max_steps:
        raise ValueError(f"there are {num_steps} actions; there must be 1 to {env.max_steps}")
    # A whole episode for every T, so that it is compiled once; states are recorded before actions.
    padded = np.full((env.max_steps + 1, env.num_agents), env.num_actions, np.int32)
    padded[:num_steps] = actions
    walked = _walk(env, level, padded)
    tiles, position, reward = (np.asarray(x)[: num_steps + 1] for x in walked)
    finds = find_times(reward[:, agent])
    result = []
    for begin, end in pairwise(dict.fromkeys([0, *finds, num_steps])):
        cells = position[begin : end + 1, agent].copy()
        if end in finds:  # the position after a find is the next spawn
            cells[-1] = cells[-2] + MOVES[actions[end - 1, agent]]
        shortest = int(_shortest_from(env, tiles[begin], position[begin, agent]))
        result.append(Trip(begin, end - begin, shortest, end in finds, cells, tiles[begin]))
    return result


def find_times(reward: Float32[np.ndarray, " times"]) -> list[int]:
    """The times of an agent's finds, from its rewards at times 0 (the start), 1, 2, ..."""
    return np.flatnonzero(reward > 0).tolist()


def trip_steps(times: list[int]) -> list[int]:
    """Steps of each trip that ended with a find, from the times of the finds."""
    return np.diff(times, prepend=0).tolist()


def seen_cells(
    cells: Integer[np.ndarray, "n 2"], view_size: int, height: int, width: int
) -> Bool[np.ndarray, "H W"]:
    """The cells of an H x W map that were in view from at least one of `cells`."""
    seen, half = np.zeros((height, width), bool), view_size // 2
    for row, column in np.unique(cells, axis=0):
        seen[max(row - half, 0) : row + half + 1, max(column - half, 0) : column + half + 1] = True
    return seen


@partial(jax.jit, static_argnums=0)
def _walk(env: Env, level: Level, actions: Array) -> tuple[Array, Array, Array]:
    """Maps [T,H,W], positions [T,A,2] and last rewards [T,A] before each of T actions."""

    def step(state: State, action: Array) -> tuple[State, tuple[Array, Array, Array]]:
        following, _ = env.step(state, action)
        return following, (state.world.tiles, state.world.position, state.last_reward)

    start, _ = env.start(level)
    return lax.scan(step, start, actions)[1]


@partial(jax.jit, static_argnums=0)
def _shortest_from(env: Env, tiles: Array, position: Array) -> Int32[Array, ""]:
    dig_steps = env.config.dig_steps
    return shortest_steps(tiles, distances(tiles, dig_steps), position[None], dig_steps)[0]
