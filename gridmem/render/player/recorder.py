"""Pictures and videos of a game while it is played."""

from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from threading import Thread

import numpy as np

from gridmem.render.frame import Moment, frame
from gridmem.render.png import write_png
from gridmem.render.video import write_video

WAITING = 64  # frames for which the game does not wait


class Camera:
    """Takes pictures and records videos, into new files of a folder.

    Its methods return a sentence to be shown: what was written, or why it was not.
    """

    def __init__(self, folder: Path, name: str, fps: float) -> None:
        self._folder, self._name, self._fps = folder, name, fps
        self._recording: _Recording | None = None

    @property
    def recording(self) -> bool:
        """Whether a video is being recorded."""
        return self._recording is not None

    def shoot(self, moment: Moment, width_px: int, height_px: int) -> str:
        """Writes a picture."""
        path = self._new_path(".png")
        try:
            write_png(path, frame(moment, width_px, height_px))
        except OSError as error:
            return f"cannot write {path} ({error.strerror})"
        return f"wrote {path}"

    def start(self, width_px: int, height_px: int) -> str:
        """Begins a video, of this size whatever becomes of the window."""
        path = self._new_path(".mp4")
        self._recording = _Recording(path, width_px, height_px, self._fps)
        return f"recording {path}; V stops"

    def film(self, moment: Moment) -> None:
        """Adds a frame to the video, if there is one."""
        if self._recording:
            self._recording.add(moment)

    def stop(self) -> str:
        """Ends the video, if there is one."""
        if not self._recording:
            return ""
        recording, self._recording = self._recording, None
        return recording.end()

    def _new_path(self, ending: str) -> Path:
        number = 1
        while (path := self._folder / f"{self._name}-{number}{ending}").exists():
            number += 1
        return path


class _Recording:
    """A video that is encoded while its frames come, so that none of them piles up."""

    def __init__(self, path: Path, width_px: int, height_px: int, fps: float) -> None:
        self._path, self._size, self._fps = path, (width_px, height_px), fps
        self._queue: Queue[np.ndarray | None] = Queue(WAITING)
        self._problem = ""
        self._thread = Thread(target=self._write)
        self._thread.start()

    def add(self, moment: Moment) -> None:
        self._queue.put(frame(moment, *self._size))

    def end(self) -> str:
        self._queue.put(None)
        self._thread.join()
        return self._problem or f"wrote {self._path}"

    def _write(self) -> None:
        try:
            write_video(self._path, self._frames(), self._fps)
        except (OSError, ValueError) as error:
            self._problem = f"there is no video: {error}"
            for _ in self._frames():  # nobody waits for what is no longer written
                pass

    def _frames(self) -> Iterator[np.ndarray]:
        while (picture := self._queue.get()) is not None:
            yield picture
