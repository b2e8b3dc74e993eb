"""Maps and views as text."""

import numpy as np
from jaxtyping import Integer, UInt8

from gridmem.envs.types import Tile

CHARACTERS = {Tile.FLOOR: ".", Tile.WALL: "#", Tile.ROCK: "%", Tile.GOAL: "G", Tile.AGENT: "@"}
_TABLE = np.array([CHARACTERS[tile] for tile in Tile])


def text(
    tiles: UInt8[np.ndarray, "H W"], positions: Integer[np.ndarray, "A 2"] | None = None
) -> str:
    """A map or a view as lines of text, one character a cell, as `TextMap` writes them.

    Args:
        tiles: tile ids, a whole map or one agent's view.
        positions: cells (row, column) of the agents, drawn as '@' over whatever is there; None
            for a view, which already shows them.

    Returns:
        H lines of W characters joined by newlines, without one at the end.
    """
    characters = _TABLE[tiles]
    if positions is not None:
        characters[positions[:, 0], positions[:, 1]] = CHARACTERS[Tile.AGENT]
    return "\n".join("".join(row) for row in characters)
