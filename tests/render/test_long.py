"""What takes a while: a real window on a virtual screen, and ten thousand frames."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from gridmem.render.png import read_png

pytestmark = pytest.mark.slow
needs_screen = pytest.mark.skipif(
    not all(map(shutil.which, ("Xvfb", "xdotool", "xwininfo"))),
    reason="needs Xvfb, xdotool and xwininfo",
)
SIDE = 1000, 700


@pytest.fixture(scope="module")
def display():
    """A virtual screen."""
    read, write = os.pipe()
    command = ["Xvfb", "-displayfd", str(write), "-screen", "0", "{}x{}x24".format(*SIDE)]
    server = subprocess.Popen(command, pass_fds=[write], stderr=subprocess.DEVNULL)
    os.close(write)
    with os.fdopen(read) as pipe:
        number = pipe.readline().strip()
    yield f":{number}"
    server.terminate()
    server.wait()


class Player:
    """The program on the virtual screen, and a person at its keyboard."""

    def __init__(self, display, folder, *arguments):
        self.folder = folder
        self.environment = {**os.environ, "DISPLAY": display, "XDG_DATA_HOME": str(folder)}
        self.environment.pop("SDL_VIDEODRIVER", None)
        command = [sys.executable, "-m", "gridmem.render.play", *arguments]
        self.process = subprocess.Popen(
            command, cwd=folder, env=self.environment, stdout=subprocess.DEVNULL
        )

    def run(self, *command):
        return subprocess.run(
            command, env=self.environment, check=True, capture_output=True, text=True
        ).stdout

    def wait_for(self, there, seconds=120):
        end = time.monotonic() + seconds
        while not there():
            assert time.monotonic() < end, "it does not come"
            assert self.process.poll() is None, "the program has ended"
            time.sleep(0.1)

    def window(self):
        lines = self.run("xwininfo", "-root", "-tree").split("\n")
        return next((line.split()[0] for line in lines if '"GridMem"' in line), None)

    def press(self, *names):
        self.run("xdotool", "key", *names)

    def screen(self):
        import imageio_ffmpeg

        size = "{}x{}".format(*SIDE)
        where = ["-f", "x11grab", "-draw_mouse", "0", "-video_size", size]
        where += ["-i", self.environment["DISPLAY"]]
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", *where, "-frames:v", "1"]
        command += ["-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
        done = subprocess.run(command, capture_output=True, env=self.environment, check=True)
        return np.frombuffer(done.stdout, np.uint8).reshape(*SIDE[::-1], 3)

    def photographed(self, number):
        """What key P wrote, and what the screen shows in its place."""
        path = self.folder / f"gridmem-{number}.png"
        self.press("p")
        self.wait_for(path.exists)
        time.sleep(0.5)
        return read_png(path)


def processor_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@needs_screen
def test_a_real_window(display, tmp_path):
    arguments = "GridMem-9x9-v0", "--seed", "1", "--max-steps", "5", "--size", "800x500"
    player = Player(display, tmp_path, *arguments)
    try:
        player.wait_for(player.window)
        player.run("xdotool", "windowfocus", player.window())
        # The first picture that is not the one of the compilation.
        player.wait_for(lambda: (player.screen() == (228, 220, 202)).all(axis=-1).any())
        start = time.monotonic()
        used = processor_seconds(player.process.pid)
        time.sleep(4)
        used = processor_seconds(player.process.pid) - used
        assert used / (time.monotonic() - start) < 0.05

        picture = player.photographed(1)
        rows, columns = (SIDE[1] - 500) // 2, (SIDE[0] - 800) // 2
        shown = player.screen()[rows : rows + 500, columns : columns + 800]
        # They differ in the line that says where the picture is.
        np.testing.assert_array_equal(shown[:450], picture[:450])
        assert (shown != picture).any()

        player.press("Right", "s", "Tab")
        whole = player.photographed(2)
        assert (whole != picture).mean() > 0.2
        player.run("xdotool", "windowsize", player.window(), "640", "420")
        time.sleep(1)
        assert player.photographed(3).shape == (420, 640, 3)
        player.press("Up", "Up", "Left")
        player.press("Escape")
        assert player.process.wait(10) == 0
    finally:
        player.process.kill()
    scores = tmp_path / "gridmem" / "scores.jsonl"
    assert scores.read_text() == ""  # the whole cave was shown


@needs_screen
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_signals_close_the_window(how, display, tmp_path):
    player = Player(display, tmp_path, "GridMem-9x9-v0", "--size", "800x500")
    try:
        player.wait_for(player.window)
        player.wait_for(lambda: (player.screen() == (228, 220, 202)).all(axis=-1).any())
        player.process.send_signal(how)
        assert player.process.wait(10) in (0, 130)
    finally:
        player.process.kill()


MEMORY = """
import json, os
os.environ["SDL_VIDEODRIVER"] = "dummy"
from pathlib import Path
from gridmem.render.camera import Camera
from gridmem.render.live import live
from gridmem.render.options import parse
from gridmem.render.setup import begin, set_up
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
