from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small
from breadth import breadth
from flax import nnx

from gridmem.baselines.model.windows import WindowBlocks, empty_window, moved
from gridmem.baselines.registration import MIXERS
from gridmem.envs.environment import Bits, Ids, Numbers

PARTS = Numbers("number", (2,)), Ids("id", (3,), 4), Bits("bit", (1,))
CONTEXT, BATCH = 4, 2
MODEL = replace(small.BLOCKS, num_layers=2, width=8)


def observations(number):
    rng = np.random.default_rng(number)
    return {
        "number": jnp.asarray(rng.normal(size=(BATCH, 2)), jnp.float32),
        "id": jnp.asarray(rng.integers(0, 4, (BATCH, 3)), jnp.int32),
        "bit": jnp.asarray(rng.integers(0, 2, (BATCH, 1)), bool),
    }


@pytest.mark.parametrize("mixer", breadth(list(MIXERS), "attention"))
def test_a_window_equals_stepping_with_a_cache(mixer):
    model = replace(MODEL, mixer=mixer)
    network = WindowBlocks(model, PARTS, 3, nnx.Rngs(params=jax.random.key(0)))
    window, caches = empty_window(PARTS, BATCH, CONTEXT), network.init_cache(BATCH, CONTEXT)
    caches = network.grow(caches, CONTEXT)

    @jax.jit
    def step(obs, caches):
        x, caches = network.step_blocks(network.embed(obs), caches, None, None)
        return network.head(x), caches

    at_once = jax.jit(network.__call__)
    for number in range(CONTEXT):
        obs = observations(number)
        window = moved(window, obs, jnp.full((BATCH,), number == 0))
        outputs, caches = step(obs, caches)
        np.testing.assert_allclose(at_once(window), outputs, atol=1e-5)


@pytest.mark.parametrize("mixer", ["none", "attention"])
def test_nothing_is_seen_of_the_episode_before(mixer):
    method = small.config(model=replace(small.BLOCKS, mixer=mixer)).make_method()
    network = method.make_actor(method.config.model, jax.random.key(0))
    context = method.settings.context

    def seen(before):
        window = empty_window(method.source.parts, 1, context)
        for number in (*before, 9.0, 10.0):
            begins = jnp.array([number == 9.0])
            window = moved(window, {"observation": jnp.full((1, 2), number)}, begins)
        return np.asarray(network(window))

    np.testing.assert_array_equal(seen([]), seen([1.0, 2.0, 3.0]))
    np.testing.assert_array_equal(seen([]), seen([5.0]))
