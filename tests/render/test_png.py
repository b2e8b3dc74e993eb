import numpy as np
import pytest
from PIL import Image

from gridmem.render.png import read_png, write_png


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("size", [(1, 1), (5, 300), (64, 7)])
def test_others_read_what_is_written_and_so_does_the_reader(channels, size, tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (*size, channels)).astype(np.uint8)
    write_png(tmp_path / "a.png", picture)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "a.png")), picture)
    back = read_png(tmp_path / "a.png")
    np.testing.assert_array_equal(back, picture)
    back[:] = 0  # it is writable


@pytest.mark.parametrize("shape", [(3, 3, 1), (3, 3, 2), (0, 3, 3)])
def test_what_is_no_picture_is_refused(shape, tmp_path):
    with pytest.raises(ValueError, match="cannot be written; it must have pixels, and 3 or 4"):
        write_png(tmp_path / "a.png", np.zeros(shape, np.uint8))
    assert not list(tmp_path.iterdir())


def damaged(data):
    yield b""
    yield b"GIF89a"
    for length in range(0, len(data), 7):
        yield data[:length]
    for position in range(8, len(data), 5):
        yield data[:position] + bytes([data[position] ^ 4]) + data[position + 1 :]


def test_a_damaged_file_is_refused(tmp_path):
    path = tmp_path / "a.png"
    write_png(path, np.arange(48, dtype=np.uint8).reshape(4, 4, 3))
    for data in damaged(path.read_bytes()):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=r"a\.png is damaged, or not a PNG file as gridmem"):
            read_png(path)


@pytest.mark.parametrize("mode", ["L", "P", "RGB"])
def test_files_of_other_writers_are_refused_not_misread(mode, tmp_path):
    smooth = np.add.outer(np.arange(60), np.arange(60)).astype(np.uint8)
    Image.fromarray(smooth).convert(mode).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match="not a PNG file as gridmem writes them"):
        read_png(tmp_path / "a.png")


def test_a_missing_file_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_png(tmp_path / "a.png")
