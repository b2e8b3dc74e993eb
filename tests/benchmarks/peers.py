"""The suites that are compared, each brought to one form: what is timed of one environment.

Nobody resets by itself here. A suite whose step wants a key gets the same key at every step, which
spares it the splitting. The views are 5 x 5 wherever that can be chosen.
"""

import os
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")  # mapox imports pygame

try:
    import mapox
    from craftax.craftax_env import make_craftax_env_from_name
    from mapox.envs.find_return import FindReturnEnv
    from xminigrid.registration import make as make_x_land
except ModuleNotFoundError as error:
    sys.exit(f"{error.name} is not installed; run this with `uv run --group bench python ...`")

import gridmem

VIEW_SIZE = 5


class Peer(NamedTuple):
    """An environment in the common form.

    Attributes:
        reset: key -> (state, outputs).
        step: (state, actions i32[A], key) -> (state, outputs).
        num_actions: actions are drawn below it.
        num_cells: cells of its map.
    """

    reset: Callable[..., Any]
    step: Callable[..., Any]
    num_actions: int
    num_cells: int


def grid_mem(id: str, num_agents: int) -> Peer:
    """One of GridMem's ids."""
    env = gridmem.make(id, num_agents=num_agents, view_size=VIEW_SIZE)
    num_cells = env.config.map.height * env.config.map.width
    return Peer(env.reset, lambda s, action, _: env.step(s, action), env.num_actions, num_cells)


def find_return(num_agents: int) -> Peer:
    """mapox's task of returning, from which GridMem's rules descend: its rocks can be dug."""
    config = mapox.FindReturnConfig(
        num_agents=num_agents, view_width=VIEW_SIZE, view_height=VIEW_SIZE
    )
    env = FindReturnEnv(config, 512)
    return Peer(env.reset, env.step, 4, config.width * config.height)


def x_land(id: str) -> Peer:
    """An environment of XLand-MiniGrid; one agent, which turns and walks, six actions."""
    env, params = make_x_land(id, view_size=VIEW_SIZE)

    def step(before: Any, action: Any, _: Any) -> Any:
        now = env.step(params, before, action[0])
        return now, (now.observation, now.reward, now.discount, now.step_type)

    def reset(key: Any) -> Any:
        return env.reset(params, key), ()

    return Peer(reset, step, env.num_actions(params), params.height * params.width)


def craftax_classic() -> Peer:
    """Craftax-Classic with symbols: 7 x 9 cells in view, creatures, crafting, day and night."""
    env = make_craftax_env_from_name("Craftax-Classic-Symbolic-v1", auto_reset=False)
    params = env.default_params
    height, width = env.static_env_params.map_size

    def step(state: Any, action: Any, key: Any) -> Any:
        observation, state, *rest = env.step(key, state, action[0], params)
        return state, (observation, *rest)

    def reset(key: Any) -> Any:
        observation, state = env.reset(key, params)
        return state, observation

    return Peer(reset, step, env.num_actions, height * width)
