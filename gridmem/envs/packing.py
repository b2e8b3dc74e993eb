"""What a step answers, as one buffer of bytes.

Fetching one buffer from the device costs a quarter of fetching the arrays one by one.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, UInt8

from gridmem.envs.env import Env
from gridmem.envs.types import State, TimeStep

_FIELDS = {  # bytes last, so that the numbers lie aligned
    "last_action": np.int32,
    "last_reward": np.float32,
    "reward": np.float32,
    "visits": np.int32,
    "time": np.int32,
    "terminated": np.bool_,
    "truncated": np.bool_,
    "view": np.uint8,
}


def layout(env: Env) -> np.dtype:
    """The dtype as which numpy reads the buffer: a record of the fields, each with an axis A."""
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(_FIELDS, (env.num_agents,))
    shapes["view"] = (env.num_agents, env.view_size, env.view_size)
    return np.dtype([(name, kind, shapes[name]) for name, kind in _FIELDS.items()])


def packed(state: State, timestep: TimeStep) -> tuple[State, UInt8[Array, " bytes"]]:
    """The state, and the buffer in place of the timestep; to be called under jit."""
    values = {**timestep._asdict(), **timestep.obs._asdict(), "visits": state.visits}
    return state, jnp.concatenate([_bytes(values[name]) for name in _FIELDS])


def infos(answer: np.void) -> list[dict[str, Any]]:
    """The info of each agent, in plain Python numbers, from a record."""
    names = "last_action", "last_reward", "visits", "steps"
    columns = [answer[field].tolist() for field in ("last_action", "last_reward", "visits", "time")]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _bytes(values: Array) -> UInt8[Array, " bytes"]:
    if values.dtype.itemsize == 1:
        return values.astype(jnp.uint8).reshape(-1)
    return lax.bitcast_convert_type(values, jnp.uint8).reshape(-1)
