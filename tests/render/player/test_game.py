import games
import numpy as np
import pytest

from gridmem.render.player.episode import Session
from gridmem.render.player.frame_state import moment_of
from gridmem.render.player.game import NO_SCORE, SPEEDS
from gridmem.render.player.keys import AIM, HELP, KEYS, MOVES, NOTES, REPEATED

ENV = games.env_of(games.CORRIDOR)


def do(game, *commands):
    for command in commands:
        game.do(command)
    return game


def column(game):
    return int(game.session.state.world.position[game.focus, 1])


def test_the_world_waits_for_a_key():
    game = games.game_of(ENV)
    assert not game.playing
    game.tick()
    assert game.session.last == 0
    do(game, "right", "right", "up", "left", "nonsense")
    assert (column(game), game.session.last, game.playing) == (2, 4, False)


def test_every_move_goes_its_way():
    env = games.env_of(("#####", "#.G.#", "#.0.#", "#...#", "#####"))
    for move, cell in zip(MOVES, [(1, 2), (2, 3), (3, 2), (2, 1)], strict=True):
        game = do(games.game_of(env), move)
        visits = int(game.session.state.visits[0])
        where = tuple(np.asarray(game.session.state.world.position)[0].tolist())
        assert (where, visits) == (((2, 2), 1) if move == "up" else (cell, 0))


def test_stepping_back_and_forth_shows_what_was():
    game = do(games.game_of(ENV), "right", "right", "right", "back")
    assert (column(game), game.session.last) == (3, 3)
    do(game, "first")
    assert "Space goes on" in moment_of(game).status
    assert column(game) == 1
    do(game, "forth", "forth")
    assert column(game) == 3
    do(game, "last", "forth")
    assert column(game) == 4
    do(game, "first", "pause")
    assert game.playing
    for _ in range(5):
        game.tick()
    assert (column(game), game.session.last, game.playing) == (4, 3, False)


def test_moving_in_the_past_forgets_what_followed():
    game = do(games.game_of(ENV), "right", "right", "right", "back", "back", "left")
    assert (column(game), game.session.last) == (1, 2)
    assert "playing on from step 1" in moment_of(game).status
    assert not game.playing


def test_the_oracle_takes_over_from_the_present_state_and_hands_back():
    game = do(games.game_of(ENV), "right", "right", "oracle")
    assert game.playing
    for _ in range(2):
        game.tick()
    assert (column(game), game.session.last, game.lead) == (5, 4, "oracle")
    do(game, "oracle")
    assert (game.lead, game.playing) == ("you", False)
    do(game, "oracle", "pause")
    assert not game.playing
    game.tick()
    assert game.session.last == 4
    do(game, "pause")
    assert game.playing
    do(game, "left")  # a person who moves takes over
    assert (column(game), game.lead, game.playing) == (4, "you", False)


def test_without_a_trained_agent_nobody_takes_over():
    game = do(games.game_of(ENV), "agent")
    assert (game.lead, game.playing) == ("you", False)
    assert moment_of(game).status == "there is no agent; start with --agent RUN to have one"


def test_new_levels_and_the_same_again():
    levels = [games.level_of(ENV)] * 3
    game = games.game_of(ENV)
    drawn = []
    game.caves = game.caves._replace(level=lambda n: drawn.append(n) or levels[n], many=True)
    do(game, "right", "again")
    assert (game.session.last, game.attempt, game.number) == (0, 2, 0)
    do(game, "new")
    assert (game.attempt, game.number) == (1, 1)
    do(game, "again", "again", "new")
    assert (game.attempt, game.number) == (1, 2)
    assert drawn == [0, 1, 1, 1, 2]
    assert moment_of(game).lines[-2:] == (("caves", "a cave"), ("level", "2"))


def test_the_end_is_summed_up_and_told_once():
    told = []
    game = games.game_of(ENV, at_end=lambda game: told.append(game.session.trips(0)) or "noted")
    do(game, "up", *["right"] * 18)
    assert (moment_of(game).help, told) == ((), [])
    do(game, "down")
    assert told == [[7, 6, 6]]
    box = moment_of(game).help
    assert box[0] == "The episode is over"
    assert [line.split() for line in box[2:6]] == [
        ["visits", "score"],
        ["you", "3", "1.00"],
        ["random", f"{game.marks.random[0]:.1f}", "0.00"],
        ["oracle", "3", "1.00"],
    ]
    assert "first trip 7 steps, later 6.0 on average" in box
    assert "noted" in box
    do(game, "right")
    assert (game.session.last, moment_of(game).help, told) == (20, box, [[7, 6, 6]])
    do(game, "whole")
    assert moment_of(game).help == ()
    do(game, "back", "forth")
    assert (moment_of(game).help, len(told)) == (box, 1)


def test_the_aim_is_on_the_first_screen_and_the_keys_beside_it():
    moment = moment_of(games.game_of(ENV))
    assert AIM in moment.status
    assert moment.notes == NOTES


@pytest.mark.parametrize(
    ("commands", "aid"),
    [
        (["whole"], "the whole cave was shown"),
        (["heat"], "a heat map was shown"),
        (["right", "back"], "earlier steps were looked at"),
        (["oracle"], "the oracle plays"),
    ],
)
def test_a_key_that_costs_the_score_says_so_at_once(commands, aid):
    game = do(games.game_of(ENV), *commands)
    assert NO_SCORE in moment_of(game).status
    assert aid in moment_of(game).status


def test_where_no_person_plays_no_score_is_mentioned():
    assert NO_SCORE not in moment_of(games.game_of(ENV, "oracle", whole=True)).status
    assert NO_SCORE in moment_of(games.game_of(ENV, whole=True)).status


def test_an_agent_that_only_stands_by_gives_no_advice_until_it_is_asked():
    cast = games.with_agent(ENV)._replace(advises=False)
    game = do(games.game_of(ENV, cast=cast), "right")
    assert (moment_of(game).bars, game.aids) == ((), set())
    do(game, "agent")
    assert moment_of(game).bars
    assert game.aids == {"an agent's advice was shown"}
    assert NO_SCORE in moment_of(game).status


def test_what_a_person_had_beside_the_view_is_known():
    assert do(games.game_of(ENV), "right", "help", "faster", "next").aids == set()
    for commands, aid in (
        (["whole"], "the whole cave was shown"),
        (["heat"], "a heat map was shown"),
        (["right", "back"], "earlier steps were looked at"),
    ):
        game = do(games.game_of(ENV), *commands)
        assert game.aids == {aid}
        assert do(game, "again").aids == (set() if aid.startswith("earlier") else {aid})
    game = do(games.game_of(ENV), "oracle")
    game.tick()
    assert (game.aids, game.yours) == ({"the oracle played some of it"}, False)
    game = do(games.game_of(ENV), *["right"] * 20, "whole", "back")
    assert (game.aids, game.yours) == (set(), True)  # afterwards it does not count


def test_speeds():
    game = games.game_of(ENV, speed=8)
    assert do(game, "faster").speed == 16
    assert do(game, "slower", "slower").speed == 4
    assert do(game, *["slower"] * 9).speed == SPEEDS[0]
    assert do(game, *["faster"] * 9).speed == SPEEDS[-1]
    assert do(games.game_of(ENV, speed=10), "faster").speed == 16


def test_help_is_shown_until_the_next_command():
    game = do(games.game_of(ENV), "help")
    assert moment_of(game).help == HELP
    assert moment_of(do(game, "help")).help == ()
    do(game, "help", "right")
    assert (moment_of(game).help, column(game)) == ((), 2)


def test_every_key_has_a_command_that_does_something():
    game = games.game_of(ENV)
    done = {*MOVES, *game._does, "help", "screenshot", "record"}
    assert set(KEYS.values()) == done
    assert done >= REPEATED
    assert not do(game, "quit").running


def test_a_crowd_and_the_agent_in_focus():
    env = games.env_of(games.ROOM, num_agents=2, max_steps=30)
    game = games.game_of(env, crowd="oracle")
    start = np.asarray(game.session.state.world.position)
    do(game, "up")
    first = np.asarray(game.session.state.world.position)
    assert (first[0] == start[0]).all()  # a wall is above; the other one walks
    assert (first[1] != start[1]).any()
    do(game, "next")
    assert moment_of(game).agent == 1
    assert ("plays", "you, agent 1") in moment_of(game).lines
    do(game, "left")  # to the left of the other one is a wall
    second = np.asarray(game.session.state.world.position)
    assert (second[1] == first[1]).all()
    assert (second[0] != first[0]).any()
    assert do(game, "next").focus == 0


def test_a_replay_goes_on_by_itself_and_can_be_played_on():
    session = Session(ENV, games.level_of(ENV), [np.array([1])] * 5)
    game = games.game_of(ENV)
    game.watch(session)
    assert game.playing
    for _ in range(9):
        game.tick()
    assert (column(game), game.session.last, game.playing) == (6, 5, False)
    assert ("plays", "replay") in moment_of(game).lines
    do(game, "left")
    assert (column(game), game.session.last) == (5, 6)
    assert ("plays", "you") in moment_of(game).lines


def test_what_is_shown():
    game = do(games.game_of(ENV), *["right"] * 5)
    moment = moment_of(game)
    assert moment.title == "Test-v0"
    assert dict(moment.lines) == {
        "visits": "0",
        "steps left": "15",
        "goal seen": "now",
        "trips": "none yet",
        "ceiling": "3",
        "score": f"{game.marks.score(0):.2f}",
        "plays": "you",
        "caves": "a cave",
    }
    assert (moment.status, moment.bars, moment.heat) == ("your move; H help", (), None)
    assert moment.seen[:, :8].all()
    assert not moment.seen[:, 8].any()
    do(game, *["right"] * 13)
    assert dict(moment_of(game).lines)["trips"] == "6 6 6"
    assert dict(moment_of(game).lines)["goal seen"] == "1 step ago"


def test_where_the_agent_went_on_this_trip():
    game = do(games.game_of(ENV, heat="trip"), "right", "left", "right")
    np.testing.assert_array_equal(moment_of(game).heat[1, :4], [0, 1, 1, 0])
    do(game, *["right"] * 5)  # a find
    np.testing.assert_array_equal(np.argwhere(moment_of(game).heat), [[1, 1]])


def test_a_trained_agent_tells_what_it_thinks():
    game = games.game_of(ENV, cast=games.with_agent(ENV))
    do(game, "right")
    moment = moment_of(game)
    assert dict(moment.lines)["value"] == "1.50"
    assert dict(moment.bars) == pytest.approx(
        {"up": 0.1, "right": 0.2, "down": 0.3, "left": 0.4}, rel=1e-5
    )
    assert game.aids == {"an agent's advice was shown"}
    do(game, "heat", "heat")
    assert game.heat == "memory"
    # All weight is on the timestep before: that before the first move, here.
    np.testing.assert_array_equal(np.argwhere(moment_of(game).heat), [[1, 1]])
    assert do(game, "heat").heat is None
