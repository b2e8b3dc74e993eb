"""The compiled programs with which `VectorSimulator` drives a batch, each one dispatch."""

from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from gymnasium.vector import AutoresetMode
from jax import lax
from jaxtyping import Array

from gridmem.envs.adapters.observations import Format, flat
from gridmem.envs.adapters.packing import packed
from gridmem.envs.adapters.vector_outputs import device_answer
from gridmem.envs.batch.autoreset import Final, VectorEnv, VectorState
from gridmem.envs.batch.seeding import level_key
from gridmem.envs.types import Level, State, TimeStep

Output = Literal["numpy", "jax"]


class Setup(NamedTuple):
    """What is compiled in: hashable."""

    batch: VectorEnv
    mode: AutoresetMode
    format: Format
    output: Output


@partial(jax.jit, static_argnums=0)
def generate(batch: VectorEnv, state: VectorState) -> Level:
    """The levels of the streams that are played now, leaves [N, ...]."""
    keys = jax.vmap(level_key)(state.keys, state.episode - 1)
    return jax.vmap(batch.env.generate)(keys)


@partial(jax.jit, static_argnums=0)
def reset(setup: Setup, keys: Array, episode: Array, anew: Array, levels: Level | None) -> Any:
    """Begins episodes everywhere: on given levels, or on those of the streams."""
    episode = jnp.where(anew, jnp.uint32(0), episode)
    if levels is None:
        state, timestep = setup.batch.reset(keys, episode)
    else:
        state, timestep = setup.batch.start(levels, keys, episode)
    return state, _told(setup, state, timestep)


@partial(jax.jit, static_argnums=0)
def restart(
    setup: Setup, state: VectorState, mask: Array, anew: Array, levels: Level | None
) -> Any:
    """Begins episodes in the marked environments."""
    state = state._replace(episode=jnp.where(anew, jnp.uint32(0), state.episode))
    state, timestep = setup.batch.restart(state, mask, levels)
    return state, _told(setup, state, timestep, mask=mask)


@partial(jax.jit, static_argnums=0, donate_argnums=(1, 2))
def step(
    setup: Setup, envs: State, done: Array, keys: Array, episode: Array, actions: Array
) -> Any:
    """Advances all environments, and resets in the setup's mode.

    The parts of a `VectorState` are apart: the first two are given away. The others are not, so
    that a reset goes on in the streams even if the answer is lost.
    """
    state = VectorState(envs, keys, episode, done)
    batch, final = setup.batch, None
    if setup.mode is AutoresetMode.SAME_STEP:
        state, timestep, final = batch.step_then_reset(state, actions)
        # Rewards and ends are those of the step, observations those of the new episodes.
        timestep = timestep._replace(
            reward=final.timestep.reward,
            terminated=final.timestep.terminated,
            truncated=final.timestep.truncated,
        )
    elif setup.mode is AutoresetMode.NEXT_STEP:
        state, timestep = batch.step(state, actions)
    else:
        state, timestep = batch.step_only(state, actions)
    return state, _told(setup, state, timestep, final)


def _told(
    setup: Setup,
    state: VectorState,
    timestep: TimeStep,
    final: Final | None = None,
    mask: Array | None = None,
) -> Any:
    """The answer; for numpy the buffers that hold it and, in same-step mode, what led to it."""
    # Fused with what follows, views would be computed cell by cell: three times slower.
    timestep, final = lax.optimization_barrier((timestep, final))
    env, format = setup.batch.env, setup.format
    visits = state.envs.visits.reshape(-1)
    if setup.output == "jax":
        mask = jnp.ones(setup.batch.num_envs, bool) if mask is None else mask
        return device_answer(env, format, timestep, visits, final, mask)
    told = [_packed(setup, state, timestep)]
    if final is not None:
        envs = state.envs._replace(visits=final.visits)
        told.append(_packed(setup, state._replace(envs=envs), final.timestep))
    return told


def _packed(setup: Setup, state: VectorState, timestep: TimeStep) -> list[Array]:
    """A buffer of `packing.layout` in the dict format; flat observations, large, are apart."""
    env = setup.batch.env
    _, buffer = packed(env, "dict", state.envs, timestep)
    return [buffer, flat(env, timestep.obs)] if setup.format == "flat" else [buffer]
