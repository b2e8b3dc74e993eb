"""Shortest paths to the goals of a map, including digging."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float32, Int32, UInt8, UInt32

from gridmem.envs.batch.chunks import update_in_chunks
from gridmem.envs.bitset import pack, unpack
from gridmem.envs.checks import check_whole_number, refuse_forks
from gridmem.envs.env import Env
from gridmem.envs.levels import checked_levels
from gridmem.envs.types import Level, Tile

UNREACHABLE = 2**29
"""The distance where there is no path."""

LEVELS_PER_CHUNK = 500  # of whole episodes: bounds their memory
MAPS_PER_CHUNK = 4

MOVES = np.array([[-1, 0], [0, 1], [1, 0], [0, -1]], np.int32)
"""(row, column) offset of each `Action`."""
_NOTHING = np.uint32(0xFFFFFFFF)


def distances(tiles: UInt8[Array, "H W"], dig_steps: int) -> Int32[Array, "H W"]:
    """Steps from every cell to the nearest goal on the map; `UNREACHABLE` (2**29) without a path.

    Entering floor or a goal takes 1 step, entering rock `dig_steps` + 2; if `dig_steps` is 0, rock
    cannot be entered, and neither can other tiles. The distance of a goal itself is 0. The map
    needs no ring of wall.

    Breadth-first search with all cells of one distance as a set of bits. The distances are kept
    as bit planes, from which the search finds the rock cells that are left after the delay.

    Args:
        tiles: u8[H, W], ids of `Tile`, goals included.
        dig_steps: as in `EnvConfig`.

    Raises:
        RuntimeError: in a process forked from one that had already used JAX.
    """
    refuse_forks()
    height, width = tiles.shape
    goal = pack(tiles == Tile.GOAL)
    quick = pack(tiles == Tile.FLOOR) | goal
    slow = pack((tiles == Tile.ROCK) & (dig_steps > 0))
    delay = dig_steps + 2 if dig_steps else 1
    num_planes = min(height * width * delay, UNREACHABLE - 1).bit_length()
    plane = np.arange(num_planes, dtype=np.int32).reshape(-1, 1, 1)

    def digits(number: Array) -> UInt32[Array, "planes 1 1"]:
        return jnp.where((number >> plane) & 1 == 1, _NOTHING, np.uint32(0))

    def unfinished(carry: tuple[Array, ...]) -> Bool[Array, ""]:
        _, idle, _, reached, _ = carry
        return (idle < delay) & jnp.any(reached != quick | slow)

    def next_step(carry: tuple[Array, ...]) -> tuple[Array, ...]:
        steps, idle, new, reached, planes = carry
        steps = steps + 1
        leaving = new & quick
        if dig_steps:
            differs = planes ^ digits(steps - delay)
            leaving |= slow & reached & ~lax.reduce(differs, np.uint32(0), lax.bitwise_or, (0,))
        new = _neighbours(leaving) & (quick | slow) & ~reached
        idle = jnp.where(jnp.any(new != 0), 0, idle + 1)
        return steps, idle, new, reached | new, planes | (digits(steps) & new[None])

    planes = jnp.zeros_like(goal, shape=(num_planes, *goal.shape))
    zero = jnp.zeros_like(goal, jnp.int32, shape=())
    *_, reached, planes = lax.while_loop(unfinished, next_step, (zero, zero, goal, goal, planes))
    bits = jax.vmap(lambda bits: unpack(bits, width))(planes)
    steps = jnp.sum(jnp.where(bits, np.int32(1) << plane, 0), axis=0, dtype=jnp.int32)
    return jnp.where(unpack(reached, width), steps, UNREACHABLE)


def difficulty(levels: Any, dig_steps: int = 0) -> Float32[np.ndarray, " N"]:
    """How far the goals of levels are: the mean steps of shortest paths from their spawns.

    Args:
        levels: a `Level` with leaves [N, ...], as `gridmem.levels` gives them.
        dig_steps: as in `EnvConfig`; if it is 0, rock cannot be entered.

    Returns:
        f32[N]; infinity where a spawn has no path to a goal.

    Raises:
        ValueError: for an invalid level, or negative `dig_steps`.
    """
    check_whole_number("dig_steps", dig_steps, 0)
    levels = checked_levels(levels)
    return np.array(_difficulty(levels, dig_steps))


@partial(jax.jit, static_argnums=1)
def _difficulty(levels: Level, dig_steps: int) -> Float32[Array, " N"]:
    def mean_steps(level: Level) -> Float32[Array, ""]:
        steps = distances(level.tiles, dig_steps)[level.spawns[:, 0], level.spawns[:, 1]]
        return jnp.where(jnp.any(steps == UNREACHABLE), jnp.inf, jnp.mean(steps, dtype=jnp.float32))

    return lax.map(mean_steps, jax.tree.map(jnp.asarray, levels), batch_size=MAPS_PER_CHUNK)


def steps_by_move(
    tiles: UInt8[Array, "H W"],
    distance: Int32[Array, "H W"],
    position: Int32[Array, "A 2"],
    dig_steps: int,
) -> Int32[Array, "A 4"]:
    """Steps to the nearest goal for each first move, in the order of `Action`.

    Args:
        tiles: the map as it is now.
        distance: from `distances`, of this map or an earlier one, before rock was dug.
        position: cells that are not on the edge of the map.
        dig_steps: as in `distances`.

    Returns:
        Steps, `UNREACHABLE` where a move leads to no goal.
    """
    target = position[:, None] + MOVES[None]
    at = target[..., 0], target[..., 1]
    tile = tiles.at[at].get(mode="promise_in_bounds")
    cost = jnp.where((tile == Tile.FLOOR) | (tile == Tile.GOAL), 1, UNREACHABLE)
    if dig_steps:
        cost = jnp.where(tile == Tile.ROCK, min(dig_steps + 2, UNREACHABLE), cost)
    return jnp.minimum(cost + distance.at[at].get(mode="promise_in_bounds"), UNREACHABLE)


def shortest_steps(
    tiles: UInt8[Array, "H W"],
    distance: Int32[Array, "H W"],
    position: Int32[Array, "A 2"],
    dig_steps: int,
) -> Int32[Array, " A"]:
    """Steps of the shortest path to a goal that each agent can walk, 0 if there is none.

    An agent on a goal has to leave it first. The arguments are those of `steps_by_move`.
    """
    steps = jnp.min(steps_by_move(tiles, distance, position, dig_steps), axis=1)
    return jnp.where(steps < UNREACHABLE, steps, 0)


def paths_are_fixed(env: Env) -> bool:
    """Whether shortest paths cannot change in an episode: goals are fixed, rock is not dug.

    A task that does not say so in a property `goals_are_fixed` may move goals.
    """
    return getattr(env.config.task, "goals_are_fixed", False) and env.config.dig_steps == 0


def refresh_distances(
    env: Env,
    mask: Bool[Array, " N"],
    distance: Int32[Array, "N H W"],
    tiles: UInt8[Array, "N H W"],
) -> Int32[Array, "N H W"]:
    """`distances`, updated for the marked environments, unless paths are fixed."""
    if paths_are_fixed(env):
        return distance

    def make(rows: Int32[Array, " c"]) -> Int32[Array, "c H W"]:
        return jax.vmap(partial(distances, dig_steps=env.config.dig_steps))(tiles[rows])

    return update_in_chunks(mask, distance, make, MAPS_PER_CHUNK)


def _neighbours(cells: UInt32[Array, "words H"]) -> UInt32[Array, "words H"]:
    """The cells one step away from a set."""
    beside = (cells << 1) | (cells >> 1)
    if len(cells) > 1:
        beside |= jnp.pad(cells[:-1] >> 31, ((1, 0), (0, 0)))
        beside |= jnp.pad(cells[1:] << 31, ((0, 1), (0, 0)))
    rows = jnp.pad(cells, ((0, 0), (1, 1)))
    return beside | rows[:, 2:] | rows[:, :-2]
