"""Maps: where the walls are, and where goals and spawns go."""

from dataclasses import dataclass
from math import isfinite
from typing import Literal, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Int32, Key, UInt8, UInt32

from gridmem.envs.bitset import count, largest_region, pack, sample, unpack, within, without
from gridmem.envs.checks import check_bool
from gridmem.envs.noise import NOISE_UNIT, fractal_noise
from gridmem.envs.types import Level, Tile

MIN_SIDE, MAX_SIDE = 5, 250
MAX_OCTAVES = 16
MAX_WAVELENGTH = 512
DIRICHLET_UNIT = 256
INT32_MAX = 2**31 - 1


@runtime_checkable
class Map(Protocol):
    """A distribution of maps, whose outer ring is wall. A new one is a class with these members."""

    @property
    def height(self) -> int:
        """Rows of the interior."""
        ...

    @property
    def width(self) -> int:
        """Columns of the interior."""
        ...

    @property
    def min_free_cells(self) -> int:
        """Free cells that every map has at least, those of fixed goals and spawns included."""
        ...

    @property
    def goals(self) -> tuple[tuple[int, int], ...]:
        """Fixed goal cells; empty if they are to be drawn."""
        ...

    @property
    def spawns(self) -> tuple[tuple[int, int], ...]:
        """Fixed spawn cells, used in turn; empty if they are to be drawn."""
        ...

    def generate(self, key: Key[Array, ""]) -> UInt8[Array, "H W"]:
        """Floor, wall and rock tiles, ring included; every floor cell may get a goal or a spawn."""
        ...


@dataclass(frozen=True)
class NoiseMap:
    """A cave: solid where a sum of octaves of gradient noise exceeds a threshold.

    Attributes:
        height: rows of the interior; one ring of wall is added around it.
        width: columns of the interior.
        wavelengths: distance in cells between the lattice lines of each octave.
        dirichlet: draw the weights of the octaves from a flat Dirichlet distribution, for each map.
        threshold: solid where sqrt(2) times the noise exceeds this; equal weights are 1 each, drawn
            ones sum to 1.
        solid: "wall" (permanent; all but the largest connected region is filled in) or "rock"
            (can be dug through).

    Raises:
        ValueError: for an invalid value.
    """

    height: int = 40
    width: int = 40
    wavelengths: tuple[int, ...] = (8, 4)
    dirichlet: bool = False
    threshold: float = 0.3
    solid: Literal["wall", "rock"] = "wall"

    goals = ()
    spawns = ()

    def __post_init__(self) -> None:
        for name in ("height", "width"):
            side = getattr(self, name)
            if not isinstance(side, int) or not MIN_SIDE <= side <= MAX_SIDE:
                raise ValueError(
                    f"map {name} is {side!r}; it must be a whole number of cells from "
                    f"{MIN_SIDE} to {MAX_SIDE}"
                )
        octaves = self.wavelengths
        if not isinstance(octaves, tuple | list) or not 0 < len(octaves) <= MAX_OCTAVES:
            octaves = (0,)
        if any(not isinstance(w, int) or not 2 <= w <= MAX_WAVELENGTH for w in octaves):
            raise ValueError(
                f"map wavelengths are {self.wavelengths!r}; they must be 1 to {MAX_OCTAVES} whole "
                f"numbers of cells, each from 2 to {MAX_WAVELENGTH}"
            )
        object.__setattr__(self, "wavelengths", tuple(octaves))
        check_bool("map dirichlet", self.dirichlet)
        if not isinstance(self.threshold, int | float) or not isfinite(self.threshold):
            raise ValueError(f"map threshold is {self.threshold!r}; it must be a finite number")
        if self.solid not in ("wall", "rock"):
            raise ValueError(f"map solid is {self.solid!r}; it must be 'wall' or 'rock'")

    @property
    def min_free_cells(self) -> int:
        """An eighth of the interior; with fewer, the whole interior becomes floor."""
        return -(-self.height * self.width // 8)

    def generate(
        self, key: Key[Array, ""], side: Int32[Array, ""] | None = None
    ) -> UInt8[Array, "H W"]:
        """Draws a map; see `Map.generate`.

        Args:
            key: source of the noise.
            side: rows and columns of the cave, if the map has so many; the rest is wall. Less than
                `MIN_SIDE` counts as `MIN_SIDE`. All of the map if not given.
        """
        interior = jnp.asarray(np.pad(np.ones((self.height, self.width), bool), 1))
        least, free = self.min_free_cells, self._free_cells(key)
        if side is not None:
            side = jnp.maximum(side, MIN_SIDE)
            rows, columns = (jnp.arange(size, dtype=jnp.int32) for size in interior.shape)
            interior = interior & (rows <= side)[:, None] & (columns <= side)[None]
            least = (jnp.sum(interior, dtype=jnp.int32) + 7) // 8
            free = free & pack(interior)
        if self.solid == "wall":
            free = largest_region(free)
        free = jnp.where(count(free) < least, pack(interior), free)
        solid_tile = Tile.WALL if self.solid == "wall" else Tile.ROCK
        background = jnp.where(interior, jnp.uint8(solid_tile), jnp.uint8(Tile.WALL))
        return jnp.where(unpack(free, self.width + 2), jnp.uint8(Tile.FLOOR), background)

    def _free_cells(self, key: Key[Array, ""]) -> UInt32[Array, "words H"]:
        """The cells that the noise leaves free, pockets included; there may be none."""
        weight_key, noise_key = jax.random.split(key)
        num_octaves = len(self.wavelengths)
        if self.dirichlet:
            # The gaps between sorted uniform numbers follow the flat Dirichlet distribution.
            cuts = jax.random.randint(
                weight_key, (num_octaves - 1,), 0, DIRICHLET_UNIT + 1, jnp.int32
            )
            edges = jnp.array([0, DIRICHLET_UNIT], jnp.int32)
            weights = jnp.diff(jnp.sort(jnp.concatenate([edges, cuts])))
            unit = DIRICHLET_UNIT
        else:
            weights, unit = jnp.ones(num_octaves, jnp.int32), 1
        noise = fractal_noise(noise_key, self.height, self.width, self.wavelengths, weights)
        threshold = round(self.threshold / np.sqrt(2) * unit * NOISE_UNIT)
        solid = noise > int(np.clip(threshold, -INT32_MAX, INT32_MAX))
        return pack(jnp.pad(~solid, 1, constant_values=False))


@dataclass(frozen=True)
class TextMap:
    """A map drawn in text: '#' wall, '%' rock, '.' floor, 'G' goal, digits the spawns in order.

    The text includes the ring of wall. Goals and spawns that it does not mark are drawn at random.

    Attributes:
        rows: the lines, top to bottom, all of one length.

    Raises:
        ValueError: for an invalid value.
    """

    rows: tuple[str, ...]

    def __post_init__(self) -> None:
        rows = self.rows
        if not isinstance(rows, tuple | list) or not all(isinstance(row, str) for row in rows):
            raise ValueError(f"TextMap rows are {rows!r}; they must be a list of lines of text")
        object.__setattr__(self, "rows", tuple(rows))
        if not rows or any(len(row) != len(rows[0]) for row in rows):
            raise ValueError("TextMap rows differ in length; every row needs the same number")
        if not 3 <= min(len(rows), len(rows[0])) <= max(len(rows), len(rows[0])) <= MAX_SIDE + 2:
            raise ValueError(
                f"TextMap is {len(rows)} x {len(rows[0])} cells; each side must have 3 to "
                f"{MAX_SIDE + 2}"
            )
        unknown = set("".join(rows)) - set("#%.G0123456789")
        if unknown:
            raise ValueError(
                f"TextMap has the character {min(unknown)!r}; use '#' wall, '%' rock, '.' floor, "
                "'G' goal, and digits for spawns"
            )
        ring = rows[0] + rows[-1] + "".join(row[0] + row[-1] for row in rows)
        if set(ring) != {"#"}:
            raise ValueError("TextMap must be enclosed: its outermost cells must all be '#'")
        if self.goals and not self.spawns and self.min_free_cells == len(self.goals):
            raise ValueError("TextMap leaves no free cell for a spawn; add a '.' or a digit")

    @property
    def height(self) -> int:
        """Rows of the interior."""
        return len(self.rows) - 2

    @property
    def width(self) -> int:
        """Columns of the interior."""
        return len(self.rows[0]) - 2

    @property
    def min_free_cells(self) -> int:
        """Cells that are neither wall nor rock."""
        return sum(cell not in "#%" for row in self.rows for cell in row)

    @property
    def goals(self) -> tuple[tuple[int, int], ...]:
        """Cells marked 'G', in reading order."""
        return tuple(cell for mark, cell in self._marked() if mark == "G")

    @property
    def spawns(self) -> tuple[tuple[int, int], ...]:
        """Cells marked by a digit, in the order of the digits."""
        return tuple(cell for _, cell in sorted(m for m in self._marked() if m[0].isdigit()))

    def _marked(self) -> list[tuple[str, tuple[int, int]]]:
        return [(mark, (r, c)) for r, row in enumerate(self.rows) for c, mark in enumerate(row)]

    @property
    def tiles(self) -> UInt8[np.ndarray, "H W"]:
        """Floor, wall and rock; floor also where a goal or a spawn is marked."""
        solid = {"#": Tile.WALL, "%": Tile.ROCK}
        return np.array([[solid.get(m, Tile.FLOOR) for m in row] for row in self.rows], np.uint8)

    def generate(self, key: Key[Array, ""]) -> UInt8[Array, "H W"]:
        """The same map for every key."""
        return jnp.asarray(self.tiles)


def place(
    key: Key[Array, ""],
    tiles: UInt8[Array, "H W"],
    num_goals: int,
    num_spawns: int,
    fixed_goals: tuple[tuple[int, int], ...] = (),
    fixed_spawns: tuple[tuple[int, int], ...] = (),
    distance: Int32[Array, ""] | None = None,
) -> Level:
    """Puts goals on distinct floor cells, and spawns on any floor cell that is not a goal.

    With a `distance` these are at most so many steps from a goal, as far as there are such cells;
    rock counts as one step.
    """
    goal_key, spawn_key = jax.random.split(key)
    free = pack(tiles == Tile.FLOOR)
    for cell in (*fixed_spawns, *fixed_goals):
        free = without(free, jnp.array(cell, jnp.int32))
    if fixed_goals:
        goals = jnp.array(fixed_goals, jnp.int32)
    else:
        goals = []
        for i in range(num_goals):
            goals.append(sample(jax.random.fold_in(goal_key, i), free, 1)[0])
            free = without(free, goals[-1])
        goals = jnp.stack(goals)
    if fixed_spawns:
        spawns = jnp.array((fixed_spawns * num_spawns)[:num_spawns], jnp.int32)
    else:
        if distance is not None:
            passable = pack(tiles != Tile.WALL)
            start = pack(jnp.zeros_like(tiles, bool).at[goals[:, 0], goals[:, 1]].set(True))
            near = within(start, passable, jnp.maximum(distance, 1)) & free
            free = jnp.where(count(near) > 0, near, free)
        spawns = sample(spawn_key, free, num_spawns)
    for goal in goals:
        tiles = lax.dynamic_update_slice(tiles, jnp.full((1, 1), Tile.GOAL, jnp.uint8), goal)
    return Level(tiles, goals, spawns)
