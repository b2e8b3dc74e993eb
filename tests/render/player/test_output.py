import games
import jax
import numpy as np
import pytest

from gridmem.render.frame import frame
from gridmem.render.player.frame_state import moment_of
from gridmem.render.player.output import film, play_out, write_picture
from gridmem.render.png import read_png
from gridmem.render.trip_figure import episode_picture

ENV = games.env_of(games.ROOM, num_agents=2)
SIZE = 320, 200


def filmed(max_steps=None, **options):
    game = games.game_of(ENV, **options)
    play_out(game, max_steps)
    return game, list(film(game, SIZE, max_steps))


def test_a_film_has_one_frame_a_step_and_one_for_the_start():
    game, frames = filmed(lead="oracle")
    assert (game.session.last, len(frames)) == (20, 21)
    assert {picture.shape for picture in frames} == {(200, 320, 3)}
    assert any((one != other).any() for one, other in zip(frames[1:], frames, strict=False))
    game, frames = filmed(7, lead="oracle")
    assert (game.session.last, len(frames)) == (7, 8)
    assert len(filmed(99, lead="random")[1]) == 21


def test_a_frame_is_what_the_window_shows_but_for_the_status():
    game, frames = filmed(lead="random", whole=True, heat="trip")
    game.session.go(9)
    shown = frame(moment_of(game)._replace(status="step 9 of 20", help=()), *SIZE)
    np.testing.assert_array_equal(frames[9], shown)


def test_the_same_episode_gives_the_same_frames():
    first, frames = filmed(lead="remembering", whole=True)
    again = list(film(first, SIZE))
    other = filmed(lead="remembering", whole=True)[1]
    np.testing.assert_array_equal(frames, again)
    np.testing.assert_array_equal(frames, other)


def test_showing_changes_nothing():
    shown, hidden = (games.game_of(ENV, cast=games.with_agent(ENV)) for _ in range(2))
    for game in (shown, hidden):
        game.do("heat")
    actions = np.random.default_rng(0).integers(4, size=(20, 2))
    for action in actions:
        before = [np.array(leaf) for leaf in jax.tree.leaves(shown.session.state)]
        frame(moment_of(shown), *SIZE)
        for leaf, old in zip(jax.tree.leaves(shown.session.state), before, strict=True):
            np.testing.assert_array_equal(leaf, old)
        for game in (shown, hidden):
            game.session.act(action)
    ends = [jax.tree.leaves((g.session.state, g.session.timestep)) for g in (shown, hidden)]
    for leaf, other in zip(*ends, strict=True):
        np.testing.assert_array_equal(leaf, other)


def test_a_person_does_not_play_without_keys():
    game = games.game_of(ENV)
    game.do("up")
    play_out(game)
    assert game.session.last == 1


def test_one_picture_of_all_trips(tmp_path):
    game, _ = filmed(lead="oracle")
    write_picture(tmp_path / "a.png", game)
    write_picture(tmp_path / "b.png", game, max_steps=4)
    assert read_png(tmp_path / "a.png").shape != read_png(tmp_path / "b.png").shape
    with pytest.raises(ValueError, match=r"cannot write /nosuch/a.png \(No such file"):
        write_picture("/nosuch/a.png", game)
    with pytest.raises(ValueError, match="nothing has been played yet"):
        write_picture(tmp_path / "c.png", games.game_of(ENV))


def test_the_picture_of_all_trips_shows_attention_if_heat_does(tmp_path):
    def written(heat, cast):
        game = games.game_of(ENV, lead="oracle", cast=cast, heat=heat)
        game.do("next")
        play_out(game, 15)
        write_picture(tmp_path / "a.png", game)
        attention = np.zeros((15, 21), np.float32)
        attention[range(15), [0, 0, *range(13)]] = 1  # agent 1 remembers what was two steps ago
        actions = np.stack(game.session.actions)
        title = "Test-v0, a cave"
        told = episode_picture(ENV, game.session.level, actions, 1, title, attention)
        untold = episode_picture(ENV, game.session.level, actions, 1, title)
        return read_png(tmp_path / "a.png"), told, untold

    agent, scripted = games.with_agent(ENV, "oracle"), None
    for heat, cast, shown in (("memory", agent, 1), ("trip", agent, 2), ("memory", scripted, 2)):
        pictures = written(heat, cast)
        np.testing.assert_array_equal(pictures[0], pictures[shown])
        assert (pictures[1] != pictures[2]).any()
