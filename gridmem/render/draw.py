"""Maps and views as pictures: numpy only, no window.

A picture is put together from an atlas, one small square picture per tile. Every tile differs
from the others in brightness and shape as well as in colour, so that it reads in greyscale and
with any kind of colour vision. The colours are Okabe and Ito's ("Color Universal Design", 2008).
"""

from functools import cache

import numpy as np
from jaxtyping import Bool, Integer, UInt8

from gridmem.envs.types import Tile

FLOOR, WALL = (240, 238, 230), (52, 58, 68)
ROCK, CRACK = (170, 130, 96), (120, 86, 58)
GOAL, AGENT, EDGE = (230, 159, 0), (0, 114, 178), (20, 24, 30)
SHADE, SHADE_SHARE = (24, 28, 40), 0.6  # what covers unseen cells, and how much of it


def draw(
    tiles: UInt8[np.ndarray, "H W"],
    positions: Integer[np.ndarray, "A 2"] | None = None,
    tile_px: int = 16,
    seen: Bool[np.ndarray, "H W"] | None = None,
) -> UInt8[np.ndarray, "h w 3"]:
    """A picture of a map or of a view.

    Args:
        tiles: tile ids, a whole map or one agent's view.
        positions: cells (row, column) of the agents, drawn over whatever is there; None for a
            view, which already shows them.
        tile_px: side of a cell in pixels.
        seen: where False, the cell is shaded; None shades nothing.

    Returns:
        Red, green and blue, of height H * tile_px and width W * tile_px.

    Raises:
        ValueError: if `tile_px` is below 1.
    """
    if tile_px < 1:
        raise ValueError(f"tile_px is {tile_px}; it must be a whole number of pixels, 1 or more")
    if positions is not None:
        tiles = tiles.copy()
        tiles[positions[:, 0], positions[:, 1]] = Tile.AGENT
    index = tiles.astype(np.intp)
    if seen is not None:
        index += len(Tile) * ~seen
    # Row y of the picture of tile t is row t * tile_px + y of the atlas, so that a single `take`
    # of whole pixel rows writes the picture in its final order.
    rows = index[:, None, :] * tile_px + np.arange(tile_px)[None, :, None]
    height, width = tiles.shape
    return _atlas(tile_px).take(rows, axis=0).reshape(height * tile_px, width * tile_px, 3)


@cache
def _atlas(px: int) -> UInt8[np.ndarray, "rows row_bytes"]:
    """Pixel rows of all tiles in the order of their ids, then of the same tiles shaded."""
    # Distance of each pixel's centre from the tile's centre, in tiles.
    across = np.abs((np.arange(px) + 0.5) / px - 0.5)
    y, x = across[:, None], across[None, :]
    disc = np.hypot(y, x)
    edge = 0.08 if px >= 8 else 0.0  # on a smaller tile it would hide what it surrounds
    stripes = (np.arange(px)[:, None] + np.arange(px)[None, :]) % max(px // 2, 2) < max(px // 8, 1)
    pictures = {
        Tile.FLOOR: [],
        Tile.WALL: [(np.ones((px, px), bool), WALL)],
        Tile.ROCK: [(np.ones((px, px), bool), ROCK), (stripes, CRACK)],
        Tile.GOAL: [(y + x <= 0.5, EDGE), (y + x <= 0.5 - 1.25 * edge, GOAL)],
        Tile.AGENT: [(disc <= 0.46, EDGE), (disc <= 0.46 - edge, AGENT)],
    }
    lit = np.stack([_paint(px, pictures[tile]) for tile in Tile])
    shaded = np.round(lit * (1 - SHADE_SHARE) + np.array(SHADE) * SHADE_SHARE).astype(np.uint8)
    return np.concatenate([lit, shaded]).reshape(-1, px * 3)


def _paint(
    px: int, layers: list[tuple[np.ndarray, tuple[int, int, int]]]
) -> UInt8[np.ndarray, "px px 3"]:
    picture = np.full((px, px, 3), FLOOR, np.uint8)
    for where, colour in layers:
        picture[where] = colour
    return picture
