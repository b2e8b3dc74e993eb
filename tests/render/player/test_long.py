"""Slow: ten thousand frames."""

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

MEMORY = """
import json, os
os.environ["SDL_VIDEODRIVER"] = "dummy"
from pathlib import Path
from gridmem.render.player.recorder import Recorder
from gridmem.render.player.main_loop import run_game
from gridmem.render.player.options import parse
from gridmem.render.player.setup import set_up, start_game
from gridmem.render.window import Window

options = parse(["GridMem-20x20-v0", "--seed", "0", "--player", "oracle"])
game = start_game(set_up(options, None, has_keys=True), options, lambda game: "")
window = Window("test", 640, 400)
waited, memory = 0, []

def wait(limit_ms=None):  # replaces a person: no time passes, and one level follows another
    global waited
    waited += 1
    if waited % 1000 == 0:
        pages = int(open("/proc/self/statm").read().split()[1])
        memory.append(pages * os.sysconf("SC_PAGE_SIZE") / 2**20)
    if waited == 10_000:
        return [("escape", False)]
    if game.episode.done:
        return [("n", False)]
    game.tick()
    return []

window.wait = wait
run_game(game, window, Recorder(Path(), "test", 8))
print(json.dumps([game.level_number, memory]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_over_ten_thousand_frames():
    done = subprocess.run(
        [sys.executable, "-c", MEMORY], capture_output=True, text=True, timeout=500, check=True
    )
    number, memory = json.loads(done.stdout)
    assert number >= 35  # episodes of 256 steps
    # The first thousands of frames fill caches.
    assert max(memory[5:]) - memory[3] < 10, memory
