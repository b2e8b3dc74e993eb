from functools import cache, partial

import dijkstra
import jax
import jax.numpy as jnp
import numpy as np
import playing
import pytest
from breadth import breadth
from twin import Twin

import gridmem
from gridmem import Env, EnvConfig, TextMap
from gridmem.envs.analysis.metrics import measure
from gridmem.envs.analysis.oracle import ceiling, oracle_action, oracle_actions, oracle_advice
from gridmem.envs.analysis.shortest_paths import distances
from gridmem.envs.batch.autoreset import VectorEnv

CLASSIC = [id for id in gridmem.CONFIGS if gridmem.make(id).config.dig_steps == 0]
SMALL_DIG = {"height": 10, "width": 11, "max_steps": 96}


def drawn(*rows, **options):
    """The environment and the only level of a picture, in a batch of one."""
    env = Env(EnvConfig(map=TextMap(rows), **options))
    level = playing.generate_one(env, jax.random.key(0))
    return env, jax.tree.map(lambda leaf: leaf[None], level)


@cache
def oracle(env, id):
    """A whole batch of levels, and the oracle's episodes on it."""
    levels = playing.batch(id, 0)[1]
    actions = oracle_actions(env, levels)
    return levels, np.asarray(actions), measure(env, levels, actions)


@pytest.mark.parametrize(
    ("id", "options"),
    breadth(
        [(id, {}) for id in CLASSIC]
        + [(id, {"num_agents": 3}) for id in ("GridMem-9x9-v0", "GridMem-20x20-v0")],
        ("GridMem-9x9-v0", {}),
        ("GridMem-9x9-v0", {"num_agents": 3}),
    ),
)
def test_without_digging_the_oracle_reaches_the_ceiling_exactly(id, options):
    env = gridmem.make(id, **options)
    levels, actions, metrics = oracle(env, id)
    assert actions.shape == (playing.BATCH, env.max_steps, env.num_agents)
    assert actions.dtype == np.int32
    best = ceiling(env, levels)
    assert best.shape == (playing.BATCH, env.num_agents)
    np.testing.assert_array_equal(metrics.visits, best)
    assert (np.asarray(metrics.path_ratio) == 1).all()
    assert (np.asarray(metrics.bumps) == 0).all()


@pytest.mark.parametrize("num_agents", [1, 3])
def test_the_ceiling_as_counted_by_hand(num_agents):
    env = gridmem.make("GridMem-9x9-v0", num_agents=num_agents)
    levels = playing.batch("GridMem-9x9-v0", 0)[1]
    best = np.asarray(ceiling(env, levels))
    for index in range(12):
        level = playing.level_at(levels, index)
        steps = dijkstra.distances(level.tiles, 0)
        for agent in range(num_agents):
            trips = time = 0
            while True:
                time += steps[tuple(level.spawns[(agent + trips * num_agents) % 256])]
                if time > env.max_steps:
                    break
                trips += 1
            assert best[index, agent] == trips


def test_the_ceiling_goes_round_a_short_list_of_spawns():
    env, levels = drawn("#######", "#0.G.1#", "#######", max_steps=600)
    assert ceiling(env, levels).tolist() == [[300]]  # 2 steps each, more often than 256 times
    env, levels = drawn("#######", "#0.G.1#", "#######", max_steps=599, num_agents=2)
    assert ceiling(env, levels).tolist() == [[299, 299]]


def test_who_cannot_get_there_has_a_ceiling_of_zero_and_an_idle_oracle():
    env, levels = drawn("#######", "#0#G.1#", "#######", max_steps=9, num_agents=2)
    assert ceiling(env, levels).tolist() == [[0, 4]]
    actions = np.asarray(oracle_actions(env, levels))[0]
    assert actions[:, 0].tolist() == [4] * 9
    # Its second, fourth ... spawn is the fourth, eighth ... of the list: always the same digit.
    assert actions[:, 1].tolist() == [3] * 9


@pytest.mark.parametrize(
    "options", [{"goal_moves": True}, {"task": {"type": "Tour"}}, {"dig_steps": 2}]
)
def test_no_ceiling_where_paths_change(options):
    env = gridmem.make("GridMem-9x9-v0", **options)
    with pytest.raises(ValueError, match="use the return of oracle_actions instead"):
        ceiling(env, playing.batch("GridMem-9x9-v0", 0)[1])


LONE = [
    ("GridMem-9x9-v0", {"goal_moves": True}),
    ("GridMem-Dig-v0", {**SMALL_DIG, "task": {"type": "Tour", "num_goals": 3}}),
    ("GridMem-Dig-v0", SMALL_DIG),
    ("GridMem-9x9-v0", {"task": {"type": "Tour"}}),
]


@pytest.mark.slow
@pytest.mark.parametrize(("id", "options"), breadth(LONE, *LONE[:2]))
def test_a_lone_oracle_walks_shortest_paths_whatever_the_task(id, options):
    env = gridmem.make(id, **options)
    levels = playing.generate_many(env, jax.random.split(jax.random.key(3), 40))
    actions = oracle_actions(env, levels)
    metrics = measure(env, levels, actions)
    assert np.asarray(metrics.visits).min() > 1
    np.testing.assert_array_equal(metrics.path_ratio, 1)
    assert (np.asarray(metrics.bumps) == 0).all()
    assert (np.asarray(actions) < 4).all()
    # The first trip, too, is as short as can be.
    for index in range(5):
        level = jax.tree.map(lambda leaf: np.asarray(leaf)[index], levels)  # noqa: B023
        steps = dijkstra.distances(level.tiles, env.config.dig_steps)
        assert metrics.first_find_steps[index, 0] == steps[tuple(level.spawns[0])]


@pytest.mark.slow
def test_several_oracles_dig_and_find():
    env = gridmem.make("GridMem-Dig-v0", num_agents=3, **SMALL_DIG)
    levels = playing.generate_many(env, jax.random.split(jax.random.key(3), 40))
    metrics = measure(env, levels, oracle_actions(env, levels))
    assert np.asarray(metrics.visits).min() > 1
    assert (np.asarray(metrics.bumps) == 0).all()
    # Tunnels of others can only help.
    assert np.nanmin(metrics.path_ratio) == 1 < np.nanmax(metrics.path_ratio)


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"goal_moves": True}])
def test_the_advice_to_who_follows_it_is_what_the_oracle_does(options):
    env = gridmem.make("GridMem-9x9-v0", num_agents=2, max_steps=40, **options)
    levels = playing.generate_many(env, jax.random.split(jax.random.key(3), 6))
    actions = oracle_actions(env, levels)
    vector, zeros = VectorEnv(env, 6), jnp.zeros((6, 2), jnp.uint32)
    state, _ = vector.start(levels, zeros, zeros[:, 0])
    advice = jax.jit(partial(oracle_advice, vector.step_only, env))(state, actions)
    np.testing.assert_array_equal(advice, actions)


def test_advice_to_who_goes_another_way_and_begins_again():
    env, levels = drawn("#######", "#..G.0#", "#######", max_steps=3)
    vector, zeros = VectorEnv(env, 1), jnp.zeros((1, 2), jnp.uint32)
    state, _ = vector.start(levels, zeros, zeros[:, 0])
    right, left = gridmem.Action.RIGHT, gridmem.Action.LEFT
    # Past the goal it starts again; the fourth action begins the next episode.
    actions = jnp.array([[[left], [left], [left], [right], [left]]], jnp.int32)
    advice = jax.jit(partial(oracle_advice, vector.step, env))(state, actions)
    assert advice.tolist() == [[[left]] * 5]


def test_an_episode_by_hand_with_a_tunnel():
    env, levels = drawn(
        "########",
        "#0%G...#",
        "######.#",
        "#1.....#",
        "########",
        max_steps=21,
        dig_steps=3,
    )
    # From 0: through the rock, 5 steps and 1. From 1: 5 right, 2 up, 3 left. Then the tunnel: 2.
    # While busy it repeats itself.
    by_hand = [1, 1, 1, 1, 1, 1] + [1] * 5 + [0] * 2 + [3] * 3 + [1, 1] + [1] * 3
    actions = np.asarray(oracle_actions(env, levels))
    assert actions[0, :, 0].tolist() == by_hand
    assert measure(env, levels, actions).visits.tolist() == [[3]]


def test_among_equal_moves_the_lowest_id_is_taken():
    env, levels = drawn("#####", "#..G#", "#...#", "#0..#", "#####", max_steps=5)
    level = jax.tree.map(lambda leaf: leaf[0], levels)
    state, _ = playing.start(env, level)
    action = jax.jit(lambda: oracle_action(env, state, distances(level.tiles, 0)))()
    assert action.tolist() == [0]
    assert oracle_actions(env, levels)[0, :, 0].tolist() == [0, 0, 1, 1, 0]


def test_a_batch_that_does_not_divide_is_as_good_as_any(monkeypatch):
    env = gridmem.make("GridMem-9x9-v0")
    levels, actions, _ = oracle(env, "GridMem-9x9-v0")
    few = jax.tree.map(lambda leaf: leaf[:7], levels)
    monkeypatch.setattr("gridmem.envs.analysis.oracle.LEVELS_PER_CHUNK", 3)
    np.testing.assert_array_equal(oracle_actions(env, few), actions[:7])
    np.testing.assert_array_equal(ceiling(env, few), ceiling(env, levels)[:7])


@pytest.mark.slow
def test_the_twin_agrees_that_the_oracle_finds():
    env = gridmem.make("GridMem-Dig-v0", **SMALL_DIG)
    levels = playing.generate_many(env, jax.random.split(jax.random.key(3), 40))
    actions = np.asarray(oracle_actions(env, levels))
    metrics = measure(env, levels, actions)
    for index in range(3):
        level = jax.tree.map(lambda leaf: np.asarray(leaf)[index], levels)  # noqa: B023
        twin = Twin(level, 1, env.view_size, env.max_steps, env.config.dig_steps)
        for action in actions[index]:
            twin.step(action.tolist())
        assert twin.visits == metrics.visits[index].tolist()
