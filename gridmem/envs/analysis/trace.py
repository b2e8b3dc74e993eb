"""What happened in episodes: a replay of levels and actions, step by step."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float32, Int32, Integer

from gridmem.envs.analysis.shortest_paths import (
    FAR,
    LEVELS_AT_A_TIME,
    distances,
    paths_are_fixed,
    renewed,
    steps_by_move,
)
from gridmem.envs.batch.chunks import in_groups
from gridmem.envs.env import Env
from gridmem.envs.rules import act
from gridmem.envs.tasks import is_there
from gridmem.envs.types import Level, State, World


class Trace(NamedTuple):
    """What each step of an episode led to, for every agent."""

    reward: Float32[Array, "N T A"]
    shortest: Int32[Array, "N T A"]
    """Where a goal was found: steps of the shortest path to the next one, on the map as it then
    is, from where the agent then stands; 0 if there is none. 0 at other steps."""
    unseen: Bool[Array, "N T A"]
    """Since the last find, or the start, no goal has come within the view."""
    dug: Bool[Array, "N T A"]
    bumped: Bool[Array, "N T A"]
    """An agent that was able to act moved into wall, or into rock that cannot be dug."""


def trace(env: Env, levels: Level, actions: Integer[Array | np.ndarray, "N T A"]) -> Trace:
    """Plays actions on levels and tells what happened.

    Args:
        env: the environment.
        levels: one level per episode, leaves [N, ...].
        actions: whole numbers for N episodes, the first T steps of each, A agents. T is at most
            `env.max_steps`.

    Raises:
        ValueError: if there are too many steps or none, another number of agents or levels, or
            if the actions are no whole numbers.
    """
    num_steps, num_agents = actions.shape[1:] if actions.ndim == 3 else (0, 0)
    is_whole = jnp.issubdtype(actions.dtype, jnp.integer)
    if not is_whole or num_agents != env.num_agents or not 0 < num_steps <= env.max_steps:
        raise ValueError(
            f"the actions are {actions.dtype}{list(actions.shape)}; they must be whole numbers "
            f"[N, T, {env.num_agents}], for N levels and 1 to {env.max_steps} steps T"
        )
    return in_groups(partial(_trace, env), LEVELS_AT_A_TIME, levels, actions)


@partial(jax.jit, static_argnums=0)
def _trace(env: Env, levels: Level, actions: Array) -> Trace:
    state, _ = jax.vmap(env.start)(levels)
    # Where paths change, those at the start are never asked for: no trip has ended yet.
    distance = jnp.zeros_like(levels.tiles, jnp.int32)
    if paths_are_fixed(env):
        distance = jax.vmap(partial(distances, dig_steps=0))(levels.tiles)

    def step(carry: tuple[State, Array, Array], action: Array) -> Any:
        before, unseen, distance = carry
        state, timestep = jax.vmap(env.step)(before, action)
        found = timestep.reward > 0
        distance = renewed(env, jnp.any(found, axis=1), distance, state.world.tiles)
        shortest = jax.vmap(partial(_shortest, env))(state.world, distance)
        unseen = (unseen | found) & ~jax.vmap(partial(_in_view, env))(state)
        dug, bumped = jax.vmap(partial(_digs_and_bumps, env))(before.world, action)
        shortest = jnp.where(found, shortest, 0)
        return (state, unseen, distance), Trace(timestep.reward, shortest, unseen, dug, bumped)

    unseen = ~jax.vmap(partial(_in_view, env))(state)
    by_time = jnp.swapaxes(actions.astype(jnp.int32), 0, 1)
    _, traced = lax.scan(step, (state, unseen, distance), by_time)
    return jax.tree.map(lambda leaf: jnp.swapaxes(leaf, 0, 1), traced)


def _shortest(env: Env, world: World, distance: Int32[Array, "H W"]) -> Int32[Array, " A"]:
    steps = steps_by_move(world.tiles, distance, world.position, env.config.dig_steps)
    steps = jnp.min(steps, axis=1)
    return jnp.where(steps < FAR, steps, 0)


def _in_view(env: Env, state: State) -> Bool[Array, " A"]:
    offset = jnp.abs(state.goals[None] - state.world.position[:, None])
    near = jnp.all(offset <= env.view_size // 2, axis=-1)
    return jnp.any(near & is_there(state.world.tiles, state.goals)[None], axis=1)


def _digs_and_bumps(
    env: Env, world: World, action: Int32[Array, " A"]
) -> tuple[Bool[Array, " A"], Bool[Array, " A"]]:
    _, event = act(world, action, env.config.dig_steps)
    tried = (world.busy == 0) & (action >= 0) & (action < env.num_actions)
    return event.dug, tried & ~event.entered & ~event.dug
