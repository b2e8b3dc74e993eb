"""Keys and values of attention in 8 bits: a code for each number, and the largest of each row."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Float32, Int8

MOST = 127  # the code of the largest number of a row; its negative is that of the smallest
_LEAST_PEAK = 1e-30  # of a divisor: a row may have nothing but zeros
_REACH = {"float32": 0.51, "bfloat16": 1.0}
"""How many codes from a number that of a rollout may be: half a code, and what rounding may differ
by between a step and the full pass."""


class Quantized(NamedTuple):
    """Rows of numbers that are code * peak / 127, on any one axis; that of a peak has size 1."""

    codes: Int8[Array, "*axes"]
    peak: Float[Array, "*axes"]  # the largest magnitude of a row, exact in the dtype of the numbers


def quantized(x: Float[Array, "*axes"], axis: int = -1) -> Quantized:
    """The nearest numbers in 8 bits; a row is what lies along the axis."""
    wide = _rounded(x.astype(jnp.float32), x.dtype)
    peak = jnp.max(jnp.abs(wide), axis=axis, keepdims=True)
    codes = jnp.round(wide * (np.float32(MOST) / jnp.maximum(peak, np.float32(_LEAST_PEAK))))
    return Quantized(codes.astype(jnp.int8), peak.astype(x.dtype))


def in_float32(kept: Quantized) -> Float32[Array, "*axes"]:
    """The numbers, before they are rounded to their dtype."""
    return kept.codes.astype(jnp.float32) * (kept.peak.astype(jnp.float32) * np.float32(1 / MOST))


def numbers(kept: Any) -> Any:
    """The numbers of a `Quantized` in their dtype; an array is returned as it is."""
    if not isinstance(kept, Quantized):
        return kept
    dtype = kept.peak.dtype
    return _rounded(in_float32(kept), dtype).astype(dtype)


def straight_through(
    x: Float[Array, "*batch d"], played: Quantized | None = None
) -> Float[Array, "*batch d"]:
    """The nearest numbers in 8 bits of each row; the gradient is that of the identity.

    Args:
        x: the rows.
        played: what a rollout has for them. Its numbers are taken where they are within `_REACH`:
            in the middle between two codes one program may round up and another down.
    """
    fixed = lax.stop_gradient(x)
    nearest = quantized(fixed)
    taken = numbers(nearest)
    if played is not None:
        far = jnp.abs(_rounded(fixed.astype(jnp.float32), x.dtype) - in_float32(played))
        reach = np.float32(_REACH[x.dtype.name] / MOST)
        taken = jnp.where(far <= nearest.peak.astype(jnp.float32) * reach, numbers(played), taken)
    return _in_place_of(x, taken)


@jax.custom_vjp
def _in_place_of(x: Array, taken: Array) -> Array:
    """The second, with the gradient of the first."""
    return taken


def _in_place_of_fwd(x: Array, taken: Array) -> tuple[Array, None]:
    return taken, None


def _in_place_of_bwd(_: None, gradient: Array) -> tuple[Array, Array]:
    return gradient, jnp.zeros_like(gradient)


_in_place_of.defvjp(_in_place_of_fwd, _in_place_of_bwd)


def _rounded(x: Float32[Array, "*axes"], dtype: Any) -> Float32[Array, "*axes"]:
    """The values in a dtype; XLA may leave out a conversion to it and back, but not this."""
    info = jnp.finfo(dtype)
    return lax.reduce_precision(x, info.nexp, info.nmant)
