"""How fast the device multiplies large matrices: what other speeds are a share of."""

import time
from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp

from gridmem.baselines.model.dense import precision

SIDES = {"cpu": (1024, 2048)}
ACCELERATOR_SIDES = (4096, 8192, 16384)
REPEATS = 5


def matmul_speed(dtype: str, sides: Sequence[int] | None = None) -> float:
    """FLOP/s of the first device at products of square matrices, the best of all.

    Args:
        dtype: of the matrices.
        sides: their sizes; such as fill the device if not given.
    """
    if sides is None:
        sides = SIDES.get(jax.default_backend(), ACCELERATOR_SIDES)
    return max(_speed(side, dtype) for side in sides)


def _speed(side: int, dtype: str) -> float:
    # Random numbers: a GPU multiplies constants faster, with less power.
    square = jax.random.normal(jax.random.key(0), (side, side), dtype)
    multiply = jax.jit(partial(jnp.matmul, precision=precision(square.dtype)))
    multiply(square, square).block_until_ready()
    seconds = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        multiply(square, square).block_until_ready()
        seconds.append(time.perf_counter() - begin)
    return 2 * side**3 / min(seconds)
