"""What resets cost in Craftax-Classic.

    uv run --extra craftax python tests/benchmarks/craftax_reset.py

Random actions in NUM_ENVS environments, in one process and by turns, so that other load on the
machine slows all of it. Medians of the repeats; compilation is not counted. A run is NUM_STEPS
steps of a `lax.scan` under jit, which returns observations, rewards and ends.

- "GridMem": `VectorEnv.step`, packed observations, a fresh world for each episode.
- "auto-reset": upstream's own wrapper, vmapped; generates a world for each environment and step.
- "optimistic": generates NUM_ENVS / RATIO worlds in each step, and environments that end at the
  same time share them if they are too few.

All begin in the same states, those after WARM_UP steps, when ends are spread as in the long run.
"""

import argparse
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import jax
import jax.numpy as jnp
from craftax.craftax_env import make_craftax_env_from_name
from jax import lax
from machine import machine

import gridmem
from gridmem.envs.batch.autoreset import VectorEnv

ID = "Craftax-Classic-Symbolic-v1"
NUM_ENVS, NUM_STEPS, WARM_UP, REPEATS, RATIO = 256, 32, 288, 7, 16
GRIDMEM, AUTO_RESET, OPTIMISTIC = "GridMem", "auto-reset", f"optimistic, ratio {RATIO}"


def gridmem_step(batch: VectorEnv) -> Callable[..., Any]:
    """The step of GridMem's batch."""

    def step(state: Any, action: jax.Array, key: jax.Array) -> Any:
        state, timestep = batch.step(state, action)
        return state, (timestep.obs, timestep.reward, timestep.done)

    return step


def auto_reset_step() -> Callable[..., Any]:
    """The step of upstream's wrapper."""
    env = make_craftax_env_from_name(ID, auto_reset=True)

    def step(state: Any, action: jax.Array, key: jax.Array) -> Any:
        keys = jax.random.split(key, action.shape[0])
        obs, state, reward, done, _ = jax.vmap(env.step)(keys, state, action)
        return state, (obs, reward, done)

    return step


def optimistic_step() -> Callable[..., Any]:
    """A step with fewer worlds than environments."""
    env = make_craftax_env_from_name(ID, auto_reset=False)
    params = env.default_params

    def step(state: Any, action: jax.Array, key: jax.Array) -> Any:
        step_key, world_key = jax.random.split(key)
        keys = jax.random.split(step_key, action.shape[0])
        obs, state, reward, done, _ = jax.vmap(env.step, (0, 0, 0, None))(
            keys, state, action, params
        )
        num_worlds = max(1, action.shape[0] // RATIO)
        worlds = jax.vmap(env.reset, (0, None))(jax.random.split(world_key, num_worlds), params)
        # The k-th environment that is done gets world k.
        world = (jnp.cumsum(done) - 1) % num_worlds

        def handed_out(old: jax.Array, new: jax.Array) -> jax.Array:
            return jnp.where(done.reshape(-1, *[1] * (old.ndim - 1)), new[world], old)

        obs, state = jax.tree.map(handed_out, (obs, state), worlds)
        return state, (obs, reward, done)

    return step


def run_of(step: Callable[..., Any], num_envs: int, num_steps: int) -> Callable[..., Any]:
    """Some steps of random actions under jit: (state, key) -> (state, outputs)."""

    def body(state: Any, key: jax.Array) -> Any:
        action_key, key = jax.random.split(key)
        action = jax.random.randint(action_key, (num_envs,), 0, 17, jnp.int32)
        return step(state, action, key)

    def run(state: Any, key: jax.Array) -> Any:
        return lax.scan(body, state, jax.random.split(key, num_steps))

    return jax.jit(run, donate_argnums=0)


def warm(batch: VectorEnv, run: Callable[..., Any], runs: int) -> Any:
    """A state in which episodes are as old as in the long run."""
    state, _ = jax.jit(batch.reset)(
        jax.random.bits(jax.random.key(0), (batch.num_envs, 2), jnp.uint32)
    )
    for key in jax.random.split(jax.random.key(1), runs):
        state, _ = run(state, key)
    return jax.block_until_ready(state)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--envs", type=int, default=NUM_ENVS)
    parser.add_argument("--steps", type=int, default=NUM_STEPS)
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--warm-up", type=int, default=WARM_UP)
    options = parser.parse_args()
    batch = VectorEnv(gridmem.make(ID), options.envs)
    steps = {
        GRIDMEM: gridmem_step(batch),
        AUTO_RESET: auto_reset_step(),
        OPTIMISTIC: optimistic_step(),
    }
    runs = {name: run_of(step, options.envs, options.steps) for name, step in steps.items()}
    first = warm(batch, runs[GRIDMEM], -(-options.warm_up // options.steps))
    game = first.envs.game
    game = game.replace(state_rng=jax.random.wrap_key_data(game.state_rng, impl="threefry2x32"))
    states = {name: jax.tree.map(jnp.copy, game) for name in runs}
    states[GRIDMEM] = first
    taken = {name: [] for name in runs}
    print(machine("craftax"))
    print(
        f"{options.envs} environments, {options.repeats} repeats of {options.steps} steps",
        flush=True,
    )
    for repeat in range(options.repeats + 1):
        for name, run in runs.items():
            begin = time.perf_counter()
            states[name], outputs = jax.block_until_ready(
                run(states[name], jax.random.key(2 + repeat))
            )
            del outputs
            if repeat:  # the first one compiles
                taken[name].append(time.perf_counter() - begin)
    rates = {
        name: [options.envs * options.steps / each for each in seconds]
        for name, seconds in taken.items()
    }
    print(f"{'':22}{'steps/s':>10}{'least':>10}{'most':>10}{'GridMem is':>14}")
    for name, each in rates.items():
        ratio = median(rates[GRIDMEM]) / median(each)
        print(f"{name:22}{median(each):10,.0f}{min(each):10,.0f}{max(each):10,.0f}{ratio:12.2f} x")


if __name__ == "__main__":
    main()
