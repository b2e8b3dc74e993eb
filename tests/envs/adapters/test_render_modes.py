"""Every render mode of every id, through the adapters to Gymnasium and PettingZoo."""

from functools import partial
from itertools import product

import gymnasium
import jax.numpy as jnp
import numpy as np
import playing
import pytest
from breadth import breadth
from gymnasium.utils.env_checker import data_equivalence

import gridmem
from gridmem.envs.adapters.simulator import RENDER_MODES
from gridmem.render.draw import draw

ACTIONS = 1, 2, 3, 3, 0
SMALL = "GridMem-9x9-v0"
ROWS = ["########", "#0.%.G.#", "#..#...#", "########"]


def parallel_step(env, action):
    return env.step({agent: action for agent in env.agents})


def aec_step(env, action):
    outputs = []
    for _ in range(env.num_agents):
        env.step(action)
        outputs.append(env.last())
    return tuple(outputs)


# How an environment is made and stepped, and with how many agents.
ADAPTERS = {
    "gymnasium": (gymnasium.make, lambda env, action: env.step(action), 1),
    "parallel": (gridmem.parallel_env, parallel_step, 2),
    "aec": (gridmem.env, aec_step, 2),
}


def begin(adapter, id, mode, **options):
    """An environment after its reset, and the function that steps it."""
    make, step, agents = ADAPTERS[adapter]
    env = make(id, render_mode=mode, num_agents=agents, **options)
    env.reset(seed=3)
    return env, partial(step, env)


def pictures(adapter, id, level):
    """What is to be seen from the reset on, in pixels and in text, by playing in JAX."""
    core = gridmem.make(id, num_agents=ADAPTERS[adapter][2])
    state, _ = playing.start(core, level)
    states = [state]
    for action in ACTIONS:
        state, _ = playing.step(core, state, jnp.full(core.num_agents, action, jnp.int32))
        states.append(state)
    drawn, written = [], []
    for state in states:
        tiles, positions = np.array(state.world.tiles), np.array(state.world.position)
        drawn.append(draw(tiles, positions, facing=np.array(state.last_action)))
        tiles[tuple(positions.T)] = 4
        written.append("\n".join("".join(".#%G@"[tile] for tile in row) for row in tiles))
    return drawn, written


@pytest.fixture
def in_window(monkeypatch):
    """The pictures that windows are given."""
    shown = []
    show = "gridmem.render.viewer.Viewer.show"
    monkeypatch.setattr(show, lambda viewer, picture: shown.append(picture))
    return shown


@pytest.mark.parametrize(
    ("id", "adapter"),
    breadth(
        product(gridmem.CONFIGS, ADAPTERS),
        *((SMALL, adapter) for adapter in ADAPTERS),
    ),
)
def test_every_mode_shows_the_cave_at_each_step_and_changes_nothing(id, adapter, in_window):
    env, step = begin(adapter, id, None)
    outputs = [step(action) for action in ACTIONS]
    drawn, written = pictures(adapter, id, env.unwrapped.level)
    for mode in RENDER_MODES:
        env, step = begin(adapter, id, mode)
        rendered = [env.render()]
        for action, expected in zip(ACTIONS, outputs, strict=True):
            assert data_equivalence(step(action), expected, exact=True)
            rendered.append(env.render())
        if mode == "human":
            assert rendered == [None] * len(drawn)
            rendered = in_window
        elif mode == "rgb_array_list":
            assert [len(part) for part in rendered] == [1] * len(drawn)
            rendered = [part[0] for part in rendered]
        np.testing.assert_array_equal(rendered, written if mode == "ansi" else drawn)
        env.close()


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_a_list_has_what_was_not_returned_before_and_is_cleared_by_a_reset(adapter):
    env, step = begin(adapter, SMALL, "rgb_array_list")
    drawn, _ = pictures(adapter, SMALL, env.unwrapped.level)
    for action in ACTIONS[:3]:
        step(action)
    np.testing.assert_array_equal(env.render(), drawn[:4])
    assert env.render() == []
    step(ACTIONS[3])
    np.testing.assert_array_equal(env.render(), drawn[4:5])
    step(0)
    env.reset(seed=3)
    np.testing.assert_array_equal(env.render(), drawn[:1])


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_ansi_equals_this_text(adapter):
    env, step = begin(adapter, "GridMem-Dig-v0", "ansi", map={"type": "TextMap", "rows": ROWS})
    assert env.render() == "########\n#@.%.G.#\n#..#...#\n########"
    step(1)
    assert env.render() == "########\n#.@%.G.#\n#..#...#\n########"
    step(1)  # digs
    assert env.render() == "########\n#.@..G.#\n#..#...#\n########"
