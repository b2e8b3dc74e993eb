"""Levels of one's own: from text, from arrays; what cannot be one is refused."""

import jax
import numpy as np
import playing
import pytest

import gridmem
from gridmem import Tile

ROWS = ["######", "#1.%.#", "#.G0.#", "######"]


def test_a_level_from_text():
    level = gridmem.make_level(ROWS)
    assert level.tiles.tolist() == [
        [1, 1, 1, 1, 1, 1],
        [1, 0, 0, 2, 0, 1],
        [1, 0, 3, 0, 0, 1],
        [1, 1, 1, 1, 1, 1],
    ]
    assert level.goals.tolist() == [[2, 2]]
    assert level.spawns.shape == (256, 2)
    assert level.spawns[:3].tolist() == [[2, 3], [1, 1], [2, 3]]
    assert [leaf.dtype for leaf in level] == [np.uint8, np.int32, np.int32]


def test_a_level_from_an_array_is_that_from_the_text():
    drawn = gridmem.make_level(ROWS)
    made = gridmem.make_level(drawn.tiles.astype(np.int64), spawns=[[2, 3], [1, 1]])
    playing.assert_same(playing.as_dict(made), playing.as_dict(drawn))


def test_spawns_that_are_not_given_are_drawn_from_all_of_the_floor():
    tiles = gridmem.make_level(ROWS).tiles
    spawns = gridmem.make_level(tiles, seed=3).spawns
    assert {tuple(cell) for cell in spawns.tolist()} == {
        tuple(cell) for cell in np.argwhere(tiles == Tile.FLOOR).tolist()
    }
    np.testing.assert_array_equal(spawns, gridmem.make_level(tiles, seed=3).spawns)
    assert (spawns != gridmem.make_level(tiles, seed=4).spawns).any()


def test_a_level_and_its_actions_are_an_episode():
    env = gridmem.make("GridMem-v0", map={"type": "TextMap", "rows": ROWS})
    level = gridmem.make_level(ROWS)
    state, _ = jax.jit(env.start)(level)
    state, timestep = jax.jit(env.step)(state, np.array([3], np.int32))
    assert timestep.reward.tolist() == [1]
    assert state.world.position.tolist() == [[1, 1]]


@pytest.mark.parametrize(
    ("cave", "spawns", "message"),
    [
        (["###", "#.#", "###"], None, "no goal; draw one, 'G' in text or 3 in an array"),
        (["####", "#.G.", "####"], None, "outermost cells must all be '#'"),
        (np.full((3, 3), 3), None, "no floor for spawns"),
        (np.zeros((3, 3), int), None, "no goal"),
        (np.array([[1, 1, 1], [1, 3, 0], [1, 1, 1]]), None, "open at its edge"),
        (np.array([[1, 1, 1, 1], [1, 3, 7, 1], [1, 1, 1, 1]]), [[1, 2]], "other than floor"),
        (ROWS, [[0, 0]], r"spawn at \(0, 0\), which is not a floor cell"),
        (ROWS, [1, 2], "pair for each"),
        (ROWS, [[1, 2, 3]], "pair for each"),
        (np.zeros(4, int), [[0, 0]], "no goal"),
        (ROWS, np.zeros((0, 2), int), "pair for each"),
        (np.full((2, 2), 3.0), [[0, 0]], "must be whole numbers"),
    ],
)
def test_what_cannot_be_a_level_is_refused(cave, spawns, message):
    with pytest.raises(ValueError, match=message):
        gridmem.make_level(cave, spawns=spawns)
