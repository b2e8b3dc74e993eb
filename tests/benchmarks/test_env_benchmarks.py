"""Speed of every id: `uv run python tests/benchmarks/env_table.py` runs this and prints a table.

With --benchmark-json=FILE, `extra_info` says how long tracing and compiling took (timed apart,
uncached), how large a state is, and how many environments were stepped or reset in a second. All
outputs of every step are returned from the scan, so that none of them is optimised away.
"""

import time

import jax
import pytest
from jax import lax
from jax.experimental.compilation_cache import compilation_cache

import gridmem

NUM_ENVS, NUM_STEPS = 4096, 100


@pytest.fixture(autouse=True)
def uncached():
    before = jax.config.jax_enable_compilation_cache
    jax.config.update("jax_enable_compilation_cache", False)
    compilation_cache.reset_cache()  # the setting is read once and then remembered
    yield
    jax.config.update("jax_enable_compilation_cache", before)
    compilation_cache.reset_cache()


@pytest.fixture
def keys():
    return jax.random.split(jax.random.key(0), NUM_ENVS)


def compiled(benchmark, function, *arguments):
    """The function compiled for the arguments; the seconds that took are noted."""
    begin = time.perf_counter()
    program = jax.jit(function).lower(*arguments).compile()
    benchmark.extra_info["compile_seconds"] = round(time.perf_counter() - begin, 2)
    return program


def note(benchmark, env_id, kind, state, num_steps):
    """Records what the times refer to."""
    num_bytes = sum(leaf.nbytes for leaf in jax.tree.leaves(state))
    seconds = benchmark.stats.stats.median
    benchmark.extra_info |= {
        "env_id": env_id,
        "kind": kind,
        "num_envs": NUM_ENVS,
        "state_bytes_per_env": num_bytes // NUM_ENVS,
        "env_per_second": round(num_steps * NUM_ENVS / seconds),
        "device": jax.devices()[0].device_kind,
        "jax": jax.__version__,
    }


@pytest.mark.parametrize("env_id", gridmem.CONFIGS)
def test_reset_of_a_batch(benchmark, keys, env_id):
    env = gridmem.make(env_id)
    reset = compiled(benchmark, jax.vmap(env.reset), keys)
    state, _ = benchmark(lambda: jax.block_until_ready(reset(keys)))
    note(benchmark, env_id, "reset", state, 1)


@pytest.mark.parametrize("env_id", gridmem.CONFIGS)
def test_steps_of_a_batch(benchmark, keys, env_id):
    env = gridmem.make(env_id)
    state, _ = jax.jit(jax.vmap(env.reset))(keys)
    shape = (NUM_STEPS, NUM_ENVS, env.num_agents)
    actions = jax.random.randint(jax.random.key(1), shape, 0, env.num_actions)

    def steps(state, actions):
        return lax.scan(jax.vmap(env.step), state, actions)

    run = compiled(benchmark, steps, state, actions)
    benchmark(lambda: jax.block_until_ready(run(state, actions)))
    note(benchmark, env_id, "step", state, NUM_STEPS)
