"""Screenshots and videos of a game while it is played."""

from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from threading import Thread

import numpy as np

from gridmem.render.frame import FrameState, frame
from gridmem.render.video import write_png, write_video

QUEUE_SIZE = 64  # frames that may be waiting to be encoded before the game waits


class Recorder:
    """Writes screenshots and videos into new files of a folder.

    Its methods return a message: what was written, or why it was not.
    """

    def __init__(self, folder: Path, name: str, fps: float) -> None:
        self._folder, self._name, self._fps = folder, name, fps
        self._recording: _Recording | None = None

    @property
    def recording(self) -> bool:
        """Whether a video is being recorded."""
        return self._recording is not None

    def screenshot(self, state: FrameState, width_px: int, height_px: int) -> str:
        """Writes a picture."""
        path = self._new_path(".png")
        try:
            write_png(path, frame(state, width_px, height_px))
        except OSError as error:
            return f"cannot write {path} ({error.strerror})"
        return f"wrote {path}"

    def start(self, width_px: int, height_px: int) -> str:
        """Starts a video; it keeps its size if the window is resized."""
        path = self._new_path(".mp4")
        self._recording = _Recording(path, (width_px, height_px), self._fps)
        return f"recording {path}; V: stop"

    def add_frame(self, state: FrameState) -> None:
        """Adds a frame to the video, if one is being recorded."""
        if self._recording:
            self._recording.queue.put(frame(state, *self._recording.size))

    def stop(self) -> str:
        """Ends the video, if one is being recorded."""
        if not self._recording:
            return ""
        recording, self._recording = self._recording, None
        recording.queue.put(None)
        recording.join()
        return recording.message

    def _new_path(self, ending: str) -> Path:
        number = 1
        while (path := self._folder / f"{self._name}-{number}{ending}").exists():
            number += 1
        return path


class _Recording(Thread):
    """A video that is encoded while its frames arrive in a queue; None is the end of it."""

    def __init__(self, path: Path, size: tuple[int, int], fps: float) -> None:
        super().__init__()
        self.size, self.message = size, f"wrote {path}"
        self.queue: Queue[np.ndarray | None] = Queue(QUEUE_SIZE)
        self._path, self._fps = path, fps
        self.start()

    def run(self) -> None:
        """See `Thread`."""
        try:
            write_video(self._path, self._frames(), self._fps)
        except (OSError, ValueError) as error:
            self.message = f"the video was not written: {error}"
            for _ in self._frames():  # or `add_frame` would wait for a full queue
                pass

    def _frames(self) -> Iterator[np.ndarray]:
        while (picture := self.queue.get()) is not None:
            yield picture
