"""The environment against its slow twin: every field, every step, past the end too."""

import jax
import numpy as np
import playing
import pytest
from breadth import breadth
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from twin import FLOOR, GOAL, ROCK, WALL, Twin, guided_walk

import gridmem
from gridmem import Env, EnvConfig, Level, NoiseMap, Return, Tour

HEIGHT, WIDTH = 7, 9
NUM_STEPS, MAX_STEPS = 40, 36
UNKNOWN = [-1, 4, 99, -(2**31), 2**31 - 1]


def twin_of(env, level):
    config = env.config
    moves = isinstance(config.task, Return) and config.task.goal_moves
    return Twin(
        level,
        config.num_agents,
        config.view_size,
        config.max_steps,
        config.dig_steps,
        "tour" if isinstance(config.task, Tour) else "goal moves" if moves else "return",
        config.compass,
    )


def assert_equals_twin(env, level, actions):
    twin = twin_of(env, level)
    first, later = playing.play(env, level, actions)
    (state, timestep), (states, timesteps) = (
        [playing.as_dict(record) for record in pair] for pair in (first, later)
    )
    playing.assert_same(state, twin.state(), "first state")
    playing.assert_same(timestep, twin.timestep(), "first timestep")
    for time, action in enumerate(actions):
        twin.step(action.tolist())
        for name, record, expected in (
            ("state", states, twin.state()),
            ("timestep", timesteps, twin.timestep()),
        ):
            at = jax.tree.map(lambda leaf: leaf[time], record)  # noqa: B023
            playing.assert_same(at, expected, f"{name} after action {time}")
    return twin


@st.composite
def small_levels(draw, num_goals):
    """Any layout within a ring of wall; connected or not, for the rules do not ask."""
    tile = st.sampled_from([FLOOR, FLOOR, FLOOR, ROCK, WALL])
    inside = draw(arrays(np.uint8, (HEIGHT - 2, WIDTH - 2), elements=tile))
    tiles = np.pad(inside, 1, constant_values=WALL)
    cells = [(r, c) for r in range(1, HEIGHT - 1) for c in range(1, WIDTH - 1)]
    num_spawns = draw(st.integers(1, 8))
    marked = draw(
        st.lists(
            st.sampled_from(cells),
            min_size=num_goals + num_spawns,
            max_size=num_goals + num_spawns,
            unique=True,
        )
    )
    goals, distinct = marked[:num_goals], marked[num_goals:]
    for cell in goals:
        tiles[cell] = GOAL
    for cell in distinct:
        tiles[cell] = FLOOR
    # A short list by repetition: eight spawns always, so that one compilation serves all.
    spawns = [distinct[i % num_spawns] for i in range(8)]
    return Level(tiles, np.array(goals, np.int32), np.array(spawns, np.int32))


DEFAULT = [
    (1, 3, "full", Return()),
    (4, 0, 3, Return()),
    (3, 2, "full", Return(2)),
    (1, 2, 5, Return(goal_moves=True)),
    (4, 0, 3, Return(goal_moves=True)),
    (3, 2, 5, Tour(2)),
]
MORE = [(1, 0, 5, Return()), (2, 1, 3, Return(2)), (3, 3, 7, Return()), (1, 0, 5, Tour(3))]


@pytest.mark.parametrize(
    ("num_agents", "dig_steps", "view_size", "task"), breadth(DEFAULT + MORE, *DEFAULT)
)
@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_small_worlds_equal_the_twin(num_agents, dig_steps, view_size, task, data):
    config = EnvConfig(
        map=NoiseMap(HEIGHT - 2, WIDTH - 2),
        task=task,
        num_agents=num_agents,
        view_size=view_size,
        max_steps=MAX_STEPS,
        dig_steps=dig_steps,
        compass=task != Return(),
    )
    level = data.draw(small_levels(task.num_goals))
    action = st.sampled_from([0, 1, 2, 3] * 4 + UNKNOWN)
    actions = data.draw(arrays(np.int32, (NUM_STEPS, num_agents), elements=action))
    assert_equals_twin(Env(config), level, actions)


@pytest.mark.parametrize(
    ("id", "num_agents"),
    breadth(
        [(id, 1) for id in gridmem.CONFIGS] + [("GridMem-20x20-v0", 3), ("GridMem-Dig-v0", 3)],
        ("GridMem-9x9-v0", 1),
        ("GridMem-Dig-v0", 3),
    ),
)
def test_registered_worlds_equal_the_twin(id, num_agents):
    env = gridmem.make(id, num_agents=num_agents)
    stacked = playing.batch(id, 0)[1]
    num_steps = env.max_steps + 3
    visits = 0
    for seed in range(2):
        level = playing.level_at(stacked, seed)
        actions = guided_walk(level, num_agents, env.config.dig_steps, num_steps)
        visits += sum(assert_equals_twin(env, level, actions).visits)
    assert visits > 2 * num_agents  # else the comparison has not seen what a find does


@pytest.mark.slow
@pytest.mark.parametrize("task", [Return(goal_moves=True), Tour(3)])
def test_other_tasks_in_registered_worlds_equal_the_twin(task):
    env = gridmem.make("GridMem-9x9-v0", task=task, num_agents=2, max_steps=200, compass=True)
    rng = np.random.default_rng(0)
    visits = 0
    for seed in range(3):
        level = jax.tree.map(np.asarray, playing.generate_one(env, jax.random.key(seed)))
        actions = rng.integers(0, 4, (200, 2)).astype(np.int32)
        visits += sum(assert_equals_twin(env, level, actions).visits)
    assert visits > 10  # else the comparison has not seen what a find does
