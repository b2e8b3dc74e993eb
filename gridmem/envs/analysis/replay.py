"""A replay: one file from which an episode can be played again, `episode.npz`."""

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int32, Integer

from gridmem.envs.config import config_from_dict, config_to_dict
from gridmem.envs.env import Env, EnvConfig
from gridmem.envs.levels import as_level, checked_level
from gridmem.envs.types import Level

FORMAT = "gridmem episode 1"
_PARTS = "tiles", "goals", "spawns", "actions", "visits"


class Replay(NamedTuple):
    """All that determines an episode, and what came of it."""

    config: EnvConfig
    level: Level  # numpy arrays
    actions: Int32[np.ndarray, "T A"]  # the first T steps
    visits: Int32[np.ndarray, " A"]  # goals that each agent had found by then
    title: str  # what the file says of itself, one line


def save_replay(
    path: str | Path,
    env: Env,
    level: Level,
    actions: Integer[np.ndarray, "T A"],
    visits: Integer[np.ndarray, " A"],
    title: str = "",
) -> None:
    """Writes an episode. A file that is there already is replaced when the new one is done.

    Args:
        path: the file; its name should end in .npz.
        env: what was played.
        level: on which level.
        actions: what the agents did in the first T steps.
        visits: goals that each agent has found in them.
        title: one line about it: the environment's id, who played.

    Raises:
        ValueError: if the file cannot be written, or there is no action.
    """
    if not len(actions):
        raise ValueError("nothing has been played yet, so there is no episode to save")
    tiles, goals, spawns = checked_level(env, level)
    arrays = {
        "tiles": tiles,
        "goals": goals,
        "spawns": spawns,
        "actions": np.asarray(actions, np.uint8),
        "visits": np.asarray(visits, np.int32),
    }
    head = {"format": FORMAT, "title": title, "config": config_to_dict(env.config)}
    text = json.dumps(head)
    partial = Path(path).with_name(f".{Path(path).name}.part")
    try:
        with partial.open("wb") as file:  # numpy appends an ending to a name, not to a file
            digest = np.array(_sha256(text, arrays))
            np.savez_compressed(file, head=np.array(text), sha256=digest, **arrays)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise ValueError(f"cannot write {path} ({error.strerror})") from None


def load_replay(path: str | Path) -> Replay:
    """Reads an episode that `save_replay` wrote.

    Raises:
        ValueError: if there is no such file, it is something else, has been changed, or its
            level and actions do not fit its environment.
    """
    try:
        # Opened here, because numpy leaves a file open that it cannot read.
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as zipped:
            arrays = dict(zipped)
        stated, text = str(arrays.pop("sha256")), str(arrays.pop("head"))
        head = json.loads(text)
        if head["format"] != FORMAT or set(arrays) != set(_PARTS):
            raise ValueError("another kind of file")
    except FileNotFoundError:
        raise ValueError(f"there is no replay {path}") from None
    except (OSError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile):
        raise ValueError(f"{path} is not a replay of gridmem, or is damaged") from None
    if _sha256(text, arrays) != stated:
        raise ValueError(f"the replay {path} has been changed since it was saved; get it anew")
    try:
        return _checked(head, arrays)
    except ValueError as error:
        raise ValueError(f"the replay {path} cannot be played: {error}") from None


def _checked(head: dict[str, Any], arrays: dict[str, np.ndarray]) -> Replay:
    config = config_from_dict(head["config"])
    level = checked_level(Env(config), as_level(*(arrays[name] for name in _PARTS[:3])))
    actions = arrays["actions"].astype(np.int32)
    fits = actions.ndim == 2 and actions.shape[1] == config.num_agents
    if not fits or not 0 < len(actions) <= config.max_steps:
        raise ValueError(
            f"its actions have shape {actions.shape}; they must be (T, {config.num_agents}) with "
            f"1 to {config.max_steps} steps T"
        )
    return Replay(config, level, actions, arrays["visits"].astype(np.int32), str(head["title"]))


def _sha256(text: str, arrays: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256(text.encode())
    for name in _PARTS:
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode() + array.tobytes())
    return digest.hexdigest()
