"""The pictures in tests/render/golden/; `uv run python tests/render/pictures.py` writes them.

After a change of the art, write them again and look at each.
"""

from pathlib import Path

import numpy as np
from golden_files import tiles_of, write

from gridmem.render.draw import draw, draw_view

GOLDEN = Path(__file__).parent / "golden"
CAVE = """
###############
#.....%%......#
#.##..%%..#.#.#
#.##.....##...#
#..G..%.......#
#....%%%..#...#
#..%........###
#....#.....%%##
###############
"""
VIEW = """
##..%
##...
..@.@
.G.##
..%##
"""
POSITIONS = np.array([(1, 1), (3, 5), (4, 2), (4, 8), (6, 6), (6, 10), (2, 8), (1, 12)])
FACING = np.array([0, 1, 2, 3, 4, 0, 1, 2])


def cave(px, **more):
    return draw(tiles_of(CAVE), POSITIONS, px, facing=FACING, **more)


def part_seen():
    seen = np.zeros(tiles_of(CAVE).shape, bool)
    seen[1:6, 3:8] = seen[4:9, 6:13] = True
    return seen


PICTURES = {
    "cave-4": lambda: cave(4),
    "cave-8": lambda: cave(8),
    "cave-12": lambda: cave(12),
    "cave-16": lambda: cave(16),
    "cave-32": lambda: cave(32),
    "fog-8": lambda: cave(8, seen=part_seen(), highlight=(3, 5, 5)),
    "fog-16": lambda: cave(16, seen=part_seen(), highlight=(6, 12, 5)),
    "view-24": lambda: draw_view(tiles_of(VIEW), 24, facing=3, colour=2),
}


if __name__ == "__main__":
    write(GOLDEN, PICTURES)
