import json
import sys
from pathlib import Path

import games
import jax
import numpy as np
import pytest

import gridmem
from gridmem.envs.batch.policy import random_policy
from gridmem.envs.batch.rollout import play
from gridmem.render.player.scores import Marks, add_score, level_id, marks, score_file

CORRIDOR = games.env_of(games.CORRIDOR)


def test_marks_of_a_corridor():
    found = marks(CORRIDOR, games.level_of(CORRIDOR))
    assert (found.best, found.best_is) == (3, "ceiling")  # 20 steps, 6 a trip
    assert 0 < found.random[0] < 1
    assert found.score(3) == 1
    assert found.score(0) == pytest.approx(-found.random[0] / (3 - found.random[0]))


def test_where_rock_can_be_dug_the_best_is_the_oracle():
    env = games.env_of(("#######", "#0%..G#", "#######"), dig_steps=2)
    found = marks(env, games.level_of(env))
    # The first trip digs: 7 steps; then 4 each: 7, 11, 15, 19.
    assert (found.best, found.best_is) == (4, "oracle")


def test_marks_are_per_agent():
    env = games.env_of(games.ROOM, num_agents=2, max_steps=60)
    found = marks(env, games.level_of(env))
    assert found.best.shape == found.random.shape == (2,)
    np.testing.assert_array_equal(
        found.best, gridmem.ceiling(env, jax.tree.map(lambda x: x[None], games.level_of(env)))[0]
    )


def test_random_play_is_that_of_the_random_policy():
    env, level = CORRIDOR, games.level_of(CORRIDOR)
    many = jax.tree.map(lambda leaf: np.broadcast_to(leaf, (2000, *leaf.shape)), level)
    visits = jax.jit(lambda: play(env, random_policy(4), many, jax.random.key(5)).state.visits)()
    expected, deviation = visits.mean(), visits.std() / 8  # of a mean of 64
    assert abs(marks(env, level).random[0] - expected) < 4 * deviation


def test_there_is_no_score_where_the_best_is_no_better_than_random():
    assert Marks(np.zeros(1, np.float32), np.zeros(1, np.float32), "ceiling").score(0) is None


def test_levels_are_told_apart_by_their_content():
    level = games.level_of(CORRIDOR)
    other = level._replace(spawns=level.spawns[::-1].copy())
    moved = level._replace(spawns=level.spawns + np.array([0, 1]))
    assert level_id(level) == level_id(other)  # this level has one spawn only
    assert level_id(level) != level_id(moved)
    assert level_id(level) == level_id(level._replace(tiles=level.tiles.astype(np.int64)))


def test_scores_are_lines_of_json(tmp_path):
    file = score_file(str(tmp_path / "mine.jsonl"))
    add_score(file, {"visits": 3})
    add_score(file, {"visits": 4, "score": None})
    first, second = map(json.loads, file.read_text().splitlines())
    assert first["visits"] == 3
    assert list(second) == ["time", "visits", "score"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other folders")
def test_the_score_file_lies_in_the_users_data_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert score_file(None) == tmp_path / "data" / "gridmem" / "scores.jsonl"
    assert score_file(None).exists()
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert score_file(None) == tmp_path / ".local" / "share" / "gridmem" / "scores.jsonl"


def test_a_place_that_cannot_be_written_to():
    with pytest.raises(ValueError, match=r"cannot write scores to /proc/s .*; name another file"):
        score_file("/proc/s")
