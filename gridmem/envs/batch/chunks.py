"""Batched work in chunks of rows: only on the rows that need it, or with bounded memory."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Int32

from gridmem.envs.checks import check_whole_number, refuse_forks


def update_in_chunks[Rows](
    mask: Bool[Array, " N"],
    old: Rows,
    make: Callable[[Int32[Array, " c"]], Rows],
    chunk_size: int,
) -> Rows:
    """Replaces the marked rows of a batch; the cost is proportional to their number.

    Args:
        mask: the rows to replace.
        old: any tree of arrays that lead with N.
        make: from the numbers of the rows of a chunk, [c], their new values, a tree like `old` that
            leads with c. It is traced once. The last chunk is padded with its first row, and the
            results for the padding are dropped.
        chunk_size: rows per chunk, at most. The loop over chunks ends with the marked rows, so that
            with none marked nothing is made and `old` is not copied.

    Raises:
        ValueError: if `chunk_size` is below 1.
    """
    check_whole_number("chunk_size", chunk_size, 1)
    num_rows = mask.shape[0]
    size = min(chunk_size, num_rows)
    # Even the queue is only made if a row is marked.
    num_marked = jnp.sum(mask, dtype=jnp.int32)
    length = num_rows + size
    queue = lax.cond(
        num_marked > 0,
        lambda: _marked_first(mask, length),
        lambda: jnp.zeros_like(mask, jnp.int32, shape=length),
    )

    def left(carry: tuple[Array, Rows]) -> Array:
        return carry[0] < num_marked

    def update(carry: tuple[Array, Rows]) -> tuple[Array, Rows]:
        begin, rows = carry
        target = lax.dynamic_slice(queue, (begin,), (size,))
        made = make(jnp.where(target < num_rows, target, target[0]))
        rows = jax.tree.map(lambda row, new: row.at[target].set(new, mode="drop"), rows, made)
        return begin + size, rows

    return lax.while_loop(left, update, (jnp.int32(0), old))[1]


def _marked_first(mask: Array, length: int) -> Int32[Array, " length"]:
    """The numbers of the marked rows in order, padded with `num_rows`."""
    num_rows = mask.shape[0]
    place = jnp.where(mask, jnp.cumsum(mask, dtype=jnp.int32) - 1, length)
    queue = jnp.full(length, num_rows, jnp.int32)
    return queue.at[place].set(jnp.arange(num_rows, dtype=jnp.int32), mode="drop")


def map_in_chunks(function: Callable[..., Any], chunk_size: int, *batch: Any) -> Any:
    """Calls a batched function for one chunk of rows after another, and concatenates the results.

    This bounds the memory. A jitted function is compiled once: the last chunk is padded with its
    last row, and the results for the padding are dropped.

    Args:
        function: from trees that lead with c to a tree that leads with c.
        chunk_size: rows per chunk, at most.
        *batch: its arguments, trees of arrays that all lead with N.

    Raises:
        ValueError: for an empty batch, or if leaves differ in their number of rows.
        RuntimeError: in a process forked from one that had already used JAX.
    """
    refuse_forks()
    lengths = {leaf.shape[0] for leaf in jax.tree.leaves(batch)}
    if len(lengths) != 1 or not min(lengths):
        raise ValueError(
            f"the batch has {' or '.join(map(str, sorted(lengths)))} rows; "
            "every part of it must have the same number, at least 1"
        )
    (num_rows,) = lengths
    size = min(chunk_size, num_rows)
    results = []
    for begin in range(0, num_rows, size):
        rows = np.minimum(np.arange(begin, begin + size), num_rows - 1)
        results.append(function(*jax.tree.map(lambda leaf: leaf[rows], batch)))  # noqa: B023
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves)[:num_rows], *results)
