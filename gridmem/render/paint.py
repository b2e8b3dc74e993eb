"""Colours, rectangles and text, painted into numpy pictures in place."""

from functools import cache

import numpy as np
from jaxtyping import Bool, UInt8

from gridmem.envs.assets import asset

Colour = tuple[int, int, int]
Picture = UInt8[np.ndarray, "h w 3"]

BACK, PANEL, EDGE = (16, 18, 28), (27, 30, 44), (58, 63, 88)
TEXT, MUTED, ACCENT = (232, 228, 218), (154, 160, 182), (240, 180, 60)
BAR = (86, 160, 220)

FONT = "font.png"  # the characters of ASCII from the space on, 16 in a row
GLYPH = 9, 5  # height and width of a character; two rows are below the baseline
ADVANCE, LINE = 6, 12  # from a character to the next, and from a line to the next
FIRST, LAST = ord(" "), ord("~")


def background(height_px: int, width_px: int) -> Picture:
    """A picture of that size in the colour of the background."""
    picture = np.empty((height_px, width_px, 3), np.uint8)
    fill(picture, 0, 0, height_px, width_px, BACK)
    return picture


def fill(picture: Picture, row: int, column: int, height: int, width: int, colour: Colour) -> None:
    """Paints a rectangle; what reaches beyond the edges of the picture is cut off."""
    under = picture[max(row, 0) : max(row + height, 0), max(column, 0) : max(column + width, 0)]
    # Whole rows are copied many times faster than single pixels.
    under[...] = np.tile(np.array(colour, np.uint8), (under.shape[1], 1))


def dim(picture: Picture) -> None:
    """Blends all pixels half and half with the background colour."""
    picture >>= 1
    picture += np.tile(np.array(BACK, np.uint8) // 2, (picture.shape[1], 1))


def paste(picture: Picture, other: UInt8[np.ndarray, "y x 3"], row: int, column: int) -> None:
    """Copies a picture into another; what reaches beyond its edges is cut off."""
    under, part = _overlap(picture, other, row, column)
    under[...] = part


def blend(under: np.ndarray, over: np.ndarray, opacity: np.ndarray) -> UInt8[np.ndarray, "*shape"]:
    """Colours laid over others with an opacity of 0 to 255."""
    opacity = opacity.astype(np.uint16)
    return ((under * (255 - opacity) + over * opacity + 127) // 255).astype(np.uint8)


def draw_text(
    picture: Picture, text: str, row: int, column: int, colour: Colour, scale: int = 1
) -> None:
    """Writes a line of text; what reaches beyond the edges of the picture is cut off.

    Args:
        picture: is changed.
        text: one line; a character outside printable ASCII is written as a question mark.
        row: of the upper left corner, in pixels; capitals are 7 font pixels high from there.
        column: likewise.
        colour: red, green and blue.
        scale: side of a font pixel in pixels.
    """
    codes = np.frombuffer(text.encode("ascii", "replace"), np.uint8)
    known = np.where((codes >= FIRST) & (codes <= LAST), codes, ord("?"))
    ink = np.concatenate([*_glyphs()[known - FIRST], np.zeros((GLYPH[0], 0), bool)], axis=1)
    ink = ink.repeat(scale, axis=0).repeat(scale, axis=1)
    under, ink = _overlap(picture, ink, row, column)
    under[ink] = colour


def text_px(text: str, scale: int = 1) -> tuple[int, int]:
    """Height and width in pixels of a line of text; the width of an empty one is 0."""
    return GLYPH[0] * scale, max(len(text) * ADVANCE - 1, 0) * scale


def shorten(text: str, columns: int) -> str:
    """The text, cut to a number of characters that end in two dots if it is longer."""
    return text if len(text) <= columns else (text[: max(columns - 2, 0)] + "..")[: max(columns, 0)]


def _overlap(
    picture: Picture, other: np.ndarray, row: int, column: int
) -> tuple[np.ndarray, np.ndarray]:
    """The parts of a picture and of another, laid over it at (row, column), that coincide."""
    part = other[max(-row, 0) :, max(-column, 0) :]
    under = picture[max(row, 0) :, max(column, 0) :][: part.shape[0], : part.shape[1]]
    return under, part[: under.shape[0], : under.shape[1]]


@cache
def _glyphs() -> Bool[np.ndarray, "96 9 6"]:
    from PIL import Image

    with Image.open(asset(FONT)) as image:
        ink = np.array(image, bool)
    return ink.reshape(-1, GLYPH[0], 16, ADVANCE).swapaxes(1, 2).reshape(-1, GLYPH[0], ADVANCE)
