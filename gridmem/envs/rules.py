"""How agents move and dig. Knows tiles, not rewards."""

import jax.numpy as jnp
from jaxtyping import Array, Int32

from gridmem.envs.types import Action, Event, Tile, World


def act(world: World, action: Int32[Array, " A"], dig_steps: int) -> tuple[World, Event]:
    """All agents act at once, each on the tiles and positions as they were before the step.

    Floor and goals are entered, walls are not; agents never block one another. With
    `dig_steps` = n > 0, moving into rock turns it into floor and costs the agent its next n
    actions; with 0, rock is as good as wall. An action id that is none of the four moves does
    nothing, and neither does any action of a busy agent.
    """
    able = world.busy == 0
    down = _sign(action == Action.DOWN, action == Action.UP)
    right = _sign(action == Action.RIGHT, action == Action.LEFT)
    target = world.position + jnp.where(able[:, None], jnp.stack([down, right], axis=-1), 0)
    # One flat index per cell: half the index arithmetic of a (row, column) pair.
    cell = target[:, 0] * world.tiles.shape[1] + target[:, 1]
    tile = world.tiles.reshape(-1).at[cell].get(mode="promise_in_bounds")
    open_ = (tile == Tile.FLOOR) | (tile == Tile.GOAL)
    moving = able & ((down != 0) | (right != 0))
    position = jnp.where(open_[:, None], target, world.position)
    tiles, busy, dug = world.tiles, world.busy, jnp.zeros_like(able)
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
