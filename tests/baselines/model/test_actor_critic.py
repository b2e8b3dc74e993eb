import math
from functools import cache, partial
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from breadth import breadth
from flax import nnx

from gridmem.baselines.config import TrainConfig
from gridmem.baselines.model.actor_critic import num_parameters
from gridmem.baselines.ppo.learner import build_model
from gridmem.baselines.registration import MIXERS
from gridmem.envs.batch.policy import random_policy
from gridmem.envs.batch.rollout import play
from gridmem.envs.types import Observation

B, T = 16, 40
# Logits are small at first, values too; bfloat16 keeps 8 bits of what they are made of.
TOLERANCE = {"float32": 1e-5, "bfloat16": 0.01}


@pytest.fixture(scope="module")
def obs():
    """What T steps of a random walk showed to B streams, batch-major."""
    env = tiny.config(env={"max_steps": T}).make_env()

    @jax.jit
    def walk(key):
        levels = jax.vmap(env.generate)(jax.random.split(key, B))
        return play(env, random_policy(4), levels, key).rollout.obs

    shown = jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1), walk(jax.random.key(0)))
    assert shown.last_reward.sum() >= 3
    assert set(np.unique(shown.last_action)) == {0, 1, 2, 3, 4}
    return shown


VARIANTS = {
    **{name: {"mixer": name} for name in MIXERS},
    "reference": {"value_head": "hl_gauss", "qk_norm": True, "window": 9},
}


@cache
def build(**model):
    config = tiny.config(model=model)
    return nnx.split(build_model(config, config.make_env(), jax.random.key(1)))


@partial(jax.jit, static_argnums=0)
def full_pass(graphdef, params, obs, segments=None):
    """Logits and values."""
    model = nnx.merge(graphdef, params)
    caches = model.init_cache(len(obs.view), 0, segmented=segments is not None)
    logits, outputs = model.sequence(obs, caches, segments)
    return logits, model.value_head.value(outputs)


@partial(jax.jit, static_argnums=0)
def stepped(graphdef, params, obs, segments=None):
    model = nnx.merge(graphdef, params)
    caches = model.init_cache(len(obs.view), T, segmented=segments is not None)
    columns = jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1), (obs, segments))
    weights = model.prepare()

    def step(caches, column):
        logits, value, caches = model.step(column[0], caches, column[1], weights)
        return caches, (logits, value)

    out = jax.lax.scan(step, caches, columns)[1]
    return jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1), out)


EPISODES = jnp.broadcast_to(jnp.arange(T) // 17, (B, T)) + jnp.zeros((B, T), jnp.int32)
SEGMENTS = {"one episode": None, "episodes": EPISODES}


# What each mixer does, test_mixers tells.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("segments", "variant", "dtype"),
    breadth(
        product(SEGMENTS, VARIANTS, TOLERANCE),
        ("one episode", "attention", "float32"),
        ("episodes", "gru", "float32"),
        ("episodes", "reference", "bfloat16"),
    ),
)
def test_stepping_equals_the_full_pass_on_a_played_episode(obs, segments, variant, dtype):
    model, segments = build(dtype=dtype, **VARIANTS[variant]), SEGMENTS[segments]
    logits, value = full_pass(*model, obs, segments)
    assert logits.shape == (B, T, 4)
    assert value.shape == (B, T)
    assert logits.dtype == value.dtype == jnp.float32
    assert logits.std() > 0.01
    assert value.std() > 0.001
    for a, b in zip(stepped(*model, obs, segments), (logits, value), strict=True):
        np.testing.assert_allclose(a, b, atol=TOLERANCE[dtype], rtol=0)


@pytest.mark.slow
def test_the_first_policy_is_nearly_uniform_and_the_first_value_small(obs):
    for seed in range(3):
        config = TrainConfig(seed=seed)
        model = build_model(config, config.make_env(), jax.random.key(seed))
        logits, value = full_pass(*nnx.split(model), obs)
        log_probs = jax.nn.log_softmax(logits)
        entropy = -jnp.sum(jnp.exp(log_probs) * log_probs, axis=-1)
        assert entropy.min() > 0.9 * math.log(4)
        # Logits deviate by EMBED_STD * sqrt(width), 0.16 at width 64: entropy ln 4 - 0.16 ** 2 / 2.
        assert entropy.mean() > 0.97 * math.log(4)
        assert jnp.abs(value).max() < 1


def with_changed_action(params, row):
    table = params["action"][...]
    changed = jax.tree.map(lambda x: x, params)
    changed["action"][...] = table.at[row].add(0.5)
    return changed


def both(obs, row, last_action):
    """Outputs for a first token with that last action, before and after a change of a row."""
    graphdef, params = build()
    told = jnp.full_like(obs.last_action, last_action)
    first = jax.tree.map(lambda x: x[:, :1], obs._replace(last_action=told))
    return (
        full_pass(graphdef, params, first),
        full_pass(graphdef, with_changed_action(params, row), first),
    )


def test_an_action_row_is_its_logit(obs):
    (logits, value), (changed, same_value) = both(obs, row=2, last_action=1)
    others = jnp.array([0, 1, 3])
    assert (changed[..., others] == logits[..., others]).all()
    assert (changed[..., 2] != logits[..., 2]).all()
    assert (value == same_value).all()


def test_an_action_row_is_its_input_too(obs):
    (logits, value), (changed, other_value) = both(obs, row=2, last_action=2)
    assert (value != other_value).all()
    assert (logits != changed).all()


def test_the_row_of_no_action_is_an_input_without_a_logit(obs):
    (logits, value), (changed, other_value) = both(obs, row=4, last_action=4)
    assert logits.shape[-1] == 4
    assert (value != other_value).all()
    assert (logits != changed).any(axis=-1).all()
    (logits, value), (same, same_value) = both(obs, row=4, last_action=3)
    assert (logits == same).all()
    assert (value == same_value).all()


def test_every_part_of_an_observation_matters(obs):
    model = build()
    logits, _ = full_pass(*model, obs)
    for other in (
        obs._replace(view=(obs.view + 1) % 5),
        obs._replace(last_reward=1 - obs.last_reward),
        obs._replace(last_action=(obs.last_action + 1) % 5),
    ):
        assert (full_pass(*model, Observation(*other))[0] != logits).any(axis=-1).all()


def test_weights_are_prepared_where_none_are_given(obs):
    graphdef, params = build()
    model = nnx.merge(graphdef, params)
    first = jax.tree.map(lambda x: x[:, 0], obs)
    caches = model.init_cache(B, 1)
    step = jax.jit(model.step)
    alone, given = (step(first, caches, None, weights) for weights in (None, model.prepare()))
    for a, b in zip(jax.tree.leaves(alone), jax.tree.leaves(given), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_first_value_of_a_histogram_is_its_middle(obs):
    model = build(value_head="hl_gauss", value_min=-4.0, value_max=8.0)
    _, value = full_pass(*model, obs)
    np.testing.assert_allclose(value, 2, atol=0.5)


def test_the_number_of_parameters():
    # By hand, for tiny.MODEL: width 16, view 5 x 5 x 5 tiles.
    inputs = 125 * 16 + 5 * 16 + 1 * 16
    attention = 16 * (2 + 1 + 1) * 8 + 2 * 8 * 16
    feed_forward = 3 * 16 * 16
    heads = 16 * 16 + 16 + 16
    by_hand = inputs + 2 * (attention + feed_forward + 2 * 16) + 16 + heads
    assert num_parameters(build()[1]) == by_hand
    # 6 bins instead of 1 output; two norms of head_dim 8 in each of two layers.
    more = build(value_head="hl_gauss", value_bins=6, qk_norm=True)
    assert num_parameters(more[1]) == by_hand + 5 * 16 + 2 * 2 * 8
