"""Stored levels: there, the same, playable by their id, and refused when they were changed."""

import zipfile

import jax
import numpy as np
import playing
import pytest
from breadth import breadth

import gridmem
from gridmem.envs.analysis import level_packs as packs
from gridmem.envs.analysis.level_packs import pack
from gridmem.envs.analysis.oracle import ceiling
from gridmem.envs.levels import checked_levels

IDS = list(gridmem.CONFIGS)
SMALL = "GridMem-9x9-v0"


@pytest.mark.parametrize("id", IDS)
def test_an_id_has_a_thousand_test_levels_that_it_can_play(id):
    levels = gridmem.levels(id)
    assert len(levels.tiles) == 1000
    env = gridmem.make(id)
    playing.assert_same(playing.as_dict(levels), playing.as_dict(checked_levels(levels, env)))
    one = jax.eval_shape(env.generate, jax.random.key(0))
    assert [(leaf.shape[1:], leaf.dtype) for leaf in levels] == [(x.shape, x.dtype) for x in one]


def test_every_id_has_a_hash():
    assert set(packs.SHA256) == set(IDS)


@pytest.mark.parametrize("id", breadth(IDS, "GridMem-9x9-v0"))
def test_test_levels_differ_from_each_other_and_from_those_of_seeds(id):
    levels = gridmem.levels(id)
    drawn = playing.batch(id, 0)[1]
    episodes = {leaf.tobytes() for leaf in np.concatenate([levels.spawns, drawn.spawns])}
    assert len(episodes) == len(levels.spawns) + len(drawn.spawns)


def test_test_levels_are_of_the_kind_that_the_id_draws():
    env = gridmem.make("GridMem-20x20-v0")
    stored, drawn = gridmem.levels("GridMem-20x20-v0"), playing.batch("GridMem-20x20-v0", 0)[1]
    solid = [(levels.tiles[:, 1:-1, 1:-1] == 1).mean(axis=(1, 2)) for levels in (stored, drawn)]
    error = np.hypot(*(share.std() / len(share) ** 0.5 for share in solid))
    assert abs(solid[0].mean() - solid[1].mean()) < 4 * error
    best = [np.asarray(ceiling(env, levels), np.float64)[:, 0] for levels in (stored, drawn)]
    error = np.hypot(*(trips.std() / len(trips) ** 0.5 for trips in best))
    assert abs(best[0].mean() - best[1].mean()) < 4 * error


@pytest.mark.parametrize("id", ["GridMem-9x9-v0", "GridMem-v0"])
def test_the_stored_ceiling_is_that_of_the_levels(id):
    known = pack(id)
    assert known.best == "ceiling"
    np.testing.assert_array_equal(known.best_return, ceiling(gridmem.make(id), known.levels)[:, 0])


def test_a_pack_of_ones_own_comes_back(tmp_path):
    levels = jax.tree.map(lambda leaf: leaf[:7], playing.batch("GridMem-Dig-v0", 0)[1])
    sha256 = gridmem.save_levels(tmp_path / "mine.npz", levels)
    for expected in (None, sha256):
        again = gridmem.load_levels(tmp_path / "mine.npz", expected)
        playing.assert_same(playing.as_dict(again), playing.as_dict(levels))
    assert gridmem.save_levels(tmp_path / "again.npz", levels) == sha256


def test_the_hash_does_not_depend_on_the_compression(tmp_path):
    levels = jax.tree.map(lambda leaf: leaf[:2], playing.batch(SMALL, 0)[1])
    sha256 = gridmem.save_levels(tmp_path / "a.npz", levels)
    with np.load(tmp_path / "a.npz") as file:
        np.savez(tmp_path / "b.npz", **file)
    assert gridmem.load_levels(tmp_path / "b.npz", sha256).tiles.shape == (2, 11, 11)


# ---- what is no pack, or another one


@pytest.fixture
def path(tmp_path):
    gridmem.save_levels(
        tmp_path / "a.npz", jax.tree.map(lambda leaf: leaf[:2], playing.batch(SMALL, 0)[1])
    )
    return tmp_path / "a.npz"


def test_a_tampered_pack_is_refused(path):
    with np.load(path) as file:
        arrays = dict(file)
    arrays["spawns"][0, 0] = arrays["spawns"][0, 1]
    np.savez_compressed(path, **arrays)
    with pytest.raises(ValueError, match="has been changed: its content hashes to"):
        gridmem.load_levels(path)


def test_a_tampered_pack_that_states_another_hash_is_refused(path):
    with pytest.raises(ValueError, match="has been changed"):
        gridmem.load_levels(path, "0" * 64)


def test_a_stored_pack_is_held_to_the_hash_in_the_code(monkeypatch):
    monkeypatch.setitem(packs.SHA256, SMALL, "0" * 64)
    with pytest.raises(ValueError, match=r"it should be 000000000000\.\.\.; get the file again"):
        gridmem.levels(SMALL)


def cut_short(path):
    path.write_bytes(path.read_bytes()[:-100])


def without_a_part(path):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("goals.npy", b"")


@pytest.mark.parametrize("spoil", [cut_short, without_a_part])
def test_a_broken_file_is_refused(path, spoil):
    spoil(path)
    with pytest.raises(ValueError, match=r"a\.npz is not a level pack, or is damaged"):
        gridmem.load_levels(path)


def test_what_is_no_pack_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"there is no level pack .*none\.npz"):
        gridmem.load_levels(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("no pack")
    with pytest.raises(ValueError, match="is not a level pack"):
        gridmem.load_levels(tmp_path / "text.npz")
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(ValueError, match="is not a level pack"):
        gridmem.load_levels(tmp_path / "other.npz")


def test_unknown_ids_and_splits_are_answered_by_the_nearest():
    with pytest.raises(ValueError, match=r"no levels of 'GridMem-v1' \(did you mean 'GridMem-v0'"):
        gridmem.levels("GridMem-v1")
    with pytest.raises(ValueError, match=r"no split 'tests' \(did you mean 'test'\?\)"):
        gridmem.levels(SMALL, split="tests")
