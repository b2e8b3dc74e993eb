import math
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from flax import nnx

from gridmem.baselines.config import ModelConfig
from gridmem.baselines.mixers import MIXERS, make_mixer
from gridmem.baselines.mixers.attention import attend, rotary
from gridmem.baselines.model import num_parameters

B, T = 3, 24
MODEL = replace(tiny.MODEL, num_heads=4, num_kv_heads=2)
# One rounding of a bfloat16 number of size 1 is 2 ** -9; an output goes through a few of them.
TOLERANCE = {"float32": 1e-5, "bfloat16": 0.03}


@pytest.fixture(scope="module", params=MIXERS)
def name(request):
    return request.param


@pytest.fixture(scope="module", params=TOLERANCE)
def dtype(request):
    return request.param


def build(name, dtype="float32"):
    config = replace(MODEL, mixer=name, dtype=dtype)
    return nnx.split(make_mixer(config, nnx.Rngs(params=jax.random.key(0))))


def tokens(dtype="float32", seed=1):
    x = np.random.default_rng(seed).normal(size=(B, T, MODEL.width))
    return jnp.asarray(x, jnp.dtype(dtype))


def episodes(seed=2):
    """Segment numbers of episodes of random lengths, several per stream, none alike."""
    ends = np.random.default_rng(seed).random((B, T)) < 0.2
    ends[:, [5, 13]] = True
    return jnp.asarray(np.cumsum(ends, axis=1), jnp.int32)


@partial(jax.jit, static_argnums=0)
def full_pass(graphdef, params, x, segments):
    mixer = nnx.merge(graphdef, params)
    return mixer.sequence(x, mixer.init_cache(len(x), 0), segments)


@partial(jax.jit, static_argnums=(0, 4))
def stepped(graphdef, params, x, segments, rooms):
    """Token by token, in a cache that has rooms[i] slots until it has taken in rooms[i] tokens."""
    mixer = nnx.merge(graphdef, params)
    cache = mixer.init_cache(len(x), 0, segmented=segments is not None)
    columns = jax.tree.map(lambda leaf: jnp.swapaxes(leaf, 0, 1), (x, segments))

    def step(cache, column):
        y, cache = mixer.step(column[0], cache, column[1])
        return cache, y

    outputs, begin = [], 0
    for room in rooms:
        end = min(room, x.shape[1])
        cache = mixer.grow(cache, room)
        chunk = jax.tree.map(lambda leaf, a=begin, b=end: leaf[a:b], columns)
        cache, y = jax.lax.scan(step, cache, chunk)
        outputs.append(y)
        begin = end
    return jnp.swapaxes(jnp.concatenate(outputs), 0, 1), cache


def as_float(x):
    return np.asarray(x.astype(jnp.float32))


@pytest.mark.parametrize("segments", [None, episodes()], ids=["one episode", "episodes"])
def test_stepping_equals_the_full_pass_at_every_position(name, dtype, segments):
    mixer, x = build(name, dtype), tokens(dtype)
    whole = as_float(full_pass(*mixer, x, segments))
    by_step = as_float(stepped(*mixer, x, segments, (T,))[0])
    assert whole.shape == (B, T, MODEL.width)
    assert np.abs(whole).max() > 0.1
    np.testing.assert_allclose(by_step, whole, atol=TOLERANCE[dtype], rtol=0)


@pytest.mark.parametrize("segments", [None, episodes()], ids=["one episode", "episodes"])
def test_a_cache_that_grows_equals_one_of_full_length(name, segments):
    mixer, x = build(name), tokens()
    at_once = as_float(stepped(*mixer, x, segments, (T,))[0])
    growing = as_float(stepped(*mixer, x, segments, (1, 5, 6, 17, T))[0])
    roomy = as_float(stepped(*mixer, x, segments, (T + 9,))[0])
    np.testing.assert_allclose(growing, at_once, atol=1e-6, rtol=0)
    np.testing.assert_allclose(roomy, at_once, atol=1e-6, rtol=0)


@pytest.mark.parametrize("room", [10, 15], ids=["full cache", "cache with empty slots"])
@pytest.mark.parametrize("segments", [None, episodes()], ids=["one episode", "episodes"])
def test_a_sequence_goes_on_from_a_cache(name, dtype, segments, room):
    seen = 10
    graphdef, params = build(name, dtype)
    x = tokens(dtype)
    whole = as_float(full_pass(graphdef, params, x, segments))[:, seen:]
    before, after = (
        jax.tree.map(lambda leaf, part=part: leaf[:, part], (x, segments))
        for part in (slice(seen), slice(seen, None))
    )
    _, cache = stepped(graphdef, params, *before, (room,))
    mixer = nnx.merge(graphdef, params)
    rest = as_float(jax.jit(mixer.sequence)(after[0], cache, after[1]))
    np.testing.assert_allclose(rest, whole, atol=TOLERANCE[dtype], rtol=0)


def run_both(mixer, x, segments):
    whole = full_pass(*mixer, x, segments)
    return np.asarray(whole), np.asarray(stepped(*mixer, x, segments, (T,))[0])


def test_nothing_leaks_from_one_episode_into_a_later_one(name):
    mixer, x, segments = build(name), tokens(), episodes()
    later = np.asarray(segments >= segments[:, 13:14])
    changed = jnp.where(later[..., None], x, tokens(seed=3))
    for before, after in zip(
        run_both(mixer, x, segments), run_both(mixer, changed, segments), strict=True
    ):
        assert later.any(axis=1).all()
        assert (before[later] == after[later]).all()
        assert (before[~later] != after[~later]).any(axis=-1).all()


def test_a_later_token_changes_nothing_before_it(name):
    mixer, x, at = build(name), tokens(), 11
    changed = x.at[:, at].set(tokens(seed=3)[:, at])
    for before, after in zip(run_both(mixer, x, None), run_both(mixer, changed, None), strict=True):
        assert (before[:, :at] == after[:, :at]).all()
        assert (before[:, at] != after[:, at]).any(axis=-1).all()


def test_attention_sees_back_to_the_start_of_its_episode():
    mixer, x, segments = build("attention"), tokens(), episodes()
    number = np.asarray(segments[0])
    first, last = np.flatnonzero(number == number[13])[[0, -1]]
    assert last > first
    changed = x.at[0, first].add(1.0)
    for before, after in zip(
        run_both(mixer, x, segments), run_both(mixer, changed, segments), strict=True
    ):
        assert (before[0, first : last + 1] != after[0, first : last + 1]).any(axis=-1).all()


def test_the_control_sees_nothing_but_the_token():
    mixer, x = build("none"), tokens()
    for before, after in zip(
        run_both(mixer, x, None), run_both(mixer, x.at[:, :-1].add(1.0), None), strict=True
    ):
        assert (before[:, -1] == after[:, -1]).all()


def slow_attend(query, key, value, visible):
    """Head by head, query by query, in float64."""
    batch, num_queries, num_heads, head_dim = query.shape
    group = num_heads // key.shape[2]
    out = np.zeros(query.shape)
    for b in range(batch):
        seen = visible[b if len(visible) > 1 else 0]
        for t in range(num_queries):
            for h in range(num_heads):
                score = [
                    math.exp(query[b, t, h] @ k / math.sqrt(head_dim)) if ok else 0.0
                    for k, ok in zip(key[b, :, h // group], seen[t], strict=True)
                ]
                out[b, t, h] = np.array(score) @ value[b, :, h // group] / sum(score)
    return out


@pytest.mark.parametrize("num_masks", [1, 2])
@pytest.mark.parametrize(("num_heads", "num_kv_heads"), [(4, 4), (4, 2), (4, 1), (6, 2)])
def test_attend_equals_a_loop_over_heads(num_heads, num_kv_heads, num_masks):
    rng = np.random.default_rng(0)
    query = rng.normal(size=(2, 3, num_heads, 4))
    key, value = rng.normal(size=(2, 2, 7, num_kv_heads, 4))
    visible = rng.random((num_masks, 3, 7)) < 0.5
    visible[:, np.arange(3), np.arange(3)] = True
    fast = attend(*(jnp.asarray(x, jnp.float32) for x in (query, key, value)), jnp.array(visible))
    np.testing.assert_allclose(fast, slow_attend(query, key, value, visible), atol=1e-5)


def test_query_heads_share_key_heads_in_consecutive_groups():
    # Values name their key head: 10 and 20. Heads 0, 1, 2 read the first, 3, 4, 5 the second.
    query, key = jnp.zeros((1, 1, 6, 2)), jnp.zeros((1, 1, 2, 2))
    value = jnp.array([10.0, 20.0])[None, None, :, None] * jnp.ones((1, 1, 2, 2))
    out = attend(query, key, value, jnp.ones((1, 1, 1), bool))
    assert out[0, 0, :, 0].tolist() == [10, 10, 10, 20, 20, 20]


def test_rotary_by_hand():
    # Four features and base 100: features 0 and 2 turn by 1 radian per position, 1 and 3 by
    # 100 ** -(2 / 4) = 0.1.
    x = jnp.array([1.0, 2.0, 3.0, 4.0]).reshape(1, 1, 1, 4)
    turned = rotary(jnp.array([3]), 4, 100.0)(x)[0, 0, 0]
    by_hand = [
        1 * math.cos(3.0) - 3 * math.sin(3.0),
        2 * math.cos(0.3) - 4 * math.sin(0.3),
        3 * math.cos(3.0) + 1 * math.sin(3.0),
        4 * math.cos(0.3) + 2 * math.sin(0.3),
    ]
    np.testing.assert_allclose(turned, by_hand, atol=1e-6)
    assert (rotary(jnp.array([0]), 4, 100.0)(x) == x).all()


def test_rotated_products_depend_on_the_distance_only():
    query, key = np.random.default_rng(0).normal(size=(2, 8)).astype(np.float32)

    def product(m, n):
        q, k = (
            rotary(jnp.array([at]), 8, 10_000.0)(jnp.asarray(x).reshape(1, 1, 1, 8))
            for at, x in ((m, query), (n, key))
        )
        return float(jnp.sum(q * k))

    assert product(3, 1) == pytest.approx(product(103, 101), abs=1e-4)
    assert product(7, 7) == pytest.approx(float(query @ key), abs=1e-4)
    assert abs(product(3, 1) - product(4, 1)) > 0.01


@pytest.mark.parametrize(
    "config",
    [
        MODEL,
        ModelConfig(),
        ModelConfig(width=128, num_heads=4, num_kv_heads=1, head_dim=32),
        ModelConfig(width=64, num_heads=4, num_kv_heads=4, head_dim=16),
    ],
)
def test_the_control_has_as_many_parameters(config):
    attention, none = (
        nnx.eval_shape(lambda name=name: make_mixer(replace(config, mixer=name), nnx.Rngs(0)))
        for name in ("attention", "none")
    )
    count = num_parameters(nnx.state(attention))
    assert abs(num_parameters(nnx.state(none)) - count) < 0.03 * count
