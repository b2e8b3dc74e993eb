"""The forms in which the faces give an observation of one agent."""

from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces
from jaxtyping import Array, Float32

from gridmem.envs.env import Env
from gridmem.envs.registry import nearest
from gridmem.envs.types import Observation, Tile

Format = Literal["view", "dict", "flat"]
"""`view`: u8[V,V] tile ids. `dict`: a dict of `view`, `last_action` (int64, 4 before the first
action), `last_reward` (f32[1]) and, if configured, `compass` (f32[2]). `flat`: all of that as
f32[F]: the view one-hot, cell by cell, the last action one-hot (5), the last reward, the
compass."""


def checked_format(env: Env, name: str) -> Format:
    """The format of that name.

    Raises:
        ValueError: if there is none, or it has no place for what the environment tells.
    """
    if name not in get_args(Format):
        raise ValueError(
            f"there is no observation format {name!r}{nearest(name, get_args(Format))}; "
            f"the formats are {', '.join(get_args(Format))}"
        )
    if name == "view" and env.config.compass:
        raise ValueError("a compass does not fit a view; make it with observation='dict' or 'flat'")
    return name  # pyright: ignore[reportReturnType]


def observation_space(env: Env, format: Format) -> spaces.Space[Any]:
    """The space of one agent's observation in a format."""
    side = env.view_size
    view = spaces.Box(0, len(Tile) - 1, (side, side), np.uint8)
    if format == "view":
        return view
    if format == "flat":
        low = np.zeros(flat_size(env), np.float32)
        low[low.size - env.compass_size :] = -1
        return spaces.Box(low, np.ones_like(low), dtype=np.float32)
    parts = {
        "view": view,
        "last_action": spaces.Discrete(env.num_actions + 1),
        "last_reward": spaces.Box(0, 1, (1,), np.float32),
    }
    if env.compass_size:
        parts["compass"] = spaces.Box(-1, 1, (env.compass_size,), np.float32)
    return spaces.Dict(parts)


def flat_size(env: Env) -> int:
    """How many numbers a flat observation has."""
    return env.view_size**2 * len(Tile) + env.num_actions + 2 + env.compass_size


def flat(env: Env, obs: Observation) -> Float32[Array, "*batch F"]:
    """Observations in the flat format; leaves lead with any batch axes, agents included."""
    tiles = jax.nn.one_hot(obs.view, len(Tile), dtype=jnp.float32)
    parts = [
        tiles.reshape(*obs.last_reward.shape, -1),
        jax.nn.one_hot(obs.last_action, env.num_actions + 1, dtype=jnp.float32),
        obs.last_reward[..., None],
        obs.compass,
    ]
    return jnp.concatenate(parts, axis=-1)
