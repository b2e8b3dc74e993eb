"""Traces of episodes, computed from their levels and actions."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float32, Int32, Integer

from gridmem.envs.analysis.shortest_paths import (
    LEVELS_PER_CHUNK,
    distances,
    paths_are_fixed,
    refresh_distances,
    shortest_steps,
)
from gridmem.envs.batch.chunks import map_in_chunks
from gridmem.envs.env import Env
from gridmem.envs.rules import act
from gridmem.envs.tasks import present_goals
from gridmem.envs.types import Level, State


class Trace(NamedTuple):
    """The results of each step of an episode, for every agent."""

    reward: Float32[Array, "N T A"]
    shortest: Int32[Array, "N T A"]
    """After a find, steps of the shortest path to a goal on the map as it then is; 0 if there is no
    path, and at other steps."""
    unseen: Bool[Array, "N T A"]
    """No goal has been in view since the last find or the start."""
    dug: Bool[Array, "N T A"]
    bumped: Bool[Array, "N T A"]
    """An agent that was not busy moved into wall, or into rock that cannot be dug."""


def trace(env: Env, levels: Level, actions: Integer[Array | np.ndarray, "N T A"]) -> Trace:
    """Plays actions on levels and records what happened.

    Args:
        env: the environment.
        levels: one level per episode, leaves [N, ...].
        actions: integers, of the first T steps of N episodes; T is at most `env.max_steps`.

    Raises:
        ValueError: if the actions are not integers, or their shape does not fit.
    """
    num_steps, num_agents = actions.shape[1:] if actions.ndim == 3 else (0, 0)
    are_integers = jnp.issubdtype(actions.dtype, jnp.integer)
    if not are_integers or num_agents != env.num_agents or not 0 < num_steps <= env.max_steps:
        raise ValueError(
            f"the actions are {actions.dtype}{list(actions.shape)}; they must be whole numbers "
            f"[N, T, {env.num_agents}], for N levels and 1 to {env.max_steps} steps T"
        )
    return map_in_chunks(partial(_trace, env), LEVELS_PER_CHUNK, levels, actions)


@partial(jax.jit, static_argnums=0)
def _trace(env: Env, levels: Level, actions: Array) -> Trace:
    state, _ = jax.vmap(env.start)(levels)
    # Where paths can change, those at the start are not used: they are updated after each find.
    distance = jnp.zeros_like(levels.tiles, jnp.int32)
    if paths_are_fixed(env):
        distance = jax.vmap(partial(distances, dig_steps=0))(levels.tiles)

    def step(carry: tuple[State, Array, Array], action: Array) -> Any:
        before, unseen, distance = carry
        state, timestep = jax.vmap(env.step)(before, action)
        found = timestep.reward > 0
        distance = refresh_distances(env, jnp.any(found, axis=1), distance, state.world.tiles)
        shortest = jax.vmap(partial(shortest_steps, dig_steps=env.config.dig_steps))(
            state.world.tiles, distance, state.world.position
        )
        shortest = jnp.where(found, shortest, 0)
        unseen = (unseen | found) & ~in_view(state)
        _, event = jax.vmap(partial(act, dig_steps=env.config.dig_steps))(before.world, action)
        tried = (before.world.busy == 0) & (action >= 0) & (action < env.num_actions)
        bumped = tried & ~event.entered & ~event.dug
        traced = Trace(timestep.reward, shortest, unseen, event.dug, bumped)
        return (state, unseen, distance), traced

    in_view = jax.vmap(partial(_in_view, env))
    by_time = jnp.swapaxes(actions.astype(jnp.int32), 0, 1)
    _, traced = lax.scan(step, (state, ~in_view(state), distance), by_time)
    return jax.tree.map(lambda leaf: jnp.swapaxes(leaf, 0, 1), traced)


def _in_view(env: Env, state: State) -> Bool[Array, " A"]:
    offset = jnp.abs(state.goals[None] - state.world.position[:, None])
    near = jnp.all(offset <= env.view_size // 2, axis=-1)
    return jnp.any(near & present_goals(state.world.tiles, state.goals)[None], axis=1)
