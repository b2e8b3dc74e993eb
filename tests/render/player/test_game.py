import games
import numpy as np
import pytest

from gridmem.render.player.episode import Episode
from gridmem.render.player.game import NO_SCORE, SPEEDS
from gridmem.render.player.keys import AIM, HELP, KEYS, MOVES, NOTES, REPEATED
from gridmem.render.player.pictures import frame_state

ENV = games.env_of(games.CORRIDOR)


def execute(game, *commands):
    for command in commands:
        game.execute(command)
    return game


def column(game):
    return int(game.episode.state.world.position[game.focus, 1])


def test_the_world_waits_for_a_key():
    game = games.game_of(ENV)
    assert not game.playing
    game.tick()
    assert game.episode.num_steps == 0
    execute(game, "right", "right", "up", "left", "nonsense")
    assert (column(game), game.episode.num_steps, game.playing) == (2, 4, False)


def test_every_move_has_its_direction():
    env = games.env_of(("#####", "#.G.#", "#.0.#", "#...#", "#####"))
    for move, cell in zip(MOVES, [(1, 2), (2, 3), (3, 2), (2, 1)], strict=True):
        game = execute(games.game_of(env), move)
        visits = int(game.episode.state.visits[0])
        where = tuple(np.asarray(game.episode.state.world.position)[0].tolist())
        assert (where, visits) == (((2, 2), 1) if move == "up" else (cell, 0))


def test_stepping_back_and_forward_shows_the_history():
    game = execute(games.game_of(ENV), "right", "right", "right", "back")
    assert (column(game), game.episode.num_steps) == (3, 3)
    execute(game, "first")
    assert "Space: resume" in frame_state(game).status
    assert column(game) == 1
    execute(game, "forward", "forward")
    assert column(game) == 3
    execute(game, "last", "forward")
    assert column(game) == 4
    execute(game, "first", "pause")
    assert game.playing
    for _ in range(5):
        game.tick()
    assert (column(game), game.episode.num_steps, game.playing) == (4, 3, False)


def test_a_move_at_an_earlier_step_discards_later_ones():
    game = execute(games.game_of(ENV), "right", "right", "right", "back", "back", "left")
    assert (column(game), game.episode.num_steps) == (1, 2)
    assert "continuing from step 1" in frame_state(game).status
    assert not game.playing


def test_the_oracle_takes_over_and_hands_back():
    game = execute(games.game_of(ENV), "right", "right", "oracle")
    assert game.playing
    for _ in range(2):
        game.tick()
    assert (column(game), game.episode.num_steps, game.player) == (5, 4, "oracle")
    execute(game, "oracle")
    assert (game.player, game.playing) == ("you", False)
    execute(game, "oracle", "pause")
    assert not game.playing
    game.tick()
    assert game.episode.num_steps == 4
    execute(game, "pause")
    assert game.playing
    execute(game, "left")  # a person who moves takes over
    assert (column(game), game.player, game.playing) == (4, "you", False)


def test_without_a_trained_agent_a_message_says_so():
    game = execute(games.game_of(ENV), "agent")
    assert (game.player, game.playing) == ("you", False)
    assert frame_state(game).status == "there is no agent; start with --agent RUN to have one"


def test_new_levels_and_restarts():
    levels = [games.level_of(ENV)] * 3
    game = games.game_of(ENV)
    drawn = []
    game.levels = game.levels._replace(
        level=lambda n: drawn.append(n) or levels[n], is_single=False
    )
    execute(game, "right", "restart")
    assert (game.episode.num_steps, game.attempt, game.level_number) == (0, 2, 0)
    execute(game, "new")
    assert (game.attempt, game.level_number) == (1, 1)
    execute(game, "restart", "restart", "new")
    assert (game.attempt, game.level_number) == (1, 2)
    assert drawn == [0, 1, 1, 1, 2]
    assert frame_state(game).lines[-2:] == (("levels", "a level"), ("level", "2"))


def test_the_end_has_a_summary_and_is_reported_once():
    reported = []

    def report(game):
        reported.append(game.episode.trip_steps(0))
        return "a note"

    game = games.game_of(ENV, on_end=report)
    execute(game, "up", *["right"] * 18)
    assert (frame_state(game).help, reported) == ((), [])
    execute(game, "down")
    assert reported == [[7, 6, 6]]
    box = frame_state(game).help
    assert box[0] == "Episode over"
    assert [line.split() for line in box[2:6]] == [
        ["finds", "score"],
        ["you", "3", "1.00"],
        ["random", f"{game.reference.random[0]:.1f}", "0.00"],
        ["oracle", "3", "1.00"],
    ]
    assert "first trip: 7 steps; later trips: 6.0 on average" in box
    assert "a note" in box
    execute(game, "right")
    assert (game.episode.num_steps, frame_state(game).help, reported) == (20, box, [[7, 6, 6]])
    execute(game, "whole")
    assert frame_state(game).help == ()
    execute(game, "back", "forward")
    assert (frame_state(game).help, len(reported)) == (box, 1)


def test_the_first_frame_explains_the_aim_and_the_keys():
    state = frame_state(games.game_of(ENV))
    assert AIM in state.status
    assert state.notes == NOTES


@pytest.mark.parametrize(
    ("commands", "assist"),
    [
        (["whole"], "the whole cave was shown"),
        (["heat"], "a heatmap was shown"),
        (["right", "back"], "earlier steps were viewed"),
        (["oracle"], "the oracle is playing"),
    ],
)
def test_an_assist_that_costs_the_score_is_announced(commands, assist):
    game = execute(games.game_of(ENV), *commands)
    assert NO_SCORE in frame_state(game).status
    assert assist in frame_state(game).status


def test_without_a_person_no_score_is_mentioned():
    assert NO_SCORE not in frame_state(games.game_of(ENV, "oracle", whole=True)).status
    assert NO_SCORE in frame_state(games.game_of(ENV, whole=True)).status


def test_an_agent_may_give_no_advice_until_it_plays():
    controllers = games.with_agent(ENV)._replace(shows_advice=False)
    game = execute(games.game_of(ENV, controlled_by=controllers), "right")
    assert (frame_state(game).bars, game.assists) == ((), set())
    execute(game, "agent")
    assert frame_state(game).bars
    assert game.assists == {"an agent's advice was shown"}
    assert NO_SCORE in frame_state(game).status


def test_assists_are_recorded():
    assert execute(games.game_of(ENV), "right", "help", "faster", "next").assists == set()
    for commands, assist in (
        (["whole"], "the whole cave was shown"),
        (["heat"], "a heatmap was shown"),
        (["right", "back"], "earlier steps were viewed"),
    ):
        game = execute(games.game_of(ENV), *commands)
        assert game.assists == {assist}
        kept = set() if assist.startswith("earlier") else {assist}
        assert execute(game, "restart").assists == kept
    game = execute(games.game_of(ENV), "oracle")
    game.tick()
    assert (game.assists, game.person_moved) == ({"the oracle played part of it"}, False)
    game = execute(games.game_of(ENV), *["right"] * 20, "whole", "back")
    assert (game.assists, game.person_moved) == (set(), True)  # after the end nothing is an assist


def test_speeds():
    game = games.game_of(ENV, speed=8)
    assert execute(game, "faster").speed == 16
    assert execute(game, "slower", "slower").speed == 4
    assert execute(game, *["slower"] * 9).speed == SPEEDS[0]
    assert execute(game, *["faster"] * 9).speed == SPEEDS[-1]
    assert execute(games.game_of(ENV, speed=10), "faster").speed == 16


def test_help_is_shown_until_the_next_command():
    game = execute(games.game_of(ENV), "help")
    assert frame_state(game).help == HELP
    assert frame_state(execute(game, "help")).help == ()
    execute(game, "help", "right")
    assert (frame_state(game).help, column(game)) == ((), 2)


def test_every_command_of_a_key_has_an_effect():
    def snapshot(game):
        shown = frame_state(game)
        return shown.whole, shown.status, shown.help, shown.lines, game.running

    for command in set(KEYS.values()) - {"screenshot", "record"}:
        game = execute(games.game_of(ENV), "right", "right", "oracle", "pause")
        before = snapshot(execute(game, "back"))
        assert snapshot(execute(game, command)) != before, command
    assert set(KEYS.values()) >= REPEATED


@pytest.mark.slow
def test_a_crowd_and_the_agent_in_focus():
    env = games.env_of(games.ROOM, num_agents=2, max_steps=30)
    game = games.game_of(env, crowd="oracle")
    start = np.asarray(game.episode.state.world.position)
    execute(game, "up")
    first = np.asarray(game.episode.state.world.position)
    assert (first[0] == start[0]).all()  # a wall is above; the other one walks
    assert (first[1] != start[1]).any()
    execute(game, "next")
    assert frame_state(game).agent == 1
    assert ("player", "you, agent 1") in frame_state(game).lines
    execute(game, "left")  # to the left of the other one is a wall
    second = np.asarray(game.episode.state.world.position)
    assert (second[1] == first[1]).all()
    assert (second[0] != first[0]).any()
    assert execute(game, "next").focus == 0


def test_a_replay_advances_by_itself_and_can_be_continued():
    episode = Episode(ENV, games.level_of(ENV), [np.array([1])] * 5)
    game = games.game_of(ENV)
    game.show_episode(episode)
    assert game.playing
    for _ in range(9):
        game.tick()
    assert (column(game), game.episode.num_steps, game.playing) == (6, 5, False)
    assert ("player", "replay") in frame_state(game).lines
    execute(game, "left")
    assert (column(game), game.episode.num_steps) == (5, 6)
    assert ("player", "you") in frame_state(game).lines


def test_the_contents_of_a_frame():
    game = execute(games.game_of(ENV), *["right"] * 5)
    state = frame_state(game)
    assert state.title == "Test-v0"
    assert dict(state.lines) == {
        "finds": "0",
        "steps left": "15",
        "goal seen": "now",
        "trips": "none yet",
        "ceiling": "3",
        "score": f"{game.reference.score(0):.2f}",
        "player": "you",
        "levels": "a level",
    }
    assert (state.status, state.bars, state.heat) == ("your move; H: help", (), None)
    assert state.seen[:, :8].all()
    assert not state.seen[:, 8].any()
    execute(game, *["right"] * 13)
    assert dict(frame_state(game).lines)["trips"] == "6 6 6"
    assert dict(frame_state(game).lines)["goal seen"] == "1 step ago"


def test_the_heatmap_of_a_trip():
    game = execute(games.game_of(ENV, heat="trip"), "right", "left", "right")
    np.testing.assert_array_equal(frame_state(game).heat[1, :4], [0, 1, 1, 0])
    execute(game, *["right"] * 5)  # a find
    np.testing.assert_array_equal(np.argwhere(frame_state(game).heat), [[1, 1]])


def test_the_advice_of_a_trained_agent():
    game = games.game_of(ENV, controlled_by=games.with_agent(ENV))
    execute(game, "right")
    state = frame_state(game)
    assert dict(state.lines)["value"] == "1.50"
    assert dict(state.bars) == pytest.approx(
        {"up": 0.1, "right": 0.2, "down": 0.3, "left": 0.4}, rel=1e-5
    )
    assert game.assists == {"an agent's advice was shown"}
    execute(game, "heat", "heat")
    assert game.heat == "memory"
    # All weight is on the timestep before: that before the first move, here.
    np.testing.assert_array_equal(np.argwhere(frame_state(game).heat), [[1, 1]])
    assert execute(game, "heat").heat is None
