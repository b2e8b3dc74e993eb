"""What a batch answers, in the forms of Gymnasium's vector environments.

The same for numpy arrays on the host and for JAX arrays under jit. Fields are arrays that lead with
N, by the names of `packing.layout`.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int32

from gridmem.envs.adapters.observations import Format, flat
from gridmem.envs.adapters.packing import INFO_FIELDS
from gridmem.envs.batch.autoreset import Final
from gridmem.envs.env import Env
from gridmem.envs.types import TimeStep

Fields = Mapping[str, Any]
Answer = tuple[Any, Any, Any, Any, dict[str, Any]]
"""Observations, rewards, terminations, truncations, infos."""


def host_answer(fields: Fields, format: Format, mask: Bool[np.ndarray, " N"]) -> Answer:
    """In numpy arrays; rewards in 64 bits, and the infos those of the marked environments."""
    return (
        observation(fields, format),
        _wide(fields["reward"]),
        fields["terminated"],
        fields["truncated"],
        infos(fields, mask),
    )


def device_answer(
    env: Env,
    format: Format,
    timestep: TimeStep,
    visits: Int32[Array, " N"],
    final: Final | None,
    mask: Bool[Array, " N"],
) -> Answer:
    """In JAX arrays, under jit; with `final` also what the step led to, for all of the batch."""
    fields = _fields(env, format, timestep, visits)
    obs, told = observation(fields, format), infos(fields, mask)
    if final is not None:
        fields, done = _fields(env, format, *final), final.timestep.done
        told |= _with_masks(observation(fields, format), infos(fields, done), done)
    return obs, timestep.reward, timestep.terminated, timestep.truncated, told


def _fields(env: Env, format: Format, timestep: TimeStep, visits: Array) -> dict[str, Any]:
    fields = {**timestep._asdict(), **timestep.obs._asdict(), "visits": visits}
    if format == "flat":
        fields["flat"] = flat(env, timestep.obs)
    if not env.compass_size:
        del fields["compass"]
    return fields


def observation(fields: Fields, format: Format) -> Any:
    """The observation of a batch, as `batch_space` describes it."""
    if format != "dict":
        return fields[format]
    parts = {
        "view": fields["view"],
        "last_action": _wide(fields["last_action"]),
        "last_reward": fields["last_reward"][:, None],
    }
    if "compass" in fields:
        parts["compass"] = fields["compass"]
    return parts


def infos(fields: Fields, mask: Any) -> dict[str, Any]:
    """The infos of the marked environments, zeros for the others, with a mask beside each."""
    zeros_elsewhere = np.where if isinstance(mask, np.ndarray) else jnp.where
    found = {}
    for name, field in INFO_FIELDS.items():
        found[name] = _wide(zeros_elsewhere(mask, fields[field], 0))
        found[f"_{name}"] = mask.copy()
    return found


def final_infos(fields: Fields, format: Format, done: Bool[np.ndarray, " N"]) -> dict[str, Any]:
    """What `infos` has in addition where episodes ended in same-step mode, on the host."""
    final_obs = np.full(len(done), None, object)
    batch = observation(fields, format)
    for index in np.flatnonzero(done):
        final_obs[index] = jax.tree.map(lambda leaf: leaf[index].copy(), batch)  # noqa: B023
    return _with_masks(final_obs, infos(fields, done), done)


def _with_masks(final_obs: Any, final_info: dict[str, Any], done: Any) -> dict[str, Any]:
    return {
        "final_obs": final_obs,
        "_final_obs": done.copy(),
        "final_info": final_info,
        "_final_info": done.copy(),
    }


def _wide(values: Any) -> Any:
    """In 64 bits on the host, as numpy makes arrays of Python's numbers."""
    if not isinstance(values, np.ndarray):
        return values
    return values.astype(np.float64 if values.dtype.kind == "f" else np.int64)
