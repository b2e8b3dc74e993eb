"""The window of the render mode "human"."""

import time
from typing import Any

import numpy as np
from jaxtyping import UInt8

from gridmem.render.window import Window

OPENING_PX = 640  # approximate length of the longer side


class Viewer:
    """Shows pictures in a window that opens with the first. Closed by the user, it stays closed.

    A copy or an unpickled one starts without a window.
    """

    def __init__(self, title: str, fps: float) -> None:
        self._title, self._fps = title, fps
        self._window: Window | None = None
        self._due = 0.0

    def show(self, picture: UInt8[np.ndarray, "h w 3"]) -> None:
        """Shows a picture at the largest whole multiple of its size.

        Returns when the next picture is due at `fps`, or at once if the window was closed.

        Raises:
            ValueError: without pygame, or without a display.
        """
        height, width = picture.shape[:2]
        if self._window is None:
            times = max(OPENING_PX // max(height, width), 1)
            self._window = Window(self._title, width * times, height * times)
        if self._window.closed:
            return
        self._due = max(self._due + 1 / self._fps, time.monotonic())
        while True:
            window_width, window_height = self._window.size
            times = max(min(window_width // width, window_height // height), 1)
            self._window.show(picture.repeat(times, axis=0).repeat(times, axis=1))
            remaining_ms = 1000 * (self._due - time.monotonic())
            keys = self._window.wait(max(remaining_ms, 0.0))
            if self._window.closed or ("escape", False) in keys or ("q", False) in keys:
                self._window.close_all()
                return
            if time.monotonic() >= self._due:
                return

    def close(self) -> None:
        """Closes the window; a later picture opens a new one."""
        if self._window and not self._window.closed:
            self._window.close()
        self._window = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_window": None}
