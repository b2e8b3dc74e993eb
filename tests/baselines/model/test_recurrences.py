"""The mixers that keep a state: what it is, how long it lasts, and that nothing overflows."""

import math
from dataclasses import replace
from functools import cache, partial
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import slow_recurrences
import tiny
from breadth import breadth
from flax import nnx

from gridmem.baselines.config import ModelConfig
from gridmem.baselines.model.mixers import make_mixer
from gridmem.baselines.model.mixers.gla import CHUNK, Heads, mix
from gridmem.baselines.model.mixers.recurrence import memory_lengths

NAMES = ["gru", "lstm", "linear", "gla"]
OF_EACH = pytest.mark.parametrize("name", NAMES)
# One feature wide, with a state of one feature, or of two that keys may choose from.
SMALLEST = ModelConfig(width=1, num_heads=1, num_kv_heads=1, head_dim=2)
B = 2


@cache
def make(name, config=tiny.MODEL, **changes):
    return make_mixer(replace(config, mixer=name, **changes), nnx.Rngs(params=jax.random.key(0)))


def with_params(name, **values):
    """The smallest mixer of that name; all its parameters are 0 but for those given."""
    mixer = make(name, SMALLEST)
    graphdef, params = nnx.split(mixer)
    mixer = nnx.merge(graphdef, jax.tree.map(jnp.zeros_like, params))
    for key, value in values.items():
        param = getattr(mixer, key)
        param[...] = jnp.broadcast_to(jnp.asarray(value, jnp.float32), param[...].shape)
    return mixer


def outputs(mixer, x, segments=None):
    """Of one stream of numbers: by steps, and all at once."""
    x = jnp.asarray(x, jnp.float32)[None, :, None]
    numbers = None if segments is None else jnp.asarray(segments, jnp.int32)[None]
    cache = mixer.init_cache(1, 0, segments is not None)
    at_once = jax.jit(mixer.sequence)(x, cache, numbers)
    step, weights, by_step = jax.jit(mixer.step), mixer.prepare(), []
    for t in range(x.shape[1]):
        y, cache = step(x[:, t], cache, None if numbers is None else numbers[:, t], weights)
        by_step.append(y[0, 0])
    return np.array(by_step), np.asarray(at_once[0, :, 0])


def test_a_gru_by_hand():
    # Both gates are 1/2; the candidate is tanh(x + 1/2 * 2 h).
    mixer = with_params("gru", new_input=1, new_state=2, out=10)
    first = math.tanh(1) / 2
    second = first / 2 + math.tanh(1 + first) / 2
    for out in outputs(mixer, [1, 1, 1], [0, 0, 1]):
        np.testing.assert_allclose(out, [10 * first, 10 * second, 10 * first], rtol=1e-6)


def test_the_gates_of_a_gru_by_hand():
    # Both gates are 3/4. They stand apart: keep for the old state, reset for its product.
    bias = math.log(3)
    mixer = with_params("gru", new_input=1, new_state=2, out=1, keep_bias=bias, reset_bias=bias)
    first = math.tanh(1) / 4
    second = 3 / 4 * first + math.tanh(1 + 1.5 * first) / 4
    for out in outputs(mixer, [1, 1]):
        np.testing.assert_allclose(out, [first, second], rtol=1e-6)


def test_an_lstm_by_hand():
    # The gates are 3/4 (keep), 1/4 (take) and 1/2 (show); the candidate is tanh(x + 2 h).
    bias = math.log(3)
    mixer = with_params("lstm", new_input=1, new_state=2, out=10, keep_bias=bias, take_bias=-bias)
    cell = math.tanh(1) / 4
    first = math.tanh(cell) / 2
    cell = 3 / 4 * cell + math.tanh(1 + 2 * first) / 4
    second = math.tanh(cell) / 2
    for out in outputs(mixer, [1, 1, 1], [0, 0, 1]):
        np.testing.assert_allclose(out, [10 * first, 10 * second, 10 * first], rtol=1e-6)


def test_a_linear_recurrence_by_hand():
    # softplus(rate) is ln 2 / 4 and both gates are 1/2, so the decay is 2 ** (-8 / 4 / 2) = 1/2
    # and sqrt(1 - 1/4) * 1/2 = 0.4330127 of each value is taken in; gelu(1) is 0.8411920.
    mixer = with_params("linear", rate=math.log(2**0.25 - 1), value=1, gate=1, out=1)
    state = 0.4330127 * np.array([1, 1.5, 1.75, 1, 1.5])
    for out in outputs(mixer, [1, 1, 1, 1, 1], [4, 4, 4, 5, 5]):
        np.testing.assert_allclose(out, 0.8411920 * state, rtol=1e-6)
    for out in outputs(mixer, [1, 1, 1]):
        np.testing.assert_allclose(out, 0.8411920 * state[:3], rtol=1e-6)


def test_gated_linear_attention_by_hand():
    # Queries are (1, 0) after the scale 1 / sqrt(2), keys (1, 0), values 2, decays 1/2.
    # silu(1) is 0.7310586; what is read is normed with 0.01 below the root.
    decay_bias = -math.log(2**16 - 1)
    mixer = with_params(
        "gla", query=[[2**0.5, 0]], key=[[1, 0]], value=2, gate=1, scale=1, out=1,
        decay_bias=decay_bias,
    )  # fmt: skip
    read = np.array([2, 3, 2])
    by_hand = 0.7310586 * read / np.sqrt(read**2 + 0.01)
    for out in outputs(mixer, [1, 1, 1], [0, 0, 1]):
        np.testing.assert_allclose(out, by_hand, rtol=1e-5)


def one_head(segments):
    """Queries (1, 0), (1, 1), (1, 2); keys (1, 0), (0, 1), (1, 1); values 2, 3, 5; decays 1/2."""
    heads = Heads(
        query=jnp.array([[1.0, 0], [1, 1], [1, 2]])[None, :, None],
        key=jnp.array([[1.0, 0], [0, 1], [1, 1]])[None, :, None],
        value=jnp.array([2.0, 3, 5])[None, :, None, None, None],
        gate=jnp.ones((1, 3, 1, 1, 1)),
        log_decay=jnp.full((1, 3, 1, 1), -math.log(2)),
    )
    state = jnp.array([8.0, 4])[None, None, :, None, None]
    return mix(heads, state, jnp.array([segments]))[0, :, 0, 0, 0]


def test_one_head_by_hand():
    # States: (8, 4), then (4 + 2, 2), (3, 1 + 3), (1.5 + 5, 2 + 5).
    np.testing.assert_allclose(one_head([0, 0, 0]), [6, 3 + 4, 6.5 + 2 * 7], rtol=1e-6)
    # Nothing of the state before: (2, 0), (1, 3), (0.5 + 5, 1.5 + 5).
    np.testing.assert_allclose(one_head([1, 1, 1]), [2, 1 + 3, 5.5 + 2 * 6.5], rtol=1e-6)
    # The last one alone: (5, 5).
    np.testing.assert_allclose(one_head([0, 0, 1]), [6, 3 + 4, 5 + 2 * 5], rtol=1e-6)


@partial(jax.jit, static_argnums=0)
def full_pass(graphdef, params, x, cache, segments=None):
    return nnx.merge(graphdef, params).sequence(x, cache, segments)


@partial(jax.jit, static_argnums=0)
def remembered(graphdef, params, x, segments):
    """The cache after some tokens."""
    mixer = nnx.merge(graphdef, params)
    weights = mixer.prepare()

    def step(cache, column):
        return mixer.step(column[0], cache, column[1], weights)[1], None

    cache = mixer.init_cache(len(x), 0, segmented=True)
    return jax.lax.scan(step, cache, (jnp.swapaxes(x, 0, 1), segments.T))[0]


# What is shorter than a chunk, test_mixers has.
@pytest.mark.slow
@pytest.mark.parametrize(
    "num", breadth([1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 3], CHUNK, 2 * CHUNK + 3)
)
def test_chunks_make_no_difference(num):
    seen, rng = 9, np.random.default_rng(num)
    x = jnp.asarray(rng.normal(size=(B, seen + num, 16)), jnp.float32)
    ends = rng.random((B, seen + num)) < 0.03
    ends[0, seen:] = False  # the first stream goes on from what was seen all along
    segments = jnp.asarray(np.cumsum(ends, axis=1), jnp.int32)
    mixer = make("gla", num_heads=4, num_kv_heads=2)
    slow = slow_recurrences.sequence("gla", mixer, x, np.asarray(segments))
    split = nnx.split(mixer)
    empty = mixer.init_cache(B, 0, segmented=True)
    np.testing.assert_allclose(full_pass(*split, x, empty, segments), slow, atol=1e-5, rtol=0)
    cache = remembered(*split, x[:, :seen], segments[:, :seen])
    rest = full_pass(*split, x[:, seen:], cache, segments[:, seen:])
    np.testing.assert_allclose(rest, slow[:, seen:], atol=1e-5, rtol=0)


@pytest.mark.slow
@OF_EACH
def test_the_state_is_float32_and_of_one_size(name):
    mixer = make(name, dtype="bfloat16")
    cache = mixer.init_cache(B, 5, segmented=True)
    assert cache.segment.tolist() == [-1, -1]
    assert cache.state.dtype == jnp.float32
    assert not cache.state.any()
    for same in (mixer.grow(cache, 50), mixer.keep(cache, 2), mixer.init_cache(B, 0, True)):
        assert jax.tree.map(jnp.shape, same) == jax.tree.map(jnp.shape, cache)
    x = jnp.ones((B, 16), jnp.bfloat16)
    y, cache = jax.jit(mixer.step)(x, cache, jnp.array([3, 4]), mixer.prepare())
    assert (y.dtype, cache.state.dtype) == (jnp.bfloat16, jnp.float32)
    assert cache.segment.tolist() == [3, 4]
    at_once = jax.eval_shape(mixer.sequence, x[:, None], cache, jnp.array([[3], [4]]))
    assert at_once.dtype == jnp.bfloat16


def test_lengths_are_spread_over_their_logarithm():
    # Halves and quarters of the way from 16 to 512, which are a factor of 32 apart.
    np.testing.assert_allclose(memory_lengths(1), [16 * 32**0.5])
    np.testing.assert_allclose(memory_lengths(2), [16 * 32**0.25, 16 * 32**0.75])
    assert (np.diff(memory_lengths(40)) > 0).all()


@pytest.mark.slow
@OF_EACH
def test_memories_last_tens_to_hundreds_of_steps_at_first(name):
    # Without input and without what a GRU makes of its state, a state only decays; of an LSTM
    # the first half, the cell.
    graphdef, params = nnx.split(make(name, ModelConfig()))
    vectors = jax.tree.map(lambda leaf: jnp.zeros_like(leaf) if leaf.ndim > 1 else leaf, params)
    mixer = nnx.merge(graphdef, vectors)
    cache = mixer.init_cache(1, 0)
    cache = cache._replace(state=jnp.ones_like(cache.state))
    _, after = jax.jit(mixer.step)(jnp.zeros((1, 64)), cache, None, mixer.prepare())
    state = after.state[:, 0] if name == "lstm" else after.state
    lengths = np.unique(-1 / np.log(np.asarray(state)))
    assert 15 < lengths.min() < 40
    assert 200 < lengths.max() < 520


@pytest.mark.slow
@OF_EACH
def test_the_far_past_is_remembered(name):
    split = nnx.split(make(name, ModelConfig()))
    x = np.random.default_rng(0).normal(size=(B, 256, 64)).astype(np.float32)
    changed = x.copy()
    changed[:, 0] = 3 * np.random.default_rng(1).normal(size=(B, 64))
    cache = make(name, ModelConfig()).init_cache(B, 0)
    one, other = (np.asarray(full_pass(*split, jnp.asarray(y), cache)) for y in (x, changed))
    assert (np.abs(one - other)[:, -1].max(axis=-1) > 1e-3 * np.abs(one).max()).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "dtype"),
    breadth(
        product(NAMES, ["float32", "bfloat16"]),
        ("gru", "float32"),
        ("lstm", "bfloat16"),
        ("linear", "bfloat16"),
        ("gla", "float32"),
    ),
)
def test_gradients_are_finite_whatever_the_input(name, dtype):
    num = 512
    mixer = make(name, dtype=dtype)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4, num, 16)) * np.array([0, 1, 1e4, 1e4])[:, None, None]
    x[3, 1::2] = 0
    graphdef, params = nnx.split(mixer)

    @jax.jit
    def gradients(params, x):
        def total(params, x):
            mixer = nnx.merge(graphdef, params)
            y = mixer.sequence(x, mixer.init_cache(4, 0)).astype(jnp.float32)
            return jnp.sum(jnp.tanh(y))

        return jax.grad(total, argnums=(0, 1))(params, x)

    for leaf in jax.tree.leaves(gradients(params, jnp.asarray(x, jnp.dtype(dtype)))):
        assert jnp.isfinite(leaf).all()
        assert leaf.any()
