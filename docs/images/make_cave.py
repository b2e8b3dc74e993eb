"""Makes cave.png: a cave of GridMem-v0 with what the agent sees lit, beside the agent's view.

Run from the repository's root: uv run python docs/images/make_cave.py
"""

from pathlib import Path

import jax
import numpy as np
from matplotlib.image import imsave

import gridmem
from gridmem.render.draw import draw

TILE_PX, MARGIN_PX, SEED = 12, 24, 5


def main() -> None:
    """Writes the picture beside this file."""
    env = gridmem.make("GridMem-v0")
    state, timestep = jax.jit(env.reset)(jax.random.key(SEED))
    tiles, positions = np.array(state.world.tiles), np.array(state.world.position)
    half = env.view_size // 2
    row, column = np.indices(tiles.shape)
    near = np.abs(row - positions[0, 0]), np.abs(column - positions[0, 1])
    cave = draw(tiles, positions, TILE_PX, seen=np.maximum(*near) <= half)
    view = draw(np.array(timestep.obs.view[0]), None, 4 * TILE_PX)
    canvas = np.full((cave.shape[0], cave.shape[1] + MARGIN_PX + view.shape[1], 3), 255, np.uint8)
    canvas[:, : cave.shape[1]] = cave
    top = (cave.shape[0] - view.shape[0]) // 2
    canvas[top : top + view.shape[0], -view.shape[1] :] = view
    imsave(Path(__file__).parent / "cave.png", canvas)


if __name__ == "__main__":
    main()
