"""A policy of episodes in a row, against one that is begun anew at each of them."""

from functools import partial
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from breadth import breadth
from flax import nnx

from gridmem.baselines.model.policy import model_policy, streaming_policy
from gridmem.baselines.ppo.learner import build_model
from gridmem.baselines.registration import MIXERS
from gridmem.envs.types import Observation, TimeStep

B, T = 3, 20
# The lengths of the episodes of each stream, the last of which is cut off.
LENGTHS = ((20,), (4, 1, 9, 6), (7, 7, 7))
TIME = np.array([np.concatenate([np.arange(n) for n in row])[:T] for row in LENGTHS]).T
VARIANTS = {
    **{name: {"mixer": name} for name in MIXERS},
    "window": {"window": 4, "qk_norm": True},
}


def timesteps(seed=0):
    """T timesteps of B streams that nobody played; a find in every third or so."""
    rng = np.random.default_rng(seed)
    reward = jnp.asarray((rng.random((T, B)) < 0.3) & (TIME > 0), jnp.float32)
    obs = Observation(
        jnp.asarray(rng.integers(0, 5, (T, B, 5, 5)), jnp.uint8),
        jnp.asarray(rng.integers(0, 4, (T, B)), jnp.int32),
        reward,
        jnp.zeros((T, B, 0), jnp.float32),
    )
    never = jnp.zeros((T, B), bool)
    return TimeStep(obs, reward, never, never, jnp.asarray(TIME, jnp.int32))


@partial(jax.jit, static_argnums=(0, 3))
def streamed(graphdef, params, timesteps, forget_at_finds):
    model = nnx.merge(graphdef, params)
    policy = streaming_policy(model, greedy=True, forget_at_finds=forget_at_finds)

    def step(memory, timestep):
        acted = policy.act(memory, timestep, jax.random.key(0))
        return acted.carry, (acted.action, acted.extras)

    return jax.lax.scan(step, policy.grow(policy.init(B), T), timesteps)[1]


@partial(jax.jit, static_argnums=0)
def acted_alone(graphdef, params, caches, timestep):
    policy = model_policy(nnx.merge(graphdef, params), greedy=True)
    return policy.act(caches, timestep, jax.random.key(0))


@pytest.mark.parametrize(
    ("variant", "forget_at_finds"),
    breadth(
        product(VARIANTS, [False, True]),
        ("attention", False),
        ("attention", True),
        ("gru", True),
    ),
)
def test_the_memory_starts_anew_with_each_episode(variant, forget_at_finds):
    config = tiny.config(model=VARIANTS[variant])
    whole = build_model(config, config.make_env(), jax.random.key(1))
    graphdef, params = nnx.split(whole)
    told = timesteps()
    action, extras = streamed(graphdef, params, told, forget_at_finds)
    begins = (TIME == 0) | (forget_at_finds & np.asarray(told.obs.last_reward > 0))
    np.testing.assert_array_equal(extras.segment, np.cumsum(begins, axis=0))
    for stream in range(B):
        for t in range(T):
            if begins[t, stream]:
                caches = whole.init_cache(1, T)
            now = jax.tree.map(lambda x, t=t, b=stream: np.asarray(x)[t, b : b + 1], told)
            caches, alone, of_alone = acted_alone(graphdef, params, caches, now)
            alone_told = np.array([alone[0], of_alone.log_prob[0], of_alone.value[0]])
            streams_told = [x[t, stream] for x in (action, extras.log_prob, extras.value)]
            np.testing.assert_allclose(alone_told, streams_told, atol=1e-5)


def test_only_what_was_forgotten_makes_a_difference():
    config = tiny.config()
    graphdef, params = nnx.split(build_model(config, config.make_env(), jax.random.key(1)))
    told = timesteps()
    values = [streamed(graphdef, params, told, forget)[1].value for forget in (False, True)]
    for stream in range(B):
        differs = np.asarray(values[0] != values[1])[:, stream]
        found = np.flatnonzero(np.asarray(told.obs.last_reward)[:, stream])[0]
        assert not differs[:found].any()
        assert differs[found]


def test_weights_may_be_prepared_beforehand():
    config = tiny.config()
    model = build_model(config, config.make_env(), jax.random.key(1))
    first = jax.tree.map(lambda x: x[0], timesteps())
    alone, given = (streaming_policy(model, weights=weights) for weights in (None, model.prepare()))
    key = jax.random.key(0)
    one, other = (
        jax.jit(policy.act)(policy.grow(policy.init(B), 1), first, key) for policy in (alone, given)
    )
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(a, b)
