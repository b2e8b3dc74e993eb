"""Real windows, on a virtual screen."""

import signal
import time
from contextlib import contextmanager
from itertools import pairwise

import numpy as np
import pytest
from golden_files import read
from screens import Program, needs_screen, virtual_screen

from gridmem.render.sprites import FLOOR

pytestmark = [pytest.mark.slow, needs_screen]


@pytest.fixture(scope="module")
def screen():
    with virtual_screen() as name:
        yield name


@contextmanager
def play(screen, folder, *arguments):
    """The play application, once it shows its first level."""
    command = "-m", "gridmem.render.play", "GridMem-9x9-v0", "--size", "800x500", *arguments
    with Program(screen, folder, *command) as program:
        program.focus()
        program.wait_for(lambda: (program.pixels() == FLOOR).all(axis=-1).any())
        yield program


def screenshot(program, number):
    """The picture that key P writes."""
    path = program.folder / f"gridmem-{number}.png"
    program.press("p")
    program.wait_for(path.exists)
    time.sleep(0.5)
    return read(path)


def test_the_window(screen, tmp_path):
    with play(screen, tmp_path, "--seed", "1", "--max-steps", "5") as program:
        start, used = time.monotonic(), program.processor_seconds()
        time.sleep(4)
        used = program.processor_seconds() - used
        assert used / (time.monotonic() - start) < 0.05

        picture, shown = screenshot(program, 1), program.pixels()
        # They differ in the line that says where the picture is.
        np.testing.assert_array_equal(shown[:450], picture[:450])
        assert (shown != picture).any()

        program.press("Right", "s", "Tab")
        whole = screenshot(program, 2)
        assert (whole != picture).mean() > 0.2
        program.resize(640, 420)
        time.sleep(1)
        assert screenshot(program, 3).shape == (420, 640, 3)
        program.press("Up", "Up", "Left")
        program.press("Escape")
        assert program.process.wait(10) == 0
    scores = tmp_path / "gridmem" / "scores.jsonl"
    assert scores.read_text() == ""  # the whole cave was shown


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_signals_close_the_window(how, screen, tmp_path):
    with play(screen, tmp_path) as program:
        program.process.send_signal(how)
        assert program.process.wait(10) in (0, 130)


STEPS = """
import sys
import gymnasium, numpy as np
import gridmem

if sys.argv[1] == "gymnasium":
    make, act = gymnasium.make, lambda env, action: env.step(action)
else:
    make = lambda id, **mode: gridmem.parallel_env(id, num_agents=3, **mode)
    act = lambda env, action: env.step(dict.fromkeys(env.agents, action))
shown, drawn = (make("GridMem-9x9-v0", render_mode=mode) for mode in ("human", "rgb_array"))
for env in (shown, drawn):
    env.reset(seed=3)
for action in (1, 2, 3, 0):
    np.save("picture.npy", drawn.render())
    print("shown", flush=True)
    input()
    for env in (shown, drawn):
        act(env, action)
shown.close()
print("closed", flush=True)
input()
"""


@pytest.mark.parametrize("interface", ["gymnasium", "pettingzoo"])
def test_the_mode_human_shows_the_pixels_of_rgb_array(interface, screen, tmp_path):
    with Program(screen, tmp_path, "-c", STEPS, interface) as program:
        pictures = []
        for line in iter(program.process.stdout.readline, "closed\n"):
            assert line == "shown\n"
            program.wait_for(program.has_window)
            picture = np.load(tmp_path / "picture.npy")
            pixels = program.pixels()
            np.testing.assert_array_equal(pixels, picture.repeat(3, axis=0).repeat(3, axis=1))
            pictures.append(picture)
            program.send_line()
        assert len(pictures) == 4
        assert all((one != other).any() for one, other in pairwise(pictures))
        assert not program.has_window()
        program.send_line()
        assert program.process.wait(10) == 0
