"""Gradient noise (Perlin 1985, "An image synthesizer") as two small matmuls per octave.

At cell y of an axis whose lattice lines are L cells apart, lattice line i contributes the fade
weight w(y, i) and the signed distance d(y, i). With both in tables, the noise of an octave is
    (W * D) @ cos @ W.T + W @ sin @ (W * D).T
where cos and sin hold one unit gradient per lattice point.

Weights, distances and gradients are rounded to 7 fractional bits, so that every product and sum
is exact in float32: the result does not depend on the order of summation, hence neither on
batching nor on the device.
"""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int32, Key

_BITS = 7
_UNIT = 1 << _BITS
NOISE_UNIT = 1 << (3 * _BITS)
"""The result of `fractal_noise` for a noise value of 1 and a weight of 1."""


def _rounded(values: np.ndarray) -> np.ndarray:
    return (np.round(values * _UNIT) / _UNIT).astype(np.float32)


@cache
def _gradients() -> np.ndarray:
    """cos and sin of 256 evenly spaced angles, f32[2, 256]."""
    angle = np.arange(256) * (2 * np.pi / 256)
    return _rounded(np.stack([np.cos(angle), np.sin(angle)]))


@cache
def _basis(size: int, wavelength: int) -> np.ndarray:
    """Weights and weighted distances for every lattice offset, f32[L, 2, size, lattice points]."""
    num_points = (size + wavelength - 2) // wavelength + 2
    offset = np.arange(wavelength)[:, None, None]
    cell = np.arange(size)[None, :, None]
    distance = (cell + offset) / wavelength - np.arange(num_points)[None, None, :]
    t = np.clip(1 - np.abs(distance), 0, 1)
    weight = _rounded(t**3 * (t * (6 * t - 15) + 10))
    return np.stack([weight, _rounded(weight * distance)], axis=1)


def _octave(key: Key[Array, ""], height: int, width: int, wavelength: int) -> Array:
    """One octave of noise, f32[height, width], about uniform lattice offsets."""
    rows, columns = _basis(height, wavelength), _basis(width, wavelength)
    shape = (rows.shape[3], columns.shape[3])
    gradient_key, offset_key = jax.random.split(key)
    angle = jax.random.bits(gradient_key, shape, jnp.uint8)
    offset = jax.random.randint(offset_key, (2,), 0, wavelength, jnp.int32)
    cos, sin = jnp.asarray(_gradients())[:, angle]
    row, column = jnp.asarray(rows)[offset[0]], jnp.asarray(columns)[offset[1]]
    product = partial(jnp.matmul, precision="highest")
    down, right = product(row[1], cos), product(row[0], sin)
    return product(down, column[0].T) + product(right, column[1].T)


def fractal_noise(
    key: Key[Array, ""],
    height: int,
    width: int,
    wavelengths: tuple[int, ...],
    weights: Int32[Array, " octaves"],
) -> Int32[Array, "height width"]:
    """A weighted sum of octaves in units of 1 / NOISE_UNIT; exact, so equal on every device.

    Args:
        key: source of the gradients and of one lattice offset per octave and axis.
        height: rows of the result.
        width: columns of the result.
        wavelengths: distance between lattice lines, in cells, of each octave.
        weights: non-negative weight of each octave; their sum is at most 256.
    """
    total = jnp.zeros((height, width), jnp.int32)
    for i, wavelength in enumerate(wavelengths):
        octave = _octave(jax.random.fold_in(key, i), height, width, wavelength)
        total += weights[i] * (octave * NOISE_UNIT).astype(jnp.int32)
    return total
