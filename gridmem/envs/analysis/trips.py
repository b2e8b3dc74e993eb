"""Where an agent went in an episode, trip by trip. A trip ends with a find."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float32, Int32, Integer, UInt8

from gridmem.envs.analysis.shortest_paths import FAR, distances, steps_by_move
from gridmem.envs.env import Env
from gridmem.envs.types import Level, State

_MOVES = np.array([[-1, 0], [0, 1], [1, 0], [0, -1]], np.int32)  # in the order of `Action`


class Trip(NamedTuple):
    """One trip of one agent.

    Attributes:
        begin: actions taken before it.
        steps: actions of this trip.
        shortest: steps of the shortest path to a goal from where it began, on the map as it then
            was; 0 if there was none.
        found: whether it ended with a find, and not with the episode.
        cells: where the agent stood before each of the actions, and where the last one led to:
            the goal, if it was found, though the agent was moved on from there at once.
        tiles: the map as it was when the trip began.
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
    """All trips of one agent in order; the last one may be without a find.

    Args:
        env: the environment.
        level: where the episode was played.
        actions: what all agents did, at most `env.max_steps` times.
        agent: whose trips.

    Raises:
        ValueError: if there are too many actions, or none.
    """
    num_steps = len(actions)
    if not 0 < num_steps <= env.max_steps:
        raise ValueError(f"there are {num_steps} actions; there must be 1 to {env.max_steps}")
    # Always a whole episode, so that there is one program to compile.
    padded = np.full((env.max_steps, env.num_agents), env.num_actions, np.int32)
    padded[:num_steps] = actions
    walked = _walk(env, level, padded)
    tiles, position, reward = (np.asarray(x)[: num_steps + 1] for x in walked)
    finds = np.flatnonzero(reward[:, agent] > 0).tolist()
    ends = finds if finds and finds[-1] == num_steps else [*finds, num_steps]
    found = []
    for begin, end in zip([0, *finds], ends, strict=False):
        cells = position[begin : end + 1, agent].copy()
        if end in finds:  # afterwards it stands where it was moved to
            cells[-1] = cells[-2] + _MOVES[actions[end - 1, agent]]
        shortest = int(_shortest(env, tiles[begin], position[begin, agent]))
        found.append(Trip(begin, end - begin, shortest, end in finds, cells, tiles[begin]))
    return found


def visits(cells: Integer[np.ndarray, "n 2"], height: int, width: int) -> Int32[np.ndarray, "H W"]:
    """How often each cell of a map of that size occurs."""
    count = np.zeros((height, width), np.int32)
    np.add.at(count, (cells[:, 0], cells[:, 1]), 1)
    return count


def seen_cells(
    cells: Integer[np.ndarray, "n 2"], view_size: int, height: int, width: int
) -> Bool[np.ndarray, "H W"]:
    """The cells of a map of that size that an agent has seen which stood on these."""
    seen, half = np.zeros((height, width), bool), view_size // 2
    for row, column in np.unique(cells, axis=0):
        seen[max(row - half, 0) : row + half + 1, max(column - half, 0) : column + half + 1] = True
    return seen


@partial(jax.jit, static_argnums=0)
def _walk(
    env: Env, level: Level, actions: Int32[Array, "T A"]
) -> tuple[UInt8[Array, "times H W"], Int32[Array, "times A 2"], Float32[Array, "times A"]]:
    """Maps, positions, and last rewards at all times from the start."""

    def told(state: State) -> tuple[Array, Array, Array]:
        return state.world.tiles, state.world.position, state.last_reward

    def step(state: State, action: Array) -> tuple[State, tuple[Array, Array, Array]]:
        state, _ = env.step(state, action)
        return state, told(state)

    start, _ = env.start(level)
    _, after = lax.scan(step, start, actions)
    return jax.tree.map(lambda x, xs: jnp.concatenate([x[None], xs]), told(start), after)


@partial(jax.jit, static_argnums=0)
def _shortest(
    env: Env, tiles: UInt8[Array, "H W"], position: Int32[Array, "2"]
) -> Int32[Array, ""]:
    dig_steps = env.config.dig_steps
    distance = distances(tiles, dig_steps)
    steps = jnp.min(steps_by_move(tiles, distance, position[None], dig_steps))
    return jnp.where(steps < FAR, steps, 0)
