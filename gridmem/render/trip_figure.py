"""One picture of an episode: the cave once for each of some trips, with the way that was taken."""

from math import ceil

import numpy as np
from jaxtyping import Float32, Integer, UInt8

from gridmem.envs.analysis.trips import Trip, seen_cells, trips
from gridmem.envs.env import Env
from gridmem.envs.types import Level
from gridmem.render.font import ADVANCE, cut, draw_text, text_px
from gridmem.render.heatmap import on_map, tint
from gridmem.render.paint import ACCENT, BACK, BAR, EDGE, MUTED, TEXT, fill, paste
from gridmem.render.sprites import FLOOR
from gridmem.render.trip_path import draw_way, way_colour

Picture = UInt8[np.ndarray, "h w 3"]
Attention = Float32[np.ndarray, "T S"]
COLUMNS, SHOWN = 4, 8  # caves in a row, and in all
CAVE_PX, CAPTION_PX = 440, 320  # side of a cave at most, and the least width for its caption
PAD, GAP, HEAD, CAPTION, CHART = 32, 28, 56, 30, 150  # pixels
LEGEND, BAND = 120, 12  # pixels: length and height of a band of colours


def episode_picture(
    env: Env,
    level: Level,
    actions: Integer[np.ndarray, "T A"],
    agent: int = 0,
    title: str = "",
    attention: Attention | None = None,
) -> UInt8[np.ndarray, "h w 3"]:
    """The first trips of an agent and its last ones, each on a map of its own.

    A map is lit where the agent had seen it by the end of the trip. The way is dark blue where
    it begins and bright where it ends. If trips between them have no map, a line says which.
    Below, a bar for each trip of the episode shows its steps, and how many of them the shortest
    path would have taken. With attention, the cells where the agent had been on earlier trips
    are the redder the more it attends to them on this one.

    Args:
        env: the environment.
        level: where the episode was played.
        actions: what all agents did.
        agent: whose trips.
        title: a heading; how many finds there were, if not given.
        attention: how much it attends, when it chooses each of these actions, to the timestep
            before action 0, 1, and so on; zeros where that is yet to come.

    Raises:
        ValueError: if there are too many actions, or none.
    """
    made = trips(env, level, actions, agent)
    finds = sum(trip.found for trip in made)
    title = title or f"{finds} find{'s' * (finds != 1)} in {len(actions)} steps"
    shown = _shown(len(made))
    caves = _caves(env, made, shown, agent, attention)
    high, cave_width = len(caves[0]) + GAP, caves[0].shape[1]
    wide = max(cave_width, CAPTION_PX) + GAP
    rows, columns = ceil(len(shown) / COLUMNS), max(min(len(shown), COLUMNS), 2)
    foot = PAD + HEAD + rows * (high + CAPTION)
    picture = np.empty((foot + CHART + PAD, 2 * PAD - GAP + columns * wide, 3), np.uint8)
    fill(picture, 0, 0, *picture.shape[:2], BACK)
    _heading(picture, title)
    for place, (number, cave) in enumerate(zip(shown, caves, strict=True)):
        top = PAD + HEAD + place // COLUMNS * (high + CAPTION)
        left = PAD + place % COLUMNS * wide
        _caption(picture, number, made[number], top, left, wide - GAP)
        paste(picture, cave, top + CAPTION, left + (wide - GAP - cave_width) // 2)
    if len(shown) < len(made):
        _gap(picture, shown, PAD + HEAD + high + CAPTION - GAP)
    _chart(picture[foot : foot + CHART, PAD:-PAD], made)
    if attention is not None:
        floor = np.full((BAND, LEGEND, 3), FLOOR, np.uint8)
        heat = np.linspace(0, 1, LEGEND // BAND, dtype=np.float32)[None]
        _legend(
            picture[foot - PAD - 5 :], "attends: little", tint(floor, floor, heat, BAND), "much"
        )
    return picture


def _shown(count: int) -> list[int]:
    """The numbers of all trips or, if they are many, of the first and the last ones."""
    if count <= SHOWN:
        return list(range(count))
    first = SHOWN // 2
    return [*range(first), *range(count - SHOWN + first, count)]


def _caves(
    env: Env, made: list[Trip], shown: list[int], agent: int, attention: Attention | None
) -> list[Picture]:
    height, width = made[0].tiles.shape
    px = min(max(CAVE_PX // max(height, width), 1), 32)
    px -= px % 8 if px > 16 else 0  # sizes at which the sprites are sharp
    seen, caves = np.zeros((height, width), bool), []
    for number, trip in enumerate(made):
        stood = trip.cells[:-1] if trip.found else trip.cells  # it never saw from the goal itself
        seen |= seen_cells(stood, env.view_size, height, width)
        if number in shown:
            heat = None if attention is None else _recalled(made, number, attention)
            caves.append(draw_way(trip, seen, px, agent, heat))
    return caves


def _recalled(made: list[Trip], number: int, attention: Attention) -> Float32[np.ndarray, "H W"]:
    """How much an agent attends on a trip to each cell, for what it saw there on earlier trips."""
    trip = made[number]
    places = [cells for earlier in made[:number] for cells in earlier.cells[:-1]]
    weights = attention[trip.begin : trip.begin + trip.steps, : trip.begin].sum(axis=0)
    return on_map(np.array(places, np.int32).reshape(-1, 2), weights, *trip.tiles.shape)


def _heading(picture: Picture, title: str) -> None:
    colours = np.array([way_colour(at / (LEGEND - 1)) for at in range(LEGEND)], np.uint8)
    free = _legend(picture, "begin", colours[None].repeat(BAND, axis=0), "end")
    draw_text(picture, cut(title, (free - PAD) // (3 * ADVANCE)), PAD, PAD, ACCENT, 3)


def _legend(picture: Picture, low: str, band: UInt8[np.ndarray, "y x 3"], high: str) -> int:
    """A band of colours and what its ends mean, at the upper right; returns where it begins."""
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


def _gap(picture: Picture, shown: list[int], top: int) -> None:
    """Says between the rows of caves which trips have none."""
    first, last = SHOWN // 2 + 1, shown[SHOWN // 2]
    which = f"trip {first} has" if first == last else f"trips {first} to {last} have"
    text = f"{which} no picture here, only bars below"
    height, width = text_px(text, 2)
    left = (picture.shape[1] - width) // 2
    row = top + (GAP - height) // 2
    for start, end in ((PAD, left - 12), (left + width + 12, picture.shape[1] - PAD)):
        fill(picture, row + 6, start, 2, end - start, EDGE)
    draw_text(picture, text, row, left, MUTED, 2)


def _chart(picture: Picture, made: list[Trip]) -> None:
    """A bar for each trip, its number below and its steps above where there is room."""
    height, width = picture.shape[:2]
    draw_text(picture, "steps", 0, 0, BAR, 2)
    draw_text(picture, "shortest path", 0, text_px("steps  ", 2)[1], ACCENT, 2)
    pitch, ground, top = width / len(made), height - 22, 52
    bar = max(min(round(pitch * 0.7), 60), 1)
    scale = 2 if pitch >= 44 else 1
    fill(picture, ground, 0, 2, width, EDGE)
    per_step = (ground - top) / max(trip.steps for trip in made)
    for number, trip in enumerate(made):
        middle = round((number + 0.5) * pitch)
        tall, least = (max(round(n * per_step), 1) for n in (trip.steps, trip.shortest))
        left = middle - bar // 2
        fill(picture, ground - tall, left, tall, bar, BAR if trip.found else EDGE)
        if trip.found:
            fill(picture, ground - least, left, least, bar, ACCENT)
        if pitch >= 20:
            for word, row, colour in (
                (str(trip.steps), ground - tall - 10 * scale, TEXT),
                (str(number + 1), ground + 6, MUTED),
            ):
                draw_text(picture, word, row, middle - text_px(word, scale)[1] // 2, colour, scale)
