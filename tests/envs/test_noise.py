"""Gradient noise against slow scalar computations, and the exactness that it promises."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gridmem.envs.noise import NOISE_UNIT, fractal_noise

HEIGHT, WIDTH = 11, 14
WAVELENGTHS = (8, 5, 4, 3)
WEIGHTS = (1, 7, 0, 120)
KEYS = jax.random.split(jax.random.key(3), 5)


def noise(key, wavelengths, weights):
    return fractal_noise(key, HEIGHT, WIDTH, wavelengths, jnp.array(weights, jnp.int32))


@pytest.fixture(scope="module")
def sums():
    return np.asarray(jax.jit(jax.vmap(lambda key: noise(key, WAVELENGTHS, WEIGHTS)))(KEYS))


def fade(t):
    return t * t * t * (t * (6 * t - 15) + 10)


def rounded(value):
    """In units of 1 / 128, halves to even, as numpy and Python both round."""
    return round(value * 128)


def draws(key, octave, wavelength):
    """The offset of the lattice and an angle (of 256) per lattice point, as the package draws."""
    gradient_key, offset_key = jax.random.split(jax.random.fold_in(key, octave))
    shape = tuple((size + wavelength - 2) // wavelength + 2 for size in (HEIGHT, WIDTH))
    angle = jax.random.bits(gradient_key, shape, jnp.uint8)
    offset = jax.random.randint(offset_key, (2,), 0, wavelength)
    return np.asarray(offset).tolist(), np.asarray(angle).astype(int)


def rounded_noise(offset, angle, wavelength, row, column):
    """The noise of a cell in whole units of 128**-3, from rounded weights and gradients."""
    total = 0
    y, x = (row + offset[0]) / wavelength, (column + offset[1]) / wavelength
    for i in (int(y), int(y) + 1):
        for j in (int(x), int(x) + 1):
            down, right = rounded(fade(1 - abs(y - i))), rounded(fade(1 - abs(x - j)))
            turn = angle[i, j] * 2 * math.pi / 256
            total += rounded(down / 128 * (y - i)) * rounded(math.cos(turn)) * right
            total += down * rounded(math.sin(turn)) * rounded(right / 128 * (x - j))
    return total


def textbook_noise(offset, angle, wavelength, row, column):
    """Perlin's noise as it is usually written: four dot products, interpolated twice."""
    y, x = (row + offset[0]) / wavelength, (column + offset[1]) / wavelength
    i, j = int(y), int(x)

    def dot(i, j):
        turn = angle[i, j] * 2 * math.pi / 256
        return math.cos(turn) * (y - i) + math.sin(turn) * (x - j)

    def mix(a, b, t):
        return a + (b - a) * fade(t)

    left, right = mix(dot(i, j), dot(i + 1, j), y - i), mix(dot(i, j + 1), dot(i + 1, j + 1), y - i)
    return mix(left, right, x - j)


def by_cell(cell_noise, key):
    """The weighted sum of octaves, cell by cell."""
    total = np.zeros((HEIGHT, WIDTH))
    for octave, (wavelength, weight) in enumerate(zip(WAVELENGTHS, WEIGHTS, strict=True)):
        offset, angle = draws(key, octave, wavelength)
        for row, column in np.ndindex(HEIGHT, WIDTH):
            total[row, column] += weight * cell_noise(offset, angle, wavelength, row, column)
    return total


def test_noise_equals_the_slow_sum_to_the_last_bit(sums):
    expected = [by_cell(rounded_noise, key) for key in KEYS]
    assert sums.dtype == np.int32
    np.testing.assert_array_equal(sums, expected)


def test_rounding_changes_the_noise_by_less_than_two_percent(sums):
    expected = [by_cell(textbook_noise, key) for key in KEYS]
    np.testing.assert_allclose(sums / NOISE_UNIT, expected, atol=0.02 * sum(WEIGHTS))


def test_single_equals_batched_bit_for_bit(sums):
    one = jax.jit(lambda key: noise(key, WAVELENGTHS, WEIGHTS))
    np.testing.assert_array_equal([one(key) for key in KEYS], sums)


def test_eager_equals_compiled_bit_for_bit(sums):
    np.testing.assert_array_equal(noise(KEYS[0], WAVELENGTHS, WEIGHTS), sums[0])


def test_the_largest_sum_fits_into_32_bits():
    # No octave exceeds sqrt(1/2), the bound of two-dimensional gradient noise; the weights sum
    # to 256 at most. Rounding adds little, so a factor of 1.1 is room enough.
    assert 1.1 * math.sqrt(0.5) * 256 * NOISE_UNIT < 2**31


@pytest.mark.slow
def test_the_lattice_moves_from_map_to_map():
    # Gradient noise is 0 on lattice points: without an offset per map some cells would always be.
    keys = jax.random.split(jax.random.key(0), 200)
    many = jax.jit(jax.vmap(lambda key: noise(key, (4,), (1,))))(keys)
    share_of_zeros = (np.asarray(many) == 0).mean(axis=0)
    assert share_of_zeros.max() < 0.25  # each of 16 offsets puts a cell on a lattice point once
    assert share_of_zeros.min() > 0
