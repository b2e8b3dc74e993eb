"""One frame of an episode for a window, a video or a folder of pictures.

A `FrameState` holds all that is shown; `frame` is a pure function of it.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Integer, UInt8

from gridmem.envs.types import Tile
from gridmem.render.captions import (
    PAD,
    help_box,
    panel_inset,
    panel_notes,
    side_panel,
    status_line,
)
from gridmem.render.draw import draw, draw_view
from gridmem.render.heatmap import tint
from gridmem.render.paint import BACK, LINE, Picture, background, paste

PANEL_WIDTHS = 176, 216  # font pixels: minimum, and maximum if there is room
MARGIN = 6  # font pixels around the cave
MIN_INSET = 64  # font pixels: no smaller picture is put into the panel


class FrameState(NamedTuple):
    """What a frame shows. Arrays are only read.

    Attributes:
        tiles: the map.
        positions: cells (row, column) of all agents.
        facing: where each looks: an id of `Action`, or 4 for none yet.
        agent: the agent whose view is shown; it is drawn over the others.
        view: its observation.
        seen: the cells that it has seen so far.
        whole: show the whole cave, seen parts lit and others dimmed, the view outlined; if False,
            only what the agent sees, large.
        title: the first line of the side panel.
        lines: of the side panel: pairs of label and value.
        bars: of the side panel: pairs of label and share, 0 to 1.
        status: one line at the bottom.
        notes: lines at the foot of the side panel, if there is room.
        help: lines of a box over everything; empty for no box.
        heat: a number from 0 to 1 for each cell, drawn over the cave; None for no heatmap.
    """

    tiles: UInt8[np.ndarray, "H W"]
    positions: Integer[np.ndarray, "A 2"]
    facing: Integer[np.ndarray, " A"]
    agent: int
    view: UInt8[np.ndarray, "V V"]
    seen: Bool[np.ndarray, "H W"]
    whole: bool = False
    title: str = "GridMem"
    lines: tuple[tuple[str, str], ...] = ()
    bars: tuple[tuple[str, float], ...] = ()
    status: str = ""
    notes: tuple[str, ...] = ()
    help: tuple[str, ...] = ()
    heat: Float32[np.ndarray, "H W"] | None = None


def frame(state: FrameState, width_px: int, height_px: int) -> UInt8[np.ndarray, "h w 3"]:
    """A picture that fills a window of any size.

    Args:
        state: what to show.
        width_px: width of the picture; text is legible from 640 x 400 pixels up.
        height_px: height of the picture.

    Returns:
        Red, green and blue, of exactly that size. The side of a cell is a whole number of pixels.
    """
    picture = background(height_px, width_px)
    scale = max(1, min(width_px // 600, height_px // 360))
    rest = max(height_px - status_line(picture, state.status, scale), 0)
    min_px, max_px = (width * scale for width in PANEL_WIDTHS)
    panel_px = min(max(width_px - rest, min_px), max_px)
    if panel_px > width_px // 2:
        panel_px = 0  # no room beside the cave
    field = picture[:rest, : width_px - panel_px]
    if panel_px:
        _draw_panel(picture[:rest, width_px - panel_px :], state, scale)
    shape = state.tiles.shape if state.whole else state.view.shape
    tile_px = _fitting_px(shape, *(side - 2 * MARGIN * scale for side in field.shape[:2]))
    main = _whole_cave(state, tile_px) if state.whole else _view(state, tile_px)
    paste(field, main, (field.shape[0] - len(main)) // 2, (field.shape[1] - main.shape[1]) // 2)
    if state.help:
        help_box(picture, state.help, scale)
    return picture


def _fitting_px(shape: tuple[int, ...], height: int, width: int) -> int:
    """The largest side of a cell in pixels at which that many cells fit."""
    return max(min(height // shape[0], width // shape[1]), 1)


def _draw_panel(panel: Picture, state: FrameState, scale: int) -> None:
    """Text; below it the view if the cave is shown, the seen cells if a view with heat is."""
    row = side_panel(panel, state.title, state.lines, state.bars, scale)
    if not state.whole and state.heat is None:
        panel_notes(panel, state.notes, row, scale)
        return
    height = len(panel) - row - (LINE + 1 + PAD) * scale
    width = panel.shape[1] - 2 * PAD * scale
    if height < MIN_INSET * scale:
        return
    px = _fitting_px(state.view.shape if state.whole else state.tiles.shape, height, width)
    inset = _view(state._replace(heat=None), px) if state.whole else _seen_cave(state, px)
    if inset.shape[0] <= height and inset.shape[1] <= width:
        panel_inset(panel, inset, "view" if state.whole else "memory", scale)


def _whole_cave(state: FrameState, px: int) -> Picture:
    """The whole cave, the watched agent over the others."""
    agents = np.roll(np.arange(len(state.positions)), -state.agent)
    square = None
    if len(state.view) < 2 * max(state.tiles.shape) - 5:  # a full view covers the map from anywhere
        row, column = state.positions[state.agent]
        square = int(row), int(column), len(state.view)
    return _cave(state, state.tiles, agents, px, square)


def _seen_cave(state: FrameState, px: int) -> Picture:
    """The part of the cave that the agent has seen, without other agents."""
    known = np.where(state.seen, state.tiles, np.uint8(Tile.FLOOR))  # unseen walls cast no shadow
    picture = _cave(state, known, np.array([state.agent]), px, None)
    seen = state.seen.repeat(px, axis=0).repeat(px, axis=1)
    picture[~seen] = BACK
    return picture


def _cave(
    state: FrameState,
    tiles: UInt8[np.ndarray, "H W"],
    agents: Integer[np.ndarray, " n"],
    px: int,
    square: tuple[int, int, int] | None,
) -> Picture:
    """A map with some of the agents, the first of them on top, the heat, and an outline."""
    positions, facing = state.positions[agents], state.facing[agents]
    picture = draw(
        tiles, positions, px, state.seen, facing=facing, colours=agents, highlight=square
    )
    if state.heat is None:
        return picture
    bare = draw(_without_pieces(tiles), positions[:0], px, state.seen)
    return tint(picture, bare, state.heat, px)


def _view(state: FrameState, px: int) -> Picture:
    """What the agent sees, and nothing else."""
    agent, half = state.agent, len(state.view) // 2
    picture = draw_view(state.view, px, int(state.facing[agent]), agent)
    if state.heat is None:
        return picture
    row, column = state.positions[agent]
    heat = np.pad(state.heat, half)[row:, column:][: len(state.view), : len(state.view)]
    return tint(picture, draw(_without_pieces(state.view), tile_px=px), heat, px)


def _without_pieces(tiles: UInt8[np.ndarray, "H W"]) -> UInt8[np.ndarray, "H W"]:
    """The tiles without goals and agents."""
    return np.where(tiles >= Tile.GOAL, np.uint8(Tile.FLOOR), tiles)
