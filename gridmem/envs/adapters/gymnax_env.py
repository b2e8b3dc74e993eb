"""The adapter to gymnax's interface; gymnax need not be installed."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap
from jaxtyping import Array

from gridmem.envs.adapters.gymnax_spaces import Box, Dict, Discrete, as_gymnax, for_gymnax
from gridmem.envs.adapters.observations import Format, checked_format, flat, observation_space
from gridmem.envs.adapters.outputs import batch_observation
from gridmem.envs.batch.autoreset import with_reset
from gridmem.envs.checks import refuse_forks
from gridmem.envs.env import Env
from gridmem.envs.registry import make_single_agent
from gridmem.envs.types import State, Tile, TimeStep


@partial(jax.tree_util.register_dataclass, data_fields=["max_steps_in_episode"], meta_fields=[])
@dataclass(frozen=True)
class EnvParams:
    """The parameters that gymnax passes to each call.

    Attributes:
        max_steps_in_episode: actions after which an episode is truncated.
    """

    max_steps_in_episode: Any = 512

    def replace(self, **changes: Any) -> "EnvParams":
        """A copy with some fields replaced."""
        return replace(self, **changes)


class GymnaxEnv:
    """An environment with one agent and gymnax's interface.

    It resets automatically: at the end of an episode `step` returns the first observation of the
    next one, and in `info["final_observation"]` the last one of the episode that ended. It works
    under `jax.vmap`, nested or not, `jax.lax.scan` and `jax.jit`. Unlike with a plain `jax.vmap`, a
    vmapped step generates levels only for the environments whose episodes ended.

    Keys are JAX's, new or old style. The state is a `State`. Observations are f32[F] (see
    `gridmem.envs.adapters.observations`), so a wrapper that flattens them can be left out.

    Args:
        env_id: one of the ids in the README.
        observation: "flat", "view" or "dict".
        five_values: `step` returns (obs, state, reward, done, info) as before gymnax 1.0.
        **overrides: options of `gridmem.make`.

    Raises:
        ValueError: for an unknown id or option, an invalid value, or more than one agent.
    """

    def __init__(
        self,
        env_id: str,
        observation: str = "flat",
        five_values: bool = False,
        **overrides: Any,
    ) -> None:
        self.core = make_single_agent(env_id, "gymnax", **overrides)
        self.name = env_id
        self._format: Format = checked_format(self.core, observation)
        self._five_values = five_values

    @property
    def default_params(self) -> EnvParams:
        """The `max_steps` of the environment."""
        return EnvParams(self.core.max_steps)

    @property
    def num_actions(self) -> int:
        """4."""
        return self.core.num_actions

    def action_space(self, params: EnvParams | None = None) -> Discrete:
        """The ids of `Action`."""
        return for_gymnax(Discrete(self.core.num_actions))

    def observation_space(self, params: EnvParams | None = None) -> Discrete | Box | Dict:
        """The space of observations."""
        return as_gymnax(observation_space(self.core, self._format))

    def state_space(self, params: EnvParams | None = None) -> Dict:
        """The space of states, without the parts that depend on the task."""
        height, width = self.core.config.map.height + 2, self.core.config.map.width + 2
        limit = (params or self.default_params).max_steps_in_episode
        int32 = jnp.int32
        cells = Box(0, max(height, width) - 1, (1, 2), int32)
        world = {
            "tiles": Box(0, len(Tile) - 1, (height, width), jnp.uint8),
            "position": cells,
            "busy": Box(0, self.core.config.dig_steps, (1,), int32),
        }
        parts = {
            "world": Dict(world),
            "visits": Box(0, limit, (1,), int32),
            "last_action": Box(0, self.num_actions, (1,), int32),
            "last_reward": Box(0, 1, (1,), jnp.float32),
            "time": Box(0, limit, (), int32),
        }
        return for_gymnax(Dict(parts))

    def reset(self, key: Array, params: EnvParams | None = None) -> tuple[Any, State]:
        """Begins an episode on a level drawn from `key`; returns observation and state."""
        refuse_forks()
        return _reset(self.core, self._format, key)

    def step(
        self, key: Array, state: State, action: Any, params: EnvParams | None = None
    ) -> tuple[Any, ...]:
        """Takes one action, and begins the next episode if this one ends.

        Args:
            key: for the next level, if the episode ends.
            state: the current state.
            action: i32[], an `Action` id; another one does nothing.
            params: with the time limit; None for `default_params`.

        Returns:
            obs, state, reward f32[], terminated bool[], truncated bool[] and info, or with
            `five_values` one `done` bool[] in place of the two. In info: `discount` (f32[], 0
            where terminated), `terminated`, `truncated`, `final_observation`.
        """
        refuse_forks()
        limit = jnp.int32((params or self.default_params).max_steps_in_episode)
        values = _step(self.core, self._format, key, state, jnp.asarray(action, jnp.int32), limit)
        obs, state, reward, terminated, truncated, info = values
        if self._five_values:
            return obs, state, reward, terminated | truncated, info
        return values


gymnax_env = GymnaxEnv
"""The name under which `gridmem` exports the class."""


@partial(jax.jit, static_argnums=(0, 1))
def _reset(env: Env, format: Format, key: Array) -> tuple[Any, State]:
    state, timestep = env.reset(_new_style(key))
    return _observation(env, format, timestep), state


@partial(jax.jit, static_argnums=(0, 1))
def _step(env: Env, format: Format, key: Array, state: State, action: Array, limit: Array) -> Any:
    batch_of_one = jax.tree.map(lambda x: x[None], (_new_style(key), state, action[None], limit))
    results = _steps(env)(*batch_of_one)
    state, timestep, final = jax.tree.map(lambda x: x[0], results)
    terminated, truncated = final.terminated[0], final.truncated[0]
    info = {
        "discount": 1 - terminated.astype(jnp.float32),
        "terminated": terminated,
        "truncated": truncated,
        "final_observation": _observation(env, format, final),
    }
    obs = _observation(env, format, timestep)
    return obs, state, final.reward[0], terminated, truncated, info


@cache
def _steps(env: Env) -> Callable[..., tuple[State, TimeStep, TimeStep]]:
    """A function that steps N environments and resets those that end.

    Under vmap it is called once for all environments together. JAX's own batching rule would turn
    the condition into a select, which resets every environment in every step.
    """

    @custom_vmap
    def steps(key: Array, state: State, action: Array, limit: Array) -> Any:
        state, final = jax.vmap(env.step)(state, action)
        final = final._replace(truncated=final.time >= limit[:, None])
        done = final.done[:, 0]
        return *with_reset(env, done, state, final, lambda rows: key[rows]), final

    @steps.def_vmap
    def steps_of_batches(size: int, batched: Any, *arguments: Any) -> Any:
        def flatten(is_batched: bool, x: Array) -> Array:
            x = x if is_batched else jnp.broadcast_to(x, (size, *x.shape))
            return x.reshape(x.shape[0] * x.shape[1], *x.shape[2:])

        joined = steps(*jax.tree.map(flatten, tuple(batched), arguments))
        results = jax.tree.map(lambda x: x.reshape(size, x.shape[0] // size, *x.shape[1:]), joined)
        return results, jax.tree.map(lambda x: True, results)

    return steps


def _observation(env: Env, format: Format, timestep: TimeStep) -> Any:
    fields = {**timestep.obs._asdict(), "flat": flat(env, timestep.obs)}
    return jax.tree.map(lambda x: x[0], batch_observation(fields, format))


def _new_style(key: Array) -> Array:
    if jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        return key
    return jax.random.wrap_key_data(key)
