import numpy as np
import pytest

from gridmem.render.draw import draw
from gridmem.render.heatmap import COLD, HOT, OPACITY, heat_on_map, tint
from gridmem.render.sprites import FLOOR

CELLS = np.array([(1, 2), (0, 0), (1, 2), (2, 1)], np.int32)


def test_weights_on_the_map_by_hand():
    weights = np.array([0.1, 0.4, 0.15, 0.35])
    np.testing.assert_allclose(
        heat_on_map(CELLS, weights, 3, 4),
        [[1, 0, 0, 0], [0, 0, 0.625, 0], [0, 0.875, 0, 0]],
        atol=1e-6,
    )


def test_without_weights_visits_are_counted():
    np.testing.assert_array_equal(
        heat_on_map(CELLS, None, 3, 4), [[0.5, 0, 0, 0], [0, 0, 1, 0], [0, 0.5, 0, 0]]
    )


def test_no_cells_or_zero_weights_give_no_heat():
    assert not heat_on_map(np.zeros((0, 2), np.int32), None, 3, 4).any()
    assert not heat_on_map(CELLS, np.zeros(4, np.float32), 3, 4).any()


def test_colours_by_hand():
    # A cell is a pixel. Its opacity is the heat to the power of 3/4, its colour between the two.
    bare = np.full((1, 3, 3), FLOOR, np.uint8)
    tinted = tint(bare, bare, np.array([[0, 0.0625, 1]], np.float32), 1)
    pale = (15 * np.array(COLD) + np.array(HOT)) / 16
    share = OPACITY / 255
    np.testing.assert_array_equal(tinted[0, 0], FLOOR)
    np.testing.assert_allclose(
        tinted[0, 1], pale * share / 8 + np.array(FLOOR) * (1 - share / 8), atol=1.5
    )
    np.testing.assert_allclose(
        tinted[0, 2], np.array(HOT) * share + np.array(FLOOR) * (1 - share), atol=1.5
    )


def test_hotter_is_darker():
    bare = np.full((1, 21, 3), FLOOR, np.uint8)
    tinted = tint(bare, bare, np.linspace(0, 1, 21, dtype=np.float32)[None], 1)
    assert (np.diff(tinted[0].astype(float) @ [0.2126, 0.7152, 0.0722]) < 0).all()


@pytest.mark.parametrize("px", [1, 8, 16])
def test_agents_and_cold_cells_are_unchanged(px):
    tiles, none = np.zeros((3, 4), np.uint8), np.zeros((0, 2), np.int32)
    bare, picture = draw(tiles, none, px), draw(tiles, CELLS[:1], px)
    before = bare.copy(), picture.copy()
    heat = np.zeros((3, 4), np.float32)
    heat[1, 2] = heat[2, 3] = 0.7
    tinted = tint(picture, bare, heat, px)
    assert (bare == before[0]).all()
    assert (picture == before[1]).all()
    agent = (picture != bare).any(axis=-1)
    hot = heat.repeat(px, axis=0).repeat(px, axis=1) > 0
    changed = (tinted != picture).any(axis=-1)
    np.testing.assert_array_equal(changed, hot & ~agent)
