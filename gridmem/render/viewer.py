"""The window of the render mode "human": it shows one picture after the other, and that is all."""

import time
from typing import Any

import numpy as np
from jaxtyping import UInt8

from gridmem.render.window import Window

OPENING_PX = 640  # of the longer side, about


class Viewer:
    """Opens a window with the first picture. Once the person has closed it, it stays closed.

    It copies and pickles as what has not been opened yet.
    """

    def __init__(self, title: str, fps: float) -> None:
        self._title, self._fps = title, fps
        self._window: Window | None = None
        self._due = 0.0

    def show(self, picture: UInt8[np.ndarray, "h w 3"]) -> None:
        """Shows a picture, as large as whole multiples of its pixels allow, and for its time.

        It returns when the next picture is due by the frames a second, or at once if the window
        was closed.

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
            room_across, room_down = self._window.size
            times = max(min(room_across // width, room_down // height), 1)
            self._window.show(picture.repeat(times, axis=0).repeat(times, axis=1))
            left_ms = 1000 * (self._due - time.monotonic())
            keys = self._window.wait(max(left_ms, 0.0))
            if self._window.closed or ("escape", False) in keys or ("q", False) in keys:
                self._window.dismiss()
                return
            if time.monotonic() >= self._due:
                return

    def close(self) -> None:
        """Closes the window; a picture shown later opens another."""
        if self._window and not self._window.closed:
            self._window.close()
        self._window = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_window": None}
