"""Maps and views as pictures and as text, without a window.

Every kind of tile differs from the others in brightness and shape as well as in colour, so that it
is readable in greyscale and with any kind of colour vision.
"""

import numpy as np
from jaxtyping import Bool, Integer, UInt8

from gridmem.envs.types import Tile
from gridmem.render.paint import blend, fill, paste
from gridmem.render.sprites import AGENTS, FACINGS, GOAL, GROUNDS, sprites

NO_FACING = FACINGS - 1  # the id of `last_action` before the first action
LIGHT, DARK = (255, 255, 255), (16, 18, 28)  # of an outline: one of them contrasts with any ground
_VARIANTS = np.array([0] * 8 + [1] * 6 + [2, 3])  # how often each variant of a ground occurs
_CHARACTERS = np.array([".", "#", "%", "G", "@"])  # by the id of the tile


def draw(
    tiles: UInt8[np.ndarray, "H W"],
    positions: Integer[np.ndarray, "A 2"] | None = None,
    tile_px: int = 16,
    seen: Bool[np.ndarray, "H W"] | None = None,
    *,
    facing: Integer[np.ndarray, " A"] | None = None,
    colours: Integer[np.ndarray, " A"] | None = None,
    highlight: tuple[int, int, int] | None = None,
) -> UInt8[np.ndarray, "h w 3"]:
    """A picture of a map or of a view; deterministic.

    Args:
        tiles: tile ids, a whole map or one agent's view.
        positions: cells (row, column) of the agents, drawn over the tiles, the first on top; None
            for tiles that already show them.
        tile_px: side of a cell in pixels.
        seen: where False, the cell is drawn under fog; None means no fog.
        facing: where each agent looks: an id of `Action`, or 4 for none yet, as in
            `last_action`; None means 4 for all.
        colours: the index of each agent's colour, modulo six; None numbers the agents from 0.
        highlight: (row, column, side) of a square of cells to outline: an agent's cell and the
            size of its view. It may extend beyond the map.

    Returns:
        Red, green and blue, of height H * tile_px and width W * tile_px.

    Raises:
        ValueError: if `tile_px` is below 1, or a facing is not in 0..4.
    """
    variants = positions is not None
    if positions is None:
        positions, facing, colours = np.zeros((0, 2), np.intp), None, None
    facing = np.full(len(positions), NO_FACING) if facing is None else facing
    colours = np.arange(len(positions)) if colours is None else colours
    picture = _compose(tiles, positions, _agents(colours, facing), 0, tile_px, seen, variants)
    if highlight is not None:
        _outline(picture, highlight, tile_px)
    return picture


def draw_view(
    view: UInt8[np.ndarray, "V V"], tile_px: int = 16, facing: int = NO_FACING, colour: int = 0
) -> UInt8[np.ndarray, "v v 3"]:
    """A picture of one agent's view. All floor looks alike, so that it does not reveal the place.

    Args:
        view: tile ids, the agent itself at the centre.
        tile_px: side of a cell in pixels.
        facing: where it looks; see `draw`.
        colour: the index of its colour. All other agents have the next one, as the view does not
            distinguish them.

    Returns:
        Red, green and blue, of side V * tile_px.

    Raises:
        ValueError: if `tile_px` is below 1, or `facing` is not in 0..4.
    """
    centre, own = np.full((1, 2), len(view) // 2), _agents(np.array([colour]), np.array([facing]))
    return _compose(view, centre, own, colour + 1, tile_px, None, variants=False)


def as_text(
    tiles: UInt8[np.ndarray, "H W"], positions: Integer[np.ndarray, "A 2"] | None = None
) -> str:
    """A map or a view as lines of text, one character a cell, in the format of `TextMap`.

    Args:
        tiles: tile ids, a whole map or one agent's view.
        positions: cells (row, column) of the agents, drawn as '@' over the tiles; None for tiles
            that already show them.

    Returns:
        H lines of W characters joined by newlines, without one at the end.
    """
    characters = _CHARACTERS[tiles]
    if positions is not None:
        characters[positions[:, 0], positions[:, 1]] = _CHARACTERS[Tile.AGENT]
    return "\n".join("".join(row) for row in characters)


def _compose(
    tiles: UInt8[np.ndarray, "H W"],
    positions: Integer[np.ndarray, "A 2"],
    agents: Integer[np.ndarray, " A"],
    other: int,
    px: int,
    seen: Bool[np.ndarray, "H W"] | None,
    variants: bool,
) -> UInt8[np.ndarray, "h w 3"]:
    """The grounds, and over them goals and agents.

    Args:
        tiles: agents that they show have the colour `other`.
        positions: cells of further agents, over those of the tiles, the first on top.
        agents: the pieces of these.
        other: the index of a colour.
        px: side of a cell in pixels.
        seen: where False, the cell is drawn under fog.
        variants: whether the look of floor and rock depends on the position.
    """
    if px < 1:
        raise ValueError(f"tile_px is {px}; it must be a whole number of pixels, 1 or more")
    art = sprites(px)
    fog = np.zeros(tiles.shape, np.intp) if seen is None else (~seen).astype(np.intp)
    ground = _ground_ids(tiles, variants) + GROUNDS * fog
    height, width = tiles.shape
    # One `take` of whole pixel rows of tiles writes the picture in its final order.
    rows = ground[:, None, :] * px + np.arange(px)[None, :, None]
    picture = art.ground.take(rows, axis=0).reshape(height, px, width, px, 3)
    shown = np.argwhere(tiles >= Tile.GOAL)
    is_goal = tiles[tuple(shown.T)] == Tile.GOAL
    pieces = np.where(is_goal, GOAL, other % len(AGENTS) * FACINGS + NO_FACING)
    # Of two pieces in a cell the later one is written.
    row, column = np.concatenate([shown, positions[::-1]]).T
    piece = art.piece[fog[row, column], np.concatenate([pieces, agents[::-1]])]
    picture[row, :, column] = blend(picture[row, :, column], piece[..., :3], piece[..., 3:])
    return picture.reshape(height * px, width * px, 3)


def _ground_ids(tiles: UInt8[np.ndarray, "H W"], variants: bool) -> Integer[np.ndarray, "H W"]:
    """The index of each cell's ground among the sprites; the edge of the map is continued."""
    wall, rock = tiles == Tile.WALL, tiles == Tile.ROCK
    solid = np.pad(wall | rock, 1, mode="edge").astype(np.intp)
    up, right, down, left = solid[:-2, 1:-1], solid[1:-1, 2:], solid[2:, 1:-1], solid[1:-1, :-2]
    variant = _variants(*tiles.shape) if variants else 0
    of_floor = 4 * variant + up + 2 * left
    of_wall = 31 - (up + 2 * right + 4 * down + 8 * left)
    of_rock = 35 + 4 * variant - (up + 2 * down)
    return np.select([wall, rock], [of_wall, of_rock], of_floor)


def _variants(height: int, width: int) -> Integer[np.ndarray, "height width"]:
    """Which variant of its ground each cell has, by a hash of its position."""
    row, column = np.arange(height, dtype=np.uint32)[:, None], np.arange(width, dtype=np.uint32)
    hash = row * 0x9E3779B1 + column * 0x85EBCA77
    hash = (hash ^ hash >> 15) * 0xC2B2AE3D
    return _VARIANTS[hash >> 28]


def _agents(
    colours: Integer[np.ndarray, " A"], facing: Integer[np.ndarray, " A"]
) -> Integer[np.ndarray, " A"]:
    if ((facing < 0) | (facing >= FACINGS)).any():
        raise ValueError("a facing must be 0 (up), 1 (right), 2 (down), 3 (left) or 4 (none yet)")
    return colours % len(AGENTS) * FACINGS + facing


def _outline(picture: UInt8[np.ndarray, "h w 3"], square: tuple[int, int, int], px: int) -> None:
    """Draws a frame just outside of a square of cells."""
    row, column, side = square
    top, left, size = (row - side // 2) * px, (column - side // 2) * px, side * px
    line, row, column = max(px // 8, 1), max(top, 0), max(left, 0)
    inside = picture[row : max(top + size, 0), column : max(left + size, 0)].copy()
    for margin, colour in ((2 * line, DARK), (line, LIGHT)):
        fill(picture, top - margin, left - margin, size + 2 * margin, size + 2 * margin, colour)
    paste(picture, inside, row, column)
