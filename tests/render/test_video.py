import re
import subprocess
import sys
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from gridmem.render.draw import draw
from gridmem.render.sprites import AGENTS, FLOOR, GOLD, WALL
from gridmem.render.video import write_frames, write_video

TILES = np.zeros((6, 7), np.uint8)
TILES[[0, -1]] = TILES[:, [0, -1]] = 1
TILES[2, 3], TILES[3, 3] = 3, 2


def frames(count, px=16):
    """Frames of an agent that walks around, drawn one at a time."""
    ring = [(1, c) for c in range(1, 6)] + [(4, c) for c in range(5, 0, -1)]
    for number in range(count):
        yield draw(TILES, np.array([ring[number % 10]]), px, facing=np.array([number % 4]))


def decoded(path):
    if path.suffix == ".gif":
        with Image.open(path) as image:
            for number in range(image.n_frames):
                image.seek(number)
                yield np.asarray(image.convert("RGB"))
        return
    raw, said = ffmpeg("-i", path, "-f", "rawvideo", "-pix_fmt", "rgb24", "-")
    width, height = map(int, re.search(r"Video: .* (\d+)x(\d+)", said).groups())
    yield from np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3)


def ffmpeg(*arguments):
    command = [imageio_ffmpeg.get_ffmpeg_exe(), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, timeout=60, check=True)
    return done.stdout, done.stderr.decode()


@pytest.mark.parametrize("name", ["a.gif", "a.GIF"])
def test_a_gif_has_every_frame_pixel_by_pixel(name, tmp_path):
    path = tmp_path / name
    write_video(path, frames(25), fps=20)
    for actual, expected in zip(decoded(path.rename(tmp_path / "b.gif")), frames(25), strict=True):
        np.testing.assert_array_equal(actual, expected)
    with Image.open(tmp_path / "b.gif") as image:
        assert image.info["duration"] == 50
        assert image.info["loop"] == 0


def test_an_mp4_has_every_frame(tmp_path):
    path = tmp_path / "a.mp4"
    write_video(path, frames(25), fps=20)
    for actual, expected in zip(decoded(path), frames(25), strict=True):
        assert np.abs(actual.astype(int) - expected).mean() < 6
    _, said = ffmpeg("-i", path, "-f", "null", "-")
    # Supported by every player.
    for words in ("Video: h264", "yuv420p(tv, bt709", " 20 fps"):
        assert words in said


def test_an_mp4_keeps_colours(tmp_path):
    plain = [np.full((32, 32, 3), colour, np.uint8) for colour in [*AGENTS, FLOOR, WALL, GOLD]]
    write_video(tmp_path / "a.mp4", plain)
    for actual, expected in zip(decoded(tmp_path / "a.mp4"), plain, strict=True):
        assert np.abs(actual.astype(int) - expected).max() < 6


def test_an_odd_side_is_padded_in_an_mp4_and_kept_in_a_gif(tmp_path):
    odd = [frame[:-1, :-1] for frame in frames(3)]
    for name, shape in (("a.mp4", (96, 112, 3)), ("a.gif", (95, 111, 3))):
        write_video(tmp_path / name, odd)
        for actual, expected in zip(decoded(tmp_path / name), odd, strict=True):
            assert actual.shape == shape
            assert np.abs(actual[:95, :111].astype(int) - expected).mean() < 6


def test_one_frame_is_a_video(tmp_path):
    for name in ("a.mp4", "a.gif"):
        write_video(tmp_path / name, frames(1), fps=2.5)
        assert len(list(decoded(tmp_path / name))) == 1


def test_frames_are_written_as_pictures(tmp_path):
    write_frames(tmp_path / "film", frames(12))
    files = sorted((tmp_path / "film").iterdir())
    assert [file.name for file in files] == [f"{number:05}.png" for number in range(12)]
    for file, expected in zip(files, frames(12), strict=True):
        np.testing.assert_array_equal(np.asarray(Image.open(file)), expected)
    assert list(tmp_path.iterdir()) == [tmp_path / "film"]


def test_frames_need_an_empty_folder(tmp_path):
    (tmp_path / "film").mkdir()
    write_frames(tmp_path / "film", frames(2))
    with pytest.raises(ValueError, match="film exists and is not an empty folder"):
        write_frames(tmp_path / "film", frames(2))
    assert len(list((tmp_path / "film").iterdir())) == 2


class Stop(Exception):
    pass


def breaking(count):
    yield from frames(count)
    raise Stop


def growing(count):
    yield from frames(count)
    yield from frames(1, px=17)


@pytest.mark.parametrize("name", ["a.mp4", "a.gif", "film"])
@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: breaking(5), Stop, None),
        (lambda: growing(5), ValueError, "frame 5 is 119 x 102 pixels and the ones before it 112"),
        (lambda: iter([]), ValueError, "there are no frames to write"),
        (lambda: iter([np.zeros((4, 4, 3))]), ValueError, r"frame 0 is float64\[4, 4, 3\]; it mu"),
        (
            lambda: iter([np.zeros((4, 4), np.uint8)]),
            ValueError,
            r"frame 0 is uint8\[4, 4\]; it",
        ),
    ],
)
def test_a_failure_leaves_no_file_and_keeps_an_old_one(name, make, error, words, tmp_path):
    write = write_video if "." in name else write_frames
    with pytest.raises(error, match=words):
        write(tmp_path / name, make())
    assert not list(tmp_path.iterdir())
    if write is write_video:
        (tmp_path / name).write_text("old")
        with pytest.raises(error, match=words):
            write(tmp_path / name, make())
        assert (tmp_path / name).read_text() == "old"


def test_an_ffmpeg_that_fails_is_quoted(tmp_path, monkeypatch):
    monkeypatch.setattr("gridmem.render.video._MP4", ("-c:v", "nosuchcodec"))
    with pytest.raises(OSError, match=r"ffmpeg could not write the video: .+"):
        write_video(tmp_path / "a.mp4", frames(500))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["a.avi", "a", "mp4", "a.mp4.txt"])
def test_an_unknown_ending_is_refused(name, tmp_path):
    with pytest.raises(ValueError, match=r"its name must end in \.mp4 or \.gif"):
        write_video(tmp_path / name, frames(1))


@pytest.mark.parametrize("fps", [0, -1, float("inf"), float("nan")])
def test_an_invalid_rate_is_refused(fps, tmp_path):
    with pytest.raises(ValueError, match=r"fps is .+; it must be above 0"):
        write_video(tmp_path / "a.mp4", frames(1), fps)


def test_a_gif_has_a_maximal_rate(tmp_path):
    with pytest.raises(ValueError, match="fps is 60; it must be above 0, and at most 50 in a gif"):
        write_video(tmp_path / "a.gif", frames(1), 60)


def test_an_unwritable_path_is_refused(tmp_path):
    (tmp_path / "a.mp4").mkdir()
    (tmp_path / "file").touch()
    for path in (tmp_path / "nosuch" / "a.gif", tmp_path / "file" / "a.mp4"):
        with pytest.raises(ValueError, match=f"cannot write {path} "):
            write_video(path, frames(1))
        with pytest.raises(ValueError, match=f"cannot write {path.with_suffix('')} "):
            write_frames(path.with_suffix(""), frames(1))
    with pytest.raises(ValueError, match=r"a\.mp4 is a folder; name a file"):
        write_video(tmp_path / "a.mp4", frames(1))
    with pytest.raises(ValueError, match="file exists and is not"):
        write_frames(tmp_path / "file", frames(1))


def test_the_missing_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    for name in ("a.mp4", "a.gif"):
        with pytest.raises(ValueError, match=r"^video needs imageio-ffmpeg; install gridmem\[pl"):
            write_video(tmp_path / name, frames(1))
    write_frames(tmp_path / "film", frames(1))


def test_frames_are_consumed_one_at_a_time(tmp_path):
    """So that an episode of any length fits into memory."""
    alive = 0

    class Frame(np.ndarray):
        def __del__(self):
            nonlocal alive
            alive -= 1

    def counted():
        nonlocal alive
        for _ in range(40):
            alive += 1
            yield np.zeros((8, 8, 3), np.uint8).view(Frame)
            assert alive <= 3

    for name in ("a.mp4", "a.gif"):
        write_video(tmp_path / name, counted())
    write_frames(Path(tmp_path, "film"), counted())
