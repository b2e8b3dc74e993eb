import games
import jax
import numpy as np
import pytest
from golden_files import read

from gridmem.render.frame import frame
from gridmem.render.player.pictures import episode_frames, frame_state, play_out, write_picture
from gridmem.render.trip_figure import episode_picture

ENV = games.env_of(games.ROOM, num_agents=2)
SIZE = 320, 200


def played(max_steps=None, **options):
    game = games.game_of(ENV, **options)
    play_out(game, max_steps)
    return game, list(episode_frames(game, SIZE, max_steps))


def test_there_is_one_frame_per_step_and_one_of_the_start():
    game, frames = played(player="oracle")
    assert (game.episode.num_steps, len(frames)) == (20, 21)
    assert {picture.shape for picture in frames} == {(200, 320, 3)}
    assert any((one != other).any() for one, other in zip(frames[1:], frames, strict=False))
    game, frames = played(7, player="oracle")
    assert (game.episode.num_steps, len(frames)) == (7, 8)
    assert len(played(99, player="random")[1]) == 21


def test_frames_are_those_of_the_window_with_another_status():
    game, frames = played(player="random", whole=True, heat="trip")
    game.episode.seek(9)
    shown = frame(frame_state(game)._replace(status="step 9 of 20", help=()), *SIZE)
    np.testing.assert_array_equal(frames[9], shown)


def test_the_same_episode_gives_the_same_frames():
    first, frames = played(player="remembering", whole=True)
    again = list(episode_frames(first, SIZE))
    other = played(player="remembering", whole=True)[1]
    np.testing.assert_array_equal(frames, again)
    np.testing.assert_array_equal(frames, other)


def test_drawing_changes_nothing():
    shown, hidden = (games.game_of(ENV, controlled_by=games.with_agent(ENV)) for _ in range(2))
    for game in (shown, hidden):
        game.execute("heat")
    actions = np.random.default_rng(0).integers(4, size=(20, 2))
    for action in actions:
        before = [np.array(leaf) for leaf in jax.tree.leaves(shown.episode.state)]
        frame(frame_state(shown), *SIZE)
        for leaf, old in zip(jax.tree.leaves(shown.episode.state), before, strict=True):
            np.testing.assert_array_equal(leaf, old)
        for game in (shown, hidden):
            game.episode.step(action)
    ends = [jax.tree.leaves((g.episode.state, g.episode.timestep)) for g in (shown, hidden)]
    for leaf, other in zip(*ends, strict=True):
        np.testing.assert_array_equal(leaf, other)


def test_without_keys_a_person_does_not_play():
    game = games.game_of(ENV)
    game.execute("up")
    play_out(game)
    assert game.episode.num_steps == 1


def test_one_picture_of_all_trips(tmp_path):
    game, _ = played(player="oracle")
    write_picture(tmp_path / "a.png", game)
    write_picture(tmp_path / "b.png", game, max_steps=4)
    assert read(tmp_path / "a.png").shape != read(tmp_path / "b.png").shape
    with pytest.raises(ValueError, match=r"cannot write /nosuch/a.png \(No such file"):
        write_picture("/nosuch/a.png", game)
    with pytest.raises(ValueError, match="the episode has no steps yet"):
        write_picture(tmp_path / "c.png", games.game_of(ENV))


def test_the_picture_of_all_trips_shows_attention_on_request(tmp_path):
    def written(heat, controllers):
        game = games.game_of(ENV, player="oracle", controlled_by=controllers, heat=heat)
        game.execute("next")
        play_out(game, 15)
        write_picture(tmp_path / "a.png", game)
        attention = np.zeros((15, 21), np.float32)
        attention[range(15), [0, 0, *range(13)]] = 1  # agent 1 attends to two steps ago
        actions = np.stack(game.episode.actions)
        title = "Test-v0, a level"
        with_attention = episode_picture(ENV, game.episode.level, actions, 1, title, attention)
        without = episode_picture(ENV, game.episode.level, actions, 1, title)
        return read(tmp_path / "a.png"), with_attention, without

    agent, scripted = games.with_agent(ENV, "oracle"), None
    for heat, given, shown in (
        ("memory", agent, 1),
        ("trip", agent, 2),
        ("memory", scripted, 2),
    ):
        pictures = written(heat, given)
        np.testing.assert_array_equal(pictures[0], pictures[shown])
        assert (pictures[1] != pictures[2]).any()
