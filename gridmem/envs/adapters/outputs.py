"""The outputs of `reset` and `step`: one buffer on the device, observations and infos for users.

Fetching one buffer from the device takes a quarter of the time of fetching its arrays one by one.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Int32, UInt8

from gridmem.envs.adapters.observations import Format, flat, flat_size
from gridmem.envs.batch.autoreset import Final
from gridmem.envs.env import Env
from gridmem.envs.types import State, TimeStep

INFO_FIELDS = {
    "last_action": "last_action",
    "last_reward": "last_reward",
    "visits": "visits",
    "steps": "time",
}
"""The names in an info -> those in `buffer_dtype`."""

Fields = Mapping[str, Any]
"""Arrays that lead with the streams (agents of environments), with the names of `buffer_dtype`."""

StepOutputs = tuple[Any, Any, Any, Any, dict[str, Any]]
"""Observations, rewards, terminations, truncations, infos."""


def buffer_dtype(env: Env, format: Format, num_streams: int) -> np.dtype:
    """The numpy dtype of the buffer: a record whose fields lead with the streams.

    It has `flat` in the flat format, else `view`, and `compass` if the environment has one.
    """
    side = env.view_size
    fields = [  # bytes last, so that the numbers are aligned
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


def pack(
    env: Env, format: Format, state: State, timestep: TimeStep
) -> tuple[State, UInt8[Array, " bytes"]]:
    """The state, and the timestep as a buffer; to be called under jit.

    Both are of one environment, or of a batch whose timestep has leaves [B, ...].
    """
    fields = _fields(env, format, timestep, state.visits.reshape(-1))
    names = buffer_dtype(env, format, timestep.reward.size).names or ()
    return state, jnp.concatenate([_bytes(fields[name]) for name in names])


def agent_observations(record: np.void, format: Format) -> list[Any]:
    """The observation of each agent, in new arrays."""
    if format != "dict":
        return [value.copy() for value in record[format]]
    present = record.dtype.names or ()
    names = [n for n in ("view", "last_action", "last_reward", "compass") if n in present]
    return [
        {name: _DICT_FORMS.get(name, np.copy)(record[name][a]) for name in names}
        for a in range(len(record["reward"]))
    ]


_DICT_FORMS = {"last_action": np.int64, "last_reward": lambda reward: np.array([reward])}


def agent_infos(record: np.void) -> list[dict[str, Any]]:
    """The info of each agent, in Python numbers."""
    columns = [record[field].tolist() for field in INFO_FIELDS.values()]
    return [dict(zip(INFO_FIELDS, row, strict=True)) for row in zip(*columns, strict=True)]


def batch_outputs(fields: Fields, format: Format, mask: Any) -> StepOutputs:
    """The outputs of a batch, from numpy arrays or under jit; infos are zero outside the mask."""
    return (
        _observation(fields, format),
        _as_64_bit(fields["reward"]),
        fields["terminated"],
        fields["truncated"],
        _infos(fields, mask),
    )


def device_outputs(
    env: Env,
    format: Format,
    timestep: TimeStep,
    visits: Int32[Array, " N"],
    final: Final | None,
    mask: Bool[Array, " N"],
) -> StepOutputs:
    """`batch_outputs` under jit; with `final`, infos have the final observations of all."""
    outputs = batch_outputs(_fields(env, format, timestep, visits), format, mask)
    if final is not None:
        fields, done = _fields(env, format, *final), final.timestep.done
        outputs[4].update(_final(_observation(fields, format), _infos(fields, done), done))
    return outputs


def final_infos(fields: Fields, format: Format, done: Bool[np.ndarray, " N"]) -> dict[str, Any]:
    """The additional infos of same-step mode, from numpy arrays, for episodes that ended."""
    final_obs = np.full(len(done), None, object)
    batch = _observation(fields, format)
    for index in np.flatnonzero(done):
        final_obs[index] = jax.tree.map(lambda leaf: leaf[index].copy(), batch)  # noqa: B023
    return _final(final_obs, _infos(fields, done), done)


def _fields(env: Env, format: Format, timestep: TimeStep, visits: Array) -> dict[str, Any]:
    fields = {**timestep._asdict(), **timestep.obs._asdict(), "visits": visits}
    if format == "flat":
        fields["flat"] = flat(env, timestep.obs)
    if not env.compass_size:
        del fields["compass"]
    return fields


def _bytes(values: Array) -> UInt8[Array, " bytes"]:
    if values.dtype.itemsize == 1:
        return values.astype(jnp.uint8).reshape(-1)
    return lax.bitcast_convert_type(values, jnp.uint8).reshape(-1)


def _observation(fields: Fields, format: Format) -> Any:
    """The observation of a batch, as `batch_space` describes it."""
    if format != "dict":
        return fields[format]
    parts = {
        "view": fields["view"],
        "last_action": _as_64_bit(fields["last_action"]),
        "last_reward": fields["last_reward"][:, None],
    }
    if "compass" in fields:
        parts["compass"] = fields["compass"]
    return parts


def _infos(fields: Fields, mask: Any) -> dict[str, Any]:
    """The infos of the marked environments, zeros for the others; a mask for each name."""
    where = np.where if isinstance(mask, np.ndarray) else jnp.where
    infos = {}
    for name, field in INFO_FIELDS.items():
        infos[name] = _as_64_bit(where(mask, fields[field], 0))
        infos[f"_{name}"] = mask.copy()
    return infos


def _final(final_obs: Any, final_info: dict[str, Any], done: Any) -> dict[str, Any]:
    return {
        "final_obs": final_obs,
        "_final_obs": done.copy(),
        "final_info": final_info,
        "_final_info": done.copy(),
    }


def _as_64_bit(values: Any) -> Any:
    """numpy arrays in 64 bits, as numpy makes them from Python numbers; JAX arrays as they are."""
    if not isinstance(values, np.ndarray):
        return values
    return values.astype(np.float64 if values.dtype.kind == "f" else np.int64)
