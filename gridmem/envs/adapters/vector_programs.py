"""The compiled functions of `VectorSimulator`; each call is one dispatch to the device."""

from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from gymnasium.vector import AutoresetMode
from jax import lax
from jaxtyping import Array

from gridmem.envs.adapters.observations import Format, flat
from gridmem.envs.adapters.outputs import device_outputs, pack
from gridmem.envs.batch.autoreset import Final, VectorEnv, VectorState
from gridmem.envs.batch.seeding import level_key
from gridmem.envs.types import Level, State, TimeStep

Output = Literal["numpy", "jax"]


class VectorConfig(NamedTuple):
    """The static argument of the compiled functions; hashable."""

    batch: VectorEnv
    mode: AutoresetMode
    format: Format
    output: Output


@partial(jax.jit, static_argnums=0)
def generate_levels(batch: VectorEnv, state: VectorState) -> Level:
    """The present levels of the streams, leaves [N, ...]."""
    keys = jax.vmap(level_key)(state.keys, state.episode - 1)
    return jax.vmap(batch.env.generate)(keys)


@partial(jax.jit, static_argnums=0)
def reset_batch(
    config: VectorConfig, keys: Array, episode: Array, reseeded: Array, levels: Level | None
) -> Any:
    """Begins episodes in all environments, on given levels or those of the streams."""
    episode = jnp.where(reseeded, jnp.uint32(0), episode)
    if levels is None:
        state, timestep = config.batch.reset(keys, episode)
    else:
        state, timestep = config.batch.start(levels, keys, episode)
    return state, _outputs(config, state, timestep)


@partial(jax.jit, static_argnums=0)
def restart_batch(
    config: VectorConfig, state: VectorState, mask: Array, reseeded: Array, levels: Level | None
) -> Any:
    """Begins episodes in the marked environments."""
    state = state._replace(episode=jnp.where(reseeded, jnp.uint32(0), state.episode))
    state, timestep = config.batch.restart(state, mask, levels)
    return state, _outputs(config, state, timestep, mask=mask)


@partial(jax.jit, static_argnums=0, donate_argnums=(1, 2))
def step_batch(
    config: VectorConfig, envs: State, done: Array, keys: Array, episode: Array, actions: Array
) -> Any:
    """Advances all environments, and resets in the mode of the config.

    Of the parts of a `VectorState` only the first two are donated, so that a reset can continue the
    streams even if the outputs are lost.
    """
    state = VectorState(envs, keys, episode, done)
    batch, final = config.batch, None
    if config.mode is AutoresetMode.SAME_STEP:
        state, timestep, final = batch.step_then_reset(state, actions)
        # Rewards and ends are those of the step, observations those of the new episodes.
        timestep = timestep._replace(
            reward=final.timestep.reward,
            terminated=final.timestep.terminated,
            truncated=final.timestep.truncated,
        )
    elif config.mode is AutoresetMode.NEXT_STEP:
        state, timestep = batch.step(state, actions)
    else:
        state, timestep = batch.step_only(state, actions)
    return state, _outputs(config, state, timestep, final)


def _outputs(
    config: VectorConfig,
    state: VectorState,
    timestep: TimeStep,
    final: Final | None = None,
    mask: Array | None = None,
) -> Any:
    """`StepOutputs` in JAX arrays; for numpy their buffers, also of `final` in same-step mode."""
    # Fused with what follows, views would be computed cell by cell: three times slower.
    timestep, final = lax.optimization_barrier((timestep, final))
    batch, envs = config.batch, state.envs
    if config.output == "jax":
        mask = jnp.ones(batch.num_envs, bool) if mask is None else mask
        now = Final(timestep, envs.visits.reshape(-1))
        return device_outputs(batch.env, config.format, now, final, mask)
    buffers = [_buffers(config, envs, timestep)]
    if final is not None:
        buffers.append(_buffers(config, envs._replace(visits=final.visits), final.timestep))
    return buffers


def _buffers(config: VectorConfig, envs: State, timestep: TimeStep) -> list[Array]:
    """The buffer of the dict format; flat observations are large and have a buffer of their own."""
    env = config.batch.env
    _, buffer = pack(env, "dict", envs, timestep)
    return [buffer, flat(env, timestep.obs)] if config.format == "flat" else [buffer]
