import games
import gymnasium
import numpy as np
import pytest

import gridmem
from gridmem.render.player.level_source import seeded_levels, single_level, stored_levels

ID = "GridMem-9x9-v0"


def assert_equal(level, other):
    for leaf, expected in zip(level, other, strict=True):
        np.testing.assert_array_equal(leaf, expected)


def test_seeded_levels_are_those_of_an_environment_with_that_seed():
    env = gymnasium.make(ID)
    source = seeded_levels(gridmem.make(ID), 7)
    for number, seed in enumerate([7, None, None]):
        env.reset(seed=seed)
        assert_equal(source.level(number), env.unwrapped.level)
    assert source.title(2) == "seed 7, level 2"


def test_stored_levels_are_the_test_levels_in_order():
    stored, source = gridmem.levels(ID), stored_levels(gridmem.make(ID), ID, "test", 998)
    assert source.first == 998
    for number, expected in ((998, 998), (999, 999), (1000, 0), (1001, 1)):
        assert_equal(source.level(number), type(stored)(*(leaf[expected] for leaf in stored)))
    assert source.title(1) == "test, level 1"


def test_a_single_level_has_all_numbers():
    level = games.level_of(games.env_of(games.CORRIDOR))
    source = single_level("replay", level)
    assert source.level(0) is source.level(5) is level
    assert source.title(5) == "replay"


@pytest.mark.parametrize("number", [-1, 2**32])
def test_seeded_levels_out_of_range_are_refused(number):
    with pytest.raises(ValueError, match=f"there is no level {number}; levels are numbered from 0"):
        seeded_levels(gridmem.make(ID), 0, number)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((ID, "test", 1000), "there is no level 1000 in test of GridMem.* from 0 to 999"),
        ((ID, "tset"), "there is no split 'tset'"),
        (("GridMem-9x8-v0", "test"), "there are no levels of 'GridMem-9x8-v0'"),
    ],
)
def test_unknown_stored_levels_are_refused(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        stored_levels(gridmem.make(ID), *arguments)


def test_levels_of_a_file(tmp_path):
    env, path = games.env_of(games.CORRIDOR), str(tmp_path / "mine.npz")
    drawn = [
        gridmem.make_level(["#########", row, "#########"]) for row in ("#0.....G#", "#G..0...#")
    ]
    levels = gridmem.Level(*(np.stack(leaves) for leaves in zip(*drawn, strict=True)))
    gridmem.save_levels(path, levels)
    source = stored_levels(env, "any", path, 1)
    assert source.first == 1
    for number in range(4):
        assert_equal(source.level(number), drawn[number % 2])
    assert source.title(1) == f"{path}, level 1"
    with pytest.raises(ValueError, match=r"there is no level 2 in .*mine.npz; .* from 0 to 1"):
        stored_levels(env, "any", path, 2)
    with pytest.raises(ValueError, match=r"tiles have shape .3, 9.; this environment's have shape"):
        stored_levels(gridmem.make(ID), ID, path)
    with pytest.raises(ValueError, match=r"there is no level pack none\.npz"):
        stored_levels(env, "any", "none.npz")
