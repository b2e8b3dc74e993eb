"""What a window, a video or a folder of frames shows of one moment of an episode; no window here.

A `Moment` says everything that is to be seen; `frame` paints it, the same for the same moment.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Integer, UInt8

from gridmem.envs.types import Tile
from gridmem.render.captions import PAD, help_box, inset, notes, side_panel, status_line
from gridmem.render.draw import draw, draw_view
from gridmem.render.font import LINE
from gridmem.render.heatmap import tint
from gridmem.render.paint import BACK, fill, paste

PANEL_WIDTHS = 176, 216  # font pixels: the least, and the most that it takes if there is room
MARGIN = 6  # font pixels around the cave


class Moment(NamedTuple):
    """One moment of an episode, and what is to be told about it. Arrays are only read.

    Attributes:
        tiles: the map.
        positions: cells (row, column) of all agents.
        facing: where each looks: an id of `Action`, or 4 for nowhere yet.
        agent: whose view it is; it is drawn over the others.
        view: what that agent sees.
        seen: the cells that it has seen so far.
        whole: show the whole cave, seen parts lit and others dimmed, the view outlined; if False,
            only what the agent sees, large.
        title: the first line of the side panel.
        lines: of the side panel: pairs of label and value.
        bars: of the side panel: pairs of label and share, 0 to 1.
        status: one line at the bottom.
        notes: lines at the foot of the side panel, if there is room.
        help: lines of a box over everything; none for no box.
        heat: a number from 0 to 1 for each cell, drawn over the cave; None for none.
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


def frame(moment: Moment, width_px: int, height_px: int) -> UInt8[np.ndarray, "h w 3"]:
    """A picture of a moment that fills a window of any size.

    Args:
        moment: what to show.
        width_px: width of the picture; text is legible from 640 x 400 pixels up.
        height_px: height of the picture.

    Returns:
        Red, green and blue, of just that size. The cave is drawn in whole pixels a cell.
    """
    picture = np.empty((height_px, width_px, 3), np.uint8)
    fill(picture, 0, 0, height_px, width_px, BACK)
    scale = max(1, min(width_px // 600, height_px // 360))
    rest = max(height_px - status_line(picture, moment.status, scale), 0)
    least, most = (width * scale for width in PANEL_WIDTHS)
    panel_px = min(max(width_px - rest, least), most)
    if panel_px > width_px // 2:
        panel_px = 0  # no room beside the cave
    field = picture[:rest, : width_px - panel_px]
    if panel_px:
        _side(picture[:rest, width_px - panel_px :], moment, scale)
    shape = moment.tiles.shape if moment.whole else moment.view.shape
    tile_px = _tile_px(shape, *(side - 2 * MARGIN * scale for side in field.shape[:2]))
    show = _whole(moment, tile_px) if moment.whole else _view(moment, tile_px)
    paste(field, show, (field.shape[0] - len(show)) // 2, (field.shape[1] - show.shape[1]) // 2)
    if moment.help:
        help_box(picture, moment.help, scale)
    return picture


def _tile_px(shape: tuple[int, ...], height: int, width: int) -> int:
    """The largest whole number of pixels at which so many cells fit."""
    return max(min(height // shape[0], width // shape[1]), 1)


def _side(panel: UInt8[np.ndarray, "h w 3"], moment: Moment, scale: int) -> None:
    """The panel: words, and below them the view beside a whole cave, or the heat beside a view."""
    row = side_panel(panel, moment.title, moment.lines, moment.bars, scale)
    room = len(panel) - row - (LINE + 1 + PAD) * scale
    width = panel.shape[1] - 2 * PAD * scale
    if not (moment.whole or moment.heat is not None):
        notes(panel, moment.notes, row, scale)
        return
    if room < 64 * scale:
        return
    px = _tile_px(moment.view.shape if moment.whole else moment.tiles.shape, room, width)
    small = _view(moment._replace(heat=None), px) if moment.whole else _memory(moment, px)
    if small.shape[0] <= room and small.shape[1] <= width:
        inset(panel, small, "view" if moment.whole else "memory", scale)


def _whole(moment: Moment, px: int) -> UInt8[np.ndarray, "h w 3"]:
    """The whole cave, the watched agent over the others."""
    agents = np.roll(np.arange(len(moment.positions)), -moment.agent)
    square = None
    if len(moment.view) < 2 * max(moment.tiles.shape) - 5:  # else it shows all, from anywhere
        row, column = moment.positions[moment.agent]
        square = int(row), int(column), len(moment.view)
    return _cave(moment, moment.tiles, agents, px, square)


def _memory(moment: Moment, px: int) -> UInt8[np.ndarray, "h w 3"]:
    """The part of the cave that the agent has seen, with nobody else in it."""
    known = np.where(moment.seen, moment.tiles, np.uint8(Tile.FLOOR))  # no shadows of the unseen
    picture = _cave(moment, known, np.array([moment.agent]), px, None)
    seen = moment.seen.repeat(px, axis=0).repeat(px, axis=1)
    picture[~seen] = BACK
    return picture


def _cave(
    moment: Moment,
    tiles: UInt8[np.ndarray, "H W"],
    agents: Integer[np.ndarray, " n"],
    px: int,
    square: tuple[int, int, int] | None,
) -> UInt8[np.ndarray, "h w 3"]:
    """A map with some of the agents, the first of them on top, the heat, and an outline."""
    positions, facing = moment.positions[agents], moment.facing[agents]
    picture = draw(
        tiles, positions, px, moment.seen, facing=facing, colours=agents, highlight=square
    )
    if moment.heat is None:
        return picture
    bare = draw(_floor(tiles), positions[:0], px, moment.seen)
    return tint(picture, bare, moment.heat, px)


def _view(moment: Moment, px: int) -> UInt8[np.ndarray, "h w 3"]:
    """What the agent sees, and nothing more."""
    agent, half = moment.agent, len(moment.view) // 2
    picture = draw_view(moment.view, px, int(moment.facing[agent]), agent)
    if moment.heat is None:
        return picture
    row, column = moment.positions[agent]
    around = np.pad(moment.heat, half)[row:, column:][: len(moment.view), : len(moment.view)]
    return tint(picture, draw(_floor(moment.view), tile_px=px), around, px)


def _floor(tiles: UInt8[np.ndarray, "H W"]) -> UInt8[np.ndarray, "H W"]:
    """The same without goals and agents."""
    return np.where(tiles >= Tile.GOAL, np.uint8(Tile.FLOOR), tiles)
