import games
import jax
import numpy as np
import pytest
from breadth import breadth
from games import LEFT, RIGHT

from gridmem import Return
from gridmem.envs.analysis.oracle import oracle_actions
from gridmem.envs.batch.policy import random_policy
from gridmem.render.player.controllers import (
    STEPS_BETWEEN_CARRIES,
    OracleController,
    PolicyController,
)
from gridmem.render.player.episode import Episode

ENV = games.env_of(games.ROOM, num_agents=2, max_steps=60)
RANDOM = np.random.default_rng(1)


def new_controller():
    return PolicyController(ENV, games.remembering_policy())


def decisions(controller, episode, times):
    out = []
    for time in times:
        episode.seek(time)
        out.append(episode.decision(controller))
    return out


def random_steps(episode, num_steps):
    for _ in range(num_steps):
        episode.step(RANDOM.integers(4, size=2))


def assert_equal(ones, others):
    for one, other in zip(ones, others, strict=True):
        np.testing.assert_array_equal(one.action, other.action)
        np.testing.assert_array_equal(one.extras, other.extras)


def test_a_policy_observes_every_timestep():
    episode, controller = Episode(ENV, games.level_of(ENV)), new_controller()
    policy, key = games.remembering_policy(), jax.random.key(0)
    carry = policy.init(2)
    for _ in range(20):
        carry = policy.act(carry, episode.timestep, key).carry
        np.testing.assert_array_equal(episode.decision(controller).extras, carry)
        random_steps(episode, 1)


@pytest.mark.parametrize("back", breadth([0, 1, 15, 16, 17, 31, 32, 39], 0, 15, 16, 39))
def test_seeking_back_restores_the_memory(back):
    episode = Episode(ENV, games.level_of(ENV))
    controller = new_controller()
    random_steps(episode, 40)
    before = decisions(controller, episode, range(41))
    episode.seek(back)
    assert_equal([episode.decision(controller)], [before[back]])
    random_steps(episode, 10)  # other steps than before, which replace the later ones
    after = decisions(controller, episode, range(back + 11))
    assert_equal(after[: back + 1], before[: back + 1])
    assert_equal(after, decisions(new_controller(), episode, range(back + 11)))
    assert not np.array_equal(after[-1].extras, before[min(back + 10, 40)].extras)


def test_truncating_twice_between_two_stored_carries():
    episode = Episode(ENV, games.level_of(ENV))
    controller = new_controller()
    random_steps(episode, 2 * STEPS_BETWEEN_CARRIES + 3)
    decisions(controller, episode, [episode.num_steps])
    for back in (STEPS_BETWEEN_CARRIES + 2, STEPS_BETWEEN_CARRIES + 1, 3):
        episode.seek(back)
        random_steps(episode, 5)
        times = range(episode.num_steps + 1)
        assert_equal(
            decisions(controller, episode, times), decisions(new_controller(), episode, times)
        )


def test_another_episode_starts_without_memory():
    controller = new_controller()
    first = Episode(ENV, games.level_of(ENV))
    random_steps(first, 20)
    decisions(controller, first, [20])
    second = Episode(ENV, games.level_of(ENV))
    random_steps(second, 20)
    assert_equal(
        decisions(controller, second, range(21)), decisions(new_controller(), second, range(21))
    )


def test_a_policy_is_deterministic_and_depends_on_its_seed():
    def episode(controller):
        episode = Episode(ENV, games.level_of(ENV))
        while not episode.done:
            episode.step(episode.decision(controller).action)
        return np.array(episode.actions)

    controller = PolicyController(ENV, random_policy(4))
    actions = episode(controller)
    assert len(np.unique(actions, axis=0)) > 4
    np.testing.assert_array_equal(actions, episode(controller))
    assert (actions != episode(PolicyController(ENV, random_policy(4), seed=1))).any()


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [{}, {"num_agents": 2}, {"dig_steps": 2}, {"task": Return(goal_moves=True)}],
)
def test_the_oracle_acts_as_in_whole_episodes(options):
    rows = "#######", "#0.%..#", "#.%%..#", "#.%..G#", "#1..%%#", "#######"
    env = games.env_of(rows, max_steps=30, **options)
    level = games.level_of(env)
    expected = oracle_actions(env, type(level)(*(leaf[None] for leaf in level)))
    episode, controller = Episode(env, level), OracleController(env)
    while not episode.done:
        episode.step(episode.decision(controller).action)
    np.testing.assert_array_equal(episode.actions, expected[0])
    assert episode.find_times(0)


def test_the_oracle_continues_from_anywhere():
    env = games.env_of(games.CORRIDOR)
    episode, controller = Episode(env, games.level_of(env)), OracleController(env)
    for move in (RIGHT, RIGHT, LEFT):
        episode.decision(controller)
        episode.step(np.array([move]))
    while not episode.done:
        episode.step(episode.decision(controller).action)
    assert episode.trip_steps(0) == [8, 6, 6]


def test_the_oracle_plays_another_level():
    env = games.env_of(games.CORRIDOR)
    level, controller = games.level_of(env), OracleController(env)
    tiles = level.tiles.copy()
    tiles[1, 7], tiles[1, 2] = 0, 3
    other = level._replace(tiles=tiles, goals=np.array([[1, 2]], np.int32))
    spawned = other._replace(spawns=np.full_like(level.spawns, 1) * [1, 5])
    for another, trip in ((level, 6), (spawned, 3)):
        episode = Episode(env, another)
        for _ in range(trip):
            episode.step(episode.decision(controller).action)
        assert episode.trip_steps(0) == [trip]
