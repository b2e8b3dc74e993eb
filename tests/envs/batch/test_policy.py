import jax
import jax.numpy as jnp
import numpy as np

from gridmem.envs.batch.policy import random_policy
from gridmem.envs.types import Observation, TimeStep

B = 40_000


def actions(key, num_actions=4):
    obs = Observation(
        jnp.zeros((B, 3, 3), jnp.uint8), jnp.zeros(B, jnp.int32), jnp.zeros(B), jnp.zeros((B, 0))
    )
    timestep = TimeStep(obs, jnp.zeros(B), jnp.zeros(B, bool), jnp.zeros(B, bool), obs.last_action)
    policy = random_policy(num_actions)
    carry, action, extras = policy.act(policy.init(B), timestep, key)
    assert (carry, extras) == ((), ())
    assert policy.grow(carry, 7) == ()
    assert action.dtype == jnp.int32
    return np.asarray(action)


def test_random_actions_are_uniform():
    for num_actions in (4, 3):
        counts = np.bincount(actions(jax.random.key(0), num_actions), minlength=num_actions)
        p = 1 / num_actions
        assert counts.shape == (num_actions,)
        assert np.abs(counts - B * p).max() < 4 * np.sqrt(B * p * (1 - p))


def test_streams_and_keys_are_independent():
    first, second = actions(jax.random.key(0)), actions(jax.random.key(1))
    for a, b in ((first, second), (first[:-1], first[1:])):
        share = (a == b).mean()
        assert abs(share - 1 / 4) < 4 * np.sqrt(3 / 16 / len(a))
    np.testing.assert_array_equal(first, actions(jax.random.key(0)))
