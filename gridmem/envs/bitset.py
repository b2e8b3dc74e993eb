"""Sets of cells as bits: for a map of H x W cells u32[words, H], where cell (r, c) is bit c % 32 of
word (c // 32, r). A flood fill then takes a few shifts per row.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Int32, Key, UInt32


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
    return jnp.sum(lax.population_count(bits), dtype=jnp.int32)


def largest_region(free: UInt32[Array, "words H"]) -> UInt32[Array, "words H"]:
    """The largest set of 4-connected free cells; among equals, the one found first."""

    def unfinished(carry: tuple[Array, Array, Array]) -> Array:
        _, best_count, left = carry
        return count(left) > best_count

    def next_region(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        best, best_count, left = carry
        region = _flood(_any_cell(left), left)
        size = count(region)
        best = jnp.where(size > best_count, region, best)
        return best, jnp.maximum(best_count, size), left & ~region

    carry = (jnp.zeros_like(free), jnp.zeros_like(count(free)), free)
    return lax.while_loop(unfinished, next_region, carry)[0]


def within(
    start: UInt32[Array, "words H"], free: UInt32[Array, "words H"], steps: Int32[Array, ""]
) -> UInt32[Array, "words H"]:
    """The cells that at most so many 4-connected steps through free cells reach from `start`."""

    def unfinished(carry: tuple[Array, Array, Array]) -> Array:
        left, before, region = carry
        return (left > 0) & jnp.any(before != region)

    def grow(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        left, _, region = carry
        up, down = jnp.roll(region, 1, axis=1), jnp.roll(region, -1, axis=1)  # the ring is wall
        from_left = (region << 1) | jnp.pad(region[:-1] >> 31, ((1, 0), (0, 0)))
        from_right = (region >> 1) | jnp.pad(region[1:] << 31, ((0, 1), (0, 0)))
        return left - 1, region, region | ((up | down | from_left | from_right) & free)

    return lax.while_loop(unfinished, grow, (steps, jnp.zeros_like(start), start))[2]


def _any_cell(bits: Array) -> Array:
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
        if region.size > 1:
            # Before the fill: after it, XLA would compute the fill once for each neighbour.
            from_left = jnp.pad(region[:-1] >> 31, (1, 0))
            from_right = jnp.pad(region[1:] << 31, (0, 1))
            region = region | ((from_left | from_right) & free)
        region = _run(region, free) | _mirror(_run(_mirror(region), mirrored))
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


def without(bits: UInt32[Array, "words H"], cell: Int32[Array, "2"]) -> UInt32[Array, "words H"]:
    """The set less one cell (row, column)."""
    words, rows = (jnp.arange(num, dtype=jnp.int32) for num in bits.shape)
    here = (words[:, None] == cell[1] // 32) & (rows[None, :] == cell[0])
    bit = jnp.uint32(1) << (cell[1] % 32).astype(jnp.uint32)
    return jnp.where(here, bits & ~bit, bits)


def sample(key: Key[Array, ""], bits: UInt32[Array, "words H"], num: int) -> Int32[Array, "num 2"]:
    """Cells drawn uniformly, with replacement, from a set that is not empty."""
    per_word = lax.population_count(bits.T.reshape(-1)).astype(jnp.int32)  # in reading order
    before = jnp.cumsum(per_word, dtype=jnp.int32) - per_word
    rank = _below(jax.random.bits(key, (num,), jnp.uint32), jnp.sum(per_word, dtype=jnp.int32))
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
