"""What autoreset costs: `uv run python tests/benchmarks/autoreset.py [IDS...]`.

Everything is measured in one run, by turns, so that other load on the machine slows all of it.
A step is timed as one of 64 in a `lax.scan` under jit, its state donated and all outputs
returned. "quiet": no episode ends. "staggered": in each step so many end as in the long run,
NUM_ENVS / max_steps. The bound of a staggered step is step + reset / max_steps, where step
is one without autoreset and reset that of the whole batch at once. Compilation is not counted;
the best of the repeats is taken. With --groups other chunk sizes are compared, with
--gymnax also the vmapped step of the gymnax adapter. The last row of each id is that of
`gymnasium.make_vec`, numpy in and out.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

import gridmem
from gridmem.envs.adapters.gymnax_env import GymnaxEnv
from gridmem.envs.batch import autoreset as vector
from gridmem.envs.batch.autoreset import VectorEnv

NUM_ENVS, NUM_STEPS, REPEATS = 4096, 64, 15


def staggered(batch: VectorEnv, state: Any) -> Any:
    """The state with clocks spread over the episode."""
    length = batch.env.max_steps
    now = (jnp.arange(NUM_ENVS) * length // NUM_ENVS).astype(jnp.int32)
    return state._replace(envs=state.envs._replace(time=now))


def best_by_turns(runs: dict[str, Callable[[], float]]) -> dict[str, float]:
    """Seconds of each, the best of REPEATS; each call says how long it took."""
    for run in runs.values():
        run()  # compiles
    taken = {name: [] for name in runs}
    for _ in range(REPEATS):
        for name, run in runs.items():
            taken[name].append(run())
    return {name: min(seconds) for name, seconds in taken.items()}


def timed(function: Callable[..., Any], *arguments: Callable[[], Any]) -> Callable[[], float]:
    """A run that makes fresh arguments, since they are donated, and times the rest."""

    def run() -> float:
        made = jax.block_until_ready([make() for make in arguments])
        begin = time.perf_counter()
        jax.block_until_ready(function(*made))
        return time.perf_counter() - begin

    return run


def scanned(step: Callable[..., Any]) -> Callable[..., Any]:
    """NUM_STEPS steps under jit."""

    def body(state: Any, action: jax.Array) -> Any:
        state, *outputs = step(state, action)
        return state, outputs

    return jax.jit(lambda state, actions: lax.scan(body, state, actions), donate_argnums=0)


def gymnax_step(env: GymnaxEnv) -> Callable[..., Any]:
    """The vmapped step of the gymnax adapter, in the form of the others; it draws its keys, too."""

    def step(state: Any, action: jax.Array) -> Any:
        keys = jax.random.split(jax.random.wrap_key_data(state.keys[0]), NUM_ENVS)
        obs, envs, *rest = jax.vmap(env.step)(keys, state.envs, action)
        keys = state.keys.at[0].set(jax.random.key_data(keys[-1]))
        return state._replace(envs=envs, keys=keys), obs, rest

    return step


def make_vec(id: str, mode: str, spread: bool) -> Callable[[], float]:
    """Steps of Gymnasium's vector environment."""
    envs = gymnasium.make_vec(id, num_envs=NUM_ENVS, autoreset_mode=mode).unwrapped
    envs.reset(seed=0)
    if spread:
        simulator = envs._simulator
        simulator._state = staggered(simulator.config.batch, simulator._state)
    actions = np.random.default_rng(0).integers(0, 4, (NUM_STEPS, NUM_ENVS))

    def run() -> float:
        begin = time.perf_counter()
        for action in actions:
            envs.step(action)
        return time.perf_counter() - begin

    return run


def measure(id: str, groups: list[int], gymnax: bool) -> None:
    """Measures an id and prints its rows."""
    env = gridmem.make(id)
    batch = VectorEnv(env, NUM_ENVS)
    keys = jax.random.bits(jax.random.key(0), (NUM_ENVS, 2), jnp.uint32)
    reset = jax.jit(batch.reset)
    first, _ = reset(keys)
    shape = (NUM_STEPS, NUM_ENVS)
    actions = jax.random.randint(jax.random.key(1), shape, 0, 4)
    begin = {
        "quiet": lambda: jax.tree.map(jnp.copy, first),
        "staggered": lambda: jax.tree.map(jnp.copy, staggered(batch, first)),
    }
    steps = {
        "no autoreset": batch.step_only,
        "next step": batch.step,
        "same step": batch.step_then_reset,
    }
    if gymnax:
        steps["gymnax, vmapped"] = gymnax_step(GymnaxEnv(id, observation="view"))
    runs = {"reset": timed(reset, lambda: keys)}
    for how, state in begin.items():
        for name, step in steps.items():
            runs[f"{name}, {how}"] = timed(scanned(step), state, lambda: actions)
        for mode in ("NextStep", "SameStep"):
            runs[f"make_vec {mode}, {how}"] = make_vec(id, mode, how == "staggered")
    for group in groups:
        vector.CPU_CHUNK_SIZE = vector.ACCELERATOR_CHUNK_SIZE = (
            group  # read when the step is traced
        )
        run = timed(scanned(lambda *a: batch.step(*a)), begin["staggered"], lambda: actions)
        run()
        runs[f"groups of {group}, staggered"] = run
    seconds = best_by_turns(runs)
    report(id, env.max_steps, seconds)


def report(id: str, max_steps: int, seconds: dict[str, float]) -> None:
    """Prints the rows of an id."""
    reset = seconds.pop("reset")
    plain = seconds["no autoreset, quiet"] / NUM_STEPS
    bound = plain + reset / max_steps
    print(f"\n{id}: reset of {NUM_ENVS} {reset * 1e3:.0f} ms, bound {bound * 1e6:.0f} us")
    print(f"{'':28}{'us a step':>10}{'x plain':>9}{'x bound':>9}{'M env steps/s':>15}")
    for name, total in seconds.items():
        each = total / NUM_STEPS
        share = f"{each / bound:9.2f}" if "staggered" in name else " " * 9
        print(
            f"{name:28}{each * 1e6:10.0f}{each / plain:9.2f}{share}{NUM_ENVS / each / 1e6:15.1f}",
            flush=True,
        )


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ids", nargs="*", default=["GridMem-v0", "GridMem-Dig-v0"])
    parser.add_argument("--groups", type=int, nargs="*", default=[])
    parser.add_argument("--gymnax", action="store_true")
    options = parser.parse_args()
    device = jax.devices()[0].device_kind
    print(f"jax {jax.__version__}, {device}, {NUM_ENVS} environments, best of {REPEATS}")
    for id in options.ids:
        measure(id, options.groups, options.gymnax)


if __name__ == "__main__":
    main()
