"""The pictures in tests/render/golden_scenes/; `uv run python tests/render/scenes.py` writes them.

After a change of the art or the layout, write them again and look at each.
"""

from pathlib import Path

import numpy as np
from golden_files import tiles_of, write

from gridmem.envs.analysis.trips import Trip
from gridmem.render.frame import FrameState, frame
from gridmem.render.trip_figure import draw_trip

GOLDEN = Path(__file__).parent / "golden_scenes"
CAVE = """
#############
#.....%%....#
#.##..%%..#.#
#.##.....##.#
#..G..%.....#
#....%%%..#.#
#############
"""
HELP = (
    "Keys",
    "",
    "arrows, WASD   move",
    "Tab            show the whole cave",
    "Esc            quit",
)


def a_state(**changes):
    """An agent that has walked from (3, 5) to (4, 5), and has seen the middle of a cave."""
    tiles = tiles_of(CAVE)
    positions = np.array([(1, 10), (4, 5), (5, 3)], np.int32)
    view = tiles[2:7, 3:8].copy()
    view[2, 2] = view[3, 0] = 4
    seen = np.zeros(tiles.shape, bool)
    seen[1:7, 3:8] = True
    state = FrameState(
        tiles=tiles,
        positions=positions,
        facing=np.array([0, 2, 3], np.int32),
        agent=1,
        view=view,
        seen=seen,
        title="GridMem-v0",
        lines=(("finds", "3"), ("steps left", "412"), ("trips", "51 12 9")),
        bars=(("up", 0.62), ("right", 0.25), ("down", 0.13), ("left", 0.0)),
        status="your move; H: help",
    )
    return state._replace(**changes)


def heat():
    warm = np.zeros(tiles_of(CAVE).shape, np.float32)
    warm[3, 4:7] = 0.1, 1.0, 0.4
    warm[4, 4:6] = 0.7, 0.2
    return warm


def a_trip():
    """From the lower right corner, back and forth, to the goal."""
    turns = [(5, 11), (1, 11), (1, 8), (1, 10), (1, 8), (3, 8), (3, 5), (4, 5), (4, 3)]
    cells = [turns[0]]
    for row, column in turns[1:]:
        while cells[-1] != (row, column):
            y, x = cells[-1]
            cells.append((int(y + np.sign(row - y)), int(x + np.sign(column - x))))
    return Trip(0, len(cells) - 1, 10, True, np.array(cells, np.int32), tiles_of(CAVE))


SCENES = {
    "view": lambda: frame(a_state(), 640, 400),
    "view-heat": lambda: frame(a_state(heat=heat()), 640, 400),
    "whole": lambda: frame(a_state(whole=True, heat=heat()), 1280, 800),
    "help": lambda: frame(a_state(help=HELP), 640, 400),
    "trip": lambda: draw_trip(a_trip(), a_state().seen, 16, agent=4),
    "trip-heat": lambda: draw_trip(a_trip(), a_state().seen, 16, heat=heat()),
    "trip-small": lambda: draw_trip(a_trip(), a_state().seen, 5),
}


if __name__ == "__main__":
    write(GOLDEN, SCENES)
