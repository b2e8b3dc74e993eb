import games
import numpy as np
import pytest
from breadth import breadth
from games import LEFT, RIGHT

from gridmem import Return
from gridmem.envs.analysis.oracle import oracle_actions
from gridmem.envs.batch.policy import random_policy
from gridmem.render.player.controllers import STEPS_BETWEEN_MEMORIES, OraclePlayer, PolicyPlayer
from gridmem.render.player.episode import Session

ENV = games.env_of(games.ROOM, num_agents=2, max_steps=60)
RANDOM = np.random.default_rng(1)


def fresh():
    return PolicyPlayer(ENV, games.remembering_policy())


def answers(player, session, times):
    out = []
    for time in times:
        session.go(time)
        out.append(session.ask(player))
    return out


def wander(session, num_steps):
    for _ in range(num_steps):
        session.act(RANDOM.integers(4, size=2))


def same(ones, others):
    for one, other in zip(ones, others, strict=True):
        np.testing.assert_array_equal(one.action, other.action)
        np.testing.assert_array_equal(one.extras, other.extras)


def test_a_policy_lives_through_what_others_do():
    session = Session(ENV, games.level_of(ENV))
    player = fresh()
    policy = games.remembering_policy()
    memory, keys = policy.init(2), player._keys
    for time in range(20):
        expected = policy.act(memory, session.timestep, keys[time])
        memory = expected.carry
        np.testing.assert_array_equal(session.ask(player).extras, memory)
        wander(session, 1)


@pytest.mark.parametrize("back", breadth([0, 1, 15, 16, 17, 31, 32, 39], 0, 15, 16, 39))
def test_going_back_restores_the_memory(back):
    session = Session(ENV, games.level_of(ENV))
    player = fresh()
    wander(session, 40)
    before = answers(player, session, range(41))
    session.go(back)
    same([session.ask(player)], [before[back]])
    wander(session, 10)  # other steps than before: what followed is forgotten
    after = answers(player, session, range(back + 11))
    same(after[: back + 1], before[: back + 1])
    same(after, answers(fresh(), session, range(back + 11)))
    assert not np.array_equal(after[-1].extras, before[min(back + 10, 40)].extras)


def test_going_back_twice_within_the_steps_between_two_memories():
    session = Session(ENV, games.level_of(ENV))
    player = fresh()
    wander(session, 2 * STEPS_BETWEEN_MEMORIES + 3)
    answers(player, session, [session.last])
    for back in (STEPS_BETWEEN_MEMORIES + 2, STEPS_BETWEEN_MEMORIES + 1, 3):
        session.go(back)
        wander(session, 5)
        times = range(session.last + 1)
        same(answers(player, session, times), answers(fresh(), session, times))


def test_another_episode_is_begun_without_memories():
    player = fresh()
    first = Session(ENV, games.level_of(ENV))
    wander(first, 20)
    answers(player, first, [20])
    second = Session(ENV, games.level_of(ENV))
    wander(second, 20)
    same(answers(player, second, range(21)), answers(fresh(), second, range(21)))


def test_an_episode_that_is_played_again_is_the_same_again():
    def episode(player):
        session = Session(ENV, games.level_of(ENV))
        while not session.over:
            session.act(session.ask(player).action)
        return np.array(session.actions)

    player = PolicyPlayer(ENV, random_policy(4))
    actions = episode(player)
    assert len(np.unique(actions, axis=0)) > 4
    np.testing.assert_array_equal(actions, episode(player))
    assert (actions != episode(PolicyPlayer(ENV, random_policy(4), seed=1))).any()


@pytest.mark.parametrize(
    "options",
    [{}, {"num_agents": 2}, {"dig_steps": 2}, {"task": Return(goal_moves=True)}],
)
def test_the_oracle_plays_as_it_does_in_whole_episodes(options):
    rows = "#######", "#0.%..#", "#.%%..#", "#.%..G#", "#1..%%#", "#######"
    env = games.env_of(rows, max_steps=30, **options)
    level = games.level_of(env)
    expected = oracle_actions(env, type(level)(*(leaf[None] for leaf in level)))
    session, player = Session(env, level), OraclePlayer(env)
    while not session.over:
        session.act(session.ask(player).action)
    np.testing.assert_array_equal(session.actions, expected[0])
    assert session.finds(0)


def test_the_oracle_goes_on_from_wherever_the_agent_was_led():
    env = games.env_of(games.CORRIDOR)
    session, player = Session(env, games.level_of(env)), OraclePlayer(env)
    for move in (RIGHT, RIGHT, LEFT):
        session.ask(player)
        session.act(np.array([move]))
    while not session.over:
        session.act(session.ask(player).action)
    assert session.trips(0) == [8, 6, 6]


def test_the_oracle_finds_its_way_in_another_cave():
    env = games.env_of(games.CORRIDOR)
    level, player = games.level_of(env), OraclePlayer(env)
    tiles = level.tiles.copy()
    tiles[1, 7], tiles[1, 2] = 0, 3
    other = level._replace(tiles=tiles, goals=np.array([[1, 2]], np.int32))
    spawned = other._replace(spawns=np.full_like(level.spawns, 1) * [1, 5])
    for cave, trip in ((level, 6), (spawned, 3)):
        session = Session(env, cave)
        for _ in range(trip):
            session.act(session.ask(player).action)
        assert session.trips(0) == [trip]
