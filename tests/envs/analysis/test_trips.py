from functools import partial

import jax
import numpy as np
import pytest

import gridmem
from gridmem import Env, EnvConfig, TextMap
from gridmem.envs.analysis.oracle import oracle_actions
from gridmem.envs.analysis.trace import trace
from gridmem.envs.analysis.trips import seen_cells, trips

UP, RIGHT, DOWN, LEFT = range(4)


@partial(jax.jit, static_argnums=0)
def generate(env, seed):
    return env.generate(jax.random.key(seed))


def drawn(*rows, **options):
    env = Env(EnvConfig(map=TextMap(rows), max_steps=12, **options))
    return env, generate(env, 0)


def as_tuples(made):
    return [
        (trip.begin, trip.steps, trip.shortest, trip.found, trip.cells.tolist()) for trip in made
    ]


def test_trips_by_hand():
    env, level = drawn("#######", "#0...G#", "#.#####", "#1....#", "#######")
    actions = np.array([RIGHT, UP, RIGHT, RIGHT, RIGHT, UP, UP, RIGHT, LEFT])[:, None]
    first = [[1, 1], [1, 2], [1, 2], [1, 3], [1, 4], [1, 5]]
    second = [[3, 1], [2, 1], [1, 1], [1, 2], [1, 1]]
    made = trips(env, level, actions)
    assert as_tuples(made) == [(0, 5, 4, True, first), (5, 4, 6, False, second)]
    np.testing.assert_array_equal(made[1].tiles, level.tiles)
    # No trip begins when an episode ends with a find.
    assert as_tuples(trips(env, level, actions[:5])) == [(0, 5, 4, True, first)]
    assert as_tuples(trips(env, level, actions[:2])) == [(0, 2, 4, False, first[:3])]


def test_each_agent_has_its_own_trips():
    env, level = drawn("######", "#0.G1#", "######", num_agents=2)
    actions = np.array([[RIGHT, LEFT], [RIGHT, UP], [DOWN, UP]])
    assert as_tuples(trips(env, level, actions, 0))[0] == (0, 2, 2, True, [[1, 1], [1, 2], [1, 3]])
    other = trips(env, level, actions, 1)
    assert as_tuples(other)[0] == (0, 1, 1, True, [[1, 4], [1, 3]])
    assert [trip.begin for trip in other] == [0, 1]


def test_a_tunnel_shortens_the_path():
    env, level = drawn("#######", "#0%.G.#", "#######", dig_steps=2)
    actions = np.array([RIGHT] * 7 + [UP])[:, None]
    made = trips(env, level, actions)
    row = [[1, 1]] * 4 + [[1, 2], [1, 3], [1, 4]]
    assert as_tuples(made) == [(0, 6, 6, True, row), (6, 2, 3, False, [[1, 1], [1, 2], [1, 2]])]
    assert "".join(".#%G"[tile] for tile in made[0].tiles[1]) == "#.%.G.#"
    assert "".join(".#%G"[tile] for tile in made[1].tiles[1]) == "#...G.#"


def test_a_blocked_goal_has_no_shortest_path():
    env, level = drawn("######", "#0%.G#", "######")
    assert as_tuples(trips(env, level, np.array([[RIGHT]]))) == [(0, 1, 0, False, [[1, 1], [1, 1]])]


def test_an_episode_of_the_oracle():
    env = gridmem.make("GridMem-9x9-v0", num_agents=2)
    level = generate(env, 1)
    batch = jax.tree.map(lambda leaf: leaf[None], level)
    actions = oracle_actions(env, batch)
    traced = trace(env, batch, actions)
    for agent in range(2):
        made = trips(env, level, np.asarray(actions)[0], agent)
        finds = np.flatnonzero(np.asarray(traced.reward)[0, :, agent]) + 1
        assert len(finds) > 3
        assert [trip.begin for trip in made] == [0, *finds[finds < env.max_steps]]
        assert sum(trip.steps for trip in made) == env.max_steps
        assert all(trip.steps == trip.shortest for trip in made if trip.found)
        shortest = np.asarray(traced.shortest)[0, finds - 1, agent]
        np.testing.assert_array_equal(
            [trip.shortest for trip in made[1:]], shortest[: len(made) - 1]
        )
        goal = np.asarray(level.goals)[0]
        for trip in made:
            assert len(trip.cells) == trip.steps + 1
            assert (np.abs(np.diff(trip.cells, axis=0)).sum(axis=1) == 1).all()
            assert (trip.cells[-1] == goal).all() == trip.found


@pytest.mark.parametrize("count", [0, 13])
def test_an_episode_of_another_length_is_refused(count):
    env, level = drawn("#####", "#0.G#", "#####")
    with pytest.raises(ValueError, match=rf"there are {count} actions; there must be 1 to 12"):
        trips(env, level, np.zeros((count, 1), np.int32))


def test_seen_cells_by_hand():
    seen = seen_cells(np.array([(1, 1), (1, 1), (4, 5)]), 3, 6, 7).astype(int)
    assert ["".join(".#"[cell] for cell in row) for row in seen] == [
        "###....",
        "###....",
        "###....",
        "....###",
        "....###",
        "....###",
    ]


def test_seen_cells_end_at_the_edge_of_the_map():
    assert seen_cells(np.array([(1, 1)]), 7, 9, 5).sum() == 5 * 5
    assert not seen_cells(np.zeros((0, 2), np.int32), 5, 4, 4).any()
