"""The rules of movement and digging, independent of rewards."""

import jax.numpy as jnp
from jaxtyping import Array, Int32

from gridmem.envs.types import Action, Event, Tile, World


def act(world: World, action: Int32[Array, " A"], dig_steps: int) -> tuple[World, Event]:
    """All agents act at once, each on the tiles and positions before the step.

    Agents can enter floor and goals, and do not block one another. With `dig_steps` = n > 0, moving
    into rock turns it into floor, and the agent is busy for its next n actions; with 0, rock is
    like wall. Other action ids, and all actions of a busy agent, do nothing.
    """
    can_act = world.busy == 0
    down = _sign(action == Action.DOWN, action == Action.UP)
    right = _sign(action == Action.RIGHT, action == Action.LEFT)
    target = world.position + jnp.where(can_act[:, None], jnp.stack([down, right], axis=-1), 0)
    # One flat index per cell: half the index arithmetic of a (row, column) pair.
    cell = target[:, 0] * world.tiles.shape[1] + target[:, 1]
    tile = world.tiles.reshape(-1).at[cell].get(mode="promise_in_bounds")
    open_ = (tile == Tile.FLOOR) | (tile == Tile.GOAL)
    moving = can_act & ((down != 0) | (right != 0))
    position = jnp.where(open_[:, None], target, world.position)
    tiles, busy, dug = world.tiles, world.busy, jnp.zeros_like(can_act)
    if dig_steps:
        dug = tile == Tile.ROCK
        # Agents that share a target read the same tile, so they write the same one too.
        after = jnp.where(dug, jnp.uint8(Tile.FLOOR), tile)
        flat = tiles.reshape(-1).at[cell].set(after, mode="promise_in_bounds")
        tiles = flat.reshape(tiles.shape)
        busy = jnp.where(dug, dig_steps, jnp.maximum(busy - 1, 0))
    return World(tiles, position, busy), Event(tile, moving & open_, dug)


def _sign(plus: Array, minus: Array) -> Int32[Array, " A"]:
    return plus.astype(jnp.int32) - minus.astype(jnp.int32)
