"""Makes cave.png: a cave of GridMem-v0 with what the agent sees lit, beside the agent's view.

Run from the repository's root: uv run python docs/images/make_cave.py
"""

from pathlib import Path

import jax
import numpy as np

import gridmem
from gridmem.envs.types import Action
from gridmem.render.draw import draw, draw_view
from gridmem.render.png import write_png

TILE_PX, VIEW_TILE_PX, MARGIN_PX, SEED = 16, 64, 32, 5


def main() -> None:
    """Writes the picture beside this file."""
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
    view = draw_view(np.array(timestep.obs.view[0]), VIEW_TILE_PX, facing=Action.RIGHT)
    height, width = len(cave), len(cave) + MARGIN_PX + len(view)
    canvas = np.zeros((height, width, 4), np.uint8)  # see-through between the two
    canvas[:, : len(cave), :3], canvas[:, : len(cave), 3] = cave, 255
    top = (height - len(view)) // 2
    beside = canvas[top : top + len(view), -len(view) :]
    beside[..., :3], beside[..., 3] = view, 255
    write_png(Path(__file__).parent / "cave.png", canvas)


if __name__ == "__main__":
    main()
