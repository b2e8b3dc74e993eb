import games
import numpy as np
import pytest

import gridmem
from gridmem.envs.analysis.replay import load_replay, save_replay

ENV = games.env_of(games.ROOM, num_agents=2)
LEVEL = games.level_of(ENV)
ACTIONS = np.random.default_rng(0).integers(4, size=(15, 2)).astype(np.int32)
VISITS = np.array([1, 0])


@pytest.fixture
def saved(tmp_path):
    save_replay(tmp_path / "episode.npz", ENV, LEVEL, ACTIONS, VISITS, "Test-v0, a cave")
    return tmp_path / "episode.npz"


def rewritten(path, **changes):
    with np.load(path) as file:
        arrays = {**file, **changes}
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})


def test_what_is_loaded_is_what_was_saved(saved):
    replay = load_replay(saved)
    assert replay.config == ENV.config
    assert replay.title == "Test-v0, a cave"
    for leaf, other in zip(replay.level, LEVEL, strict=True):
        np.testing.assert_array_equal(leaf, other)
    np.testing.assert_array_equal(replay.actions, ACTIONS)
    np.testing.assert_array_equal(replay.visits, VISITS)
    assert [path.name for path in saved.parent.iterdir()] == ["episode.npz"]


@pytest.mark.parametrize("id", gridmem.CONFIGS)
def test_a_replay_of_every_id(id, tmp_path):
    env = gridmem.make(id)
    level = type(LEVEL)(*(leaf[0] for leaf in gridmem.levels(id)))
    save_replay(tmp_path / "e", env, level, ACTIONS[:, :1], VISITS[:1])
    replay = load_replay(tmp_path / "e")
    assert replay.config == env.config
    np.testing.assert_array_equal(replay.level.tiles, level.tiles)


def test_what_cannot_be_saved(tmp_path):
    with pytest.raises(ValueError, match=r"cannot write /nosuch/e.npz \(No such file"):
        save_replay("/nosuch/e.npz", ENV, LEVEL, ACTIONS, VISITS)
    with pytest.raises(ValueError, match="nothing has been played yet"):
        save_replay(tmp_path / "e.npz", ENV, LEVEL, ACTIONS[:0], VISITS)
    assert not list(tmp_path.iterdir())


def test_a_failed_save_leaves_the_old_file(saved, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(ValueError, match="No space left on device"):
        save_replay(saved, ENV, LEVEL, ACTIONS[:3], VISITS)
    assert len(load_replay(saved).actions) == 15
    assert len(list(saved.parent.iterdir())) == 1


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 but no archive"])
def test_files_of_others_are_refused(content, tmp_path):
    (tmp_path / "e.npz").write_bytes(content)
    with pytest.raises(ValueError, match="is not a replay of gridmem, or is damaged"):
        load_replay(tmp_path / "e.npz")


def test_no_file_and_a_folder(tmp_path):
    with pytest.raises(ValueError, match="there is no replay"):
        load_replay(tmp_path / "e.npz")
    with pytest.raises(ValueError, match="is not a replay of gridmem"):
        load_replay(tmp_path)


def test_a_level_pack_is_no_replay(tmp_path):
    gridmem.save_levels(tmp_path / "pack.npz", type(LEVEL)(*(leaf[None] for leaf in LEVEL)))
    with pytest.raises(ValueError, match="is not a replay of gridmem"):
        load_replay(tmp_path / "pack.npz")


@pytest.mark.parametrize(
    "changes",
    [
        {"actions": ACTIONS.astype(np.uint8)[::-1]},
        {"visits": np.array([7, 7], np.int32)},
        {"tiles": np.zeros_like(LEVEL.tiles)},
    ],
)
def test_changes_are_noticed(saved, changes):
    rewritten(saved, **changes)
    with pytest.raises(ValueError, match="has been changed since it was saved"):
        load_replay(saved)


def test_missing_and_additional_parts_are_refused(saved):
    rewritten(saved, more=np.zeros(3))
    with pytest.raises(ValueError, match="is not a replay of gridmem"):
        load_replay(saved)
    rewritten(saved, more=None, spawns=None)
    with pytest.raises(ValueError, match="is not a replay of gridmem"):
        load_replay(saved)


@pytest.mark.parametrize(
    ("actions", "visits", "sentence"),
    [
        (np.zeros((21, 2), int), VISITS, r"must be \(T, 2\) with 1 to 20 steps T"),
        (np.zeros((5, 3), int), np.zeros(3, int), r"actions have shape \(5, 3\)"),
    ],
)
def test_actions_that_do_not_fit_the_environment(actions, visits, sentence, tmp_path):
    save_replay(tmp_path / "e", ENV, LEVEL, actions, visits)
    with pytest.raises(ValueError, match=sentence):
        load_replay(tmp_path / "e")
