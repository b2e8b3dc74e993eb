"""A trip drawn on the map of the cave: the way, where it began, and the goals."""

from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float32, Integer, UInt8

from gridmem.envs.analysis.trips import Trip
from gridmem.envs.types import Tile
from gridmem.render.draw import DARK, draw
from gridmem.render.heatmap import tint
from gridmem.render.paint import Colour, fill
from gridmem.render.sprites import AGENTS, FACINGS, GOAL, sprites

# Blue, which no kind of colour vision takes for the crimson of heat; ever brighter.
BEGIN, MIDDLE, END = (14, 24, 110), (28, 104, 216), (132, 212, 255)
LEAST_MARK = 16  # pixels: agents and goals are drawn no smaller, however small the cells are


def way_colour(share: float) -> Colour:
    """The colour of a moment of a trip, 0 when it begins and 1 when it ends; ever brighter."""
    first, second = (BEGIN, MIDDLE) if share < 0.5 else (MIDDLE, END)
    part = 2 * share - (share >= 0.5)
    red, green, blue = (round(a + (b - a) * part) for a, b in zip(first, second, strict=True))
    return red, green, blue


def draw_way(
    trip: Trip,
    seen: Bool[np.ndarray, "H W"],
    tile_px: int,
    agent: int = 0,
    heat: Float32[np.ndarray, "H W"] | None = None,
) -> UInt8[np.ndarray, "h w 3"]:
    """A picture of a trip, its way outlined; where that crosses itself, the later part is on top.

    Args:
        trip: what to draw.
        seen: where False, the cell lies under fog.
        tile_px: side of a cell in pixels.
        agent: the number of the agent, for its colour.
        heat: a number from 0 to 1 for each cell, drawn under the way.
    """
    floor = np.where(trip.tiles == Tile.GOAL, np.uint8(Tile.FLOOR), trip.tiles)
    picture = draw(floor, np.zeros((0, 2), np.int32), tile_px, seen)
    thick = max(tile_px * 2 // 5, min(tile_px, 3))
    if heat is not None:
        picture = tint(picture, picture, heat, tile_px)
    _line(picture, trip, tile_px, thick + 2 * max(tile_px // 16, 1), DARK)
    _line(picture, trip, tile_px, thick, None)
    for cell in np.argwhere(trip.tiles == Tile.GOAL):
        _mark(picture, cell, tile_px, GOAL)
    _mark(picture, trip.cells[0], tile_px, agent % len(AGENTS) * FACINGS + FACINGS - 1)
    return picture


def _line(
    picture: UInt8[np.ndarray, "h w 3"], trip: Trip, px: int, thick: int, colour: Colour | None
) -> None:
    """Draws a way from cell to cell, in the colours of its moments if none is given."""
    corners = trip.cells * px + (px - thick) // 2
    for number, (a, b) in enumerate(pairwise(corners)):
        top, left = np.minimum(a, b).tolist()
        height, width = (np.abs(a - b) + thick).tolist()
        share = number / max(len(corners) - 2, 1)
        fill(picture, top, left, height, width, colour or way_colour(share))


def _mark(
    picture: UInt8[np.ndarray, "h w 3"], cell: Integer[np.ndarray, "2"], px: int, piece: int
) -> None:
    """Lays a sprite over a cell."""
    size = max(px, LEAST_MARK)
    room = np.maximum(np.array(picture.shape[:2]) - size, 0)
    row, column = np.clip(cell * px + (px - size) // 2, 0, room).tolist()
    under = picture[row : row + size, column : column + size]
    sprite = sprites(size).piece[0, piece, : under.shape[0], : under.shape[1]].astype(np.uint16)
    opacity = sprite[..., 3:]
    under[...] = (under * (255 - opacity) + sprite[..., :3] * opacity + 127) // 255
