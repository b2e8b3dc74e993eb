"""What a step answers, as one buffer of bytes.

Fetching one buffer from the device costs a quarter of fetching the arrays one by one.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, UInt8

from gridmem.envs.adapters.observations import Format, flat, flat_size
from gridmem.envs.env import Env
from gridmem.envs.types import State, TimeStep

INFO_FIELDS = {
    "last_action": "last_action",
    "last_reward": "last_reward",
    "visits": "visits",
    "steps": "time",
}
"""What an info holds -> the field of `layout` that it is taken from."""


def layout(env: Env, format: Format, num_streams: int) -> np.dtype:
    """The dtype as which numpy reads the buffer: a record of fields, each leading with the streams.

    A stream is an agent of an environment. `flat` is there in the flat format, `view` in the
    others, `compass` where there is one.
    """
    side = env.view_size
    fields = [  # bytes last, so that the numbers lie aligned
        ("last_action", np.int32, ()),
        ("last_reward", np.float32, ()),
        ("reward", np.float32, ()),
        ("visits", np.int32, ()),
        ("time", np.int32, ()),
        ("compass", np.float32, (env.compass_size,)),
        ("flat", np.float32, (flat_size(env),)),
        ("terminated", np.bool_, ()),
        ("truncated", np.bool_, ()),
        ("view", np.uint8, (side, side)),
    ]
    left_out = {"view"} if format == "flat" else {"flat"}
    if not env.compass_size:
        left_out |= {"compass"}
    return np.dtype(
        [(name, kind, (num_streams, *rest)) for name, kind, rest in fields if name not in left_out]
    )


def packed(
    env: Env, format: Format, state: State, timestep: TimeStep
) -> tuple[State, UInt8[Array, " bytes"]]:
    """The state, and the buffer in place of the timestep; to be called under jit.

    Both may be those of one environment, or of a batch whose timestep is flattened to streams.
    """
    values = {**timestep._asdict(), **timestep.obs._asdict(), "visits": state.visits.reshape(-1)}
    if format == "flat":
        values["flat"] = flat(env, timestep.obs)
    names = layout(env, format, timestep.reward.size).names or ()
    return state, jnp.concatenate([_bytes(values[name]) for name in names])


def observations(answer: np.void, format: Format) -> list[Any]:
    """Each agent's observation, in arrays of its own, from a record."""
    if format != "dict":
        return [value.copy() for value in answer[format]]
    names = [n for n in ("view", "last_action", "last_reward", "compass") if n in _names(answer)]
    return [
        {name: _DICT_FORMS.get(name, np.copy)(answer[name][a]) for name in names}
        for a in range(len(answer["reward"]))
    ]


_DICT_FORMS = {"last_action": np.int64, "last_reward": lambda reward: np.array([reward])}


def _names(answer: np.void) -> tuple[str, ...]:
    return answer.dtype.names or ()


def infos(answer: np.void) -> list[dict[str, Any]]:
    """The info of each agent, in plain Python numbers, from a record."""
    columns = [answer[field].tolist() for field in INFO_FIELDS.values()]
    return [dict(zip(INFO_FIELDS, row, strict=True)) for row in zip(*columns, strict=True)]


def _bytes(values: Array) -> UInt8[Array, " bytes"]:
    if values.dtype.itemsize == 1:
        return values.astype(jnp.uint8).reshape(-1)
    return lax.bitcast_convert_type(values, jnp.uint8).reshape(-1)
