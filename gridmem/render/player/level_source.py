"""Where the levels of a game are from: a seed, a level pack or file, or one level."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np

from gridmem.envs.analysis.level_packs import levels, load_levels
from gridmem.envs.batch.seeding import generate_level, seed_key
from gridmem.envs.env import Env
from gridmem.envs.levels import as_level, checked_levels
from gridmem.envs.types import Level


class LevelSource(NamedTuple):
    """Numbered levels.

    Attributes:
        name: of the source.
        first: the number of the level to start with.
        level: from a number to a level of numpy arrays; numbers wrap around.
        is_single: whether there is one level only.
    """

    name: str
    first: int
    level: Callable[[int], Level]
    is_single: bool = False

    def panel_lines(self, number: int) -> tuple[tuple[str, str], ...]:
        """Source and number of a level, as pairs of label and value."""
        return (("levels", self.name), ("level", str(number)))[: 2 - self.is_single]

    def title(self, number: int) -> str:
        """One line that identifies a level."""
        return self.name if self.is_single else f"{self.name}, level {number}"


def seeded_levels(env: Env, seed: int, first: int = 0) -> LevelSource:
    """The levels of a seed: those of `reset(seed=seed)` and of the resets after it.

    Raises:
        ValueError: if `first` is not in [0, 2**32).
    """
    if not 0 <= first < 2**32:
        raise ValueError(f"there is no level {first}; levels are numbered from 0 to 2**32 - 1")
    key = seed_key(seed)

    def level(number: int) -> Level:
        return jax.device_get(generate_level(env, key, np.uint32(number % 2**32)))

    return LevelSource(f"seed {seed}", first, level)


def stored_levels(env: Env, id: str, where: str, first: int = 0) -> LevelSource:
    """The levels of a split of the id's level pack, or of a file (.npz) of `gridmem.save_levels`.

    Raises:
        ValueError: for an unknown id, split or file, levels that do not fit the environment, or
            `first` out of range.
    """
    is_file = where.endswith(".npz")
    stored = checked_levels(load_levels(where), env) if is_file else levels(id, where)
    count = len(stored.tiles)
    if not 0 <= first < count:
        name = where if is_file else f"{where} of {id}"
        numbers = f"they are numbered from 0 to {count - 1}"
        raise ValueError(f"there is no level {first} in {name}; {numbers}")

    def level(number: int) -> Level:
        return as_level(*(np.asarray(leaf)[number % count] for leaf in stored))

    return LevelSource(where, first, level)


def single_level(name: str, level: Level) -> LevelSource:
    """The same level for all numbers."""
    return LevelSource(name, 0, lambda number: level, is_single=True)
