"""A virtual screen, programs with a window on it, and a simulated keyboard."""

import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

SIZE = 1000, 700
needs_screen = pytest.mark.skipif(
    not all(map(shutil.which, ("Xvfb", "xdotool", "xwininfo"))),
    reason="needs Xvfb, xdotool and xwininfo",
)


@contextmanager
def virtual_screen():
    """Its name, for DISPLAY."""
    read, write = os.pipe()
    command = ["Xvfb", "-displayfd", str(write), "-screen", "0", "{}x{}x24".format(*SIZE)]
    server = subprocess.Popen(command, pass_fds=[write], stderr=subprocess.DEVNULL)
    os.close(write)
    with os.fdopen(read) as pipe:
        number = pipe.readline().strip()
    try:
        yield f":{number}"
    finally:
        server.terminate()
        server.wait()


class Program:
    """Python with some arguments, on a screen. A context that ends with the program.

    Attributes:
        folder: where it runs, and keeps its data.
        process: its process.
    """

    def __init__(self, screen, folder, *arguments):
        self.folder = folder
        self._environment = {**os.environ, "DISPLAY": screen, "XDG_DATA_HOME": str(folder)}
        self._environment.pop("SDL_VIDEODRIVER", None)
        self.process = subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            cwd=folder,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def wait_for(self, condition, seconds=120):
        """Waits until a function returns something true."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "timeout"
            assert self.process.poll() is None, "the program has ended"
            time.sleep(0.1)

    def send_line(self):
        """Sends the line that the program waits for."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def has_window(self):
        """Whether its window is on the screen."""
        return self._window() is not None

    def focus(self):
        """Waits for the window, and gives it the keyboard focus."""
        self.wait_for(self.has_window)
        self._run("xdotool", "windowfocus", self._window())

    def press(self, *names):
        """Presses keys, one after the other."""
        self._run("xdotool", "key", *names)

    def resize(self, width, height):
        """Makes the window another size."""
        self._run("xdotool", "windowsize", self._window(), str(width), str(height))

    def pixels(self):
        """What the screen shows of the window, [height, width, 3]."""
        geometry = self._run("xwininfo", "-id", self._window())
        left, top, width, height = (
            int(re.search(rf"{name}: +(-?\d+)", geometry)[1])
            for name in ("Absolute upper-left X", "Absolute upper-left Y", "Width", "Height")
        )
        return self._screen()[top : top + height, left : left + width]

    def processor_seconds(self):
        """The processor time used so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _window(self):
        lines = self._run("xwininfo", "-root", "-tree").split("\n")
        return next((line.split()[0] for line in lines if '"GridMem' in line), None)

    def _screen(self):
        import imageio_ffmpeg

        where = ["-f", "x11grab", "-draw_mouse", "0", "-video_size", "{}x{}".format(*SIZE)]
        where += ["-i", self._environment["DISPLAY"], "-frames:v", "1"]
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", *where]
        command += ["-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
        pixels = subprocess.run(command, check=True, capture_output=True).stdout
        return np.frombuffer(pixels, np.uint8).reshape(*SIZE[::-1], 3)

    def _run(self, *command):
        return subprocess.run(
            command, env=self._environment, check=True, capture_output=True, text=True
        ).stdout
