"""Checks of the arguments of `reset` and `step`, for one environment and for N."""

import operator
from typing import Any

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import error
from jaxtyping import Array, Bool, Int32, Integer

from gridmem.envs.checks import nearest
from gridmem.envs.env import NUM_ACTIONS, NUM_SPAWNS, Env
from gridmem.envs.levels import checked_levels
from gridmem.envs.types import Action, Level


def reset_options(options: dict[str, Any] | None, known: list[str], hint: str) -> list[Any]:
    """The values of the known reset options, None for those that are not given.

    Raises:
        ValueError: for an unknown option, ending with the hint.
    """
    options = options or {}
    for name in options:
        if name not in known:
            raise ValueError(f"there is no reset option {name!r}{nearest(name, known)}; {hint}")
    return [options.get(name) for name in known]


def seed_of_np_random(env: gymnasium.Env | gymnasium.vector.VectorEnv) -> int:
    """The seed of an environment's own generator, or else a number that it draws."""
    seed = env.np_random_seed
    if seed is None or seed < 0:  # a generator was assigned, which has no seed
        seed = int(env.np_random.integers(2**63))
    return seed


def checked_mask(mask: Any, num_envs: int) -> Bool[np.ndarray, " N"]:
    """The environments to reset; None means all.

    Raises:
        ValueError: if it is not a numpy array bool[N], or marks none.
    """
    if mask is None:
        return np.ones(num_envs, bool)
    if not isinstance(mask, np.ndarray) or mask.dtype != bool or mask.shape != (num_envs,):
        raise ValueError(
            f"reset_mask is {mask!r}; it must be a numpy array of bool, shape ({num_envs},)"
        )
    if not mask.any():
        raise ValueError("reset_mask marks no environment; mark one or more")
    return mask


def checked_seeds(seed: Any, num_envs: int) -> list[int | None]:
    """The seed of each environment: `seed + i`, or those of a list; None for no seed.

    Raises:
        gymnasium.error.Error: if it is neither a Python int nor a list.
        ValueError: if the list does not have N.
    """
    if seed is None:
        return [None] * num_envs
    if isinstance(seed, int):
        return [seed + i for i in range(num_envs)]
    if not isinstance(seed, list | tuple):
        raise error.Error(
            f"the seed is {seed!r}; it must be a Python int, 0 or more, or a list of {num_envs}"
        )
    if len(seed) != num_envs:
        raise ValueError(f"there are {len(seed)} seeds; give {num_envs}, one for each environment")
    return list(seed)


def checked_level_batch(env: Env, levels: Any, num_envs: int) -> Level:
    """Levels as numpy arrays, leaves [N, ...].

    Raises:
        ValueError: if they are not N, or `env` cannot play one of them.
    """
    levels = checked_levels(levels, env)
    num_levels, num_spawns = levels.spawns.shape[:2]
    if num_levels != num_envs:
        raise ValueError(
            f"there are {num_levels} levels; give {num_envs}, one for each environment"
        )
    if num_spawns != NUM_SPAWNS:
        raise ValueError(
            f"the levels list {num_spawns} spawns each; in a batch, where they stand beside drawn "
            f"ones, they must list {NUM_SPAWNS}"
        )
    return levels


def checked_action(action: Any) -> int:
    """The id of an action given as a Python int, a numpy integer or a 0-d integer array.

    Raises:
        ValueError: for anything else, and for ids other than 0..3.
    """
    try:
        index = operator.index(action)
    except TypeError:
        index = -1
    if not 0 <= index < NUM_ACTIONS:
        raise ValueError(_no_move(repr(action)))
    return index


def host_actions(
    actions: Any, num_envs: int, ignored: Bool[np.ndarray, " N"]
) -> Int32[np.ndarray, " N"]:
    """Actions, an array or a list, as a numpy array.

    Raises:
        ValueError: if they are not N integers, from 0 to 3 where they are not ignored.
    """
    actions = np.asarray(actions)
    _check_array(actions, num_envs)
    wrong = (actions < 0) | (actions >= NUM_ACTIONS)
    if wrong.any() and (wrong := wrong & ~ignored).any():
        index = int(np.argmax(wrong))
        raise ValueError(_no_move(f"{actions[index]} of environment {index}"))
    return actions.astype(np.int32)


def device_actions(actions: Any, num_envs: int, device: jax.Device) -> Integer[Array, " N"]:
    """Actions on a device, without waiting for them; hence their values are not checked.

    They come as an array of numpy or JAX, or one that supports DLPack.

    Raises:
        ValueError: if they are not N integers.
    """
    if not isinstance(actions, jax.Array | np.ndarray):
        actions = jnp.from_dlpack(actions)
    _check_array(actions, num_envs)
    # One dtype, committed to the device: else the step would be compiled for each kind of array.
    return jax.device_put(actions.astype(np.int32), device)


def _no_move(action: str) -> str:
    moves = ", ".join(f"{move.value} ({move.name.lower()})" for move in Action)
    return f"action {action} is not a move; it must be one of {moves}"


def _check_array(actions: Any, num_envs: int) -> None:
    if actions.shape != (num_envs,) or actions.dtype.kind not in "iu":
        raise ValueError(
            f"actions are {actions.dtype}{list(actions.shape)}; they must be whole numbers "
            f"[{num_envs}], one for each environment"
        )
