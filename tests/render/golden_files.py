"""Golden pictures: PNG files in a folder; after writing them, look at each."""

import numpy as np
import pytest
from PIL import Image

TOLERANCE = 2  # of 255, for rounding that differs between compilers and versions of numpy


def write(folder, pictures):
    """Writes pictures, given as functions by name."""
    folder.mkdir(exist_ok=True)
    for name, picture in pictures.items():
        Image.fromarray(picture()).save(folder / f"{name}.png", optimize=True)


def read(path):
    """A picture as an array."""
    with Image.open(path) as image:
        return np.array(image)


def compare(folder, name, actual, tmp_path):
    """Fails if a picture differs from the golden one, and writes it to `tmp_path`."""
    expected = read(folder / f"{name}.png").astype(int)
    assert actual.shape == expected.shape
    far = np.abs(actual - expected).max(axis=-1) > TOLERANCE
    if far.any():
        Image.fromarray(actual).save(tmp_path / f"{name}.png")
        pytest.fail(f"{far.sum()} pixels differ: see {tmp_path / name}.png")


def tiles_of(picture):
    """A map drawn in text, as `gridmem.render.draw.as_text` does."""
    return np.array([[".#%G@".index(cell) for cell in row] for row in picture.split()], np.uint8)
