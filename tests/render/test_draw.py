import numpy as np
import pytest

from gridmem.envs.types import Tile
from gridmem.render.draw import AGENT, FLOOR, GOAL, ROCK, SHADE_SHARE, WALL, draw

EVERY_TILE = np.array([[tile for tile in Tile]], np.uint8)
TILES = np.array([[1, 1, 1], [1, 0, 3], [2, 0, 1], [1, 1, 1]], np.uint8)


def cell(picture, row, column, px):
    return picture[row * px : (row + 1) * px, column * px : (column + 1) * px]


def luminance(colours):
    """Relative luminance of sRGB colours, by WCAG 2."""
    linear = np.where(
        colours <= 10.31475, colours / 3294.6, ((colours / 255 + 0.055) / 1.055) ** 2.4
    )
    return linear @ [0.2126, 0.7152, 0.0722]


@pytest.mark.parametrize("px", [1, 2, 3, 7, 8, 16, 33])
def test_size_and_dtype(px):
    picture = draw(TILES, tile_px=px)
    assert picture.shape == (4 * px, 3 * px, 3)
    assert picture.dtype == np.uint8


@pytest.mark.parametrize("px", [1, 2, 3, 7, 8, 16, 33])
def test_every_tile_shows_its_colour_at_its_place(px):
    picture = draw(EVERY_TILE, tile_px=px)
    colours = {Tile.FLOOR: FLOOR, Tile.WALL: WALL, Tile.GOAL: GOAL, Tile.AGENT: AGENT}
    for tile, colour in colours.items():
        assert (cell(picture, 0, tile, px)[px // 2, px // 2] == colour).all()
    if px > 1:
        assert (cell(picture, 0, Tile.ROCK, px) == ROCK).all(axis=-1).any()


@pytest.mark.parametrize("px", [1, 2, 3, 7, 8, 16, 33])
@pytest.mark.parametrize("seen", [None, False])
def test_tiles_differ_in_brightness_too(px, seen):
    seen = None if seen is None else np.zeros((1, len(Tile)), bool)
    picture = draw(EVERY_TILE, tile_px=px, seen=seen)
    light = np.sort([luminance(cell(picture, 0, tile, px)).mean() for tile in Tile])
    assert np.diff(light).min() > 0.005


def test_a_drawn_map_is_made_of_its_cells():
    px = 5
    picture = draw(TILES, tile_px=px)
    for (row, column), tile in np.ndenumerate(TILES):
        np.testing.assert_array_equal(
            cell(picture, row, column, px), draw(np.array([[tile]], np.uint8), tile_px=px)
        )


def test_agents_are_drawn_over_goals_and_the_map_stays_as_it_was():
    kept = TILES.copy()
    expected = TILES.copy()
    expected[1, 1] = expected[1, 2] = Tile.AGENT
    picture = draw(TILES, np.array([[1, 2], [1, 1]]))
    np.testing.assert_array_equal(picture, draw(expected))
    np.testing.assert_array_equal(TILES, kept)


def test_the_unseen_is_shaded():
    seen = np.ones(TILES.shape, bool)
    seen[1, 1:] = False
    plain, shaded = draw(TILES), draw(TILES, seen=seen)
    for (row, column), visible in np.ndenumerate(seen):
        before, after = cell(plain, row, column, 16), cell(shaded, row, column, 16)
        if visible:
            np.testing.assert_array_equal(before, after)
        else:
            assert np.ptp(after.astype(int)) <= np.ptp(before.astype(int)) * (1 - SHADE_SHARE) + 20
            assert luminance(after).mean() < luminance(before).mean()


def test_pictures_are_fresh_and_writable():
    first = draw(TILES)
    kept = first.copy()
    first[:] = 0
    np.testing.assert_array_equal(draw(TILES), kept)


def test_a_tile_of_no_pixels_is_refused():
    with pytest.raises(ValueError, match="tile_px is 0; it must be a whole number of pixels"):
        draw(TILES, tile_px=0)
