"""The matrix product that every layer uses."""

from jaxtyping import Array, Float


def dense(x: Float[Array, "*batch D"], matrix: Float[Array, "D E"]) -> Float[Array, "*batch E"]:
    """x @ matrix, with all tokens as the rows of one matrix.

    The gradient of the matrix is then one product, too; with more axes XLA sums it up on a CPU by
    a loop that takes several times as long.
    """
    return (x.reshape(-1, x.shape[-1]) @ matrix).reshape(*x.shape[:-1], -1)
