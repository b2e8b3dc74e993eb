import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridmem.envs.batch.chunks import map_in_chunks, update_in_chunks

N = 7


def numbered(rows):
    """New rows that contain their row numbers."""
    return {"a": rows * 10, "b": jnp.broadcast_to(rows.astype(jnp.uint8)[:, None], (len(rows), 2))}


OLD = {"a": jnp.full(N, -1, jnp.int32), "b": jnp.full((N, 2), 99, jnp.uint8)}


@jax.jit
def update_by_three(mask):
    return update_in_chunks(mask, OLD, numbered, 3)


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(marks=st.lists(st.booleans(), min_size=N, max_size=N))
def test_the_marked_rows_are_replaced_and_no_other(marks):
    new = update_by_three(jnp.array(marks))
    assert new["a"].tolist() == [10 * i if mark else -1 for i, mark in enumerate(marks)]
    assert new["b"].tolist() == [[i, i] if mark else [99, 99] for i, mark in enumerate(marks)]


@pytest.mark.parametrize("chunk_size", [1, 2, N, 50])
def test_the_chunk_size_does_not_change_the_result(chunk_size):
    for marks in ([0, 1, 1, 0, 1, 1, 1], [1] * N, [0] * N):
        new = update_in_chunks(jnp.array(marks, bool), OLD, numbered, chunk_size)
        np.testing.assert_array_equal(new["a"], update_by_three(jnp.array(marks, bool))["a"])


@pytest.mark.parametrize(
    ("marks", "chunks"),
    [
        ([0, 0, 0, 0, 0, 0, 0], []),
        ([0, 0, 0, 0, 0, 1, 0], [[5, 5, 5]]),
        ([1, 0, 1, 0, 1, 0, 0], [[0, 2, 4]]),
        ([1, 1, 1, 1, 0, 1, 0], [[0, 1, 2], [3, 5, 3]]),
    ],
)
def test_only_as_many_chunks_as_needed_are_made(marks, chunks):
    made = []

    def make(rows):
        jax.debug.callback(lambda rows: made.append(rows.tolist()), rows, ordered=True)
        return numbered(rows)

    jax.block_until_ready(update_in_chunks(jnp.array(marks, bool), OLD, make, 3))
    jax.effects_barrier()
    assert made == chunks


def test_a_large_batch_is_updated_in_place():
    """The compiled loop holds a single copy of it: the one that protects the caller's buffer."""
    many = 50
    old = jnp.zeros((many, 33, 65), jnp.uint8)

    @jax.jit
    def steps(old, masks):
        def step(rows, mask):
            rows = update_in_chunks(mask, rows, lambda i: jnp.ones((len(i), 33, 65), jnp.uint8), 4)
            return rows, rows[0, 0, 0]

        return jax.lax.scan(step, old, masks)

    text = steps.lower(old, jnp.zeros((9, many), bool)).compile().as_text()
    copies = [x for x in text.splitlines() if " copy(" in x and f"u8[{many},33,65]" in x]
    assert len(copies) == 1, copies


def test_a_chunk_size_of_zero_is_refused():
    with pytest.raises(ValueError, match="chunk_size is 0; it must be a whole number, 1 or more"):
        update_in_chunks(jnp.ones(N, bool), OLD, numbered, 0)


def test_a_map_in_chunks_equals_the_map_of_the_batch():
    traced = []

    @jax.jit
    def total(pairs, single):
        traced.append(single.shape)
        return {"sum": pairs["x"] + single, "twice": 2 * single}

    batch = {"x": jnp.arange(7)}, np.arange(7, dtype=np.int32) * 10
    for size, length in ((3, 3), (7, 7), (100, 7)):
        result = map_in_chunks(total, size, *batch)
        assert result["sum"].tolist() == [0, 11, 22, 33, 44, 55, 66]
        assert result["twice"].tolist() == [0, 20, 40, 60, 80, 100, 120]
        assert traced[-1] == (length,)
    assert len(traced) == 2  # compiled once for all chunks of a size


def test_empty_batches_and_leaves_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match=r"the batch has 0 rows; .* at least 1"):
        map_in_chunks(jnp.sin, 3, jnp.zeros(0))
    with pytest.raises(ValueError, match=r"the batch has 2 or 3 rows; .* the same number"):
        map_in_chunks(jnp.add, 3, jnp.zeros(3), jnp.zeros(2))
