"""The observation formats of the adapters."""

from collections.abc import Mapping
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces
from jaxtyping import Array, Float32

from gridmem.envs.checks import unknown_name
from gridmem.envs.env import Env
from gridmem.envs.types import Observation, Tile

Format = Literal["view", "dict", "flat"]
"""`view`: u8[V,V] tile ids. `dict`: a dict of `view`, `last_action` (int64, 4 before the first
action), `last_reward` (f32[1]) and, if configured, `compass` (f32[2]). `flat`: all of that as
f32[F]: the view one-hot, cell by cell, the last action one-hot (5), the last reward, the
compass."""


def checked_format(env: Env, name: str) -> Format:
    """The format of that name.

    Raises:
        ValueError: if there is none, or it cannot hold the environment's observations.
    """
    if name not in get_args(Format):
        raise ValueError(unknown_name("observation format", name, get_args(Format), "formats"))
    if name == "view" and env.config.compass:
        raise ValueError("a compass does not fit a view; make it with observation='dict' or 'flat'")
    return name  # pyright: ignore[reportReturnType]


def observation_space(env: Env, format: Format) -> spaces.Space[Any]:
    """The space of one agent's observation in a format."""
    if format == "flat":
        low = np.zeros(flat_size(env), np.float32)
        low[low.size - env.compass_size :] = -1
        return spaces.Box(low, np.ones_like(low), dtype=np.float32)
    parts = _parts(env)
    return parts["view"] if format == "view" else spaces.Dict(parts)


def _parts(env: Env) -> dict[str, spaces.Space[Any]]:
    """The spaces of a dict observation."""
    side = env.view_size
    parts: dict[str, spaces.Space[Any]] = {
        "view": spaces.Box(0, len(Tile) - 1, (side, side), np.uint8),
        "last_action": spaces.Discrete(env.num_actions + 1),
        "last_reward": spaces.Box(0, 1, (1,), np.float32),
    }
    if env.compass_size:
        parts["compass"] = spaces.Box(-1, 1, (env.compass_size,), np.float32)
    return parts


def flat_size(env: Env) -> int:
    """The length F of a flat observation."""
    return env.view_size**2 * len(Tile) + env.num_actions + 2 + env.compass_size


def flat(env: Env, obs: Observation) -> Float32[Array, "*batch F"]:
    """Observations in the flat format, with any leading batch axes, agents included."""
    tiles = jax.nn.one_hot(obs.view, len(Tile), dtype=jnp.float32)
    parts = [
        tiles.reshape(*obs.last_reward.shape, -1),
        jax.nn.one_hot(obs.last_action, env.num_actions + 1, dtype=jnp.float32),
        obs.last_reward[..., None],
        obs.compass,
    ]
    return jnp.concatenate(parts, axis=-1)


def batch_axes(env: Env, given: Any) -> tuple[int, ...]:
    """The leading axes of observations in the dict or the flat format.

    Args:
        env: an environment with the same view and compass.
        given: a dict of arrays or one array, of numpy or JAX.

    Raises:
        ValueError: for the format `view`, or shapes that do not fit the environment.
    """
    if isinstance(given, Mapping):
        axes = np.shape(given.get("last_action", 0))
        found: Any = {name: np.shape(part)[len(axes) :] for name, part in given.items()}
        wanted: Any = {name: space.shape for name, space in _parts(env).items()}
    else:
        if getattr(given, "dtype", None) == np.uint8:
            raise ValueError(
                "a view alone does not contain the last action and the last reward; make the "
                "environment with observation='dict'"
            )
        shape = getattr(given, "shape", ())
        axes, found, wanted = shape[:-1], shape[-1:], (flat_size(env),)
    if found != wanted:
        raise ValueError(
            f"the observation has the shape {found}; where the view is {env.view_size} x "
            f"{env.view_size} and there is {'a' if env.compass_size else 'no'} compass, it has "
            f"{wanted}"
        )
    return axes


def parse(env: Env, given: Any) -> Observation:
    """Observations in the dict or the flat format as an `Observation`, with the same leading axes.

    Arguments and errors are those of `batch_axes`.
    """
    axes, cells = batch_axes(env, given), env.view_size**2
    if isinstance(given, Mapping):
        return Observation(
            view=jnp.asarray(given["view"], jnp.uint8),
            last_action=jnp.asarray(given["last_action"], jnp.int32),
            last_reward=jnp.asarray(given["last_reward"], jnp.float32)[..., 0],
            compass=jnp.asarray(given.get("compass", np.zeros((*axes, 0))), jnp.float32),
        )
    ends = np.cumsum([cells * len(Tile), env.num_actions + 1, 1])
    tiles, action, reward, compass = jnp.split(jnp.asarray(given, jnp.float32), ends, axis=-1)
    tiles = tiles.reshape(*axes, env.view_size, env.view_size, len(Tile))
    return Observation(
        view=jnp.argmax(tiles, axis=-1).astype(jnp.uint8),
        last_action=jnp.argmax(action, axis=-1).astype(jnp.int32),
        last_reward=reward[..., 0],
        compass=compass,
    )
