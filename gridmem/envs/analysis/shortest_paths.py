"""Shortest paths to the goals of a map, digging included."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Int32, UInt8, UInt32

from gridmem.envs.batch.chunks import update_rows
from gridmem.envs.bitset import pack, unpack
from gridmem.envs.env import Env
from gridmem.envs.tasks import Return
from gridmem.envs.types import Tile

FAR = 2**29
"""The distance to what cannot be reached."""

LEVELS_AT_A_TIME = 500  # of whole episodes: bounds their memory
PATHS_AT_A_TIME = 4

_MOVES = np.array([[-1, 0], [0, 1], [1, 0], [0, -1]], np.int32)  # in the order of `Action`
_NOTHING = np.uint32(0xFFFFFFFF)


def distances(tiles: UInt8[Array, "H W"], dig_steps: int) -> Int32[Array, "H W"]:
    """Steps from every cell to the nearest goal that is drawn; `FAR` from where there is no way.

    Entering a cell costs 1 step, entering rock `dig_steps` + 2, or it cannot be done if
    `dig_steps` is 0; walls, and other tiles, are never entered. No ring of wall is needed.
    Entering a goal ends a path: a goal's own distance is 0, also for who stands on one.

    Breadth first, all cells of one distance at once as a set of bits. What was reached through
    rock waits for its turn; which turn that was is read off the distances, kept as bit planes.
    """
    height, width = tiles.shape
    goal = pack(tiles == Tile.GOAL)
    quick = pack(tiles == Tile.FLOOR) | goal
    slow = pack((tiles == Tile.ROCK) & (dig_steps > 0))
    delay = dig_steps + 2 if dig_steps else 1
    num_planes = min(height * width * delay, FAR - 1).bit_length()
    plane = np.arange(num_planes, dtype=np.int32).reshape(-1, 1, 1)

    def digits(number: Array) -> UInt32[Array, "planes 1 1"]:
        return jnp.where((number >> plane) & 1 == 1, _NOTHING, np.uint32(0))

    def unfinished(carry: tuple[Array, ...]) -> Bool[Array, ""]:
        _, idle, _, reached, _ = carry
        return (idle < delay) & jnp.any(reached != quick | slow)

    def one_step_more(carry: tuple[Array, ...]) -> tuple[Array, ...]:
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
    start = (zero, zero, goal, goal, planes)
    _, _, _, reached, planes = lax.while_loop(unfinished, one_step_more, start)
    bits = jax.vmap(lambda bits: unpack(bits, width))(planes)
    steps = jnp.sum(jnp.where(bits, np.int32(1) << plane, 0), axis=0, dtype=jnp.int32)
    return jnp.where(unpack(reached, width), steps, FAR)


def steps_by_move(
    tiles: UInt8[Array, "H W"],
    distance: Int32[Array, "H W"],
    position: Int32[Array, "A 2"],
    dig_steps: int,
) -> Int32[Array, "A 4"]:
    """Steps to the nearest goal if the first of them is up, right, down or left; at most `FAR`.

    Args:
        tiles: the map as it is now.
        distance: from `distances`; it may be of an earlier time, before some rock was dug.
        position: cells that do not lie on the edge.
        dig_steps: as in `distances`.
    """
    target = position[:, None] + _MOVES[None]
    at = target[..., 0], target[..., 1]
    tile = tiles.at[at].get(mode="promise_in_bounds")
    cost = jnp.where((tile == Tile.FLOOR) | (tile == Tile.GOAL), 1, FAR)
    if dig_steps:
        cost = jnp.where(tile == Tile.ROCK, min(dig_steps + 2, FAR), cost)
    return jnp.minimum(cost + distance.at[at].get(mode="promise_in_bounds"), FAR)


def paths_are_fixed(env: Env) -> bool:
    """Whether shortest paths stay as they are for a whole episode: nothing is dug or moved."""
    task = env.config.task
    return isinstance(task, Return) and not task.goal_moves and env.config.dig_steps == 0


def renewed(
    env: Env,
    marked: Bool[Array, " N"],
    distance: Int32[Array, "N H W"],
    tiles: UInt8[Array, "N H W"],
) -> Int32[Array, "N H W"]:
    """`distances`, computed anew for the marked environments, unless paths are fixed."""
    if paths_are_fixed(env):
        return distance

    def make(rows: Int32[Array, " g"]) -> Int32[Array, "g H W"]:
        return jax.vmap(partial(distances, dig_steps=env.config.dig_steps))(tiles[rows])

    return update_rows(marked, distance, make, PATHS_AT_A_TIME)


def _neighbours(cells: UInt32[Array, "words H"]) -> UInt32[Array, "words H"]:
    """The cells one step away from a set."""
    beside = (cells << 1) | (cells >> 1)
    if len(cells) > 1:
        beside |= jnp.pad(cells[:-1] >> 31, ((1, 0), (0, 0)))
        beside |= jnp.pad(cells[1:] << 31, ((0, 1), (0, 0)))
    rows = jnp.pad(cells, ((0, 0), (1, 1)))
    return beside | rows[:, 2:] | rows[:, :-2]
