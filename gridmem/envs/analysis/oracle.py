"""Full information as a reference: the shortest-path oracle, and the ceiling of a level."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Int32

from gridmem.envs.analysis.shortest_paths import (
    LEVELS_PER_CHUNK,
    MAPS_PER_CHUNK,
    UNREACHABLE,
    distances,
    paths_are_fixed,
    refresh_distances,
    steps_by_move,
)
from gridmem.envs.batch.autoreset import VectorState
from gridmem.envs.batch.chunks import map_in_chunks, update_in_chunks
from gridmem.envs.env import Env
from gridmem.envs.tasks import Return, next_spawn
from gridmem.envs.types import Level, State, TimeStep


def oracle_action(env: Env, state: State, distance: Int32[Array, "H W"]) -> Int32[Array, " A"]:
    """The first move of every agent's shortest path to a goal; the lowest id if several are.

    Args:
        env: the environment.
        state: the current state.
        distance: from `distances`, of the tiles now or at the start of the trip.

    Returns:
        i32[A], ids of `Action`; `env.num_actions`, which does nothing, where no goal can be
        reached.
    """
    world = state.world
    steps = steps_by_move(world.tiles, distance, world.position, env.config.dig_steps)
    best = jnp.argmin(steps, axis=1).astype(jnp.int32)
    return jnp.where(jnp.min(steps, axis=1) < UNREACHABLE, best, env.num_actions)


def oracle_actions(env: Env, levels: Level) -> Int32[Array, "N T A"]:
    """The actions of the oracle in whole episodes of `env.max_steps` steps, one per level.

    Every agent ignores the others and takes the shortest path on the map at the start of its trip;
    paths are updated after each find. Without digging this is optimal. With digging it need not
    be: a tunnel can pay off in later trips.

    Args:
        env: the environment.
        levels: one level per episode, leaves [N, ...].

    Returns:
        i32[N, T, A], for `measure`.
    """
    return map_in_chunks(partial(_oracle_actions, env), LEVELS_PER_CHUNK, levels)


def oracle_advice(
    step: Callable[[VectorState, Array], tuple[VectorState, TimeStep]],
    env: Env,
    state: VectorState,
    actions: Int32[Array, "N T A"],
) -> Int32[Array, "N T A"]:
    """What the oracle would do in each of the states that other actions lead through.

    Its paths are those of `oracle_actions`; they are also updated where an episode begins.

    Args:
        step: of a `VectorEnv`, with or without resets.
        env: its environment.
        state: the first state.
        actions: T of each of the N environments.
    """
    num_envs, search = len(actions), partial(distances, dig_steps=env.config.dig_steps)

    def one(carry: tuple[VectorState, Array], action: Int32[Array, "N A"]) -> Any:
        state, distance = carry
        advice = jax.vmap(partial(oracle_action, env))(state.envs, distance)
        state, timestep = step(state, action.reshape(-1))
        changed = timestep.time == 0
        if not paths_are_fixed(env):
            changed |= timestep.reward > 0
        mask, tiles = jnp.any(changed.reshape(num_envs, -1), axis=1), state.envs.world.tiles
        distance = update_in_chunks(
            mask, distance, lambda rows: jax.vmap(search)(tiles[rows]), MAPS_PER_CHUNK
        )
        return (state, distance), advice

    start = state, jax.vmap(search)(state.envs.world.tiles)
    return jnp.swapaxes(lax.scan(one, start, jnp.swapaxes(actions, 0, 1))[1], 0, 1)


def ceiling(env: Env, levels: Level) -> Int32[Array, "N A"]:
    """The number of trips along shortest paths that fit into an episode: the largest return.

    Computed from the spawn list, without playing.

    Args:
        env: the environment.
        levels: one level per episode, leaves [N, ...].

    Raises:
        ValueError: if goals move or do not pay every time, or if rock can be dug.
    """
    if not has_ceiling(env):
        raise ValueError(
            "only the task Return with goals that stay, and without digging, has a ceiling that "
            "is known without playing; use the return of oracle_actions instead"
        )
    return map_in_chunks(partial(_ceiling, env), LEVELS_PER_CHUNK, levels)


def has_ceiling(env: Env) -> bool:
    """Whether the ceiling is known: goals pay every time, and paths never change."""
    return isinstance(env.config.task, Return) and paths_are_fixed(env)


@partial(jax.jit, static_argnums=0)
def _oracle_actions(env: Env, levels: Level) -> Int32[Array, "N T A"]:
    state, _ = jax.vmap(env.start)(levels)
    distance = jax.vmap(partial(distances, dig_steps=env.config.dig_steps))(levels.tiles)

    def step(carry: tuple[State, Array], _: None) -> Any:
        state, distance = carry
        action = jax.vmap(partial(oracle_action, env))(state, distance)
        state, timestep = jax.vmap(env.step)(state, action)
        found = jnp.any(timestep.reward > 0, axis=1)
        return (state, refresh_distances(env, found, distance, state.world.tiles)), action

    _, actions = lax.scan(step, (state, distance), length=env.max_steps)
    return jnp.swapaxes(actions, 0, 1)


@partial(jax.jit, static_argnums=0)
@partial(jax.vmap, in_axes=(None, 0))
def _ceiling(env: Env, level: Level) -> Int32[Array, " A"]:
    distance = distances(level.tiles, 0)

    def walk(time: Array, trip: Array) -> tuple[Array, Array]:
        start = next_spawn(level.spawns, jnp.broadcast_to(trip, time.shape))
        time += distance.at[start[:, 0], start[:, 1]].get(mode="promise_in_bounds")
        time = jnp.minimum(time, env.max_steps + 1)  # cannot overflow
        return time, time <= env.max_steps

    trips = jnp.arange(env.max_steps, dtype=jnp.int32)  # each takes at least one step
    _, in_time = lax.scan(walk, jnp.zeros_like(distance, shape=env.num_agents), trips)
    return jnp.sum(in_time, axis=0, dtype=jnp.int32)
