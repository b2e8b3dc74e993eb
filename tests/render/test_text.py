import jax
import numpy as np

import gridmem
from gridmem.envs.types import Tile
from gridmem.render.text import text

ROWS = ("######", "#0.%G#", "#%...#", "######")


def test_a_map_is_written_as_text_map_reads_it():
    tiles = np.array(gridmem.TextMap(ROWS).generate(jax.random.key(0)))
    tiles[1, 4] = Tile.GOAL
    assert text(tiles) == "\n".join(ROWS).replace("0", ".")


def test_agents_are_drawn_over_goals_and_the_map_stays_as_it_was():
    tiles = np.array([[Tile.FLOOR, Tile.GOAL], [Tile.WALL, Tile.ROCK]], np.uint8)
    kept = tiles.copy()
    assert text(tiles, np.array([[0, 1], [0, 0]])) == "@@\n#%"
    np.testing.assert_array_equal(tiles, kept)


def test_a_view_shows_its_agents_itself():
    core = gridmem.make("GridMem-9x9-v0", map=gridmem.TextMap(ROWS), view_size=3)
    _, timestep = core.reset(jax.random.key(0))
    assert text(np.array(timestep.obs.view[0])) == "###\n#@.\n#%."
