"""Speed for users: in a separate process, without the type checks of the test run."""

import subprocess
import sys

import pytest

SETUP = """
import sys, time
import numpy as np
from gridmem.render.draw import draw
from gridmem.render.video import write_video

rng = np.random.default_rng(0)
tiles = (rng.random((42, 42)) < 0.25).astype(np.uint8)
tiles[[0, -1]] = tiles[:, [0, -1]] = 1
seen = rng.random(tiles.shape) < 0.5
walk = rng.integers(1, 41, (256, 16, 2))
facing = rng.integers(0, 5, 16)
def frames():
    for positions in walk:
        yield draw(tiles, positions, 16, seen, facing=facing, highlight=(20, 20, 5))
"""
DRAW = """
best = float("inf")
frame = frames()
for _ in walk:
    begin = time.perf_counter()
    next(frame)
    best = min(best, time.perf_counter() - begin)
print(best)
"""
VIDEO = """
begin = time.perf_counter()
write_video(sys.argv[1], frames(), fps=30)
print((time.perf_counter() - begin) / len(walk))
"""


def seconds(code, *arguments):
    command = [sys.executable, "-W", "error", "-c", SETUP + code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


def test_a_map_is_drawn_in_under_3_ms():
    assert seconds(DRAW) < 0.003


@pytest.mark.timing
@pytest.mark.parametrize("name", ["a.mp4", "a.gif"])
def test_a_second_makes_64_frames_of_video(name, tmp_path):
    # The best of three, as other programs may be running.
    assert any(seconds(VIDEO, tmp_path / name) < 1 / 64 for _ in range(3))
