"""Writes frames as a video (mp4, gif) or as a folder of pictures, completely or not at all.

Frames are taken one at a time and passed on to ffmpeg, so that a long episode fits into memory.
The extra `play` installs ffmpeg (imageio-ffmpeg); a folder of pictures does without it.
"""

import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

MAX_GIF_FPS = 50  # viewers slow down faster ones

# H.264 halves the resolution of colour, hence even sides. Without colour space labels, players
# guess one.
_MP4 = (
    *("-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2,scale=out_color_matrix=bt709:out_range=tv"),
    *("-pix_fmt", "yuv420p", "-color_range", "tv", "-colorspace", "bt709"),
    *("-color_primaries", "bt709", "-color_trc", "bt709"),
    *("-c:v", "libx264", "-preset", "veryfast", "-crf", "18", "-movflags", "+faststart"),
)
_LOSSLESS = "-c:v", "libx264rgb", "-preset", "ultrafast", "-qp", "0"


def write_png(path: str | Path, picture: UInt8[np.ndarray, "h w 3"]) -> None:
    """Writes a picture as a PNG file, whatever the ending of its name.

    Raises:
        OSError: if the file cannot be written.
    """
    from PIL import Image

    Image.fromarray(picture).save(path, format="PNG")


def write_video(
    path: str | Path, frames: Iterable[UInt8[np.ndarray, "h w 3"]], fps: float | int = 8
) -> None:
    """Writes a video. An existing file is replaced once the new one is complete.

    Args:
        path: a name that ends in .mp4 or .gif.
        frames: pictures of one size, at least one; an mp4 pads an odd side by one pixel.
        fps: frames per second; at most 50 in a gif.

    Raises:
        ValueError: for another ending, a folder that does not exist or is not writable, no frames
            or invalid ones, an invalid rate, or if the extra `play` is not installed.
        OSError: if ffmpeg fails or the disk is full.
    """
    path, frames = Path(path), _validated(frames)
    kind = path.suffix.lower()
    if path.is_dir():
        raise ValueError(f"{path} is a folder; name a file for the video")
    if kind not in (".mp4", ".gif"):
        raise ValueError(f"{path} is neither an mp4 nor a gif; its name must end in .mp4 or .gif")
    if not 0 < fps < float("inf") or (kind == ".gif" and fps > MAX_GIF_FPS):
        raise ValueError(f"fps is {fps}; it must be above 0, and at most {MAX_GIF_FPS} in a gif")
    ffmpeg = _ffmpeg()
    with _atomic_path(path) as partial:
        if kind == ".mp4":
            _encode(ffmpeg, partial, frames, fps, _MP4)
            return
        # The palette depends on all frames, so they are stored before the first one is written.
        stored, palette = partial.with_name("frames.mkv"), partial.with_name("palette.png")
        _encode(ffmpeg, stored, frames, fps, _LOSSLESS)
        _run(ffmpeg, "-i", stored, "-vf", "palettegen", palette)
        use = "paletteuse=dither=none:diff_mode=rectangle"
        _run(ffmpeg, "-i", stored, "-i", palette, "-lavfi", use, partial)


def write_frames(folder: str | Path, frames: Iterable[UInt8[np.ndarray, "h w 3"]]) -> None:
    """Writes a folder of pictures: 00000.png, 00001.png, and so on.

    Args:
        folder: is created; it may exist if it is empty.
        frames: pictures of one size, at least one.

    Raises:
        ValueError: if the folder cannot be created or is not empty, or for no frames or invalid
            ones.
        OSError: if the disk is full.
    """
    folder = Path(folder)
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise ValueError(f"{folder} exists and is not an empty folder; name a new one")
    with _atomic_path(folder) as partial:
        partial.mkdir()
        for number, frame in enumerate(_validated(frames)):
            write_png(partial / f"{number:05}.png", frame)
        if folder.exists():
            folder.rmdir()


def _encode(
    ffmpeg: str,
    path: Path,
    frames: Iterator[np.ndarray],
    fps: float | int,
    options: tuple[str, ...],
) -> None:
    first = next(frames)
    size = f"{first.shape[1]}x{first.shape[0]}"
    raw = "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-r", str(fps), "-i", "-"
    _run(ffmpeg, *raw, *options, path, frames=chain([first], frames))


def _run(ffmpeg: str, *arguments: str | Path, frames: Iterable[np.ndarray] = ()) -> None:
    """Runs ffmpeg to its end, with the frames as its standard input."""
    with tempfile.TemporaryFile() as log:
        command = [ffmpeg, "-loglevel", "error", "-y", *map(str, arguments)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=log)
        assert process.stdin is not None
        try:
            for frame in frames:
                try:
                    process.stdin.write(frame.data)
                except OSError:  # ffmpeg has exited; its log says why
                    break
            process.communicate()
        except BaseException:
            process.kill()
            process.communicate()
            raise
        if process.returncode:
            log.seek(0)
            why = log.read().decode(errors="replace").strip() or f"code {process.returncode}"
            raise OSError(f"ffmpeg could not write the video: {why.splitlines()[-1]}")


def _ffmpeg() -> str:
    try:
        import imageio_ffmpeg
    except ModuleNotFoundError:
        from gridmem.cli_utils import install

        raise ValueError(f"video needs imageio-ffmpeg; {install('play')}") from None
    return imageio_ffmpeg.get_ffmpeg_exe()


def _validated(frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """The frames, contiguous, each checked when it is taken."""
    shape = None
    for number, frame in enumerate(frames):
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or not frame.size:
            raise ValueError(
                f"frame {number} is {frame.dtype}{list(frame.shape)}; it must be uint8[h, w, 3]"
            )
        if shape not in (None, frame.shape):
            raise ValueError(
                f"frame {number} is {frame.shape[1]} x {frame.shape[0]} pixels and the ones before "
                f"it {shape[1]} x {shape[0]}; all must be of one size"
            )
        shape = frame.shape
        yield np.ascontiguousarray(frame)
    if shape is None:
        raise ValueError("there are no frames to write")


@contextmanager
def _atomic_path(path: Path) -> Iterator[Path]:
    """A path to write to, in a hidden folder; moved to `path` if the block raises nothing."""
    try:
        hidden = tempfile.TemporaryDirectory(dir=path.absolute().parent, prefix=f".{path.name}-")
    except OSError as error:
        raise ValueError(
            f"cannot write {path} ({error.strerror}); name a path in an existing, writable folder"
        ) from None
    with hidden as folder:
        partial = Path(folder) / path.name
        try:
            yield partial
            partial.replace(path)
        except OSError as error:
            raise OSError(f"cannot write {path} ({error.strerror or error})") from None
