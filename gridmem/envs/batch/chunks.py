"""Work on the few rows of a batch that need it, group by group: cost follows their number."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Int32

from gridmem.envs.forks import refuse_forks


def update_rows[Rows](
    mask: Bool[Array, " N"],
    old: Rows,
    make: Callable[[Int32[Array, " g"]], Rows],
    group_size: int,
) -> Rows:
    """Replaces the rows of a batch that are marked, and touches no other.

    Args:
        mask: the rows to replace.
        old: any tree of arrays that lead with N.
        make: the new rows of a group: from g row numbers, an equal tree that leads with g. It is
            traced once. The last group is filled up with repetitions of its first row, and
            what is made for those is thrown away.
        group_size: rows made at a time, at most; one loop over the groups runs as long as rows
            are left, so that with none marked nothing is made and `old` is not even copied.

    Raises:
        ValueError: if `group_size` is below 1.
    """
    if group_size < 1:
        raise ValueError(f"group_size is {group_size}; it must be 1 or more")
    num_rows = mask.shape[0]
    size = min(group_size, num_rows)
    # The queue, too, is only made when there is one to serve.
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
    """The marked row numbers in order, filled up with a number that is no row."""
    num_rows = mask.shape[0]
    place = jnp.where(mask, jnp.cumsum(mask, dtype=jnp.int32) - 1, length)
    queue = jnp.full(length, num_rows, jnp.int32)
    return queue.at[place].set(jnp.arange(num_rows, dtype=jnp.int32), mode="drop")


def in_groups(function: Callable[..., Any], group_size: int, *batch: Any) -> Any:
    """Calls a function of a batch for one group of rows after another, and joins the answers.

    A jitted function is compiled once for all groups, and memory is bounded: the last group is
    filled up with repetitions of its last row, whose answers are dropped.

    Args:
        function: maps trees that lead with g to a tree that leads with g.
        group_size: rows at a time, at most.
        *batch: its arguments, trees of arrays that all lead with N.

    Raises:
        ValueError: for a batch of no rows, or if rows are missing in some of the leaves.
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
    size = min(group_size, num_rows)
    answers = []
    for begin in range(0, num_rows, size):
        rows = np.minimum(np.arange(begin, begin + size), num_rows - 1)
        answers.append(function(*jax.tree.map(lambda leaf: leaf[rows], batch)))  # noqa: B023
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves)[:num_rows], *answers)
