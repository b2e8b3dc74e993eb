import json

import games
import numpy as np
import pytest

from gridmem.envs.analysis.replay import load_replay
from gridmem.render.player.records import Records

ENV = games.env_of(games.CORRIDOR)
EPISODE = ["right"] * 20


def played(tmp_path, *commands, env=ENV, replay=None, **options):
    """The game after some commands, and the lines of its score file."""
    scores = tmp_path / "scores.jsonl"
    game = games.game_of(env, at_end=Records(scores, replay).at_end, **options)
    for command in commands:
        game.do(command)
        while game.playing:
            game.tick()
    text = scores.read_text() if scores.exists() else ""
    return game, [json.loads(line) for line in text.splitlines()]


def test_an_episode_that_a_person_played_alone_is_noted(tmp_path):
    game, lines = played(tmp_path, *EPISODE, "again", *["left"] * 3, "whole", "new")
    (line,) = lines
    assert line.pop("time")
    assert line.pop("config")["max_steps"] == 20
    assert len(line.pop("level")) == 16
    random = line.pop("random")
    assert random == pytest.approx(game.marks.random[0], abs=1e-4)
    expected = {"id": "Test-v0", "cave": "a cave", "attempt": 1, "visits": 3, "trips": [6, 6, 6]}
    assert line == {**expected, "ceiling": 3, "score": 1}


def test_the_second_attempt_on_a_level_is_known_as_such(tmp_path):
    _, lines = played(tmp_path, *EPISODE, "again", *EPISODE)
    assert [line["attempt"] for line in lines] == [1, 2]
    assert lines[0]["level"] == lines[1]["level"]


@pytest.mark.parametrize(
    ("commands", "note"),
    [
        (["right", "oracle"], "score not noted: the oracle played some of it"),
        (["whole", *EPISODE], "score not noted: the whole cave was shown"),
        (["heat", *EPISODE], "score not noted: a heat map was shown"),
        (["left", "back", "forth", *EPISODE], "score not noted: earlier steps were looked at"),
    ],
)
def test_what_was_played_with_help_is_not_noted(commands, note, tmp_path):
    game, lines = played(tmp_path, *commands)
    assert game.session.over
    assert lines == []
    assert note in game.box


def test_steps_taken_back_after_the_end_do_not_count_again(tmp_path):
    _, lines = played(tmp_path, *EPISODE, "back", "back", "left", "left")
    assert len(lines) == 1


def test_an_episode_that_nobody_played_by_hand_is_not_mentioned(tmp_path):
    game, lines = played(tmp_path, "pause", lead="oracle")
    game.do("pause")
    while game.playing:
        game.tick()
    assert game.session.over
    assert lines == []
    assert not [line for line in game.box if "noted" in line]


def test_advice_and_crowds_are_not_noted(tmp_path):
    game, lines = played(tmp_path, *EPISODE, cast=games.with_agent(ENV))
    assert lines == []
    assert "score not noted: an agent's advice was shown" in game.box
    crowd = games.env_of(games.ROOM, num_agents=2)
    _, lines = played(tmp_path, *EPISODE, env=crowd)
    assert lines == []


def test_a_score_file_that_has_become_unwritable_stops_nobody(tmp_path):
    game = games.game_of(ENV, at_end=Records(tmp_path, None).at_end)
    for command in EPISODE:
        game.do(command)
    assert f"score not noted: cannot write {tmp_path} (Is a directory)" in game.box


def test_the_replay_of_the_last_episode_is_saved(tmp_path):
    path = tmp_path / "episode.npz"
    game, _ = played(tmp_path, *EPISODE, "again", "right", "left", replay=str(path))
    replay = load_replay(path)
    np.testing.assert_array_equal(replay.actions, [[1]] * 20)
    assert (replay.visits, replay.title) == (3, "Test-v0, a cave")
    records = Records(None, str(path))
    assert records.save(game) == f"saved {path}"
    np.testing.assert_array_equal(load_replay(path).actions, [[1], [3]])
    game.do("again")
    assert records.save(game) == ""
    assert len(load_replay(path).actions) == 2
    assert Records(None, None).save(game) == ""


def test_a_place_for_the_replay_that_cannot_be_written_to():
    with pytest.raises(ValueError, match=r"cannot write /nosuch/e.npz \(No such file"):
        Records(None, "/nosuch/e.npz")
