"""The matrix product that every layer uses, and the precision of all of them."""

from typing import Any

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float


def precision(dtype: Any) -> lax.Precision | None:
    """Of products of such numbers: a GPU would round float32 to the 10 bits of TF32 by default."""
    return lax.Precision.HIGHEST if dtype == jnp.float32 else None


def dense(
    x: Float[Array, "*batch D"], matrix: Float[Array, "D E"], dtype: Any = None
) -> Float[Array, "*batch E"]:
    """x @ matrix, with all tokens as the rows of one matrix; in another dtype if one is given.

    The gradient of the matrix is then one product, too; with more axes XLA sums it up on a CPU by
    a loop that takes several times as long.
    """
    rows = x.reshape(-1, x.shape[-1])
    product = jnp.matmul(rows, matrix, precision=precision(x.dtype), preferred_element_type=dtype)
    return product.reshape(*x.shape[:-1], -1)
