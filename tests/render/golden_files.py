"""Golden pictures: PNG files in a folder, looked at when written and compared ever after."""

import numpy as np
import pytest
from PIL import Image

from gridmem.render.png import write_png

TOLERANCE = 2  # of 255, for what compilers and versions of numpy round differently


def write(folder, pictures):
    """Writes pictures, functions by their names."""
    folder.mkdir(exist_ok=True)
    for name, picture in pictures.items():
        write_png(folder / f"{name}.png", picture())


def compare(folder, name, actual, tmp_path):
    """Fails if a picture is not the golden one, and leaves it where it can be looked at."""
    expected = np.asarray(Image.open(folder / f"{name}.png")).astype(int)
    assert actual.shape == expected.shape
    far = np.abs(actual - expected).max(axis=-1) > TOLERANCE
    if far.any():
        Image.fromarray(actual).save(tmp_path / f"{name}.png")
        pytest.fail(f"{far.sum()} pixels differ: see {tmp_path / name}.png")


def tiles_of(picture):
    """A map drawn in text, as `gridmem.render.text` does."""
    return np.array([[".#%G@".index(cell) for cell in row] for row in picture.split()], np.uint8)
