"""Levels given from outside: whether an environment can play them."""

from typing import Any

import numpy as np

from gridmem.envs.env import Env
from gridmem.envs.types import Level, Tile


def checked_level(env: Env, level: Any) -> Level:
    """The level as numpy arrays of the core's dtypes, after making sure that `env` can play it.

    The core itself checks nothing: it trusts the ring of wall, and would read beyond the map
    without it.

    Args:
        env: what is to play it.
        level: a `Level`, of whatever arrays.

    Raises:
        ValueError: saying what is wrong with it.
    """
    if not isinstance(level, Level):
        raise ValueError(f"the level is a {type(level).__name__}; it must be a gridmem.Level")
    side = env.config.map.height + 2, env.config.map.width + 2
    tiles = np.asarray(level.tiles)
    if tiles.shape != side:
        raise ValueError(
            f"the level's tiles have shape {tiles.shape}; this environment's have shape {side}"
        )
    if tiles.dtype.kind not in "iu" or not np.isin(tiles, _TILES).all():
        raise ValueError("the level's tiles must be ids of floor, wall, rock and goal: 0 to 3")
    if (tiles[[0, -1]] != Tile.WALL).any() or (tiles[:, [0, -1]] != Tile.WALL).any():
        raise ValueError("the level is open at its edge; its outermost cells must all be wall")
    goals = _checked_cells("goal", level.goals, tiles, Tile.GOAL)
    spawns = _checked_cells("spawn", level.spawns, tiles, Tile.FLOOR)
    num_goals = env.config.task.num_goals
    distinct = len(np.unique(goals, axis=0))
    if not len(goals) == distinct == (tiles == Tile.GOAL).sum() == num_goals:
        raise ValueError(
            f"the level lists {distinct} distinct goals and draws {(tiles == Tile.GOAL).sum()}; "
            f"this environment's task needs exactly {num_goals}"
        )
    return Level(*_as_core(tiles, goals, spawns))


_TILES = [Tile.FLOOR, Tile.WALL, Tile.ROCK, Tile.GOAL]


def _checked_cells(name: str, cells: Any, tiles: np.ndarray, tile: Tile) -> np.ndarray:
    cells = np.asarray(cells)
    if cells.ndim != 2 or cells.shape[1:] != (2,) or not len(cells) or cells.dtype.kind not in "iu":
        raise ValueError(
            f"the level's {name}s have shape {cells.shape} and dtype {cells.dtype}; "
            "they must be whole numbers (row, column), one pair for each, at least one"
        )
    outside = ((cells < 0) | (cells >= tiles.shape)).any(axis=1)
    wrong = outside | (tiles[tuple(np.where(outside[:, None], 0, cells).T)] != tile)
    if wrong.any():
        raise ValueError(
            f"the level has a {name} at {tuple(cells[wrong][0].tolist())}, which is not a "
            f"{tile.name.lower()} cell of its map"
        )
    return cells


def _as_core(tiles: np.ndarray, goals: np.ndarray, spawns: np.ndarray) -> Any:
    return tiles.astype(np.uint8), goals.astype(np.int32), spawns.astype(np.int32)
