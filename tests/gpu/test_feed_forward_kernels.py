"""The feed-forward layer's kernels, interpreted, against XLA's."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gridmem.baselines.model.feed_forward import add_by_xla, feed_forward
from gridmem.baselines.model.feed_forward_kernels import (
    SEQUENCE_ROWS,
    add_by_triton,
    backward_by_triton,
    feed_forward_refusal,
    forward_by_triton,
)


def numbers(*shapes):
    """Of about the size that products of rows with columns leave as it is."""
    source = np.random.default_rng(0)
    return [
        jnp.asarray(source.normal(size=shape) / shape[0] ** 0.5, jnp.bfloat16) for shape in shapes
    ]


def relative_error(x, y):
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    return np.linalg.norm(x - y) / np.linalg.norm(y)


@pytest.mark.parametrize(
    ("batch", "width", "inner"), [(32, 16, 64), pytest.param(50, 128, 256, marks=pytest.mark.slow)]
)
def test_the_layer_of_a_token(batch, width, inner):
    """A number of tokens that is no multiple of a program's is padded."""
    fused, down = numbers((width, 2 * inner), (inner, width))
    x, mixed = batch**0.5 * jnp.stack(numbers((batch, width), (batch, width)))
    scale = jnp.linspace(0.5, 2, width, dtype=jnp.float32)
    by_triton = add_by_triton(x, mixed, scale, fused, down, interpret=True)
    by_xla = add_by_xla(x, mixed, scale, fused, down)
    assert by_triton.shape == (batch, width)
    assert relative_error(by_triton, by_xla) < 0.01


@pytest.mark.parametrize(
    ("width", "inner"), [(16, 64), pytest.param(128, 256, marks=pytest.mark.slow)]
)
def test_the_layer_of_sequences_and_its_gradient(width, inner):
    rows = 2 * SEQUENCE_ROWS
    fused, down = numbers((width, 2 * inner), (inner, width))
    x, gradient = rows**0.5 * jnp.stack(numbers((rows, width), (rows, width)))

    def layer(x, fused, down):
        return feed_forward(x[None], fused, down)[0]

    out, backward = jax.vjp(layer, x, fused, down)
    assert relative_error(forward_by_triton(x, fused, down, interpret=True), out) < 0.01
    of_x, of_both, hidden = backward_by_triton(x, gradient, fused, down, interpret=True)
    found = of_x, x.T @ of_both, hidden.T @ gradient
    for one, other in zip(found, backward(gradient), strict=True):
        assert relative_error(one, other) < 0.01


@pytest.mark.slow
def test_many_seeds_have_their_layers_side_by_side():
    shapes = (SEQUENCE_ROWS, 16), (16, 128), (64, 16)
    seeds = [jnp.stack(numbers(shape, shape)) for shape in shapes]
    together = jax.vmap(partial(forward_by_triton, interpret=True))(*seeds)
    for number, out in enumerate(together):
        alone = forward_by_triton(*(each[number] for each in seeds), interpret=True)
        np.testing.assert_array_equal(out, alone)


@pytest.mark.parametrize(
    ("width", "inner", "dtype", "reason"),
    [
        (128, 768, "bfloat16", None),
        (16, 64, "bfloat16", None),
        (96, 768, "bfloat16", "width is 96, not 16, 32, 64 or 128"),
        (256, 512, "bfloat16", "width is 256, not 16, 32, 64 or 128"),
        (128, 96, "bfloat16", "ff_width is 96, not a multiple of 64"),
        (128, 768, "float32", "the model has dtype float32, not bfloat16"),
    ],
)
def test_the_kernels_are_for_some_shapes(width, inner, dtype, reason):
    assert feed_forward_refusal(width, inner, jnp.dtype(dtype)) == reason
