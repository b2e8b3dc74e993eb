"""The kernels of attention over kept and new tokens, interpreted, against XLA's."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from breadth import breadth

from gridmem.baselines.model.mixers.continued_attention import by_triton, by_xla

# Heads, key heads, head_dim; new tokens, slots, filled slots; window. The last blocks are partly
# empty, or there are no slots.
SHAPES = {
    "blocks": ((4, 1, 32), (128, 128, 128), None),
    "rest": ((4, 2, 16), (100, 70, 70), None),
    "window": ((3, 1, 16), (130, 200, 200), 40),
    "unfilled": ((2, 1, 16), (24, 15, 10), None),
    "nothing kept": ((2, 2, 16), (20, 0, 0), None),
}


def inputs(name, dtype):
    """Of `by_triton`, for streams in which episodes end at different tokens."""
    (num_heads, num_kv_heads, head_dim), (num_new, num_slots, used), window = SHAPES[name]
    source, batch = np.random.default_rng(0), 2
    new = [(batch, num_new, heads, head_dim) for heads in (num_heads, num_kv_heads, num_kv_heads)]
    old = [(batch, num_kv_heads, head_dim, num_slots), (batch, num_kv_heads, num_slots, head_dim)]
    arrays = [jnp.asarray(source.normal(size=shape), dtype) for shape in (*new, *old)]
    own = used + np.arange(num_new)
    begins = np.where(source.random((batch, num_new)) < 0.05, own, 0)
    begins[0, 1:], begins[:, 0] = 0, [0, used // 2]
    first = np.maximum.accumulate(begins, axis=1)
    first = np.maximum(first, own + 1 - (window or own[-1] + 1))
    return *arrays, jnp.asarray(first, jnp.int32), jnp.int32(used)


def with_gradients(attend, query, key, value, *seen):
    """What is attended to, and the gradients of queries, keys and values."""
    weight = jnp.asarray(np.random.default_rng(1).normal(size=query.shape), query.dtype)
    out, backward = jax.vjp(lambda *new: attend(*new, *seen), query, key, value)
    return out, *backward(weight)


def relative_error(x, y):
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    return np.linalg.norm(x - y) / np.linalg.norm(y)


@pytest.mark.parametrize(
    ("name", "dtype", "most"),
    breadth(
        [(name, *each) for name in SHAPES for each in (("float32", 1e-6), ("bfloat16", 0.01))],
        *((name, "float32", 1e-6) for name in ("unfilled", "nothing kept")),
    ),
)
def test_the_kernels_are_attention_and_its_gradient(name, dtype, most):
    args = inputs(name, dtype)
    one, other = (
        jax.jit(partial(with_gradients, attend))(*args)
        for attend in (partial(by_triton, interpret=True), by_xla)
    )
    for pair in zip(one, other, strict=True):
        assert pair[0].dtype == pair[1].dtype == dtype
        assert relative_error(*pair) < most


def test_what_a_token_does_not_see_does_not_matter():
    query, key, value, *old, first, used = inputs("unfilled", "float32")
    clean = [x.at[..., 10:].set(0) if x.shape[-1] == 15 else x.at[..., 10:, :].set(0) for x in old]
    dirty = [
        x.at[..., 10:].set(9e9) if x.shape[-1] == 15 else x.at[..., 10:, :].set(9e9) for x in old
    ]
    outs = [
        with_gradients(partial(by_triton, interpret=True), query, key, value, *each, first, used)
        for each in (clean, dirty)
    ]
    for pair in zip(*outs, strict=True):
        np.testing.assert_array_equal(*pair)


@pytest.mark.slow
def test_many_seeds_attend_side_by_side():
    *arrays, first, used = inputs("unfilled", "float32")
    seeds = [jnp.stack([x, 2 * x, x + 1]) for x in arrays]
    attend = partial(with_gradients, partial(by_triton, interpret=True))
    together = jax.vmap(attend, (0, 0, 0, 0, 0, None, None))(*seeds, first, used)
    for number in range(3):
        alone = attend(*(x[number] for x in seeds), first, used)
        for pair in zip(jax.tree.map(lambda x, n=number: x[n], together), alone, strict=True):
            np.testing.assert_allclose(*pair, atol=1e-5)
