"""A picture of a pendulum, made of distances to its shapes, so that edges are smooth."""

from functools import cache

import numpy as np
from jaxtyping import Bool, Float64, UInt8

Colour = tuple[int, int, int]
Distance = Float64[np.ndarray, "H W"]

SIDE = 320  # of the picture in pixels
ROD = 112.0  # length in pixels
BACK, FLOOR, METAL, EDGE = (16, 18, 28), (36, 40, 58), (232, 228, 218), (58, 63, 88)
LEFT, RIGHT = (240, 180, 60), (86, 160, 220)  # a torque counterclockwise, and clockwise
BOB = (214, 92, 78)


def picture(angle: float, torque: float) -> UInt8[np.ndarray, "H W 3"]:
    """The rod, its pivot, and an arrow around the pivot in the direction of the torque.

    Args:
        angle: in rad, 0 upright, counterclockwise.
        torque: -1 to 1 of the strongest, counterclockwise; the length of the arrow.
    """
    canvas = _scene().copy()
    right, up = _coordinates()
    along, across = _turned(right, up, angle)
    _paint(canvas, np.hypot(across, along - np.clip(along, 0, ROD)) - 11, EDGE)
    _paint(canvas, np.hypot(across, along - np.clip(along, 0, ROD)) - 8, METAL)
    _paint(canvas, np.hypot(across, along - ROD) - 21, EDGE)
    _paint(canvas, np.hypot(across, along - ROD) - 18, BOB)
    if abs(torque) > 0.01:
        _paint_arrow(canvas, torque)
    _paint(canvas, np.hypot(right, up) - 9, EDGE)
    _paint(canvas, np.hypot(right, up) - 5, BACK)
    return canvas.round().astype(np.uint8)


def _paint_arrow(canvas: np.ndarray, torque: float) -> None:
    """An arc from above the pivot, with a head at its end."""
    right, up = _coordinates()
    sign, radius, reach = np.sign(torque), 46.0, 0.35 + 1.6 * abs(torque)  # of the arc, in rad
    colour = LEFT if sign > 0 else RIGHT
    # The middle of the arc is above, and one half is folded onto the other.
    along, across = _turned(right, up, sign * reach / 2)
    across = np.abs(across)
    inside = np.arctan2(across, along) < reach / 2
    end = np.hypot(along - radius * np.cos(reach / 2), across - radius * np.sin(reach / 2))
    arc = np.where(inside, np.abs(np.hypot(along, across) - radius), end) - 4
    # Where the arc ends: `ahead` is its direction, `along` goes away from the pivot.
    along, ahead = _turned(right, up, sign * reach)
    along, ahead = along - radius, -sign * ahead
    head = np.maximum(-ahead, (ahead + 1.6 * np.abs(along) - 18) / np.hypot(1, 1.6))
    for grown, paint in ((3, EDGE), (0, colour)):
        _paint(canvas, np.minimum(arc, head) - grown, paint)


@cache
def _coordinates() -> tuple[Distance, Distance]:
    """Pixels to the right of the pivot, and above it."""
    axis = np.arange(SIDE) - (SIDE - 1) / 2
    right, down = np.meshgrid(axis, axis)
    return right, -down


def _turned(right: Distance, up: Distance, angle: float) -> tuple[Distance, Distance]:
    """Coordinates along a direction that is `angle` counterclockwise of up, and to its right."""
    cos, sin = np.cos(angle), np.sin(angle)
    return cos * up - sin * right, cos * right + sin * up


@cache
def _scene() -> Float64[np.ndarray, "H W 3"]:
    """What does not move: the circle of the tip, and a mark at its top."""
    right, up = _coordinates()
    canvas = np.tile(np.array(BACK, float), (SIDE, SIDE, 1))
    _paint(canvas, np.abs(np.hypot(right, up) - ROD) - 1, FLOOR)
    _paint(canvas, np.maximum(np.abs(right) - 1.5, np.abs(up - ROD - 28) - 8), METAL)
    return canvas


def _paint(canvas: np.ndarray, distance: Distance, colour: Colour) -> None:
    """Colours the pixels inside of a shape, and those at its edge in part."""
    near: Bool[np.ndarray, "H W"] = distance < 0.5
    cover = np.minimum(0.5 - distance[near], 1)[:, None]
    canvas[near] += cover * (np.array(colour, float) - canvas[near])
