"""Which cave is played first, and which next."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np

from gridmem.envs.analysis.level_packs import levels, load_levels
from gridmem.envs.batch.seeding import level_of, seed_key
from gridmem.envs.env import Env
from gridmem.envs.levels import as_level, checked_levels
from gridmem.envs.types import Level


class Caves(NamedTuple):
    """Numbered levels.

    Attributes:
        name: where they are from.
        first: the number of the one to begin with.
        level: the level of a number, as numpy arrays. After the last comes the first again.
        many: whether there is more than one.
    """

    name: str
    first: int
    level: Callable[[int], Level]
    many: bool = True

    def lines(self, number: int) -> tuple[tuple[str, str], ...]:
        """The same as `title`, as pairs of label and value."""
        return (("caves", self.name), ("level", str(number)))[: 1 + self.many]

    def title(self, number: int) -> str:
        """One line that says which level it is."""
        return f"{self.name}, level {number}" if self.many else self.name


def seeded_caves(env: Env, seed: int, first: int = 0) -> Caves:
    """The levels that a seed gives, the same as `reset(seed=seed)` and the resets after it play.

    Raises:
        ValueError: for a number that is below 0 or too large.
    """
    if not 0 <= first < 2**32:
        raise ValueError(f"there is no level {first}; levels are numbered from 0 to 2**32 - 1")
    key = seed_key(seed)

    def level(number: int) -> Level:
        return jax.device_get(level_of(env, key, np.uint32(number % 2**32)))

    return Caves(f"seed {seed}", first, level)


def stored_caves(env: Env, id: str, where: str, first: int = 0) -> Caves:
    """The levels that are stored for an id, or in a file.

    Args:
        env: what is to play them.
        id: its id.
        where: a split of the levels of the id, or the name of a file of `gridmem.save_levels`.
        first: the number of the one to begin with.

    Raises:
        ValueError: for an unknown id, split or file, levels that do not fit, or a number that none
            has.
    """
    is_file = where.endswith(".npz")
    stored = checked_levels(load_levels(where), env) if is_file else levels(id, where)
    count = len(stored.tiles)
    if not 0 <= first < count:
        raise ValueError(
            f"there is no level {first} in {where if is_file else f'{where} of {id}'}; they are "
            f"numbered from 0 to {count - 1}"
        )

    def level(number: int) -> Level:
        return as_level(*(np.asarray(leaf)[number % count] for leaf in stored))

    return Caves(where, first, level)


def one_cave(name: str, level: Level) -> Caves:
    """One level, again and again."""
    return Caves(name, 0, lambda number: level, many=False)
