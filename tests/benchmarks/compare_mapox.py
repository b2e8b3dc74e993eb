"""Steps and resets side by side with mapox, the reference for this kind of environment.

    uv run --group bench python tests/benchmarks/compare_mapox.py

Both are measured in one run, by turns, so that whatever else the machine does slows both. A step
is timed as one of 100 in a `lax.scan` under jit, all its outputs returned; actions are drawn
before, and mapox gets the same keys at every step, so neither pays for randomness of the caller.
A reset generates its level; GridMem's has the connectivity guarantee in it. mapox's rocks
can always be dug. Compilation is not counted. Prints a table, then the same as JSON.
"""

import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")  # mapox imports pygame

import jax
from jax import lax

import gridmem

NUM_STEPS, REPEATS, VIEW_SIZE, EPISODE_STEPS = 100, 7, 5, 512
SHAPES = [(4096, 1), (256, 16)]  # environments x agents
IDS = ["GridMem-v0", "GridMem-Dig-v0"]
PEER = "mapox"

Run = Callable[[], Any]


def grid_mem(id: str, num_envs: int, num_agents: int) -> tuple[Run, Run]:
    """A run of steps and a batched reset of one of GridMem's ids."""
    env = gridmem.make(id, num_agents=num_agents, view_size=VIEW_SIZE)
    return runs(env.reset, env.step, num_envs, num_agents)


def mapox(num_envs: int, num_agents: int) -> tuple[Run, Run]:
    """The same of mapox's task of returning, on its 40 x 40 map."""
    try:
        from mapox import FindReturnConfig
        from mapox.envs.find_return import FindReturnEnv
    except ModuleNotFoundError:
        sys.exit("mapox is not installed; run this with `uv run --group bench python ...`")
    config = FindReturnConfig(num_agents=num_agents, view_width=VIEW_SIZE, view_height=VIEW_SIZE)
    env = FindReturnEnv(config, EPISODE_STEPS)
    return runs(env.reset, env.step, num_envs, num_agents, keyed=True)


def runs(
    reset: Callable[..., Any],
    step: Callable[..., Any],
    num_envs: int,
    num_agents: int,
    keyed: bool = False,
) -> tuple[Run, Run]:
    """Compiled runs of an environment; `keyed` for a step that wants a key."""
    keys = jax.random.split(jax.random.key(0), num_envs)
    shape = (NUM_STEPS, num_envs, num_agents)
    actions = jax.random.randint(jax.random.key(1), shape, 0, 4)
    reset_all = jax.jit(jax.vmap(reset))
    state, _ = reset_all(keys)

    @jax.jit
    def steps(state: Any, actions: jax.Array, keys: jax.Array) -> Any:
        def body(state: Any, action: jax.Array) -> Any:
            return jax.vmap(step)(state, action, *([keys] if keyed else []))

        return lax.scan(body, state, actions)

    jax.block_until_ready(steps(state, actions, keys))  # compiles
    return lambda: steps(state, actions, keys), lambda: reset_all(keys)


def seconds_by_turns(named: dict[str, Run]) -> dict[str, list[float]]:
    """Seconds of every run, each run REPEATS times, one after the other in turns."""
    taken: dict[str, list[float]] = {name: [] for name in named}
    for _ in range(REPEATS):
        for name, run in named.items():
            begin = time.perf_counter()
            jax.block_until_ready(run())
            taken[name].append(time.perf_counter() - begin)
    return taken


def compare(num_envs: int, num_agents: int) -> list[dict[str, Any]]:
    """One row per environment and kind of run."""
    entrants = {id: grid_mem(id, num_envs, num_agents) for id in IDS}
    entrants[PEER] = mapox(num_envs, num_agents)
    rows = []
    for index, kind in enumerate(("step", "reset")):
        taken = seconds_by_turns({name: both[index] for name, both in entrants.items()})
        units = num_envs * (NUM_STEPS * num_agents if kind == "step" else 1)
        for name, seconds in taken.items():
            median = statistics.median(seconds)
            rows.append(
                {
                    "kind": kind,
                    "name": name,
                    "num_envs": num_envs,
                    "num_agents": num_agents,
                    "median_per_second": round(units / median),
                    "best_per_second": round(units / min(seconds)),
                    "times_mapox": round(statistics.median(taken[PEER]) / median, 2),
                }
            )
    return rows


def cpu_model() -> str:
    """The processor's name where Linux tells it, else its architecture."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def main() -> None:
    """Measures and prints."""
    rows = [row for shape in SHAPES for row in compare(*shape)]
    packages = ("gridmem", "mapox", "jax", "jaxlib", "numpy")
    machine = {
        "date": date.today().isoformat(),
        "device": f"{jax.devices()[0].platform}, {os.cpu_count()} x {cpu_model()}",
        "python": platform.python_version(),
        "versions": {name: version(name) for name in packages},
        "view_size": VIEW_SIZE,
        "repeats": REPEATS,
    }
    print(f"{machine['date']}  {machine['device']}  jax {jax.__version__}, {REPEATS} repeats")
    print("agent steps per second; levels per second; by the median of the repeats\n")
    print(f"{'':6}{'envs x agents':>14}  {'':16}{'median':>13}{'best':>13}{'x mapox':>9}")
    for row in rows:
        shape = f"{row['num_envs']} x {row['num_agents']}"
        print(
            f"{row['kind']:6}{shape:>14}  {row['name']:16}{row['median_per_second']:13,}"
            f"{row['best_per_second']:13,}{row['times_mapox']:9.2f}"
        )
    print("\n" + json.dumps({"machine": machine, "rows": rows}))


if __name__ == "__main__":
    main()
