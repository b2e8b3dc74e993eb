"""Heatmaps over the cells of a cave: where an agent went, or which past steps it attends to."""

import numpy as np
from jaxtyping import Float, Float32, Integer, UInt8

from gridmem.render.paint import blend

COLD, HOT = (250, 150, 170), (206, 16, 90)  # pale to crimson: on floor, hotter is darker
OPACITY = 217  # of 255, at heat 1


def heat_on_map(
    cells: Integer[np.ndarray, "n 2"],
    weights: Float[np.ndarray, " n"] | None,
    height: int,
    width: int,
) -> Float32[np.ndarray, "height width"]:
    """The sum of the weights at each cell, divided by the largest sum.

    For attention: the cells are the positions of an agent at past steps, the weights its attention
    to these steps.

    Args:
        cells: (row, column); a cell may occur many times.
        weights: of each of them, 0 or more; None counts how often each cell occurs.
        height: of the map; `width` likewise.
    """
    heat = np.zeros((height, width), np.float32)
    np.add.at(heat, (cells[:, 0], cells[:, 1]), 1 if weights is None else weights)
    return heat / max(heat.max(), np.finfo(np.float32).tiny)


def tint(
    picture: UInt8[np.ndarray, "h w 3"],
    bare: UInt8[np.ndarray, "h w 3"],
    heat: Float32[np.ndarray, "H W"],
    tile_px: int,
) -> UInt8[np.ndarray, "h w 3"]:
    """Blends heat over the ground of a map or view, but under the pieces drawn on it.

    Opacity grows as heat to the power of 3/4, so that small values are visible too.

    Args:
        picture: with agents, goals and outlines.
        bare: the same without them.
        heat: from 0 to 1; cells with 0 stay as they are.
        tile_px: side of a cell in pixels.
    """
    row, column = np.nonzero(heat > 0)
    amount = heat[row, column].clip(0, 1)[:, None, None, None]
    opacity = np.round(OPACITY * amount**0.75).astype(np.uint16)
    colour = np.round(np.array(COLD) * (1 - amount) + np.array(HOT) * amount).astype(np.uint16)
    shape = (heat.shape[0], tile_px, heat.shape[1], tile_px, 3)
    under, over = (x.reshape(shape)[row, :, column] for x in (bare, picture))
    mixed = blend(under, colour, opacity)
    pieces = (over != under).any(axis=(1, 2, 3))  # comparing pixels of few cells only is faster
    drawn = (over[pieces] != under[pieces]).any(axis=-1, keepdims=True)
    mixed[pieces] = np.where(drawn, over[pieces], mixed[pieces])
    tinted = picture.copy()
    tinted.reshape(shape)[row, :, column] = mixed
    return tinted
