import json
import sys
from pathlib import Path

import games
import numpy as np
import pytest

from gridmem.envs.analysis.replay import load_replay
from gridmem.render.player.episode_log import EpisodeLog, level_id, score_file

ENV = games.env_of(games.CORRIDOR)
EPISODE = ["right"] * 20


def played(tmp_path, *commands, env=ENV, replay=None, **options):
    """The game after some commands, and the lines of its score file."""
    scores = tmp_path / "scores.jsonl"
    game = games.game_of(env, on_end=EpisodeLog(scores, replay).end_episode, **options)
    for command in commands:
        game.execute(command)
        while game.playing:
            game.tick()
    text = scores.read_text() if scores.exists() else ""
    return game, [json.loads(line) for line in text.splitlines()]


def test_the_score_of_a_person_alone_is_saved(tmp_path):
    game, lines = played(tmp_path, *EPISODE, "restart", *["left"] * 3, "whole", "new")
    (line,) = lines
    assert next(iter(line)) == "time"
    assert line.pop("time")
    assert line.pop("config")["max_steps"] == 20
    assert len(line.pop("level")) == 16
    random = line.pop("random")
    assert random == pytest.approx(game.reference.random[0], abs=1e-4)
    expected = {"id": "Test-v0", "cave": "a level", "attempt": 1, "visits": 3, "trips": [6, 6, 6]}
    assert line == {**expected, "ceiling": 3, "score": 1}


def test_attempts_on_a_level_are_counted(tmp_path):
    _, lines = played(tmp_path, *EPISODE, "restart", *EPISODE)
    assert [line["attempt"] for line in lines] == [1, 2]
    assert lines[0]["level"] == lines[1]["level"]


@pytest.mark.parametrize(
    ("commands", "note"),
    [
        (["right", "oracle"], "score not saved: the oracle played part of it"),
        (["whole", *EPISODE], "score not saved: the whole cave was shown"),
        (["heat", *EPISODE], "score not saved: a heatmap was shown"),
        (["left", "back", "forward", *EPISODE], "score not saved: earlier steps were viewed"),
    ],
)
def test_a_score_with_assistance_is_not_saved(commands, note, tmp_path):
    game, lines = played(tmp_path, *commands)
    assert game.episode.done
    assert lines == []
    assert note in game.overlay


def test_an_episode_is_saved_once(tmp_path):
    _, lines = played(tmp_path, *EPISODE, "back", "back", "left", "left")
    assert len(lines) == 1


def test_no_score_is_mentioned_if_no_person_played(tmp_path):
    game, lines = played(tmp_path, "pause", player="oracle")
    game.execute("pause")
    while game.playing:
        game.tick()
    assert game.episode.done
    assert lines == []
    assert not [line for line in game.overlay if "saved" in line]


def test_scores_with_advice_or_crowds_are_not_saved(tmp_path):
    game, lines = played(tmp_path, *EPISODE, controlled_by=games.with_agent(ENV))
    assert lines == []
    assert "score not saved: an agent's advice was shown" in game.overlay
    crowd = games.env_of(games.ROOM, num_agents=2)
    _, lines = played(tmp_path, *EPISODE, env=crowd)
    assert lines == []


def test_an_unwritable_score_file_is_no_error(tmp_path):
    game = games.game_of(ENV, on_end=EpisodeLog(tmp_path, None).end_episode)
    for command in EPISODE:
        game.execute(command)
    assert f"score not saved: cannot write {tmp_path} (Is a directory)" in game.overlay


def test_the_replay_of_the_last_episode_is_saved(tmp_path):
    path = tmp_path / "episode.npz"
    game, _ = played(tmp_path, *EPISODE, "restart", "right", "left", replay=str(path))
    replay = load_replay(path)
    np.testing.assert_array_equal(replay.actions, [[1]] * 20)
    assert (replay.visits, replay.title) == (3, "Test-v0, a level")
    log = EpisodeLog(None, str(path))
    assert log.save_replay(game) == f"saved {path}"
    np.testing.assert_array_equal(load_replay(path).actions, [[1], [3]])
    game.execute("restart")
    assert log.save_replay(game) == ""
    assert len(load_replay(path).actions) == 2
    assert EpisodeLog(None, None).save_replay(game) == ""


def test_an_unwritable_replay_is_refused():
    with pytest.raises(ValueError, match=r"cannot write /nosuch/e.npz \(No such file"):
        EpisodeLog(None, "/nosuch/e.npz")


def test_level_ids_depend_on_the_content():
    level = games.level_of(ENV)
    other = level._replace(spawns=level.spawns[::-1].copy())
    moved = level._replace(spawns=level.spawns + np.array([0, 1]))
    assert level_id(level) == level_id(other)  # this level has one spawn only
    assert level_id(level) != level_id(moved)
    assert level_id(level) == level_id(level._replace(tiles=level.tiles.astype(np.int64)))


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other folders")
def test_the_default_score_file_is_in_the_data_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert score_file(None) == tmp_path / "data" / "gridmem" / "scores.jsonl"
    assert score_file(None).exists()
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert score_file(None) == tmp_path / ".local" / "share" / "gridmem" / "scores.jsonl"


def test_an_unwritable_score_file_is_refused_at_the_start():
    with pytest.raises(ValueError, match=r"cannot write scores to /proc/s .*; name another file"):
        score_file("/proc/s")
