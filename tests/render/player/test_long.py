"""What takes a while: ten thousand frames."""

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

MEMORY = """
import json, os
os.environ["SDL_VIDEODRIVER"] = "dummy"
from pathlib import Path
from gridmem.render.player.recorder import Camera
from gridmem.render.player.main_loop import live
from gridmem.render.player.options import parse
from gridmem.render.player.setup import begin, set_up
from gridmem.render.window import Window

options = parse(["GridMem-20x20-v0", "--seed", "0", "--player", "oracle"])
game = begin(set_up(options, None, has_keys=True), options, lambda game: "")
window = Window("test", 640, 400)
waited, memory = 0, []

def wait(limit_ms=None):  # instead of a person: no time passes, and caves come one after another
    global waited
    waited += 1
    if waited % 1000 == 0:
        pages = int(open("/proc/self/statm").read().split()[1])
        memory.append(pages * os.sysconf("SC_PAGE_SIZE") / 2**20)
    if waited == 10_000:
        return [("escape", False)]
    if game.session.over:
        return [("n", False)]
    game.tick()
    return []

window.wait = wait
live(game, window, Camera(Path(), "test", 8))
print(json.dumps([game.number, memory]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_stays_as_it_is_over_ten_thousand_frames():
    done = subprocess.run(
        [sys.executable, "-c", MEMORY], capture_output=True, text=True, timeout=500, check=True
    )
    number, memory = json.loads(done.stdout)
    assert number >= 35  # episodes of 256 steps
    # The first thousands of frames fill caches.
    assert max(memory[5:]) - memory[3] < 10, memory
