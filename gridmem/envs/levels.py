"""Levels given by users: made from text or arrays, and checked before they are played."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from gridmem.envs.env import NUM_SPAWNS, Env
from gridmem.envs.maps import TextMap
from gridmem.envs.types import Level, Tile

_TILES = [Tile.FLOOR, Tile.WALL, Tile.ROCK, Tile.GOAL]


def make_level(
    cave: Sequence[str] | ArrayLike, spawns: ArrayLike | None = None, seed: int = 0
) -> Level:
    """A level from text or from an array.

    Args:
        cave: lines of text as for `TextMap`, with 'G' for goals and digits for spawns; or tile ids
            [H,W], goals included. The outermost cells must be wall.
        spawns: cells (row, column), [n,2], used in turn and then from the beginning; by default
            those of the text, or random floor cells if it has none.
        seed: seed of the random spawns.

    Returns:
        A level of numpy arrays, with tiles u8[H,W], goals i32[G,2], spawns i32[256,2].

    Raises:
        ValueError: saying what is wrong with the cave or the spawns.
    """
    if isinstance(cave, Sequence) and all(isinstance(row, str) for row in cave):
        map_ = TextMap(tuple(str(row) for row in cave))
        tiles = map_.tiles.copy()
        for goal in map_.goals:
            tiles[goal] = Tile.GOAL
        spawns = spawns if spawns is not None or not map_.spawns else map_.spawns
    else:
        tiles = np.asarray(cave)
    if spawns is None:
        floor = np.argwhere(tiles == Tile.FLOOR)
        if not len(floor):
            raise ValueError("the cave has no floor for spawns; leave some")
        spawns = np.random.default_rng(seed).choice(floor, NUM_SPAWNS)
    spawns = np.asarray(spawns)
    if spawns.ndim == 2 and len(spawns):
        spawns = np.resize(spawns, (NUM_SPAWNS, spawns.shape[1]))
    goals = np.argwhere(tiles == Tile.GOAL)
    if not len(goals):
        raise ValueError("the cave has no goal; draw one, 'G' in text or 3 in an array")
    return checked_level(None, as_level(tiles, goals, spawns))


def checked_level(env: Env | None, level: Any) -> Level:
    """`checked_levels` for one level without the leading axis.

    Raises:
        ValueError: saying what is wrong with it.
    """
    _check_type(level)
    stacked = as_level(*(np.asarray(leaf)[None] for leaf in level))
    return Level(*(leaf[0] for leaf in checked_levels(stacked, env)))


def checked_levels(levels: Any, env: Env | None = None) -> Level:
    """Levels as numpy arrays of the right dtypes, after checking that they can be played.

    `Env` itself checks nothing: without the ring of wall it would read beyond the map.

    Args:
        levels: a `Level` of arrays of any kind, leaves [N, ...].
        env: the environment that will play them; any if not given.

    Raises:
        ValueError: saying what is wrong with the first invalid level.
    """
    _check_type(levels)
    tiles = np.asarray(levels.tiles)
    if tiles.ndim != 3 or tiles.dtype.kind not in "iu":
        raise ValueError(
            f"the tiles of a level are {tiles.dtype}{list(tiles.shape[1:])}; they must be whole "
            "numbers [H, W]"
        )
    if not len(tiles):
        raise ValueError("there is no level; give one or more")
    if env is not None:
        side = env.config.map.height + 2, env.config.map.width + 2
        if tiles.shape[1:] != side:
            raise ValueError(
                f"the level's tiles have shape {tiles.shape[1:]}; this environment's have shape "
                f"{side}"
            )
    _refuse(~np.isin(tiles, _TILES), "has tiles other than floor, wall, rock and goal: 0 to 3")
    ring = np.ones(tiles.shape[1:], bool)
    ring[1:-1, 1:-1] = False
    _refuse(
        (tiles != Tile.WALL) & ring, "is open at its edge; the outermost cells must all be wall"
    )
    goals = _checked_cells("goal", levels.goals, tiles, Tile.GOAL)
    spawns = _checked_cells("spawn", levels.spawns, tiles, Tile.FLOOR)
    _check_number_of_goals(goals, tiles, env)
    return as_level(tiles.astype(np.uint8), goals.astype(np.int32), spawns.astype(np.int32))


def as_level(*leaves: Any) -> Level:
    """A level of numpy arrays, which the annotations of `Level` do not allow."""
    return Level(*leaves)


def _check_type(level: Any) -> None:
    if not isinstance(level, Level):
        raise ValueError(f"the level is a {type(level).__name__}; it must be a gridmem.Level")


def _checked_cells(name: str, cells: Any, tiles: np.ndarray, tile: Tile) -> np.ndarray:
    cells = np.asarray(cells)
    are_pairs = cells.ndim == 3 and cells.shape[::2] == (len(tiles), 2) and cells.shape[1] > 0
    if not are_pairs or cells.dtype.kind not in "iu":
        raise ValueError(
            f"the level's {name}s have shape {cells.shape[1:]} and dtype {cells.dtype}; "
            "they must be whole numbers (row, column), one pair for each, at least one"
        )
    outside = ((cells < 0) | (cells >= tiles.shape[1:])).any(axis=-1)
    inside = np.where(outside[..., None], 0, cells)
    number = np.arange(len(tiles))[:, None]
    wrong = outside | (tiles[number, inside[..., 0], inside[..., 1]] != tile)
    if wrong.any():
        cell = tuple(cells[wrong][0].tolist())
        kind = tile.name.lower()
        _refuse(wrong, f"has a {name} at {cell}, which is not a {kind} cell of its map")
    return cells


def _check_number_of_goals(goals: np.ndarray, tiles: np.ndarray, env: Env | None) -> None:
    drawn = (tiles == Tile.GOAL).sum(axis=(1, 2))
    flat = goals[..., 0] * tiles.shape[2] + goals[..., 1]
    flat.sort(axis=1)
    distinct = 1 + (np.diff(flat, axis=1) != 0).sum(axis=1)
    number = goals.shape[1] if env is None else env.config.task.num_goals
    wrong = (drawn != number) | (distinct != number) | (goals.shape[1] != number)
    if wrong.any():
        subject = "levels of a pack need" if env is None else "this environment's task needs"
        _refuse(
            wrong,
            f"lists {distinct[wrong][0]} distinct goals and draws {drawn[wrong][0]}; "
            f"{subject} exactly {number}",
        )


def _refuse(wrong: np.ndarray, what: str) -> None:
    """Raises for the first level with an entry that is marked as wrong."""
    wrong = wrong.reshape(len(wrong), -1).any(axis=1)
    if wrong.any():
        name = "the level" if len(wrong) == 1 else f"level {int(np.argmax(wrong))}"
        raise ValueError(f"{name} {what}")
