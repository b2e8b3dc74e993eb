"""Replays: files from which an episode can be played again."""

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
_PARTS = *Level._fields, "actions", "visits"


class Replay(NamedTuple):
    """What determines an episode, and its number of finds."""

    config: EnvConfig
    level: Level  # numpy arrays
    actions: Int32[np.ndarray, "T A"]  # the first T steps
    visits: Int32[np.ndarray, " A"]  # finds of each agent in them
    title: str  # a description in one line, such as the environment's id and the player


def save_replay(
    path: str | Path,
    env: Env,
    level: Level,
    actions: Integer[np.ndarray, "T A"],
    visits: Integer[np.ndarray, " A"],
    title: str = "",
) -> None:
    """Writes an episode. An existing file is replaced once the new one is complete.

    The other arguments are the fields of `Replay`; the name of the file should end in .npz.

    Raises:
        ValueError: if the file cannot be written, or there are no actions.
    """
    if not len(actions):
        raise ValueError("nothing has been played yet, so there is no episode to save")
    arrays = {
        **checked_level(env, level)._asdict(),
        "actions": np.asarray(actions, np.uint8),
        "visits": np.asarray(visits, np.int32),
    }
    text = json.dumps({"format": FORMAT, "title": title, "config": config_to_dict(env.config)})
    target = check_target(path)
    partial = target.with_name(f".{target.name}.part")
    try:
        with partial.open("wb") as file:  # given a name, numpy would append an extension
            np.savez_compressed(file, head=text, sha256=_sha256(text, arrays), **arrays)
        partial.replace(target)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise ValueError(f"cannot write {path} ({error.strerror})") from None


def check_target(path: str | Path) -> Path:
    """Where a replay with this path is written: a link stays, and what it points to is replaced.

    Raises:
        ValueError: if that exists and is not a regular file.
    """
    target = Path(path).resolve()
    if target.exists() and not target.is_file():
        raise ValueError(f"cannot write {path} (it is not a regular file)")
    return target


def load_replay(path: str | Path) -> Replay:
    """Reads an episode that `save_replay` wrote.

    Raises:
        ValueError: if there is no such file, it is not a replay or was changed, or its level or
            actions do not fit its environment.
    """
    try:
        # Opened here, because numpy does not close a file that it cannot read.
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
        raise ValueError(f"the replay {path} has been changed since it was saved; get it again")
    try:
        return _checked(head, arrays)
    except ValueError as error:
        raise ValueError(f"the replay {path} cannot be played: {error}") from None


def _checked(head: dict[str, Any], arrays: dict[str, np.ndarray]) -> Replay:
    config = config_from_dict(head["config"])
    level = checked_level(Env(config), as_level(*(arrays[name] for name in Level._fields)))
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
