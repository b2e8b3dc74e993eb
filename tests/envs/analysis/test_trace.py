import dijkstra
import jax
import jaxtyping
import numpy as np
import playing
import pytest
from breadth import breadth

import gridmem
from gridmem import Env, EnvConfig, TextMap
from gridmem.envs.analysis.trace import trace

SMALL = {"height": 9, "width": 10, "max_steps": 90}
NUM_LEVELS = 6


def drawn(*rows, **options):
    """The environment and the only level of a picture, in a batch of one."""
    env = Env(EnvConfig(map=TextMap(rows), **options))
    level = playing.generate_one(env, jax.random.key(0))
    return env, jax.tree.map(lambda leaf: leaf[None], level)


def lists(traced, agent=0):
    """The trace of one agent in the only episode, as lists of numbers by name."""
    return {
        name: np.asarray(leaf)[0, :, agent].astype(int).tolist()
        for name, leaf in traced._asdict().items()
    }


def steps(*actions):
    return np.array(actions, np.int32).reshape(1, len(actions), -1)


def test_an_episode_by_hand():
    env, levels = drawn("#######", "#0...G#", "#.#####", "#1....#", "#######", view_size=3)
    actions = steps(0, 1, 1, 1, 1, 2, 0, 0, 1, 1, 1, 1, 3, 4, -1, 9)
    assert lists(trace(env, levels, actions)) == {
        "reward": [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0],
        "shortest": [0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0],
        "unseen": [1, 1, 1, 0, 1, 1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1],
        "dug": [0] * 16,
        "bumped": [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0],
    }


def test_a_tunnel_by_hand():
    row = "#0%.G.#"
    actions = steps(1, 1, 0, 1, 0, 1, 1, 1, 1, 1, 1)
    env, levels = drawn("#######", row, "#######", view_size=3, dig_steps=2)
    assert lists(trace(env, levels, actions)) == {
        "reward": [0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0],
        "shortest": [0, 0, 0, 0, 0, 0, 3, 0, 0, 3, 0],
        "unseen": [1, 1, 1, 1, 1, 0, 1, 1, 0, 1, 1],
        "dug": [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        "bumped": [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0],  # up into the wall while busy is no bump
    }
    wide, levels = drawn("#######", row, "#######", view_size=7, dig_steps=2)
    assert lists(trace(wide, levels, actions))["unseen"] == [0] * 11
    # Where rock cannot be dug, it is bumped into.
    env, levels = drawn("#######", row, "#######", view_size=3)
    assert lists(trace(env, levels, actions))["bumped"] == [1] * 11


def test_rock_on_the_way_counts_in_the_shortest_path():
    env, levels = drawn("########", "#1%.G.0#", "########", dig_steps=3)
    assert lists(trace(env, levels, steps(3, 3)))["shortest"] == [0, 5 + 1 + 1]


def test_the_next_waypoint_of_a_tour_and_all_of_the_next_tour():
    env, levels = drawn("########", "#G0G..1#", "########", task=gridmem.Tour(2), view_size=3)
    traced = lists(trace(env, levels, steps(3, 1, 1, 3)))
    # From the left waypoint 2 steps to the right one; then, from 1, 3 steps to the nearest.
    assert (traced["reward"], traced["shortest"]) == ([1, 0, 1, 0], [2, 0, 3, 0])
    assert traced["unseen"] == [1, 0, 1, 1]


def test_a_goal_that_cannot_be_reached_from_where_one_lands_is_at_distance_zero():
    env, levels = drawn("########", "#1#G0..#", "########")
    traced = lists(trace(env, levels, steps(3, 0)))
    assert (traced["reward"], traced["shortest"]) == ([1, 0], [0, 0])


WORLDS = [
    ("GridMem-Dig-v0", 2, 5, "goal moves"),
    ("GridMem-Dig-v0", 2, 7, "tour"),
    ("GridMem-Dig-v0", 3, 3, "return"),
    ("GridMem-9x9-v0", 1, 5, "return"),
    ("GridMem-9x9-v0", 3, "full", "tour"),
]


@pytest.mark.parametrize(("id", "num_agents", "view_size", "task"), breadth(WORLDS, WORLDS[0]))
def test_small_worlds_as_the_slow_twin_sees_them(id, num_agents, view_size, task):
    tasks = {"goal moves": gridmem.Return(goal_moves=True), "tour": gridmem.Tour(3)}
    options = {"num_agents": num_agents, "view_size": view_size, **SMALL}
    env = gridmem.make(id, task=tasks.get(task, gridmem.Return()), **options)
    levels = playing.generate_many(env, jax.random.split(jax.random.key(1), NUM_LEVELS))
    levels = jax.tree.map(np.asarray, levels)
    watched = [
        dijkstra.watched(
            playing.level_at(levels, i),
            num_agents,
            view_size,
            env.max_steps,
            env.config.dig_steps,
            task,
            seed=i,
        )
        for i in range(NUM_LEVELS)
    ]
    actions = np.stack([actions for actions, _ in watched])
    traced = trace(env, levels, actions)
    for name, leaf in traced._asdict().items():
        expected = np.array([row[name] for _, row in watched])
        assert leaf.shape == expected.shape
        np.testing.assert_array_equal(leaf, expected, err_msg=name)
        if not (name == "dug" and id == "GridMem-9x9-v0") and not (
            name == "unseen" and view_size == "full"
        ):
            assert expected.sum() > NUM_LEVELS  # else nothing was compared


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        ((4, 5, 2), np.int32),
        ((4, 65, 1), np.int32),
        ((4, 0, 1), np.int32),
        ((4, 5), np.int32),
        ((4, 5, 1), np.float32),
        ((4, 5, 1), bool),
    ],
)
def test_actions_of_another_shape_or_kind_are_refused(shape, dtype, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    env = gridmem.make("GridMem-9x9-v0")
    levels = jax.tree.map(lambda leaf: leaf[:4], playing.batch("GridMem-9x9-v0", 0)[1])
    sentence = r"they must be whole numbers \[N, T, 1\], for N levels and 1 to 64 steps T"
    with pytest.raises(ValueError, match=sentence):
        trace(env, levels, np.zeros(shape, dtype))


def test_another_number_of_levels_than_of_episodes_is_refused():
    env = gridmem.make("GridMem-9x9-v0")
    levels = playing.batch("GridMem-9x9-v0", 0)[1]
    with pytest.raises(ValueError, match="the batch has 4 or 500 rows"):
        trace(env, levels, np.zeros((4, 5, 1), np.int32))
