"""The colours of what stands around the caves, and the shapes that it is made of."""

import numpy as np
from jaxtyping import UInt8

Colour = tuple[int, int, int]

BACK, PANEL, EDGE = (16, 18, 28), (27, 30, 44), (58, 63, 88)
TEXT, MUTED, ACCENT = (232, 228, 218), (154, 160, 182), (240, 180, 60)
BAR = (86, 160, 220)


def fill(
    picture: UInt8[np.ndarray, "h w 3"],
    row: int,
    column: int,
    height: int,
    width: int,
    colour: Colour,
) -> None:
    """Paints a rectangle into a picture, in place; what reaches beyond its edges is cut off."""
    under = picture[max(row, 0) : max(row + height, 0), max(column, 0) : max(column + width, 0)]
    # Whole rows are copied many times faster than single pixels.
    under[...] = np.tile(np.array(colour, np.uint8), (under.shape[1], 1))


def dim(picture: UInt8[np.ndarray, "h w 3"]) -> None:
    """Moves all colours of a picture, in place, half the way to that of the background."""
    picture >>= 1
    picture += np.tile(np.array(BACK, np.uint8) // 2, (picture.shape[1], 1))


def paste(
    picture: UInt8[np.ndarray, "h w 3"], other: UInt8[np.ndarray, "y x 3"], row: int, column: int
) -> None:
    """Puts a picture into another, in place; what reaches beyond its edges is cut off."""
    part = other[max(-row, 0) :, max(-column, 0) :]
    under = picture[max(row, 0) :, max(column, 0) :][: part.shape[0], : part.shape[1]]
    under[...] = part[: under.shape[0], : under.shape[1]]
