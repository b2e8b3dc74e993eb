"""What each agent sees: a square crop of the map around it."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int32, UInt8

from gridmem.envs.types import Tile


def views(
    tiles: UInt8[Array, "H W"], position: Int32[Array, "A 2"], size: int
) -> UInt8[Array, "A size size"]:
    """The `size` x `size` crop around every agent, agents drawn over goals.

    Cells outside the map show as wall: indices are clipped to the ring, which is wall.
    """
    height, width = tiles.shape
    half = size // 2
    offset = np.arange(-half, half + 1, dtype=np.int32)[None, :]
    rows = jnp.clip(position[:, :1] + offset, 0, height - 1)
    columns = jnp.clip(position[:, 1:] + offset, 0, width - 1)
    cells = rows[:, :, None] * width + columns[:, None, :]
    view = tiles.reshape(-1).at[cells].get(mode="promise_in_bounds")
    if len(position) == 1:
        seen = np.zeros((size, size), bool)
        seen[half, half] = True
    else:
        # Compared pairwise rather than drawn into a copy of the map: no scatter.
        away = position[None, :, :] - position[:, None, :]
        row = away[:, :, 0, None] == offset[None]
        column = away[:, :, 1, None] == offset[None]
        seen = jnp.any(row[:, :, :, None] & column[:, :, None, :], axis=1)
    return jnp.where(seen, jnp.uint8(Tile.AGENT), view)
