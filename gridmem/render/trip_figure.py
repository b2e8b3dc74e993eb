"""One picture of an episode: its trips on maps of the cave, and a chart of them all."""

from itertools import pairwise
from math import ceil

import numpy as np
from jaxtyping import Bool, Float32, Integer, UInt8

from gridmem.envs.analysis.trips import Trip, seen_cells, trips
from gridmem.envs.env import Env
from gridmem.envs.types import Level, Tile
from gridmem.render.draw import DARK, draw
from gridmem.render.heatmap import heat_on_map, tint
from gridmem.render.paint import (
    ACCENT,
    ADVANCE,
    BAR,
    EDGE,
    MUTED,
    TEXT,
    Colour,
    Picture,
    background,
    blend,
    draw_text,
    fill,
    paste,
    shorten,
    text_px,
)
from gridmem.render.sprites import AGENTS, FACINGS, FLOOR, GOAL, sprites

Attention = Float32[np.ndarray, "T S"]
COLUMNS, SHOWN = 4, 8  # maps in a row, and in all
CAVE_PX, CAPTION_PX = 440, 320  # maximal side of a map, and minimal width for its caption
PAD, GAP, HEAD, CAPTION, CHART = 32, 28, 56, 30, 150  # pixels
LEGEND, BAND = 120, 12  # pixels: length and height of a colour bar
# Blue, which no kind of colour vision confuses with the crimson of heat; brighter with time.
BEGIN, MIDDLE, END = (14, 24, 110), (28, 104, 216), (132, 212, 255)
MIN_PIECE_PX = 16  # agents and goals are drawn no smaller, however small the cells are


def episode_picture(
    env: Env,
    level: Level,
    actions: Integer[np.ndarray, "T A"],
    agent: int = 0,
    title: str = "",
    attention: Attention | None = None,
) -> UInt8[np.ndarray, "h w 3"]:
    """The first trips of an agent and its last ones, each on a map of its own.

    A map is lit where the agent had seen it by the end of the trip. The path is dark blue at its
    beginning and bright at its end. If trips in the middle have no map, a line says which.
    Below, a bar for each trip of the episode shows its steps and the length of the shortest path.
    With attention, the cells that the agent visited on earlier trips are the redder the more it
    attends to them on this one.

    Args:
        env: the environment.
        level: where the episode was played.
        actions: of all agents.
        agent: whose trips.
        title: a heading; by default the number of finds.
        attention: row t: the weights with which the agent, choosing action t, attends to timestep
            0, 1, and so on; 0 for later ones.

    Raises:
        ValueError: if there are more than `env.max_steps` actions, or none.
    """
    all_trips = trips(env, level, actions, agent)
    finds = sum(trip.found for trip in all_trips)
    title = title or f"{finds} find{'s' * (finds != 1)} in {len(actions)} steps"
    shown = list(range(len(all_trips)))
    del shown[SHOWN // 2 : len(shown) - SHOWN // 2]  # the first and the last ones have maps
    maps = _maps(env, all_trips, shown, agent, attention)
    row_px, map_width = len(maps[0]) + GAP, maps[0].shape[1]
    column_px = max(map_width, CAPTION_PX) + GAP
    rows, columns = ceil(len(shown) / COLUMNS), max(min(len(shown), COLUMNS), 2)
    foot = PAD + HEAD + rows * (row_px + CAPTION)
    picture = background(foot + CHART + PAD, 2 * PAD - GAP + columns * column_px)
    path = np.array([[trip_colour(at / (LEGEND - 1)) for at in range(LEGEND)]] * BAND, np.uint8)
    free = _legend(picture, "begin", path, "end")
    draw_text(picture, shorten(title, (free - PAD) // (3 * ADVANCE)), PAD, PAD, ACCENT, 3)
    for place, (number, trip_map) in enumerate(zip(shown, maps, strict=True)):
        top = PAD + HEAD + place // COLUMNS * (row_px + CAPTION)
        left = PAD + place % COLUMNS * column_px
        _caption(picture, number, all_trips[number], top, left, column_px - GAP)
        paste(picture, trip_map, top + CAPTION, left + (column_px - GAP - map_width) // 2)
    if len(shown) < len(all_trips):
        _omitted_note(picture, shown, PAD + HEAD + row_px + CAPTION - GAP)
    _chart(picture[foot : foot + CHART, PAD:-PAD], all_trips)
    if attention is not None:
        floor = np.full((BAND, LEGEND, 3), FLOOR, np.uint8)
        heat = np.linspace(0, 1, LEGEND // BAND, dtype=np.float32)[None]
        _legend(picture[foot - PAD - 5 :], "attention: low", tint(floor, floor, heat, BAND), "high")
    return picture


def trip_colour(share: float) -> Colour:
    """The colour of a point of a path, from 0 (begin) to 1 (end) of its steps; ever brighter."""
    stops = zip(BEGIN, MIDDLE, END, strict=True)
    red, green, blue = (round(float(np.interp(share, (0, 0.5, 1), each))) for each in stops)
    return red, green, blue


def draw_trip(
    trip: Trip,
    seen: Bool[np.ndarray, "H W"],
    tile_px: int,
    agent: int = 0,
    heat: Float32[np.ndarray, "H W"] | None = None,
) -> UInt8[np.ndarray, "h w 3"]:
    """A picture of a trip: its path, outlined; where it crosses itself, the later part is on top.

    Args:
        trip: what to draw.
        seen: where False, the cell is drawn under fog.
        tile_px: side of a cell in pixels.
        agent: its index, for its colour.
        heat: a number from 0 to 1 for each cell, drawn under the path; None for no heatmap.

    Returns:
        Red, green and blue, of height H * tile_px and width W * tile_px.
    """
    floor = np.where(trip.tiles == Tile.GOAL, np.uint8(Tile.FLOOR), trip.tiles)
    picture = draw(floor, np.zeros((0, 2), np.int32), tile_px, seen)
    thick = max(tile_px * 2 // 5, min(tile_px, 3))
    if heat is not None:
        picture = tint(picture, picture, heat, tile_px)
    _draw_path(picture, trip, tile_px, thick + 2 * max(tile_px // 16, 1), DARK)
    _draw_path(picture, trip, tile_px, thick, None)
    for cell in np.argwhere(trip.tiles == Tile.GOAL):
        _draw_piece(picture, cell, tile_px, GOAL)
    _draw_piece(picture, trip.cells[0], tile_px, agent % len(AGENTS) * FACINGS + FACINGS - 1)
    return picture


def _draw_path(picture: Picture, trip: Trip, px: int, thick: int, colour: Colour | None) -> None:
    """Draws a line from cell to cell, in one colour or in those of `trip_colour`."""
    corners = trip.cells * px + (px - thick) // 2
    for number, (a, b) in enumerate(pairwise(corners)):
        top, left = np.minimum(a, b).tolist()
        height, width = (np.abs(a - b) + thick).tolist()
        share = number / max(len(corners) - 2, 1)
        fill(picture, top, left, height, width, colour or trip_colour(share))


def _draw_piece(picture: Picture, cell: Integer[np.ndarray, "2"], px: int, piece: int) -> None:
    """Draws a sprite over a cell."""
    size = max(px, MIN_PIECE_PX)
    room = np.maximum(np.array(picture.shape[:2]) - size, 0)
    row, column = np.clip(cell * px + (px - size) // 2, 0, room).tolist()
    under = picture[row : row + size, column : column + size]
    sprite = sprites(size).piece[0, piece, : under.shape[0], : under.shape[1]]
    under[...] = blend(under, sprite[..., :3], sprite[..., 3:])


def _maps(
    env: Env, all_trips: list[Trip], shown: list[int], agent: int, attention: Attention | None
) -> list[Picture]:
    height, width = all_trips[0].tiles.shape
    px = min(max(CAVE_PX // max(height, width), 1), 32)
    px -= px % 8 if px > 16 else 0  # sizes at which the sprites are sharp
    seen, maps = np.zeros((height, width), bool), []
    for number, trip in enumerate(all_trips):
        # The agent makes no observation from the goal itself.
        stood = trip.cells[:-1] if trip.found else trip.cells
        seen |= seen_cells(stood, env.view_size, height, width)
        if number in shown:
            heat = None if attention is None else _attention_heat(all_trips, number, attention)
            maps.append(draw_trip(trip, seen, px, agent, heat))
    return maps


def _attention_heat(
    all_trips: list[Trip], number: int, attention: Attention
) -> Float32[np.ndarray, "H W"]:
    """How much an agent attends, on a trip, to each cell that it visited on earlier trips."""
    trip = all_trips[number]
    places = [cells for earlier in all_trips[:number] for cells in earlier.cells[:-1]]
    weights = attention[trip.begin : trip.begin + trip.steps, : trip.begin].sum(axis=0)
    return heat_on_map(np.array(places, np.int32).reshape(-1, 2), weights, *trip.tiles.shape)


def _legend(picture: Picture, low: str, band: UInt8[np.ndarray, "y x 3"], high: str) -> int:
    """A colour bar with labels at its ends, at the upper right; returns its first column."""
    end = picture.shape[1] - PAD - text_px(high, 2)[1]
    middle = end - 12 - band.shape[1]
    left = middle - 12 - text_px(low, 2)[1]
    draw_text(picture, low, PAD + 5, left, MUTED, 2)
    paste(picture, band, PAD + 6, middle)
    draw_text(picture, high, PAD + 5, end, MUTED, 2)
    return left


def _caption(picture: Picture, number: int, trip: Trip, top: int, left: int, width: int) -> None:
    steps = f"{number + 1}: {trip.steps} step{'s' * (trip.steps != 1)}"
    other = f"shortest {trip.shortest}" if trip.found else "not found"
    draw_text(picture, steps, top, left, TEXT, 2)
    draw_text(picture, other, top, left + width - text_px(other, 2)[1], MUTED, 2)


def _omitted_note(picture: Picture, shown: list[int], top: int) -> None:
    """Says, between the rows of maps, which trips have none."""
    first, last = SHOWN // 2 + 1, shown[SHOWN // 2]
    which = f"trip {first} has" if first == last else f"trips {first} to {last} have"
    text = f"{which} no map, only bars below"
    height, width = text_px(text, 2)
    left = (picture.shape[1] - width) // 2
    row = top + (GAP - height) // 2
    for start, end in ((PAD, left - 12), (left + width + 12, picture.shape[1] - PAD)):
        fill(picture, row + 6, start, 2, end - start, EDGE)
    draw_text(picture, text, row, left, MUTED, 2)


def _chart(picture: Picture, all_trips: list[Trip]) -> None:
    """A bar for each trip, with its number below and its steps above where there is room."""
    height, width = picture.shape[:2]
    draw_text(picture, "steps", 0, 0, BAR, 2)
    draw_text(picture, "shortest path", 0, text_px("steps  ", 2)[1], ACCENT, 2)
    pitch, ground, top = width / len(all_trips), height - 22, 52
    bar = max(min(round(pitch * 0.7), 60), 1)
    scale = 2 if pitch >= 44 else 1
    fill(picture, ground, 0, 2, width, EDGE)
    per_step = (ground - top) / max(trip.steps for trip in all_trips)
    for number, trip in enumerate(all_trips):
        middle = round((number + 0.5) * pitch)
        bar_px, shortest_px = (max(round(n * per_step), 1) for n in (trip.steps, trip.shortest))
        left = middle - bar // 2
        fill(picture, ground - bar_px, left, bar_px, bar, BAR if trip.found else EDGE)
        if trip.found:
            fill(picture, ground - shortest_px, left, shortest_px, bar, ACCENT)
        if pitch >= 20:
            above = str(trip.steps), ground - bar_px - 10 * scale, TEXT
            for word, row, colour in (above, (str(number + 1), ground + 6, MUTED)):
                draw_text(picture, word, row, middle - text_px(word, scale)[1] // 2, colour, scale)
