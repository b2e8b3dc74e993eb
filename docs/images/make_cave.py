"""Makes cave.png: a cave of GridMem-v0 with what the agent sees lit, beside the agent's view.

Run from the repository's root: uv run python docs/images/make_cave.py
"""

from pathlib import Path

import jax
import numpy as np

import gridmem
from gridmem.envs.types import Action
from gridmem.render.draw import draw, draw_view
from gridmem.render.paint import ACCENT, BACK, EDGE, MUTED, TEXT, draw_text, fill, paste
from gridmem.render.video import write_png

TILE_PX, VIEW_TILE_PX, MARGIN_PX, HEAD_PX, SEED = 16, 64, 24, 44, 5


def main() -> None:
    """Writes the picture beside this file; opaque, so that it reads on pages of any colour."""
    env = gridmem.make("GridMem-v0")
    state, timestep = jax.jit(env.reset)(jax.random.key(SEED))
    tiles, positions = np.array(state.world.tiles), np.array(state.world.position)
    row, column = (int(index) for index in positions[0])
    rows, columns = np.indices(tiles.shape)
    seen = np.maximum(np.abs(rows - row), np.abs(columns - column)) <= env.view_size // 2
    cave = draw(
        tiles,
        positions,
        TILE_PX,
        seen,
        facing=np.array([Action.RIGHT]),
        highlight=(row, column, env.view_size),
    )
    for goal in np.array(state.goals):
        _mark_goal(cave, *goal.tolist())
    view = draw_view(np.array(timestep.obs.view[0]), VIEW_TILE_PX, facing=Action.RIGHT)
    height = HEAD_PX + len(cave) + MARGIN_PX
    width = 3 * MARGIN_PX + cave.shape[1] + view.shape[1]
    canvas = np.empty((height, width, 3), np.uint8)
    fill(canvas, 0, 0, height, width, BACK)
    left = 2 * MARGIN_PX + cave.shape[1]
    paste(canvas, cave, HEAD_PX, MARGIN_PX)
    draw_text(canvas, "the cave, 40 x 40 cells", 16, MARGIN_PX, TEXT, 2)
    top = HEAD_PX + (len(cave) - len(view)) // 2
    for number, line in enumerate(("dim: not in view", "frame: what the agent sees")):
        draw_text(canvas, line, top + len(view) + 12 + 26 * number, left, MUTED, 2)
    fill(canvas, top - 2, left - 2, len(view) + 4, view.shape[1] + 4, EDGE)
    paste(canvas, view, top, left)
    draw_text(canvas, "all that the agent sees", top - 28, left, TEXT, 2)
    write_png(Path(__file__).parent / "cave.png", canvas)


def _mark_goal(cave: np.ndarray, row: int, column: int) -> None:
    """Frames a goal, as bright as if it was seen, and names it."""
    top, left, line, room = row * TILE_PX, column * TILE_PX, 3, 6
    bright = draw(np.full((1, 1), gridmem.Tile.GOAL, np.uint8), None, TILE_PX)
    side = TILE_PX + 2 * room
    inside = cave[top - room : top - room + side, left - room : left - room + side].copy()
    side += 2 * line
    fill(cave, top - room - line, left - room - line, side, side, ACCENT)
    paste(cave, inside, top - room, left - room)
    paste(cave, bright, top, left)
    draw_text(cave, "goal", top - 2, left + side - room - line + 6, ACCENT, 2)


if __name__ == "__main__":
    main()
