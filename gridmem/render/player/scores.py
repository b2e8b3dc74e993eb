"""What people score: beside random play and the best there is on the same level, and on file."""

import hashlib
import json
import os
import sys
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32, Key

from gridmem.envs.analysis.oracle import ceiling, oracle_actions
from gridmem.envs.analysis.score import normalized_score
from gridmem.envs.analysis.shortest_paths import paths_are_fixed
from gridmem.envs.analysis.trace import trace
from gridmem.envs.batch.policy import random_policy
from gridmem.envs.batch.rollout import play
from gridmem.envs.env import Env
from gridmem.envs.types import Level

FILE = "scores.jsonl"
RANDOM_EPISODES = 64


class Marks(NamedTuple):
    """What there is to be had on a level, per agent."""

    random: Float32[np.ndarray, " A"]  # mean visits of random actions
    best: Float32[np.ndarray, " A"]
    best_is: str  # "ceiling", which cannot be exceeded, or "oracle", the shortest-path player

    def score(self, visits: int | float, agent: int = 0) -> float | None:
        """0 for what random actions get, 1 for the best; None where the two are equal."""
        return normalized_score(visits, self.random[agent], self.best[agent])


def marks(env: Env, level: Level) -> Marks:
    """The marks of a level, over a whole episode."""
    one: Level = jax.tree.map(lambda leaf: np.asarray(leaf)[None], level)
    chance = _random_visits(env, level, jax.random.key(0))
    if paths_are_fixed(env):
        best = ceiling(env, one)
    else:
        best = jnp.sum(trace(env, one, oracle_actions(env, one)).reward, axis=1)
    best = np.asarray(best[0], np.float32)
    name = "ceiling" if paths_are_fixed(env) else "oracle"
    return Marks(np.asarray(chance), best, name)


@partial(jax.jit, static_argnums=0)
def _random_visits(env: Env, level: Level, key: Key[Array, ""]) -> Float32[Array, " A"]:
    levels = jax.tree.map(
        lambda leaf: jnp.broadcast_to(leaf, (RANDOM_EPISODES, *leaf.shape)), level
    )
    # In one chunk: every further one would be one more loop to compile.
    unrolled = play(env, random_policy(env.num_actions), levels, key, chunk_steps=env.max_steps)
    return jnp.mean(unrolled.state.visits.astype(jnp.float32), axis=0)


def level_id(level: Level) -> str:
    """A short name of a level by its content, to tell whether two episodes were on the same."""
    digest = hashlib.sha256()
    for leaf in level:
        array = np.ascontiguousarray(leaf, np.int32)
        digest.update(str(array.shape).encode() + array.tobytes())
    return digest.hexdigest()[:16]


def score_file(path: str | None) -> Path | None:
    """The file that scores go to: the one named or that in the user's data folder; it is made.

    Returns:
        None if none is named and the user has no data folder that can be written to.

    Raises:
        ValueError: if the one that is named cannot be written to.
    """
    try:
        file = Path(path) if path else _data_folder() / "gridmem" / FILE
        if not path:
            file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a"):
            return file
    except RuntimeError:  # there is no home folder
        return None
    except OSError as error:
        if not path:
            return None
        raise ValueError(
            f"cannot write scores to {path} ({error.strerror}); name another file with --scores"
        ) from None


def add_score(file: Path, row: Mapping[str, Any]) -> None:
    """Appends a line of JSON, with the time of day in front.

    Raises:
        OSError: if the disk refuses.
    """
    line = json.dumps({"time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), **row})
    with file.open("a") as lines:
        lines.write(line + "\n")


def _data_folder() -> Path:
    """Where this system wants programs to keep a user's data."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
