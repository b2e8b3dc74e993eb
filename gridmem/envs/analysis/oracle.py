"""Who knows the whole map: the oracle that walks shortest paths, and the ceiling it reaches."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Int32

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
from gridmem.envs.tasks import next_spawn
from gridmem.envs.types import Level, State


def oracle_action(env: Env, state: State, distance: Int32[Array, "H W"]) -> Int32[Array, " A"]:
    """The first move of every agent's shortest path to a goal; the lowest id among equals.

    Args:
        env: the environment.
        state: the state now.
        distance: from `distances`, of the tiles now or at the beginning of the trip.

    Returns:
        Moves; `env.num_actions`, which does nothing, where no goal can be reached.
    """
    world = state.world
    steps = steps_by_move(world.tiles, distance, world.position, env.config.dig_steps)
    best = jnp.argmin(steps, axis=1).astype(jnp.int32)
    return jnp.where(jnp.min(steps, axis=1) < FAR, best, env.num_actions)


def oracle_actions(env: Env, levels: Level) -> Int32[Array, "N T A"]:
    """What the oracle does in whole episodes, one per level: all of `env.max_steps` actions.

    Every agent walks as if alone, on the shortest path that the tiles offer when a trip begins:
    paths are looked up anew whenever something was found. Without digging that is the best there
    is. With digging it is not quite: a tunnel may be worth more than the trip it is dug for.

    Args:
        env: the environment.
        levels: one level per episode, leaves [N, ...].
    """
    return in_groups(partial(_oracle_actions, env), LEVELS_AT_A_TIME, levels)


def ceiling(env: Env, levels: Level) -> Int32[Array, "N A"]:
    """How many trips fit into an episode along shortest paths: the largest return there can be.

    Counted along the spawn list, without playing.

    Args:
        env: the environment.
        levels: one level per episode, leaves [N, ...].

    Raises:
        ValueError: if paths change during an episode, by digging or by another task than `Return`
            with goals that stay.
    """
    if not paths_are_fixed(env):
        raise ValueError(
            "only the task Return with goals that stay, and without digging, has a ceiling that "
            "is known without playing; use the return of oracle_actions instead"
        )
    return in_groups(partial(_ceiling, env), LEVELS_AT_A_TIME, levels)


@partial(jax.jit, static_argnums=0)
def _oracle_actions(env: Env, levels: Level) -> Int32[Array, "N T A"]:
    state, _ = jax.vmap(env.start)(levels)
    distance = jax.vmap(partial(distances, dig_steps=env.config.dig_steps))(levels.tiles)

    def step(carry: tuple[State, Array], _: None) -> Any:
        state, distance = carry
        action = jax.vmap(partial(oracle_action, env))(state, distance)
        state, timestep = jax.vmap(env.step)(state, action)
        found = jnp.any(timestep.reward > 0, axis=1)
        return (state, renewed(env, found, distance, state.world.tiles)), action

    _, actions = lax.scan(step, (state, distance), length=env.max_steps)
    return jnp.swapaxes(actions, 0, 1)


@partial(jax.jit, static_argnums=0)
def _ceiling(env: Env, levels: Level) -> Int32[Array, "N A"]:
    return jax.vmap(partial(_trips, env))(levels)


def _trips(env: Env, level: Level) -> Int32[Array, " A"]:
    distance = distances(level.tiles, 0)

    def walk(time: Array, trip: Array) -> tuple[Array, Array]:
        start = next_spawn(level.spawns, jnp.broadcast_to(trip, time.shape))
        time += distance.at[start[:, 0], start[:, 1]].get(mode="promise_in_bounds")
        time = jnp.minimum(time, env.max_steps + 1)  # too late, however long it goes on
        return time, time <= env.max_steps

    trips = jnp.arange(env.max_steps, dtype=jnp.int32)  # each takes a step at least
    _, in_time = lax.scan(walk, jnp.zeros_like(distance, shape=env.num_agents), trips)
    return jnp.sum(in_time, axis=0, dtype=jnp.int32)
