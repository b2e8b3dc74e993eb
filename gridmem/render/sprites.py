"""The pixel art of `assets/sprites.png` at any size; plain colours where that file is missing.

The file has the art at two sizes. A tile of px pixels is resampled from one of them by averaging
over areas: whole multiples stay sharp. `assets/make_sprites.py` writes the file and describes it.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from gridmem.envs.assets import asset

ATLAS, ART_SIZES, ROWS, COLUMNS = "sprites.png", (16, 8), 5, 16
FLOOR, WALL, ROCK, GOLD = (228, 220, 202), (52, 57, 81), (160, 112, 72), (230, 159, 0)
FOG, PIECE_FOG = (14, 22, 58, 158), 0.5  # agents and goals are fogged less, to stay visible
AGENTS = (0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167), (86, 180, 233), (240, 228, 66)
FACINGS = 5  # up, right, down, left, none yet
GROUNDS, GOAL = 48, len(AGENTS) * FACINGS  # number of grounds; index of the goal's piece


class Sprites(NamedTuple):
    """All tiles at one size, first without and then with fog.

    Grounds are 16 floors, 16 walls and 16 rocks; pieces are the agents, colour by colour, each in
    its five facings, and then the goal.
    """

    ground: UInt8[np.ndarray, "rows row_bytes"]  # row y of ground t is row t * px + y
    piece: UInt8[np.ndarray, "2 pieces px px 4"]


@lru_cache(maxsize=16)
def sprites(px: int) -> Sprites:
    """The sprites for tiles of `px` pixels."""
    tiles = _resize(_art(px), px)
    ground = tiles[:3].reshape(GROUNDS, px, px, 4)[..., :3]
    agents = tiles[3:, :-1].reshape(GOAL, px, px, 4)
    goal, fog = tiles[3, -1], tiles[4, -1]
    piece = np.concatenate([agents, goal[None]])
    fogged = piece.copy()
    fogged[..., :3] = _fogged(fog, piece[..., :3], PIECE_FOG)
    return Sprites(
        np.concatenate([ground, _fogged(fog, ground)]).reshape(-1, px * 3),
        np.stack([piece, fogged]),
    )


def _art(px: int) -> UInt8[np.ndarray, "5 16 n n 4"]:
    """The art, in rows and columns, from which tiles of px pixels are resampled."""
    large, small = ART_SIZES
    try:
        path = asset(ATLAS)
    except FileNotFoundError:
        return _plain_colours()
    if px < small:  # too few pixels to show shapes
        return _plain_colours()
    from PIL import Image

    n, top = (large, 0) if px >= (large + small) / 2 else (small, ROWS * large)
    with Image.open(path) as image:
        sheet = np.array(image)[top : top + ROWS * n, : COLUMNS * n]
    return sheet.reshape(ROWS, n, COLUMNS, n, 4).swapaxes(1, 2)


def _plain_colours() -> UInt8[np.ndarray, "5 16 1 1 4"]:
    """Tiles of one pixel each."""
    art = np.full((ROWS, COLUMNS, 1, 1, 4), 255, np.uint8)
    for row, colour in enumerate((FLOOR, WALL, ROCK)):
        art[row, ..., :3] = colour
    art[3:, :-1, 0, 0, :3] = np.repeat(AGENTS, FACINGS, axis=0).reshape(2, -1, 3)
    art[3, -1, ..., :3], art[4, -1] = GOLD, FOG
    return art


def _resize(art: UInt8[np.ndarray, "5 16 n n 4"], px: int) -> UInt8[np.ndarray, "5 16 px px 4"]:
    """Every new pixel is the mean over the area that it covers, weighted by opacity."""
    n = art.shape[-2]
    new, old = np.arange(px)[:, None], np.arange(n)[None]
    # Lengths in units of 1 / (n * px) of a tile, so that they are whole numbers.
    overlap = np.minimum((new + 1) * n, (old + 1) * px) - np.maximum(new * n, old * px)
    weight = np.maximum(overlap, 0) / n
    opacity = art[..., 3:] / 255
    colour = np.concatenate([art[..., :3] * opacity, opacity], axis=-1)
    mean = np.einsum("yi,rcijk,xj->rcyxk", weight, colour, weight, optimize=True)
    mean[..., :3] /= np.maximum(mean[..., 3:], 1e-6)
    mean[..., 3] *= 255
    return np.round(mean).astype(np.uint8)


def _fogged(
    fog: UInt8[np.ndarray, "px px 4"],
    colours: UInt8[np.ndarray, "n px px 3"],
    strength: float = 1.0,
) -> UInt8[np.ndarray, "n px px 3"]:
    share = strength * fog[..., 3:] / 255
    return np.round(colours * (1 - share) + fog[..., :3] * share).astype(np.uint8)
