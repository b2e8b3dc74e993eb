"""The outputs of `reset` and `step`: one buffer on the device, observations and infos for users.

Fetching one buffer from the device takes a quarter of the time of fetching its arrays one by one.
"""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, UInt8

from gridmem.envs.adapters.observations import Format, flat, flat_size
from gridmem.envs.batch.autoreset import Final
from gridmem.envs.env import Env
from gridmem.envs.types import State, TimeStep

INFO_FIELDS = "last_action", "last_reward", "visits", "steps"

Fields = Mapping[str, Any]
"""Arrays that lead with the streams (agents of environments), with the names of `buffer_dtype`."""

StepOutputs = tuple[Any, Any, Any, Any, Any]
"""Observations, rewards, terminations, truncations, infos."""


def buffer_dtype(env: Env, format: Format, num_streams: int) -> np.dtype:
    """The numpy dtype of the buffer: a record whose fields lead with the streams.

    It has `flat` in the flat format, else `view`.
    """
    is_flat = format == "flat"
    fields: list[tuple[Any, ...]] = [  # bytes last, so that the numbers are aligned
        ("last_action", np.int32),
        ("last_reward", np.float32),
        ("reward", np.float32),
        ("visits", np.int32),
        ("steps", np.int32),
        ("compass", np.float32, env.compass_size),
        *([("flat", np.float32, flat_size(env))] if is_flat else []),
        ("terminated", np.bool_),
        ("truncated", np.bool_),
        *([("view", np.uint8, env.view_size, env.view_size)] if not is_flat else []),
    ]
    return np.dtype([(name, kind, (num_streams, *shape)) for name, kind, *shape in fields])


def pack(
    env: Env, format: Format, state: State, timestep: TimeStep
) -> tuple[State, UInt8[Array, " bytes"]]:
    """The state, and the timestep as a buffer; to be called under jit.

    Both are of one environment, or of a batch whose timestep has leaves [B, ...].
    """
    fields = _fields(env, format, timestep, state.visits.reshape(-1))
    names = buffer_dtype(env, format, timestep.reward.size).names or ()
    return state, jnp.concatenate([_bytes(fields[name]) for name in names if fields[name].size])


def unpack(buffer: Array, dtype: np.dtype) -> dict[str, np.ndarray]:
    """The fields of a buffer, fetched into an array of its own, which users may write to."""
    record = np.array(buffer).view(dtype)[0]
    return {name: record[name] for name in dtype.names or ()}


def agent_outputs(fields: Fields, format: Format) -> StepOutputs:
    """Lists with the outputs of each agent, in new arrays and Python numbers."""
    batch = batch_observation(fields, format)
    infos = zip(*(fields[name].tolist() for name in INFO_FIELDS), strict=True)
    return (
        [_row(batch, agent) for agent in range(len(fields["reward"]))],
        fields["reward"].tolist(),
        fields["terminated"].tolist(),
        fields["truncated"].tolist(),
        [dict(zip(INFO_FIELDS, info, strict=True)) for info in infos],
    )


def batch_outputs(fields: Fields, format: Format, mask: Any) -> StepOutputs:
    """The outputs of a batch, from numpy arrays or under jit; infos are zero outside the mask."""
    return (
        batch_observation(fields, format),
        _as_64_bit(fields["reward"]),
        fields["terminated"],
        fields["truncated"],
        _infos(fields, mask),
    )


def device_outputs(
    env: Env, format: Format, now: Final, final: Final | None, mask: Bool[Array, " N"]
) -> StepOutputs:
    """`batch_outputs` under jit; with `final`, infos have the final observations of all."""
    outputs = batch_outputs(_fields(env, format, *now), format, mask)
    if final is not None:
        fields, done = _fields(env, format, *final), final.timestep.done
        outputs[4].update(_final_infos(batch_observation(fields, format), fields, done))
    return outputs


def final_infos(fields: Fields, format: Format, done: Bool[np.ndarray, " N"]) -> dict[str, Any]:
    """The additional infos of same-step mode, from numpy arrays, for episodes that ended."""
    final_obs = np.full(len(done), None, object)
    batch = batch_observation(fields, format)
    for index in np.flatnonzero(done).tolist():
        final_obs[index] = _row(batch, index)
    return _final_infos(final_obs, fields, done)


def batch_observation(fields: Fields, format: Format) -> Any:
    """The observation of a batch, as `batch_space` describes it."""
    if format != "dict":
        return fields[format]
    parts = {
        "view": fields["view"],
        "last_action": _as_64_bit(fields["last_action"]),
        "last_reward": fields["last_reward"][:, None],
        "compass": fields["compass"],
    }
    return {name: part for name, part in parts.items() if part.size}


def _fields(env: Env, format: Format, timestep: TimeStep, visits: Array) -> dict[str, Any]:
    obs = timestep.obs
    fields = {**timestep._asdict(), **obs._asdict(), "visits": visits, "steps": timestep.time}
    return fields | {"flat": flat(env, obs)} if format == "flat" else fields


def _bytes(values: Array) -> UInt8[Array, " bytes"]:
    if values.dtype.itemsize == 1:
        return values.astype(jnp.uint8).reshape(-1)
    return lax.bitcast_convert_type(values, jnp.uint8).reshape(-1)


def _row(batch: Any, index: int) -> Any:
    """A copy of one row of a batch's observation."""
    if isinstance(batch, dict):
        return {name: part[index].copy() for name, part in batch.items()}
    return batch[index].copy()


def _infos(fields: Fields, mask: Any) -> dict[str, Any]:
    """The infos of the marked environments, zeros for the others; a mask for each name."""
    where = np.where if isinstance(mask, np.ndarray) else jnp.where
    infos = {}
    for name in INFO_FIELDS:
        infos[name] = _as_64_bit(where(mask, fields[name], 0))
        infos[f"_{name}"] = mask.copy()
    return infos


def _final_infos(final_obs: Any, fields: Fields, done: Any) -> dict[str, Any]:
    final_info = _infos(fields, done)
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
