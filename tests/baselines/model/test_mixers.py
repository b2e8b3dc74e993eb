import math
from dataclasses import replace
from functools import cache, partial
from itertools import product

import foreign
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import slow_attention
import slow_recurrences
import tiny
from breadth import breadth
from flax import nnx

from gridmem.baselines.config import ModelConfig
from gridmem.baselines.model.actor_critic import num_parameters
from gridmem.baselines.model.mixers import attention, make_mixer
from gridmem.baselines.model.mixers.attention import attend, rotary
from gridmem.baselines.model.mixers.attention_caches import AttentionCache, DecodeCache
from gridmem.baselines.model.mixers.quantized import (
    Quantized,
    numbers,
    quantized,
    straight_through,
)
from gridmem.baselines.presets import PRESETS
from gridmem.baselines.registration import MIXERS

B, T, WINDOW = 3, 24, 5
MODEL = replace(tiny.MODEL, num_heads=4, num_kv_heads=2)
VARIANTS = {
    **{name: {"mixer": name} for name in MIXERS},
    "window": {"window": WINDOW},
    "qk_norm": {"qk_norm": True},
    "decode": {"window": WINDOW, "qk_norm": True, "decode": "triton"},
    "int8": {"kv_dtype": "int8"},
    "int8 decode": {"kv_dtype": "int8", "window": WINDOW, "qk_norm": True, "decode": "triton"},
    "kernels": {"attention": "triton", "decode": "triton"},
    "window kernels": {"window": WINDOW, "attention": "triton", "decode": "triton"},
    "int8 kernels": {"kv_dtype": "int8", "attention": "triton", "decode": "triton"},
    "registered": {"mixer": "average"},  # of docs/extending.md
}
RECURRENCES = ["gru", "lstm", "linear", "gla"]
REMEMBERING = ["attention", *RECURRENCES]
# One rounding of a bfloat16 number of size 1 is 2 ** -9; an output goes through a few of them. In 8
# bits no key or value of these tokens is within 0.0002 codes of the middle between two codes, where
# stepping and the full pass could round differently.
TOLERANCE = {"float32": 1e-5, "bfloat16": 0.03}
ROLLOUT = 6  # steps


@cache
def build(name, dtype="float32"):
    if name == "registered":
        foreign.module("average")
    config = replace(MODEL, dtype=dtype, **VARIANTS[name])
    graphdef, params = nnx.split(make_mixer(config, nnx.Rngs(params=jax.random.key(0))))
    leaves, tree = jax.tree.flatten(params)
    # Vectors begin with 0 or 1, which would hide that they are there.
    changed = [
        leaf + jax.random.uniform(jax.random.key(i), leaf.shape, minval=-0.5, maxval=0.5)
        if leaf.ndim == 1
        else leaf
        for i, leaf in enumerate(leaves)
    ]
    return graphdef, jax.tree.unflatten(tree, changed)


def tokens(dtype="float32", seed=1):
    x = np.random.default_rng(seed).normal(size=(B, T, MODEL.width))
    return jnp.asarray(x, jnp.dtype(dtype))


def episodes(seed=2):
    """Segment numbers of episodes of random lengths, several per stream, none alike."""
    ends = np.random.default_rng(seed).random((B, T)) < 0.2
    ends[:, [5, 13]] = True
    return jnp.asarray(np.cumsum(ends, axis=1), jnp.int32)


EPISODES = episodes()
ONE_SEGMENT = jnp.ones((B, T), jnp.int32)
SEGMENTS = {"one episode": None, "episodes": EPISODES, "one segment": ONE_SEGMENT}
# Before any token of a stream there are so many of its episode.
LONGEST = int(max(np.bincount(row).max() for row in np.asarray(EPISODES))) - 1


@partial(jax.jit, static_argnums=0)
def full_pass(graphdef, params, x, segments):
    mixer = nnx.merge(graphdef, params)
    return mixer.sequence(x, mixer.init_cache(len(x), 0, segments is not None), segments)


def walk(mixer, cache, x, segments):
    """The outputs and the cache of one step after the other."""
    columns = jax.tree.map(lambda leaf: jnp.swapaxes(leaf, 0, 1), (x, segments))
    weights = mixer.prepare()

    def step(cache, column):
        y, cache = mixer.step(column[0], cache, column[1], weights)
        return cache, y

    cache, y = jax.lax.scan(step, cache, columns)
    return jnp.swapaxes(y, 0, 1), cache


def part(x, segments, begin, end):
    return jax.tree.map(lambda leaf: leaf[:, begin:end], (x, segments))


@partial(jax.jit, static_argnums=(0, 4))
def stepped(graphdef, params, x, segments, rooms):
    """Token by token, in a cache that has rooms[i] slots until it has taken in rooms[i] tokens."""
    mixer = nnx.merge(graphdef, params)
    cache = mixer.init_cache(len(x), 0, segmented=segments is not None)
    outputs, begin = [], 0
    for room in rooms:
        end = min(room, x.shape[1])
        y, cache = walk(mixer, mixer.grow(cache, room), *part(x, segments, begin, end))
        outputs.append(y)
        begin = end
    return jnp.concatenate(outputs, axis=1), cache


@partial(jax.jit, static_argnums=(0, 4))
def continued(graphdef, params, x, segments, length):
    """Rollout by rollout, each from the last `length` tokens: by steps, and all at once."""
    mixer = nnx.merge(graphdef, params)

    def rollout(cache, rows):
        at_once = mixer.sequence(rows[0], cache, rows[1])
        by_step, cache = walk(mixer, mixer.grow(cache, length + ROLLOUT), *rows)
        return mixer.keep(cache, length), (by_step, at_once)

    nothing = mixer.keep(mixer.init_cache(B, 0, segmented=True), length)
    rollouts = jax.tree.map(
        lambda leaf: jnp.swapaxes(leaf.reshape(B, -1, ROLLOUT, *leaf.shape[2:]), 0, 1),
        (x, segments),
    )
    outputs = jax.lax.scan(rollout, nothing, rollouts)[1]
    return [jnp.swapaxes(out, 0, 1).reshape(x.shape) for out in outputs]


def as_float(x):
    return np.asarray(x.astype(jnp.float32))


# Each mixer once, and attention where it forgets and where it is less exact.
NAMES = [*MIXERS, "window", "decode", "window kernels", "registered"]
TYPES = [*((name, "float32") for name in [*NAMES, "int8"])]
TYPES += [(name, "bfloat16") for name in ("attention", "int8 decode")]
OF_EACH = pytest.mark.parametrize("name", breadth(VARIANTS, *NAMES))
OF_EACH_TYPE = pytest.mark.parametrize(
    ("name", "dtype"), breadth(product(VARIANTS, TOLERANCE), *TYPES)
)
WITH_AND_WITHOUT = pytest.mark.parametrize("segments", ["one episode", "episodes"])


@OF_EACH_TYPE
@WITH_AND_WITHOUT
def test_stepping_equals_the_full_pass_at_every_position(name, dtype, segments):
    mixer, x, segments = build(name, dtype), tokens(dtype), SEGMENTS[segments]
    whole = as_float(full_pass(*mixer, x, segments))
    by_step = as_float(stepped(*mixer, x, segments, (T,))[0])
    assert whole.shape == (B, T, MODEL.width)
    assert np.abs(whole).max() > 0.1
    np.testing.assert_allclose(by_step, whole, atol=TOLERANCE[dtype], rtol=0)


@pytest.mark.parametrize("name", ["attention", "window", "qk_norm"])
@WITH_AND_WITHOUT
def test_the_full_pass_is_attention_as_it_is_written(name, segments):
    mixer, x, segments = build(name), tokens(), SEGMENTS[segments]
    of_one = np.zeros((B, T), np.int32) if segments is None else np.asarray(segments)
    slow = slow_attention.sequence(nnx.merge(*mixer), x, of_one)
    np.testing.assert_allclose(full_pass(*mixer, x, segments), slow, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", RECURRENCES)
@WITH_AND_WITHOUT
def test_the_full_pass_is_the_recurrence_as_it_is_written(name, segments):
    mixer, x, segments = build(name), tokens(), SEGMENTS[segments]
    of_one = np.zeros((B, T), np.int32) if segments is None else np.asarray(segments)
    slow = slow_recurrences.sequence(name, nnx.merge(*mixer), x, of_one)
    np.testing.assert_allclose(full_pass(*mixer, x, segments), slow, atol=1e-5, rtol=0)


@OF_EACH
def test_a_single_segment_is_like_none(name):
    mixer, x = build(name), tokens()
    plain = run_both(mixer, x, None)
    for one, other in zip(plain, run_both(mixer, x, ONE_SEGMENT), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6, rtol=0)


# The caches of recurrences have one size.
@pytest.mark.parametrize(
    ("name", "segments"),
    breadth(
        product(VARIANTS, ["one episode", "episodes"]),
        ("attention", "one episode"),
        ("attention", "episodes"),
        ("window", "episodes"),
        ("gru", "episodes"),
    ),
)
def test_a_cache_that_grows_equals_one_of_full_length(name, segments):
    mixer, x, segments = build(name), tokens(), SEGMENTS[segments]
    at_once = as_float(stepped(*mixer, x, segments, (T,))[0])
    growing = as_float(stepped(*mixer, x, segments, (1, 6, T))[0])
    roomy = as_float(stepped(*mixer, x, segments, (T + 9,))[0])
    np.testing.assert_allclose(growing, at_once, atol=1e-6, rtol=0)
    np.testing.assert_allclose(roomy, at_once, atol=1e-6, rtol=0)


SEEN, SLOTS = 10, 15


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "dtype", "segments", "room"),
    breadth(
        product(VARIANTS, TOLERANCE, ["one episode", "episodes"], [SEEN, SLOTS]),
        *((*case, "episodes", SLOTS) for case in TYPES),
        ("attention", "float32", "one episode", SEEN),
    ),
)
def test_a_sequence_goes_on_from_a_cache(name, dtype, segments, room):
    segments = SEGMENTS[segments]
    graphdef, params = build(name, dtype)
    x = tokens(dtype)
    whole = as_float(full_pass(graphdef, params, x, segments))[:, SEEN:]
    before, after = part(x, segments, 0, SEEN), part(x, segments, SEEN, T)
    _, cache = stepped(graphdef, params, *before, (room,))
    mixer = nnx.merge(graphdef, params)
    rest = as_float(jax.jit(mixer.sequence)(after[0], cache, after[1]))
    np.testing.assert_allclose(rest, whole, atol=TOLERANCE[dtype], rtol=0)


KEPT = [("episodes", LONGEST), ("episodes", T + 4), ("one segment", T - 1)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "dtype", "segments", "length"),
    breadth(
        [(*case, *kept) for case in product(VARIANTS, TOLERANCE) for kept in KEPT],
        *((*case, *KEPT[0]) for case in TYPES),
        *(("attention", "float32", *kept) for kept in KEPT),
    ),
)
def test_rollouts_go_on_from_the_tokens_that_were_kept(name, dtype, segments, length):
    mixer, x, segments = build(name, dtype), tokens(dtype), SEGMENTS[segments]
    whole = as_float(full_pass(*mixer, x, segments))
    for out in continued(*mixer, x, segments, length):
        np.testing.assert_allclose(as_float(out), whole, atol=TOLERANCE[dtype], rtol=0)


@pytest.mark.parametrize("dtype", breadth(TOLERANCE, "float32"))
@pytest.mark.parametrize("segments", ["episodes", "one segment"])
def test_no_more_than_the_window_need_be_kept(dtype, segments):
    mixer, x, segments = build("window", dtype), tokens(dtype), SEGMENTS[segments]
    whole = as_float(full_pass(*mixer, x, segments))
    for out in continued(*mixer, x, segments, WINDOW - 1):
        np.testing.assert_allclose(as_float(out), whole, atol=TOLERANCE[dtype], rtol=0)
    for out in continued(*mixer, x, ONE_SEGMENT, WINDOW - 2):
        missing = np.abs(as_float(out) - as_float(full_pass(*mixer, x, ONE_SEGMENT))).max(axis=-1)
        # The first token of a rollout misses one, the second none.
        assert (missing[:, ROLLOUT] > 0.01).all()
        assert (missing[:, ROLLOUT + 1] < TOLERANCE[dtype]).all()


@pytest.mark.parametrize("name", ["attention", "kernels"])
def test_positions_are_counted_within_the_episode(name):
    mixer, x = build(name), tokens()
    _, cache = stepped(*mixer, x, EPISODES, (T,))
    number = np.asarray(EPISODES)
    seen = (number == number[:, -1:]).sum(axis=1)
    np.testing.assert_array_equal(cache.segments.position, seen - 1)
    kept = nnx.merge(*mixer).keep(cache, 2)
    np.testing.assert_array_equal(kept.segments.position, seen - 1)
    np.testing.assert_array_equal(kept.segments.last, number[:, -1])
    slots = number[:, -2:]
    if name == "kernels":  # tokens of earlier segments count as none
        slots = np.where(slots == number[:, -1:], slots, -1)
    np.testing.assert_array_equal(kept.segments.slot, slots)
    assert isinstance(kept, AttentionCache)
    assert (kept.key.shape[3], kept.value.shape[2]) == (2, 2)


@pytest.mark.parametrize("name", breadth(["kernels", "int8 kernels"], "kernels"))
def test_between_rollouts_the_kernels_have_the_caches_of_xla(name):
    """So that a run can be resumed with either."""
    of_xla, of_kernels = build(name.replace("kernels", "").strip() or "attention"), build(name)
    caches = []
    for mixer in (of_xla, of_kernels):
        _, cache = stepped(*mixer, tokens(), ONE_SEGMENT, (T,))
        caches.append(nnx.merge(*mixer).keep(cache, T + 3))
    for one, other in zip(*map(jax.tree.leaves, caches), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_allclose(one, other, atol=1e-5, rtol=0)
    grown = nnx.merge(*of_kernels).grow(caches[0], T + 4)
    assert isinstance(grown, DecodeCache)
    assert jax.tree.leaves(grown.value)[0].shape[2] == 32


def test_a_window_of_the_whole_sequence_is_none():
    x, (graphdef, params) = tokens(), build("attention")
    wide = nnx.split(make_mixer(replace(MODEL, window=T), nnx.Rngs(0)))[0]
    for segments in (None, EPISODES):
        for run in (full_pass, lambda *args: stepped(*args, (T,))[0]):
            one, other = (run(static, params, x, segments) for static in (graphdef, wide))
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", breadth([*REMEMBERING, "kernels"], "attention", "gru", "kernels"))
def test_segments_and_caches_must_agree(name):
    mixer, x = nnx.merge(*build(name)), tokens()
    weights, plain = mixer.prepare(), mixer.init_cache(B, T)
    segmented = mixer.init_cache(B, T, segmented=True)
    for seen, segments in ((plain, EPISODES), (segmented, None)):
        with pytest.raises(ValueError, match="segments require a cache made with segmented=True"):
            mixer.sequence(x, seen, segments)
        with pytest.raises(ValueError, match="segments require a cache made with segmented=True"):
            mixer.step(x[:, 0], seen, None if segments is None else segments[:, 0], weights)


@pytest.mark.parametrize("name", ["attention", "kernels"])
def test_a_cache_without_segments_cannot_be_cut(name):
    mixer = nnx.merge(*build(name))
    plain = mixer.init_cache(B, T)
    with pytest.raises(ValueError, match="only a cache made with segmented=True can be cut"):
        mixer.keep(plain, 3)


def run_both(mixer, x, segments):
    whole = full_pass(*mixer, x, segments)
    return np.asarray(whole), np.asarray(stepped(*mixer, x, segments, (T,))[0])


@OF_EACH
def test_nothing_leaks_from_one_episode_into_a_later_one(name):
    mixer, x, segments = build(name), tokens(), EPISODES
    later = np.asarray(segments >= segments[:, 13:14])
    changed = jnp.where(later[..., None], x, tokens(seed=3))
    for before, after in zip(
        run_both(mixer, x, segments), run_both(mixer, changed, segments), strict=True
    ):
        assert later.any(axis=1).all()
        assert (before[later] == after[later]).all()
        assert (before[~later] != after[~later]).any(axis=-1).all()


@OF_EACH
def test_a_later_token_changes_nothing_before_it(name):
    mixer, x, at = build(name), tokens(), 11
    changed = x.at[:, at].set(tokens(seed=3)[:, at])
    for before, after in zip(run_both(mixer, x, None), run_both(mixer, changed, None), strict=True):
        assert (before[:, :at] == after[:, :at]).all()
        assert (before[:, at] != after[:, at]).any(axis=-1).all()


def test_a_token_is_seen_as_long_as_the_window_says():
    mixer, x, at = build("window"), tokens(), 3
    changed = x.at[:, at].add(1.0)
    for before, after in zip(run_both(mixer, x, None), run_both(mixer, changed, None), strict=True):
        differs = (before != after).any(axis=(0, 2))
        assert np.flatnonzero(differs).tolist() == list(range(at, at + WINDOW))


@pytest.mark.parametrize("name", REMEMBERING)
def test_a_token_sees_back_to_the_start_of_its_episode(name):
    mixer, x, segments = build(name), tokens(), EPISODES
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


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_numbers_in_8_bits_are_the_nearest(dtype):
    x = jnp.asarray(np.random.default_rng(0).normal(size=(40, 3, 8)), jnp.dtype(dtype))
    x = x.at[0, 0].set(0.0).at[0, 1].set(1e-36).at[1].mul(1e4)
    kept = quantized(x)
    assert (kept.codes.dtype, kept.peak.dtype, kept.peak.shape) == (jnp.int8, x.dtype, (40, 3, 1))
    wide = as_float(x).astype(np.float64)
    peak = np.abs(wide).max(axis=-1, keepdims=True)
    np.testing.assert_array_equal(as_float(kept.peak), peak.astype(np.float32))
    assert np.abs(kept.codes).max() == 127
    # Half a code, and the rounding of the result to the dtype; next to nothing is nothing.
    most = peak / 127 * 0.5001 + np.abs(wide) * float(jnp.finfo(x.dtype).eps) / 2 + 1e-30
    error = np.abs(as_float(numbers(kept)) - wide)
    assert (error <= most).all()
    assert error.max() > 0.4 * most.max()
    by_column = quantized(jnp.swapaxes(x, 1, 2), axis=1)
    for one, other in zip(by_column, kept, strict=True):
        np.testing.assert_array_equal(jnp.swapaxes(one, 1, 2), other)


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_programs_round_to_8_bits_alike(dtype):
    """XLA may leave out conversions to bfloat16 and back within a program, but not between two."""
    x = jnp.asarray(np.random.default_rng(0).normal(size=(64, 3, 32)), jnp.float32)

    @jax.jit
    def trained(x):
        return straight_through((3 * x).astype(dtype)).astype(jnp.float32) * 7

    kept = jax.jit(lambda x: quantized((3 * x).astype(dtype)))(x)
    stepped = jax.jit(lambda kept: numbers(kept).astype(jnp.float32) * 7)(kept)
    np.testing.assert_array_equal(trained(x), stepped)


@pytest.mark.parametrize(("dtype", "reach"), [("float32", 0.51), ("bfloat16", 1.0)])
def test_training_takes_the_codes_of_the_rollout_where_they_are_as_near(dtype, reach):
    # 127 is the peak, so that a code is its number.
    x = jnp.array([[127.0, 10.5, 10.5, 10.5, 10.75, -3.0, 64.0]], jnp.dtype(dtype))
    played = [[127, 10, 11, 9, 10, -3, 0]]
    as_played = Quantized(jnp.array(played, jnp.int8), jnp.array([[127.0]], x.dtype))
    alone, told = (as_float(straight_through(x, each))[0] for each in (None, as_played))
    np.testing.assert_allclose(alone, [127, 10, 10, 10, 11, -3, 64], atol=1e-4)
    by_reach = {0.51: [127, 10, 11, 10, 11, -3, 64], 1.0: [127, 10, 11, 10, 10, -3, 64]}
    np.testing.assert_allclose(told, by_reach[reach], atol=1e-4)


def test_the_gradient_goes_straight_through_8_bits(monkeypatch):
    (graphdef, params), x = build("int8"), tokens()
    weight = jnp.asarray(np.random.default_rng(4).normal(size=x.shape), jnp.float32)

    def gradient(params, x):
        def total(params, x):
            mixer = nnx.merge(graphdef, params)
            return jnp.sum(weight * mixer.sequence(x, mixer.init_cache(B, 0)))

        return jax.grad(total, argnums=(0, 1))(params, x)

    def shifted(x, played):
        return x + jax.lax.stop_gradient(numbers(quantized(x)) - x)

    found = jax.jit(gradient)(params, x)
    monkeypatch.setattr(attention, "straight_through", shifted)
    wanted = jax.jit(lambda *args: gradient(*args))(params, x)  # traced once more
    for one, other in zip(*map(jax.tree.leaves, (found, wanted)), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4, rtol=1e-4)
        assert np.abs(other).max() > 0.01


@WITH_AND_WITHOUT
def test_8_bits_change_little(segments):
    """Compared with attention as it is written, in float64."""
    mixer, x, segments = build("int8"), tokens(), SEGMENTS[segments]
    of_one = np.zeros((B, T), np.int32) if segments is None else np.asarray(segments)
    slow = slow_attention.sequence(nnx.merge(*mixer), x, of_one)
    error = np.asarray(full_pass(*mixer, x, segments)) - slow
    assert 1e-3 < np.abs(error).max() < 0.03
    assert np.sqrt(np.mean(error**2)) < 0.01 * np.sqrt(np.mean(slow**2))


@pytest.mark.parametrize(
    ("name", "dtype"),
    breadth(product(["int8", "int8 decode"], TOLERANCE), ("int8", "float32")),
)
def test_a_cache_in_8_bits_is_smaller(name, dtype):
    mixer, x = build(name, dtype), tokens(dtype)
    whole = nnx.merge(*build(name.replace("int8", "attention").split()[-1], dtype))
    (_, cache), plain = stepped(*mixer, x, None, (T,)), whole.init_cache(B, T)
    size, dim = jnp.dtype(dtype).itemsize, MODEL.head_dim
    for one, other in ((cache.key, plain.key), (cache.value, plain.value)):
        assert (one.codes.dtype, one.peak.dtype) == (jnp.int8, jnp.dtype(dtype))
        assert (one.codes.shape, other.dtype) == (other.shape, jnp.dtype(dtype))
        assert one.codes.nbytes + one.peak.nbytes == other.nbytes * (dim + size) / (dim * size)
    # The last token as training gets it.
    rounded = nnx.merge(*mixer).rounded(cache)
    axes = (2, 2) if name.endswith("decode") else (3, 2)
    for one, kept, axis in zip(rounded, (cache.key, cache.value), axes, strict=True):
        for found, leaf in zip(one, kept, strict=True):
            np.testing.assert_array_equal(found, jnp.take(leaf, T - 1, axis))
            assert np.abs(found.astype(jnp.float32)).min() >= 0


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


@pytest.mark.parametrize(
    ("num_heads", "num_kv_heads", "num_masks"),
    breadth(
        [(*heads, masks) for heads in [(4, 4), (4, 2), (4, 1), (6, 2)] for masks in (1, 2)],
        (4, 1, 1),
        (6, 2, 2),
    ),
)
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
    turned = rotary(jnp.array([[3]]), 4, 100.0)(x)[0, 0, 0]
    by_hand = [
        1 * math.cos(3.0) - 3 * math.sin(3.0),
        2 * math.cos(0.3) - 4 * math.sin(0.3),
        3 * math.cos(3.0) + 1 * math.sin(3.0),
        4 * math.cos(0.3) + 2 * math.sin(0.3),
    ]
    np.testing.assert_allclose(turned, by_hand, atol=1e-6)
    assert (rotary(jnp.array([[0]]), 4, 100.0)(x) == x).all()


def test_rotated_products_depend_on_the_distance_only():
    query, key = np.random.default_rng(0).normal(size=(2, 8)).astype(np.float32)

    def product(m, n):
        q, k = (
            rotary(jnp.array([[at]]), 8, 10_000.0)(jnp.asarray(x).reshape(1, 1, 1, 8))
            for at, x in ((m, query), (n, key))
        )
        return float(jnp.sum(q * k))

    assert product(3, 1) == pytest.approx(product(103, 101), abs=1e-4)
    assert product(7, 7) == pytest.approx(float(query @ key), abs=1e-4)
    assert abs(product(3, 1) - product(4, 1)) > 0.01


@pytest.mark.parametrize("mixer", MIXERS)
@pytest.mark.parametrize(
    "config",
    [
        MODEL,
        ModelConfig(),
        ModelConfig(width=128, num_heads=4, num_kv_heads=1, head_dim=32),
        ModelConfig(width=64, num_heads=4, num_kv_heads=4, head_dim=16),
        PRESETS["reference"][1].model,
    ],
    ids=["tiny", "default", "128 wide", "as many keys", "reference"],
)
def test_every_mixer_has_as_many_parameters(config, mixer):
    attention, other = (
        nnx.eval_shape(lambda name=name: make_mixer(replace(config, mixer=name), nnx.Rngs(0)))
        for name in ("attention", mixer)
    )
    count = num_parameters(nnx.state(attention))
    assert abs(num_parameters(nnx.state(other)) - count) < 0.04 * count


def test_caches_are_those_that_checkpoints_have():
    """Of runs whose episodes continue: another field would make them unreadable."""
    assert AttentionCache._fields == ("key", "value", "segments", "used")
