"""A step of one environment through Gymnasium and the bare jitted step, by turns.

    uv run python tests/benchmarks/single_step.py [ID]

All play the same actions from the start of a level; resets are not timed. A bare step is called
with its state and a numpy array and waited for; nothing is fetched from it. It is there with all
that `Env.step` returns, each output an array of its own, and with the view alone, which is the
least that an agent needs. What Gymnasium costs is told over the second.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import gymnasium
import jax
import numpy as np
from machine import machine

import gridmem

NUM_STEPS, REPEATS = 100, 200
FLOOR = "jitted step, view alone"


def through_gymnasium(env: gymnasium.Env, actions: np.ndarray) -> float:
    """Seconds of a step of a Gymnasium environment, the mean over the actions."""
    env.reset(seed=0)
    begin = time.perf_counter()
    for action in actions:
        env.step(action)
    return (time.perf_counter() - begin) / len(actions)


def bare(reset: Callable[..., Any], step: Callable[..., Any], actions: np.ndarray) -> float:
    """Seconds of a jitted step, the mean over the actions."""
    state, _ = jax.block_until_ready(reset(jax.random.key(0)))
    rows = list(actions.astype(np.int32)[:, None])
    begin = time.perf_counter()
    for action in rows:
        state, timestep = step(state, action)
        timestep.obs.view.block_until_ready()
    return (time.perf_counter() - begin) / len(actions)


def view_alone(env: gridmem.Env) -> Callable[..., Any]:
    """The step that returns a timestep without anything but the view."""

    def step(state: gridmem.State, action: jax.Array) -> Any:
        state, timestep = env.step(state, action)
        empty = jax.tree.map(lambda _: None, timestep)
        return state, empty._replace(obs=empty.obs._replace(view=timestep.obs.view))

    return jax.jit(step)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("id", nargs="?", default="GridMem-v0", choices=gridmem.CONFIGS)
    id = parser.parse_args().id
    env, made = gridmem.make(id), gymnasium.make(id)
    reset, whole, view = jax.jit(env.reset), jax.jit(env.step), view_alone(env)
    actions = np.random.default_rng(0).integers(0, 4, min(NUM_STEPS, env.max_steps))
    runs = {
        FLOOR: lambda: bare(reset, view, actions),
        "jitted step, all outputs": lambda: bare(reset, whole, actions),
        "env.unwrapped.step": lambda: through_gymnasium(made.unwrapped, actions),
        "env.step": lambda: through_gymnasium(made, actions),
    }
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for repeat in range(REPEATS + 1):
        for name, run in runs.items():
            seconds = run()
            if repeat:  # the first one compiles
                taken[name].append(1e6 * seconds)
    print(f"{id}; {machine('gymnasium')}; {REPEATS} times {len(actions)} steps")
    print("microseconds a step    median   over the view alone   best   over the view alone")
    middle, least = statistics.median(taken[FLOOR]), min(taken[FLOOR])
    for name, each in taken.items():
        median, best = statistics.median(each), min(each)
        print(f"{name:24}{median:8.1f}{median - middle:18.1f}{best:11.1f}{best - least:18.1f}")


if __name__ == "__main__":
    main()
