"""Maps: where the walls are, which cells hang together, and where goals and spawns go.

Cell sets are bit-packed: a map of H x W is u32[words, H], cell (r, c) being bit c % 32 of word
(c // 32, r). Flood fill is then a handful of shifts per step for a whole row of 32 cells.
"""

from dataclasses import dataclass
from math import isfinite
from typing import Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Int32, Key, UInt8, UInt32

from gridmem.envs.noise import NOISE_UNIT, fractal_noise
from gridmem.envs.types import Level, Tile

MIN_SIDE, MAX_SIDE = 5, 250
MAX_OCTAVES = 16
DIRICHLET_UNIT = 256


@runtime_checkable
class Map(Protocol):
    """A distribution of tile maps whose outer ring is wall. To add one, write this."""

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
        """Free cells, marked ones included, that every map is sure to have."""
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
    """A cave: solid wherever a sum of octaves of gradient noise exceeds a threshold.

    Attributes:
        height: rows of the interior; one ring of wall is added around it.
        width: columns of the interior.
        wavelengths: distance in cells between the lattice lines of each octave.
        dirichlet: weigh the octaves by a flat Dirichlet draw per map instead of equally.
        threshold: solid where sqrt(2) times the noise exceeds this; in units in which equal
            weights are 1 each, and drawn ones sum to 1.
        solid: "wall" (permanent; all but the largest connected region is filled in) or "rock"
            (can be dug through).
    """

    height: int = 40
    width: int = 40
    wavelengths: tuple[int, ...] = (8, 4)
    dirichlet: bool = False
    threshold: float = 0.3
    solid: str = "wall"

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
        if any(not isinstance(octave, int) or octave < 2 for octave in octaves):
            raise ValueError(
                f"map wavelengths are {self.wavelengths!r}; they must be 1 to {MAX_OCTAVES} whole "
                "numbers of cells, each at least 2"
            )
        object.__setattr__(self, "wavelengths", tuple(octaves))
        if not isinstance(self.dirichlet, bool):
            raise ValueError(f"map dirichlet is {self.dirichlet!r}; it must be true or false")
        if not isinstance(self.threshold, int | float) or not isfinite(self.threshold):
            raise ValueError(f"map threshold is {self.threshold!r}; it must be a finite number")
        if self.solid not in ("wall", "rock"):
            raise ValueError(f"map solid is {self.solid!r}; it must be 'wall' or 'rock'")

    @property
    def min_free_cells(self) -> int:
        """An eighth of the interior: below that the map is made all floor."""
        return -(-self.height * self.width // 8)

    def generate(self, key: Key[Array, ""]) -> UInt8[Array, "H W"]:
        """Draws a map; see `Map.generate`."""
        interior = np.pad(np.ones((self.height, self.width), bool), 1)
        free = self._free_cells(key)
        free = jnp.where(count(free) < self.min_free_cells, pack(jnp.asarray(interior)), free)
        solid_tile = Tile.WALL if self.solid == "wall" else Tile.ROCK
        background = np.where(interior, solid_tile, Tile.WALL).astype(np.uint8)
        return jnp.where(unpack(free, self.width + 2), jnp.uint8(Tile.FLOOR), background)

    def _free_cells(self, key: Key[Array, ""]) -> UInt32[Array, "words H"]:
        """What the noise leaves free, however little that may be."""
        weight_key, noise_key = jax.random.split(key)
        num_octaves = len(self.wavelengths)
        if self.dirichlet:
            # The gaps between sorted uniform numbers follow the flat Dirichlet distribution.
            cuts = jax.random.randint(weight_key, (num_octaves - 1,), 0, DIRICHLET_UNIT + 1)
            edges = jnp.array([0, DIRICHLET_UNIT])
            weights = jnp.diff(jnp.sort(jnp.concatenate([edges, cuts])))
            unit = DIRICHLET_UNIT
        else:
            weights, unit = jnp.ones(num_octaves, jnp.int32), 1
        noise = fractal_noise(noise_key, self.height, self.width, self.wavelengths, weights)
        solid = noise > round(self.threshold / np.sqrt(2) * unit * NOISE_UNIT)
        free = pack(jnp.pad(~solid, 1, constant_values=False))
        return largest_region(free) if self.solid == "wall" else free


@dataclass(frozen=True)
class TextMap:
    """A map drawn in text: '#' wall, '%' rock, '.' floor, 'G' goal, digits the spawns in order.

    The picture includes its ring of wall. Goals and spawns that it does not mark are drawn.

    Attributes:
        rows: the lines of the picture, top to bottom, all of one length.
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
        return tuple(cell for mark, cell in sorted(self._marked()) if mark.isdigit())

    def _marked(self) -> list[tuple[str, tuple[int, int]]]:
        return [
            (mark, (r, c))
            for r, row in enumerate(self.rows)
            for c, mark in enumerate(row)
            if mark not in "#%."
        ]

    def generate(self, key: Key[Array, ""]) -> UInt8[Array, "H W"]:
        """The drawn map, whatever the key."""
        tiles = {"#": Tile.WALL, "%": Tile.ROCK}
        return jnp.array([[tiles.get(m, Tile.FLOOR) for m in row] for row in self.rows], jnp.uint8)


def place(
    key: Key[Array, ""],
    tiles: UInt8[Array, "H W"],
    num_goals: int,
    num_spawns: int,
    fixed_goals: tuple[tuple[int, int], ...] = (),
    fixed_spawns: tuple[tuple[int, int], ...] = (),
) -> Level:
    """Puts goals on distinct floor cells, and spawns on any floor cell that is not a goal."""
    goal_key, spawn_key = jax.random.split(key)
    free = pack(tiles == Tile.FLOOR)
    for spawn in fixed_spawns:
        free = _without(free, jnp.array(spawn, jnp.int32))
    if fixed_goals:
        goals = jnp.array(fixed_goals, jnp.int32)
        for goal in goals:
            free = _without(free, goal)
    else:
        goals = []
        for i in range(num_goals):
            goals.append(_sample(jax.random.fold_in(goal_key, i), free, 1)[0])
            free = _without(free, goals[-1])
        goals = jnp.stack(goals)
    if fixed_spawns:
        spawns = jnp.array((fixed_spawns * num_spawns)[:num_spawns], jnp.int32)
    else:
        spawns = _sample(spawn_key, free, num_spawns)
    for goal in goals:
        tiles = lax.dynamic_update_slice(tiles, jnp.full((1, 1), Tile.GOAL, jnp.uint8), goal)
    return Level(tiles, goals, spawns)


def pack(cells: Bool[Array, "H W"]) -> UInt32[Array, "words H"]:
    """The bit-packed form of a set of cells."""
    height, width = cells.shape
    num_words = -(-width // 32)
    cells = jnp.pad(cells, ((0, 0), (0, num_words * 32 - width)))
    bits = cells.astype(jnp.uint32).reshape(height, num_words, 32)
    weights = (np.uint32(1) << np.arange(32, dtype=np.uint32)).reshape(1, 1, 32)
    return jnp.sum(bits * weights, axis=-1, dtype=jnp.uint32).T


def unpack(bits: UInt32[Array, "words H"], width: int) -> Bool[Array, "H W"]:
    """The inverse of `pack`."""
    column = np.arange(width)
    shift = (column % 32).astype(np.uint32).reshape(1, width)
    return (bits[column // 32].T >> shift) & 1 == 1


def count(bits: UInt32[Array, "words H"]) -> Int32[Array, ""]:
    """Number of cells in the set."""
    return jnp.sum(lax.population_count(bits).astype(jnp.int32))


def largest_region(free: UInt32[Array, "words H"]) -> UInt32[Array, "words H"]:
    """The largest set of 4-connected free cells; among equals, the one found first."""

    def unfinished(carry: tuple[Array, Array, Array]) -> Array:
        _, best_count, left = carry
        return count(left) > best_count

    def look_at_next(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        best, best_count, left = carry
        region = _flood(_a_cell(left), left)
        size = count(region)
        best = jnp.where(size > best_count, region, best)
        return best, jnp.maximum(best_count, size), left & ~region

    carry = (jnp.zeros_like(free), jnp.int32(0), free)
    return lax.while_loop(unfinished, look_at_next, carry)[0]


def _a_cell(bits: Array) -> Array:
    """One cell of the set, from its fullest word, where a large region is likely."""
    fullness = lax.population_count(bits)
    word = jnp.argmax(fullness)
    here = jnp.arange(bits.size).reshape(bits.shape) == word
    return jnp.where(here, bits & -bits, 0)


def _flood(seed: Array, free: Array) -> Array:
    """All free cells that 4-connected steps reach from the seed.

    Sweeps down and up the rows until nothing changes. Within a row, the carry of one addition
    runs through a whole stretch of free cells.
    """
    rows = free.T
    mirrored = _mirror(rows)

    def spread(above: Array, row: tuple[Array, Array, Array]) -> tuple[Array, Array]:
        region, free, mirrored = row
        region = region | (above & free)
        for _ in range(region.size):  # a stretch may cross every word of the row
            rightward = _run(region, free)
            leftward = _mirror(_run(_mirror(region), mirrored))
            region = rightward | leftward
            if region.size > 1:
                from_left = jnp.pad(region[:-1] >> 31, (1, 0))
                from_right = jnp.pad(region[1:] << 31, (0, 1))
                region = region | ((from_left | from_right) & free)
        return region, region

    def sweep(region: Array) -> Array:
        nothing = jnp.zeros_like(region[0])
        for reverse in (False, True):
            _, region = lax.scan(spread, nothing, (region, rows, mirrored), reverse=reverse)
        return region

    def changed(carry: tuple[Array, Array]) -> Array:
        return jnp.any(carry[0] != carry[1])

    def body(carry: tuple[Array, Array]) -> tuple[Array, Array]:
        return carry[1], sweep(carry[1])

    start = (jnp.zeros_like(seed.T), seed.T)
    return lax.while_loop(changed, body, start)[1].T


def _run(region: Array, free: Array) -> Array:
    """The region grown towards higher bits through adjacent free cells."""
    return (((free + region) ^ free) | region) & free


def _mirror(word: Array) -> Array:
    """The word with its bits in reverse order."""
    for shift, mask in ((1, 0x55555555), (2, 0x33333333), (4, 0x0F0F0F0F), (8, 0x00FF00FF)):
        word = ((word >> shift) & mask) | ((word & mask) << shift)
    return (word >> 16) | (word << 16)


def _without(bits: Array, cell: Int32[Array, "2"]) -> Array:
    words, rows = jnp.arange(bits.shape[0])[:, None], jnp.arange(bits.shape[1])[None, :]
    here = (words == cell[1] // 32) & (rows == cell[0])
    bit = jnp.uint32(1) << (cell[1] % 32).astype(jnp.uint32)
    return jnp.where(here, bits & ~bit, bits)


def _sample(key: Key[Array, ""], bits: Array, num: int) -> Int32[Array, "num 2"]:
    """Cells drawn uniformly, with replacement, from a set that is not empty."""
    per_word = lax.population_count(bits.T.reshape(-1)).astype(jnp.int32)  # in reading order
    before = jnp.cumsum(per_word) - per_word
    rank = _below(jax.random.bits(key, (num,), jnp.uint32), jnp.sum(per_word))
    word = jnp.searchsorted(before, rank, side="right", method="scan_unrolled") - 1
    rank = (rank - before[word]).astype(jnp.uint32)
    bit = _select(bits.T.reshape(-1)[word], rank)
    num_words = bits.shape[0]
    return jnp.stack([word // num_words, word % num_words * 32 + bit], axis=-1)


def _below(bits: Array, bound: Array) -> Int32[Array, " n"]:
    """Uniform numbers below a bound under 2**16: the high half of a 32 x 32 bit product."""
    bound = bound.astype(jnp.uint32)
    low = ((bits & 0xFFFF) * bound) >> 16
    return (((bits >> 16) * bound + low) >> 16).astype(jnp.int32)


def _select(word: Array, rank: Array) -> Int32[Array, " n"]:
    """Position of the set bit that has `rank` set bits below it, by binary search."""
    position = jnp.zeros_like(word)
    for half in (16, 8, 4, 2, 1):
        low = lax.population_count((word >> position) & jnp.uint32((1 << half) - 1))
        up = rank >= low
        rank = jnp.where(up, rank - low, rank)
        position = jnp.where(up, position + half, position)
    return position.astype(jnp.int32)
