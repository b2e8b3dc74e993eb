from dataclasses import replace
from functools import partial
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import slow_attention
import tiny
from breadth import breadth
from flax import nnx

from gridmem.baselines.model.mixers import ExplainingMixer, Mixer, make_mixer
from gridmem.baselines.model.policy import model_policy
from gridmem.baselines.ppo.learner import build_model
from gridmem.baselines.registration import MIXERS
from gridmem.envs.batch.rollout import play

B, T, ROOM = 3, 12, 15
MODEL = replace(tiny.MODEL, num_heads=4, num_kv_heads=2)
TOLERANCE = {"float32": 1e-5, "bfloat16": 0.02}
EPISODES = np.array([[0] * 12, [0] * 5 + [1] * 7, [0, 1, 1, 1, 2, 2, 2, 2, 2, 2, 3, 4]], np.int32)


def slow_weights(mixer, x, segments):
    """[B, T, S]: the mean over the heads."""
    return slow_attention.head_weights(mixer, x, segments).mean(axis=0)


@partial(jax.jit, static_argnums=0)
def stepped(graphdef, params, x, segments):
    """Outputs and weights, token by token, and the outputs of `step` beside them."""
    mixer = nnx.merge(graphdef, params)
    cache = mixer.init_cache(len(x), ROOM, segmented=segments is not None)
    columns = jax.tree.map(lambda leaf: jnp.swapaxes(leaf, 0, 1), (x, segments))
    prepared = mixer.prepare()

    def step(cache, column):
        plain, kept = mixer.step(column[0], cache, column[1], prepared)
        mixed, cache, weights = mixer.explain(column[0], cache, column[1], prepared)
        return cache, (
            mixed,
            weights,
            plain,
            jax.tree.map(lambda a, b: (a == b).all(), kept, cache),
        )

    out = jax.lax.scan(step, cache, columns)[1]
    return jax.tree.map(lambda leaf: jnp.swapaxes(leaf, 0, 1) if leaf.ndim > 1 else leaf, out)


@pytest.mark.parametrize(
    ("segments", "window", "dtype"),
    breadth(
        product(["one episode", "episodes"], [None, 4], TOLERANCE),
        ("one episode", None, "float32"),
        ("episodes", 4, "float32"),
        ("episodes", None, "bfloat16"),
    ),
)
def test_weights_through_the_cache_are_those_of_plain_attention(segments, window, dtype):
    segments = EPISODES if segments == "episodes" else None
    config = replace(MODEL, dtype=dtype, window=window, qk_norm=window is not None)
    mixer = make_mixer(config, nnx.Rngs(params=jax.random.key(0)))
    x = jnp.asarray(np.random.default_rng(1).normal(size=(B, T, MODEL.width)), jnp.dtype(dtype))
    mixed, weights, plain, same = stepped(*nnx.split(mixer), x, segments)
    assert weights.shape == (B, T, ROOM)
    assert weights.dtype == jnp.float32
    assert (mixed == plain).all()
    assert all(flag.all() for flag in jax.tree.leaves(same))
    of_one = np.zeros((B, T), np.int32) if segments is None else segments
    expected = slow_weights(mixer, x, of_one)
    assert expected.max() > 2 * expected[:, -1].mean()
    np.testing.assert_allclose(weights[..., :T], expected, atol=TOLERANCE[dtype])
    np.testing.assert_allclose(weights.sum(axis=-1), 1, atol=1e-5)
    hidden = np.ones((B, T, ROOM), bool)
    hidden[..., :T] = expected == 0
    assert (np.asarray(weights)[hidden] == 0).all()


def test_without_preference_all_of_the_episode_counts_alike():
    mixer = make_mixer(MODEL, nnx.Rngs(params=jax.random.key(0)))
    mixer.query[...] = jnp.zeros_like(mixer.query[...])
    x = jnp.ones((B, T, MODEL.width))
    weights = stepped(*nnx.split(mixer), x, EPISODES)[1]
    np.testing.assert_allclose(weights[1, 3], [0.25] * 4 + [0] * 11, atol=1e-6)
    np.testing.assert_allclose(weights[1, 5], [0] * 5 + [1] + [0] * 9, atol=1e-6)
    np.testing.assert_allclose(weights[2, 7], [0] * 4 + [0.25] * 4 + [0] * 7, atol=1e-6)


def test_beyond_the_window_nothing_counts():
    mixer = make_mixer(replace(MODEL, window=3), nnx.Rngs(params=jax.random.key(0)))
    mixer.query[...] = jnp.zeros_like(mixer.query[...])
    weights = stepped(*nnx.split(mixer), jnp.ones((B, T, MODEL.width)), EPISODES)[1]
    third = 1 / 3
    np.testing.assert_allclose(weights[1, 3], [0] + [third] * 3 + [0] * 11, atol=1e-6)
    np.testing.assert_allclose(weights[1, 6], [0] * 5 + [0.5] * 2 + [0] * 8, atol=1e-6)
    np.testing.assert_allclose(weights[2, 7], [0] * 5 + [third] * 3 + [0] * 7, atol=1e-6)


def test_who_can_explain():
    mixers = {
        name: nnx.eval_shape(lambda name=name: make_mixer(replace(MODEL, mixer=name), nnx.Rngs(0)))
        for name in MIXERS
    }
    assert all(isinstance(mixer, Mixer) for mixer in mixers.values())
    can = {name for name, mixer in mixers.items() if isinstance(mixer, ExplainingMixer)}
    assert can == {"attention"}


def build(**model):
    config = tiny.config(model=model, env={"max_steps": T})
    env = tiny.small_room(config)
    return env, nnx.split(build_model(config, env, jax.random.key(1)))


@partial(jax.jit, static_argnums=0)
def caves(env):
    return jax.vmap(env.generate)(jax.random.split(jax.random.key(2), 4))


@partial(jax.jit, static_argnums=(0, 1, 4))
def episodes(env, graphdef, params, levels, explain):
    policy = model_policy(nnx.merge(graphdef, params), explain=explain)
    unrolled = play(env, policy, levels, jax.random.key(3), chunk_steps=T)
    return jax.tree.map(lambda leaf: jnp.swapaxes(leaf, 0, 1), unrolled.rollout)


def played(env, graphdef, params, explain):
    """What a model did in 4 episodes, batch-major."""
    return episodes(env, graphdef, params, caves(env), explain)


@pytest.mark.slow
@pytest.mark.parametrize(
    "model",
    breadth(
        [*({"mixer": mixer} for mixer in MIXERS), {"window": 5, "value_head": "hl_gauss"}],
        {"mixer": "attention"},
        {"mixer": "gru"},
    ),
)
def test_an_explained_policy_does_the_same(model):
    env, (graphdef, params) = build(**model)
    plain, told = (played(env, graphdef, params, explain) for explain in (False, True))
    assert (plain.action == told.action).all()
    np.testing.assert_allclose(told.extras.log_prob, plain.extras.log_prob, atol=1e-6)
    np.testing.assert_allclose(told.extras.value, plain.extras.value, atol=1e-6)
    log_probs = jax.nn.log_softmax(told.extras.logits)
    picked = np.take_along_axis(np.asarray(log_probs), np.asarray(told.action)[..., None], -1)
    np.testing.assert_allclose(picked[..., 0], told.extras.log_prob, atol=1e-6)
    assert (told.extras.weights is None) == (model.get("mixer", "attention") != "attention")


def test_a_models_weights_are_those_of_the_full_pass():
    env, (graphdef, params) = build()
    told = played(env, graphdef, params, True)
    model = nnx.merge(graphdef, params)
    x, one_episode, layers = model.embed(told.obs), np.zeros((4, T), np.int32), []
    for block in model.blocks:
        layers.append(slow_weights(block.mixer, block.mixer_norm(x), one_episode))
        x = jax.jit(block.sequence)(x, block.mixer.init_cache(4, 0), None)
    assert len(layers) == 2
    assert np.abs(layers[0] - layers[1]).max() > 0.001
    np.testing.assert_allclose(told.extras.weights, np.mean(layers, axis=0), atol=1e-5)
    first = jax.tree.map(lambda leaf: leaf[:, 0], told.obs)
    explained = jax.jit(model.explain)(first, model.init_cache(4, T))
    assert explained.weights.shape == (4, 2, T)
    np.testing.assert_array_equal(explained.weights[:, :, 0], 1)
    assert not explained.weights[:, :, 1:].any()


def test_layers_are_told_apart():
    env, (graphdef, params) = build()
    model = nnx.merge(graphdef, params)
    model.blocks[1].mixer.query[...] = jnp.zeros_like(model.blocks[1].mixer.query[...])
    model.blocks[0].mixer.query[...] = model.blocks[0].mixer.query[...] * 100

    @jax.jit
    def last_weights(params, obs):
        model = nnx.merge(graphdef, params)

        def step(caches, obs):
            told = model.explain(obs, caches)
            return told.caches, told.weights

        by_time = jax.tree.map(lambda leaf: jnp.swapaxes(leaf, 0, 1), obs)
        return jax.lax.scan(step, model.init_cache(4, T), by_time)[1][-1]

    weights = last_weights(nnx.state(model), played(env, graphdef, params, True).obs)
    np.testing.assert_allclose(weights[:, 1], 1 / T, atol=1e-6)
    assert (weights[:, 0].max(axis=-1) > 2 / T).all()
